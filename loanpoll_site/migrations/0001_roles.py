"""The four roles, with what each may do. docs/reference/roles.md shows it; a test compares them."""

from django.contrib.auth.management import create_permissions
from django.db import migrations

VIEWER = (
    "loans.view_loantracking",
    "loans.view_loanevent",
    "loans.view_loanapproval",
    "disbursements.view_disbursementrequest",
    "disbursements.view_reviewresolution",
    "disbursements.view_syncrun",
    "partners.view_partner",
    "partners.view_loanproductautodisbursalconfig",
    "partners.view_payoutswitch",
    "mpesa.view_resultcode",
    "mpesa.view_shortcode",
)
OPERATOR = (
    *VIEWER,
    "loans.hold_loantracking",
    "disbursements.retry_disbursementrequest",
    "disbursements.query_disbursementrequest",
    "disbursements.record_disbursementrequest",
    "mpesa.view_mpesarequest",
)
APPROVER = (
    *VIEWER,
    "loans.hold_loantracking",
    "loans.approve_loantracking",
    "loans.view_full_msisdn",
    "disbursements.resolve_disbursementrequest",
    "mpesa.view_mpesarequest",
    "mpesa.view_mpesacallback",
)
ADMINISTRATOR = (
    *VIEWER,
    "partners.add_partner",
    "partners.change_partner",
    "partners.add_loanproductautodisbursalconfig",
    "partners.change_loanproductautodisbursalconfig",
    "partners.change_payoutswitch",
    "partners.view_partnermembership",
    "partners.add_partnermembership",
    "partners.change_partnermembership",
    "partners.delete_partnermembership",
    "mpesa.add_resultcode",
    "mpesa.change_resultcode",
    "mpesa.view_mpesarequest",
    "disbursements.view_apikey",
    "disbursements.add_apikey",
    "disbursements.change_apikey",
    "auth.view_user",
    "auth.add_user",
    "auth.change_user",
    "auth.view_group",
    "admin.view_logentry",
    "axes.view_accessattempt",
    "axes.view_accesslog",
)
ROLES = {
    "Viewer": VIEWER,
    "Operator": OPERATOR,
    "Approver": APPROVER,
    "Administrator": ADMINISTRATOR,
}


def make_roles(apps, schema_editor):
    using = schema_editor.connection.alias
    _make_permissions(apps, using)
    groups = apps.get_model("auth", "Group").objects.using(using)
    permissions = apps.get_model("auth", "Permission").objects.using(using)
    for name, wanted in ROLES.items():
        # A site may have a group of this name already: it gets what the role needs.
        group, _ = groups.get_or_create(name=name)
        for one in wanted:
            app_label, codename = one.split(".")
            group.permissions.add(
                permissions.get(content_type__app_label=app_label, codename=codename)
            )


def _make_permissions(apps, using):
    """Django makes them after the last migration, which is too late for this one."""
    for label in sorted({one.split(".")[0] for wanted in ROLES.values() for one in wanted}):
        config = apps.get_app_config(label)
        config.models_module = True  # the historical config has none, and would be passed over
        create_permissions(config, apps=apps, using=using, verbosity=0)
        config.models_module = None


class Migration(migrations.Migration):
    dependencies = [
        ("admin", "0003_logentry_add_action_flag_choices"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("axes", "0010_accessattemptexpiration"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("disbursements", "0001_initial"),
        ("loans", "0003_approvals_expire"),
        ("mpesa", "0003_shortcode_is_credential_refused"),
        ("partners", "0003_partner_memberships"),
    ]
    # Not undone: a person may be in a role by then.
    operations = [migrations.RunPython(make_roles, migrations.RunPython.noop)]
