"""No page of the site breaks its own content policy: the browser would say so in its console."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django_otp.oath import totp
from django_otp.plugins.otp_totp.models import TOTPDevice
from playwright.sync_api import Page, expect

from tests.browser.conftest import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ADMIN = [
    "/admin/",
    "/admin/partners/partner/",
    "/admin/partners/partner/{partner}/change/",
    "/admin/loans/loantracking/{loan}/change/",
    "/admin/auth/user/",
    "/admin/auth/user/{user}/change/",
    "/admin/admin/logentry/",
    "/admin/password_change/",
]


def test_the_admin_keeps_the_policy(desk: Page, loans):
    loan = loans["pending"]
    user = User.objects.get(username="jane.o")
    for page in ADMIN:
        desk.goto(page.format(loan=loan.pk, partner=loan.partner_id, user=user.pk))
        expect(desk.get_by_role("heading", level=1).first).to_be_visible()


def test_the_api_documentation_keeps_the_policy(desk: Page):
    desk.goto("/api/docs")

    expect(desk.get_by_text("/api/mifos/scheduled-loan-sync").first).to_be_visible()
    desk.get_by_text("/api/mifos/scheduled-loan-sync").first.click()


def test_a_second_factor_is_set_up_and_asked_for(desk: Page):
    desk.goto("/accounts/two-factor/")
    picture = desk.get_by_role("img", name="QR code")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.naturalWidth") > 0

    app = TOTPDevice.objects.get()
    desk.get_by_label("Enter the six digits").fill(f"{totp(app.bin_key):06d}")
    desk.get_by_role("button", name="Turn on").click()
    expect(desk.get_by_role("listitem")).to_have_count(10)

    desk.context.clear_cookies()
    desk.goto("/loan-tracking")
    desk.get_by_label("User name").fill("jane.o")
    desk.get_by_label("Password").fill(PASSWORD)
    desk.get_by_role("button", name="Sign in").click()
    app.refresh_from_db()
    desk.get_by_label("Code").fill(f"{totp(app.bin_key, drift=1):06d}")
    desk.get_by_role("button", name="Go on").click()

    desk.wait_for_url("**/loan-tracking")
