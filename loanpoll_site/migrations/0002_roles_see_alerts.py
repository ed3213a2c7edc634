"""Every role sees what staff were told of. Users who are bound to a partner see no alerts."""

from django.contrib.auth.management import create_permissions
from django.db import migrations

ROLES = ("Viewer", "Operator", "Approver", "Administrator")


def let_roles_see_alerts(apps, schema_editor):
    using = schema_editor.connection.alias
    config = apps.get_app_config("disbursements")
    config.models_module = True  # as in 0001_roles
    create_permissions(config, apps=apps, using=using, verbosity=0)
    config.models_module = None
    seen = apps.get_model("auth", "Permission").objects.using(using)
    permission = seen.get(content_type__app_label="disbursements", codename="view_alert")
    for group in apps.get_model("auth", "Group").objects.using(using).filter(name__in=ROLES):
        group.permissions.add(permission)


class Migration(migrations.Migration):
    dependencies = [
        ("disbursements", "0003_alerts"),
        ("loanpoll_site", "0001_roles"),
    ]
    operations = [migrations.RunPython(let_roles_see_alerts, migrations.RunPython.noop)]
