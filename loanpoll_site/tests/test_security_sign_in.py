"""Signing in is throttled, begins a new session, and ends after eight hours without a page."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from loanpoll_site.tests.people import PASSWORD, browser_of, make_person

pytestmark = pytest.mark.django_db

LOGIN = "/accounts/login/"
RIGHT = {"username": "jane.o", "password": PASSWORD}
WRONG = {"username": "jane.o", "password": "wrong"}


@pytest.fixture
def jane() -> User:
    return make_person("jane.o", "Viewer")


def try_often(client: Client, times: int = 5, **extra: str) -> None:
    for _ in range(times):
        client.post(LOGIN, WRONG, **extra)  # type: ignore[arg-type]  # META entries


def is_in(client: Client) -> bool:
    return client.get("/loan-tracking").status_code == 200


def test_five_wrong_passwords_lock_with_clear_words(client: Client, jane: User):
    try_often(client)

    locked = client.post(LOGIN, RIGHT)

    assert locked.status_code == 429
    assert locked["Retry-After"] == "900"
    assert "locked at this place for 15 minutes" in locked.content.decode()
    assert "Unlock sign-in" in locked.content.decode()
    assert not is_in(client)


def test_four_wrong_passwords_lock_nobody_and_a_right_one_forgives_them(client: Client, jane: User):
    for _ in range(2):
        try_often(client, 4)
        assert client.post(LOGIN, RIGHT).status_code == 302


def test_the_admins_own_door_is_the_same_door(client: Client, jane: User):
    for _ in range(5):
        client.post("/admin/login/", WRONG)

    assert client.post("/admin/login/", RIGHT).status_code == 429
    assert b"Sign in to Loan Poll" in Client().get("/admin/login/").content


def test_a_name_that_does_not_exist_is_answered_alike(client: Client, jane: User):
    nobody = {"username": "nobody", "password": "wrong"}
    answers = [client.post(LOGIN, who) for who in [nobody] * 6]

    assert [answer.status_code for answer in answers] == [200] * 4 + [429] * 2


def test_a_lock_ends_by_itself(client: Client, jane: User):
    try_often(client)

    with time_machine.travel(timezone.now() + timedelta(minutes=16)):
        assert client.post(LOGIN, RIGHT).status_code == 302


def test_trying_while_locked_makes_the_lock_no_longer(client: Client, jane: User):
    try_often(client)

    with time_machine.travel(timezone.now() + timedelta(minutes=14)):
        client.post(LOGIN, WRONG)
    with time_machine.travel(timezone.now() + timedelta(minutes=16)):
        assert client.post(LOGIN, RIGHT).status_code == 302


def test_a_lock_is_for_one_name_at_one_address(client: Client, jane: User):
    make_person("peter.n", "Viewer")
    try_often(client)

    other_name = client.post(LOGIN, {"username": "peter.n", "password": PASSWORD})
    other_place = Client().post(LOGIN, RIGHT, REMOTE_ADDR="192.0.2.7")

    assert (other_name.status_code, other_place.status_code) == (302, 302)


def test_a_forged_address_does_not_escape_the_lock(client: Client, jane: User):
    for number in range(5):
        client.post(LOGIN, WRONG, headers={"X-Forwarded-For": f"192.0.2.{number}"})

    assert client.post(LOGIN, RIGHT).status_code == 429


def test_behind_our_proxy_the_address_it_saw_counts(client: Client, jane: User, settings):
    settings.TRUSTED_PROXY_COUNT = 1
    for number in range(5):
        forged = f"198.51.100.{number}, 192.0.2.1"
        client.post(LOGIN, WRONG, headers={"X-Forwarded-For": forged})

    same = client.post(LOGIN, RIGHT, headers={"X-Forwarded-For": "192.0.2.1"})
    other = client.post(LOGIN, RIGHT, headers={"X-Forwarded-For": "192.0.2.2"})

    assert (same.status_code, other.status_code) == (429, 302)


def test_an_administrator_unlocks(client: Client, jane: User):
    try_often(client)
    browser = browser_of(make_person("admin.a", "Administrator"))

    browser.post("/admin/auth/user/", {"action": "unlock_sign_in", "_selected_action": [jane.pk]})

    assert client.post(LOGIN, RIGHT).status_code == 302


def test_signing_in_begins_another_session(client: Client, jane: User):
    client.get(LOGIN)
    session = client.session
    session["planted"] = "by a thief"
    session.save()
    client.cookies["sessionid"] = before = session.session_key or ""

    client.post(LOGIN, RIGHT)

    assert client.cookies["sessionid"].value not in {"", before}


def test_signing_in_leads_to_no_other_site(client: Client, jane: User):
    answer = client.post(f"{LOGIN}?next=https://evil.example/", RIGHT)

    assert answer["Location"] == "/loan-tracking"


def test_whoever_is_not_staff_stays_outside(client: Client):
    User.objects.create_user("client", password=PASSWORD)

    client.post(LOGIN, {"username": "client", "password": PASSWORD})

    assert not is_in(client)


def test_a_session_ends_after_eight_hours_without_a_page(jane: User):
    start = timezone.now()
    with time_machine.travel(start, tick=False) as clock:
        client = browser_of(jane)
        clock.shift(timedelta(hours=7))
        assert is_in(client)
        clock.shift(timedelta(hours=7))
        assert is_in(client)
        clock.shift(timedelta(hours=8, minutes=1))
        assert not is_in(client)


def test_a_list_that_refreshes_itself_keeps_no_session_alive(jane: User):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        client = browser_of(jane)
        for _ in range(5):
            clock.shift(timedelta(hours=1, minutes=45))
            client.get("/loan-tracking/changes", headers={"Accept": "application/json"})

        assert not is_in(client)


@pytest.mark.parametrize("weak", ["short", "password1234", "123456789012", "peter.njoroge1"])
def test_a_weak_password_is_refused(weak: str):
    browser = browser_of(make_person("admin.a", "Administrator"))

    browser.post(
        "/admin/auth/user/add/",
        {
            "username": "peter.njoroge",
            "usable_password": "true",
            "password1": weak,
            "password2": weak,
        },
    )

    assert not User.objects.filter(username="peter.njoroge").exists()


def test_the_cookies_are_hidden_from_scripts_and_stay_on_this_site(client: Client, jane: User):
    client.post(LOGIN, RIGHT)

    cookie = client.cookies["sessionid"]

    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
