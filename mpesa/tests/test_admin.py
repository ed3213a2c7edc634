"""Who may see and change what of M-Pesa in the administration."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission

from mpesa.models import MpesaCallback, MpesaRequest, MpesaToken, ResultCode, Shortcode
from mpesa.shortcodes import shortcode_of

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.fixture
def callback():
    request = MpesaRequest.objects.create(
        kind="payment", environment="sandbox", shortcode="600992", token_digest="d1", sent_at=NOW
    )
    return MpesaCallback.objects.create(
        kind="payment_result", request=request, body="the letter itself", received_at=NOW
    )


@pytest.fixture
def staff(client, django_user_model):
    """A client signed in as staff with the rights asked for."""

    def signed_in(*codenames: str):
        user = django_user_model.objects.create_user("staff", password="x", is_staff=True)
        user.user_permissions.set(
            Permission.objects.filter(content_type__app_label="mpesa", codename__in=codenames)
        )
        client.force_login(user)
        return client

    return signed_in


def code_form(**changes: str) -> dict[str, str]:
    form = {"code": "17", "meaning": "Internal", "money_moved": "maybe", "new_attempt": "never"}
    return form | {"who_acts": "operations"} | changes


def test_tokens_are_not_in_the_administration():
    assert not admin.site.is_registered(MpesaToken)


@pytest.mark.parametrize("model", [MpesaCallback, MpesaRequest, Shortcode])
def test_not_even_a_superuser_changes_what_the_product_wrote(admin_client, callback, model):
    row = {MpesaCallback: callback, MpesaRequest: callback.request}.get(model) or shortcode_of(
        "sandbox", "600992"
    )
    base = f"/admin/mpesa/{model._meta.model_name}/"

    assert admin_client.get(base).status_code == 200
    assert admin_client.get(f"{base}{row.pk}/change/").status_code == 200
    assert admin_client.get(f"{base}add/").status_code == 403
    assert admin_client.post(f"{base}{row.pk}/change/", {}).status_code == 403
    assert admin_client.post(f"{base}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert model.objects.filter(pk=row.pk).exists()


def test_a_body_is_shown_to_who_may_view_callbacks(staff, callback):
    page = staff("view_mpesacallback").get(f"/admin/mpesa/mpesacallback/{callback.pk}/change/")

    assert "the letter itself" in page.content.decode()


def test_no_other_right_shows_a_body(staff, callback):
    client = staff("change_mpesacallback", "delete_mpesacallback", "view_mpesarequest")

    assert client.get("/admin/mpesa/mpesacallback/").status_code == 403
    url = f"/admin/mpesa/mpesacallback/{callback.pk}/change/"
    assert client.get(url).status_code == 403
    request_page = client.get(f"/admin/mpesa/mpesarequest/{callback.request_id}/change/")
    assert request_page.status_code == 200
    assert "the letter itself" not in request_page.content.decode()
    assert "d1" not in request_page.content.decode().split()


def test_an_administrator_amends_a_result_code(staff):
    row = ResultCode.objects.get(code="17")
    client = staff("view_resultcode", "change_resultcode")

    answer = client.post(
        f"/admin/mpesa/resultcode/{row.pk}/change/", code_form(who_acts="Safaricom")
    )

    row.refresh_from_db()
    assert answer.status_code == 302
    assert row.who_acts == "Safaricom"


@pytest.mark.parametrize("code", ["0", "15"])
def test_an_administrator_cannot_read_paid_or_duplicate_as_no_money_moved(admin_client, code):
    row = ResultCode.objects.get(code=code)

    answer = admin_client.post(
        f"/admin/mpesa/resultcode/{row.pk}/change/", code_form(code=code, money_moved="no")
    )

    row.refresh_from_db()
    assert answer.status_code == 200
    assert "never proof" in answer.content.decode()
    assert row.money_moved != "no"


def test_the_code_of_a_row_cannot_be_changed_into_another(admin_client):
    row = ResultCode.objects.get(code="17")

    admin_client.post(f"/admin/mpesa/resultcode/{row.pk}/change/", code_form(code="18000"))

    row.refresh_from_db()
    assert row.code == "17"


def test_a_new_code_can_be_added_and_none_deleted(admin_client):
    added = admin_client.post("/admin/mpesa/resultcode/add/", code_form(code="4711"))
    row = ResultCode.objects.get(code="4711")

    assert added.status_code == 302
    gone = admin_client.post(f"/admin/mpesa/resultcode/{row.pk}/delete/", {"post": "yes"})
    assert gone.status_code == 403


def test_zero_cannot_be_added_anew_as_a_failure(admin_client):
    ResultCode.objects.filter(code="0").delete()

    answer = admin_client.post(
        "/admin/mpesa/resultcode/add/", code_form(code="0", money_moved="no")
    )

    assert answer.status_code == 200
    assert not ResultCode.objects.filter(code="0").exists()
