"""In the administration secrets go in and never come out, and nothing is deleted."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from mpesa.models import Shortcode
from mpesa.shortcodes import open_breaker
from partners import access
from partners.models import Partner
from partners.tests.fakes import FakeMifos, FakeMpesa
from partners.tests.samples import NOW, make_partner
from partners.tests.test_loading import certificate  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db

LIST = "/admin/partners/partner/"
SECRETS = ("mifos_password", "mpesa_consumer_key", "mpesa_security_credential")


@pytest.fixture(autouse=True)
def _plain_http(settings):
    settings.SECURE_SSL_REDIRECT = False
    settings.LOANPOLL_ALLOW_PRIVATE_HOSTS = False


@pytest.fixture
def partner():
    made = make_partner()
    made.products.create(product_id=7, product_name="Emergency", enabled=True)
    return made


@pytest.fixture
def page(partner):
    return reverse("admin:partners_partner_change", args=[partner.pk])


def posted(client, page: str, **changes: Any) -> Any:
    """Fill in the form as the browser got it, change it, send it."""
    form = client.get(page).context["adminform"].form
    data = {name: form.get_initial_for_field(field, name) for name, field in form.fields.items()}
    data |= {
        "products-TOTAL_FORMS": "1",
        "products-INITIAL_FORMS": "1",
        "products-0-id": Partner.objects.get().products.get().pk,
        "products-0-partner": Partner.objects.get().pk,
        "products-0-product_id": "7",
        "products-0-product_name": "Emergency",
        "products-0-enabled": "on",
        "products-0-min_amount": "10",
        "products-0-max_amount": "250000",
        "products-0-auto_approve": "on",
    }
    data |= changes
    clean = {key: value for key, value in data.items() if value not in (None, False)}
    return client.post(page, clean)


def test_no_stored_secret_reaches_the_page(admin_client, page):
    html = admin_client.get(page).content.decode()

    assert "hush" not in html
    assert html.count("Leave empty to keep") == 4
    assert not re.search(r'type="password"[^>]* value="', html)


def test_empty_secrets_are_kept(admin_client, page):
    answer = posted(admin_client, page, name="Umoja Ltd")

    assert answer.status_code == 302, answer.context["errors"]
    partner = Partner.objects.get()
    assert partner.name == "Umoja Ltd"
    assert partner.mifos_password == "hush-mifos"
    assert partner.mpesa_credential_set_at == NOW


def test_a_new_secret_replaces_the_old_and_only_its_name_is_logged(admin_client, page):
    posted(admin_client, page, mifos_password="hush-new", daily_limit="5000")

    assert Partner.objects.get().mifos_password == "hush-new"
    said = LogEntry.objects.get().change_message
    assert "hush" not in said
    assert json.loads(said)[0]["changed"]["fields"] == [
        "Mifos X password",
        "Daily limit (KES) (empty → 5000)",
    ]


def test_saving_touches_the_rules_and_not_how_the_last_poll_went(admin_client, page, partner):
    before = partner.rules_changed_at
    Partner.objects.update(last_error="HTTP 401")

    posted(admin_client, page, daily_limit="5000")

    stored = Partner.objects.get()
    assert stored.rules_changed_at > before
    assert stored.last_error == "HTTP 401"


def test_a_secret_with_a_line_break_is_refused(admin_client, page):
    answer = posted(admin_client, page, mifos_password="hush-new ")

    assert "Begins or ends with a blank" in answer.content.decode()
    assert "hush" not in answer.content.decode()


def test_the_environment_cannot_be_read_through_the_form(admin_client, page):
    posted(admin_client, page, mifos_password="env:SECRET_KEY")

    assert Partner.objects.get().mifos_password == "env:SECRET_KEY"


def test_the_credential_is_made_from_password_and_certificate(
    admin_client,
    page,
    certificate,  # noqa: F811 - the fixture
):
    upload = SimpleUploadedFile("mpesa.cer", certificate)

    answer = posted(
        admin_client, page, mpesa_initiator_password="initiator#1", mpesa_certificate=upload
    )

    assert answer.status_code == 302, answer.context["errors"]
    partner = Partner.objects.get()
    assert len(partner.mpesa_security_credential) == 344
    assert partner.mpesa_credential_set_at not in (None, NOW)
    assert "initiator#1" not in LogEntry.objects.get().change_message


def test_a_password_without_a_certificate_is_refused(admin_client, page):
    answer = posted(admin_client, page, mpesa_initiator_password="initiator#1")

    assert "Is needed beside the password" in answer.content.decode()


def test_a_private_host_is_refused(admin_client, page):
    answer = posted(admin_client, page, mifos_host_url="https://169.254.169.254")

    assert "private or local address" in answer.content.decode()


def test_a_new_partner_can_be_added(admin_client):
    answer = admin_client.get(f"{LIST}add/")

    assert answer.status_code == 200
    assert "Daraja portal > My Apps > Consumer Key. Not set." in answer.content.decode()


def test_the_hook_address_is_shown_to_those_who_may_change(admin_client, page, partner):
    html = admin_client.get(page).content.decode()

    assert f"/api/mifos/webhook/loan-approval/{partner.webhook_token}/" in html


def test_whoever_may_only_look_sees_no_secret(client, django_user_model, page, partner):
    viewer = django_user_model.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_partner"))
    client.force_login(viewer)

    html = client.get(page).content.decode()

    assert "Umoja Sacco" in html
    assert "hush" not in html
    assert partner.webhook_token not in html


def test_nobody_deletes_a_partner(admin_client, page):
    assert admin_client.get(page.replace("change", "delete")).status_code == 403
    assert "delete_selected" not in admin_client.get(LIST).content.decode()


def act(client, action: str, partner: Partner, **more: str) -> Any:
    return client.post(LIST, {"action": action, "_selected_action": partner.pk, **more})


def act_as_shown(client, action: str, partner: Partner, *, reason: str) -> Any:
    """Open the page that asks for the reason, and send it as it came."""
    shown = act(client, action, partner).context["partners"][0].stop.key
    return act(client, action, partner, reason=reason, **{f"stop-{partner.pk}": shown})


def test_pausing_asks_for_a_reason_first(admin_client, partner):
    asked = act(admin_client, "pause_payouts", partner)
    assert "Reason" in asked.content.decode()
    assert not Partner.objects.get().is_paused

    act(admin_client, "pause_payouts", partner, reason="float audit")
    assert Partner.objects.get().paused_by == "admin"

    act_as_shown(admin_client, "resume_payouts", partner, reason="done")
    assert not Partner.objects.get().is_paused


def test_a_stopped_shortcode_may_pay_again_on_a_persons_word(admin_client, partner):
    open_breaker("sandbox", "600123", cause="2001", now=NOW)

    act_as_shown(admin_client, "let_shortcode_pay", partner, reason="password corrected")

    assert Shortcode.objects.get().breaker_opened_at is None
    assert "password corrected" in LogEntry.objects.get().change_message


def test_the_connection_is_tested_without_leaving_the_page(admin_client, partner, monkeypatch):
    monkeypatch.setattr(access, "mifos_client", lambda _: FakeMifos())
    monkeypatch.setattr(access, "mpesa_client", lambda _: FakeMpesa())

    html = act(admin_client, "test_connection", partner).content.decode()

    assert "✓ OK" in html
    assert "M-Pesa token obtained" in html


def test_a_viewer_may_test_and_not_pause(client, django_user_model, partner):
    viewer = django_user_model.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_partner"))
    client.force_login(viewer)

    html = client.get(LIST).content.decode()
    act(client, "pause_payouts", partner, reason="x")

    assert "test_connection" in html
    assert "pause_payouts" not in html
    assert not Partner.objects.get().is_paused


def test_a_changed_product_touches_the_rules(admin_client, partner):
    product = partner.products.get()
    before = Partner.objects.get().rules_changed_at
    page = reverse("admin:partners_loanproductautodisbursalconfig_change", args=[product.pk])

    shown = {"rules_shown": before.isoformat()}
    admin_client.post(
        page, shown | {"product_name": "x", "enabled": "on", "min_amount": "10", "max_amount": "99"}
    )

    assert partner.products.get().max_amount == 99
    assert Partner.objects.get().rules_changed_at > before
