"""The second factor: set up once, asked for ever after, and enforceable for those with power."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import time_machine
from django.contrib.admin import site
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from django_otp.oath import totp
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from loanpoll_site.checks import power_needs_a_second_factor
from loanpoll_site.tests.people import PASSWORD, browser_of, make_person

pytestmark = pytest.mark.django_db

SETUP = "/accounts/two-factor/"
VERIFY = "/accounts/two-factor/verify/"


@pytest.fixture
def peter() -> User:
    return make_person("peter.n", "Approver")


@pytest.fixture
def required(settings) -> None:
    settings.LOANPOLL_REQUIRE_TWO_FACTOR = True


def code_of(user: User, later: int = 0) -> str:
    """Return what the authenticator app shows, `later` steps from now."""
    app = TOTPDevice.objects.get(user=user)
    return f"{totp(app.bin_key, app.step, drift=later):06d}"


def set_up(client: Client, user: User) -> list[str]:
    """Set the second factor up as a person would; return the recovery codes."""
    client.get(SETUP)
    html = client.post(SETUP, {"code": code_of(user)}).content.decode()
    return re.findall(r"<li><code>([a-z2-7-]+)</code></li>", html)


def signed_in_with_password(user: User) -> Client:
    client = Client()
    client.post("/accounts/login/", {"username": user.get_username(), "password": PASSWORD})
    return client


def test_it_is_set_up_with_a_picture_and_gives_ten_codes_once(peter: User):
    client = browser_of(peter)

    page = client.get(SETUP).content.decode()
    codes = set_up(client, peter)

    assert 'src="data:image/svg+xml;base64,' in page
    assert len(set(codes)) == 10
    assert codes[0] not in client.get(SETUP).content.decode()
    assert client.get("/loan-tracking").status_code == 200


def test_a_wrong_code_sets_nothing_up(peter: User):
    client = browser_of(peter)
    client.get(SETUP)

    answer = client.post(SETUP, {"code": "000000"})

    assert "That code is not right" in answer.content.decode()
    assert not TOTPDevice.objects.filter(confirmed=True).exists()


def test_each_look_at_the_set_up_page_makes_a_new_secret(peter: User):
    client = browser_of(peter)
    client.get(SETUP)
    seen = TOTPDevice.objects.get().key

    client.get(SETUP)

    assert TOTPDevice.objects.get().key != seen


def test_from_then_on_a_password_alone_opens_nothing(peter: User):
    set_up(browser_of(peter), peter)
    client = signed_in_with_password(peter)

    for path in ("/loan-tracking", "/admin/", "/partners", SETUP):
        answer = client.get(path)
        assert (answer.status_code, answer["Location"].split("?")[0]) == (302, VERIFY)
    assert client.get("/api/loans").status_code == 403
    assert client.post("/loan-tracking/1/hold").status_code == 302
    script = client.get("/loan-tracking/changes", headers={"Accept": "application/json"})
    assert script.status_code == 403


def test_the_code_opens_and_changes_the_session(peter: User):
    set_up(browser_of(peter), peter)
    client = signed_in_with_password(peter)
    before = client.cookies["sessionid"].value

    answer = client.post(VERIFY, {"code": code_of(peter, 1), "next": "/partners"})

    assert answer["Location"] == "/partners"
    assert client.cookies["sessionid"].value != before
    assert client.get("/loan-tracking").status_code == 200


def test_a_code_is_worth_nothing_the_second_time(peter: User):
    set_up(browser_of(peter), peter)
    code = code_of(peter, 1)
    signed_in_with_password(peter).post(VERIFY, {"code": code})

    again = signed_in_with_password(peter)

    assert b"That code is not right" in again.post(VERIFY, {"code": code}).content
    assert again.get("/loan-tracking").status_code == 302


def test_guessing_is_slowed_down_even_for_the_right_code(peter: User):
    set_up(browser_of(peter), peter)
    client = signed_in_with_password(peter)
    for _ in range(3):
        client.post(VERIFY, {"code": "000000"})

    answer = client.post(VERIFY, {"code": code_of(peter, 1)})

    assert "Too many wrong codes. Wait" in answer.content.decode()
    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        assert client.post(VERIFY, {"code": code_of(peter)}).status_code == 302


def test_a_recovery_code_opens_once(peter: User):
    [code, *_] = set_up(browser_of(peter), peter)

    first = signed_in_with_password(peter).post(VERIFY, {"code": code.upper()}, follow=True)
    second = signed_in_with_password(peter).post(VERIFY, {"code": code})

    assert "Recovery code used. 9 are left." in first.content.decode()
    assert b"That code is not right" in second.content


def test_a_stolen_database_holds_no_recovery_code(peter: User):
    codes = [code.replace("-", "") for code in set_up(browser_of(peter), peter)]

    assert not set(codes) & set(StaticToken.objects.values_list("token", flat=True))


def test_new_codes_end_the_old_ones(peter: User):
    client = browser_of(peter)
    [old, *_] = set_up(client, peter)

    client.post(SETUP, {"do": "codes", "code": code_of(peter, 1)})

    assert StaticToken.objects.count() == 10
    answer = signed_in_with_password(peter).post(VERIFY, {"code": old})
    assert b"That code is not right" in answer.content


def test_it_is_turned_off_with_a_code_only(peter: User):
    client = browser_of(peter)
    set_up(client, peter)

    client.post(SETUP, {"do": "off", "code": "000000"})
    assert TOTPDevice.objects.exists()
    with time_machine.travel(timezone.now() + timedelta(minutes=2)):
        client.post(SETUP, {"do": "off", "code": code_of(peter)})

    assert not TOTPDevice.objects.exists()
    assert not StaticDevice.objects.exists()


def test_a_session_from_before_the_set_up_must_pass_it_too(peter: User):
    earlier = browser_of(peter)
    set_up(browser_of(peter), peter)

    assert earlier.get("/loan-tracking")["Location"].startswith(VERIFY)


@pytest.mark.parametrize("role", ["Approver", "Administrator"])
@pytest.mark.usefixtures("required")
def test_who_has_power_opens_no_page_without_it(role: str):
    client = browser_of(make_person("with.power", role))

    for path in ("/loan-tracking", "/admin/"):
        assert client.get(path)["Location"].startswith(SETUP)
    assert client.get("/api/loans").status_code == 403
    assert client.get(SETUP).status_code == 200
    assert "Your role moves money" in client.get(SETUP).content.decode()


@pytest.mark.usefixtures("required")
def test_a_superuser_is_not_exempt(admin_client: Client):
    assert admin_client.get("/admin/")["Location"].startswith(SETUP)


@pytest.mark.usefixtures("required")
def test_who_only_looks_or_operates_is_not_asked():
    for role in ("Viewer", "Operator"):
        client = browser_of(make_person(f"a.{role}", role))
        assert client.get("/loan-tracking").status_code == 200


@pytest.mark.usefixtures("required")
def test_where_it_is_required_it_cannot_be_turned_off(peter: User):
    client = browser_of(peter)
    set_up(client, peter)

    answer = client.post(SETUP, {"do": "off", "code": code_of(peter, 1)})

    assert "cannot be turned off" in answer.content.decode()
    assert TOTPDevice.objects.filter(confirmed=True).exists()


def test_an_administrator_resets_it_and_the_history_says_so(peter: User):
    set_up(browser_of(peter), peter)
    admin = make_person("admin.a", "Administrator")

    browser_of(admin).post(
        "/admin/auth/user/", {"action": "reset_second_factor", "_selected_action": [peter.pk]}
    )

    assert not TOTPDevice.objects.exists()
    said = LogEntry.objects.filter(user=admin, object_id=peter.pk)
    assert [entry.get_change_message() for entry in said] == ["Second factor reset."]


def test_nobody_resets_his_own_or_a_superusers(peter: User):
    admin = make_person("admin.a", "Administrator")
    root = User.objects.create_superuser("root")
    client = browser_of(admin)
    set_up(client, admin)
    TOTPDevice.objects.create(user=root, confirmed=True)

    client.post(
        "/admin/auth/user/",
        {"action": "reset_second_factor", "_selected_action": [admin.pk, root.pk]},
    )

    assert TOTPDevice.objects.filter(confirmed=True).count() == 2


def test_the_secrets_of_second_factors_are_not_in_the_admin():
    assert not {TOTPDevice, StaticDevice, StaticToken} & set(site._registry)
    assert not Client().get("/admin/otp_totp/totpdevice/").content.count(b"config")


def test_it_leads_to_no_other_site(peter: User):
    set_up(browser_of(peter), peter)
    client = signed_in_with_password(peter)

    answer = client.post(VERIFY, {"code": code_of(peter, 1), "next": "//evil.example"})

    assert answer["Location"] == "/loan-tracking"


def test_the_check_for_production_names_it_while_it_is_not_required(settings):
    assert [said.id for said in power_needs_a_second_factor()] == ["loanpoll.I020"]
    settings.LOANPOLL_REQUIRE_TWO_FACTOR = True
    assert power_needs_a_second_factor() == []
