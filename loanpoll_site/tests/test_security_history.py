"""Every change of the configuration says who, when, from what and to what; secrets by name only."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.test import Client

from disbursements.models import ApiKey
from disbursements.tests.making import make_partner, make_product
from loanpoll_site.tests.people import browser_of, make_person
from loanpoll_site.tests.test_security_scope import bound_to, user_form
from mpesa.models import ResultCode
from partners.models import LoanProductAutoDisbursalConfig, Partner

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    return browser_of(make_person("admin.a", "Administrator"))


def changes() -> list[dict[str, Any]]:
    """Return the fields that the newest entry says were changed."""
    entry = LogEntry.objects.latest("id")
    assert entry.user.get_username() == "admin.a"
    said = json.loads(entry.change_message)
    return [one for part in said for one in part.get("changed", {}).get("changes", [])]


def partner_form(client: Client, partner: Partner, **more: Any) -> dict[str, Any]:
    """Return what the partner's page posts when nothing is changed, with `more`."""
    answer = client.get(f"/admin/partners/partner/{partner.pk}/change/")
    form = answer.context["adminform"].form
    [rows] = answer.context["inline_admin_formsets"]
    data = {name: form.get_initial_for_field(field, name) for name, field in form.fields.items()}
    for one in [*rows.formset.initial_forms, rows.formset.management_form]:
        for name, field in one.fields.items():
            data[one.add_prefix(name)] = one.get_initial_for_field(field, name)
    for name, value in list(data.items()):
        if isinstance(value, Partner):
            data[name] = value.pk
    data |= more
    return {name: value for name, value in data.items() if value is not None and value is not False}


def save(client: Client, partner: Partner, **more: Any) -> None:
    form = partner_form(client, partner, **more)
    answer = client.post(f"/admin/partners/partner/{partner.pk}/change/", form)
    assert answer.status_code == 302, answer.context["errors"]


def test_a_partner_and_its_products_say_from_and_to(client: Client):
    partner = make_partner(daily_limit=1000)
    make_product(partner, max_amount=5000)

    save(
        client,
        partner,
        daily_limit="2000",
        resend_unknown=False,
        mpesa_environment="production",
        mpesa_shortcode="512345",
        mpesa_initiator_name="umojaapi",
        **{"products-0-max_amount": "9000"},
    )

    said = {one["field"]: (one["from"], one["to"]) for one in changes()}
    assert said == {
        "daily_limit": ("1000.00", "2000"),
        "resend_unknown": ("yes", "no"),
        "mpesa_environment": ("Sandbox", "Production"),
        "mpesa_shortcode": ("600000", "512345"),
        "mpesa_initiator_name": ("testapi", "umojaapi"),
        "max_amount": ("5000.00", "9000"),
    }


def test_a_secret_is_named_and_never_shown(client: Client):
    partner = make_partner()

    save(client, partner, mifos_password="hush-hush", mpesa_consumer_key="hush-too")

    assert changes() == [
        {"field": "mifos_password", "label": "Mifos X password"},
        {"field": "mpesa_consumer_key", "label": "M-Pesa consumer key"},
    ]
    assert "hush" not in LogEntry.objects.latest("id").change_message


def test_a_product_on_its_own_page_says_so_too(client: Client):
    product = make_product(make_partner(), max_amount=5000)
    shown = {"rules_shown": product.partner.rules_changed_at.isoformat()}

    client.post(
        f"/admin/partners/loanproductautodisbursalconfig/{product.pk}/change/",
        shown | {"product_name": "Biashara loan", "min_amount": "10", "max_amount": "7000"},
    )

    said = {one["field"]: (one["from"], one["to"]) for one in changes()}
    assert said["max_amount"] == ("5000.00", "7000")
    assert said["enabled"] == ("yes", "no")


def test_a_new_product_says_what_it_began_with(client: Client):
    partner = make_partner()

    client.post(
        "/admin/partners/loanproductautodisbursalconfig/add/",
        {"partner": partner.pk, "product_id": "7", "min_amount": "10", "max_amount": "7000"},
    )

    assert LoanProductAutoDisbursalConfig.objects.get().max_amount == 7000
    said = {one["field"]: (one["from"], one["to"]) for one in changes()}
    assert said["max_amount"] == ("empty", "7000")
    assert said["partner"] == ("empty", partner.name)


def test_a_result_code_says_from_and_to(client: Client):
    code = ResultCode.objects.get(code="2001")
    form = {
        name: getattr(code, name) for name in ("meaning", "money_moved", "new_attempt", "who_acts")
    }

    answer = client.post(
        f"/admin/mpesa/resultcode/{code.pk}/change/",
        {**form, "stops_shortcode": "on", "meaning": "Wrong initiator"},
    )

    assert answer.status_code == 302, answer.context["errors"]
    [said] = changes()
    assert (said["from"], said["to"]) == (code.meaning, "Wrong initiator")


def test_roles_and_partners_of_a_user_say_from_and_to(client: Client):
    jane = make_person("jane.o", "Viewer")
    groups = Group.objects.filter(name__in=["Viewer", "Approver"])
    partner = make_partner(name="Umoja Sacco")

    client.post(
        f"/admin/auth/user/{jane.pk}/change/",
        user_form(jane, groups=[group.pk for group in groups], **bound_to(partner)),
    )

    said = {one["field"]: (one["from"], one["to"]) for one in changes()}
    assert said["groups"] == ("Viewer", "Approver, Viewer")
    assert said["partner"] == ("empty", "Umoja Sacco")


def test_a_new_users_password_is_not_in_the_history(client: Client):
    client.post(
        "/admin/auth/user/add/",
        {
            "username": "jane.o",
            "usable_password": "true",
            "password1": "correct-horse-battery",
            "password2": "correct-horse-battery",
        },
    )

    entry = LogEntry.objects.latest("id")
    assert entry.object_repr == "jane.o"
    assert "battery" not in entry.change_message


def test_a_revoked_key_is_in_the_history(client: Client):
    key, _ = ApiKey.objects.create_key(name="billing")

    client.post("/admin/disbursements/apikey/", {"action": "revoke", "_selected_action": [key.pk]})

    assert ApiKey.objects.get().revoked
    assert LogEntry.objects.latest("id").get_change_message() == "Revoked."


def test_the_history_is_read_and_never_changed(admin_client: Client, client: Client):
    partner = make_partner(daily_limit=1000)
    save(client, partner, daily_limit="2000")
    entry = LogEntry.objects.latest("id")
    page = f"/admin/admin/logentry/{entry.pk}"

    shown = client.get("/admin/admin/logentry/").content.decode()

    assert "1000.00 → 2000" in shown
    assert admin_client.post(f"{page}/change/").status_code == 403
    assert admin_client.post(f"{page}/delete/").status_code == 403
    assert admin_client.get("/admin/admin/logentry/add/").status_code == 403
