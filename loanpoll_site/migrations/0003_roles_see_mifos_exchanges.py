"""Who sees what was sent to M-Pesa sees what was sent to Mifos X, too."""

from django.contrib.auth.management import create_permissions
from django.db import migrations

ROLES = ("Operator", "Approver", "Administrator")


def let_roles_see_exchanges(apps, schema_editor):
    using = schema_editor.connection.alias
    config = apps.get_app_config("partners")
    config.models_module = True  # as in 0001_roles
    create_permissions(config, apps=apps, using=using, verbosity=0)
    config.models_module = None
    seen = apps.get_model("auth", "Permission").objects.using(using)
    permission = seen.get(content_type__app_label="partners", codename="view_mifosexchange")
    for group in apps.get_model("auth", "Group").objects.using(using).filter(name__in=ROLES):
        group.permissions.add(permission)


class Migration(migrations.Migration):
    dependencies = [
        ("partners", "0005_mifos_exchanges"),
        ("loanpoll_site", "0002_roles_see_alerts"),
    ]
    operations = [migrations.RunPython(let_roles_see_exchanges, migrations.RunPython.noop)]
