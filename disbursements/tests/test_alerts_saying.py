"""Alerts are said once, and once more when it is over, whatever fails and whoever else runs."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import threading
import time
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from disbursements import passes
from disbursements.alerts import attending, book, channels, errands
from disbursements.alerts.channels import Mail, Undelivered, Webhook
from disbursements.alerts.conditions import review_standing
from disbursements.alerts.saying import say_changes
from disbursements.models import Alert, AlertKind, TriggeredBy
from disbursements.tests.making import make_loan, make_partner
from loans.models import LoanTracking
from mpesa.models import MpesaEnvironment
from mpesa.shortcodes import mark_float_short, open_breaker, reset_breaker
from wire.tests.peer import Peer, peer, says

pytestmark = pytest.mark.django_db

NOW = timezone.now()
LATER = NOW + timedelta(minutes=5)
SANDBOX = (MpesaEnvironment.SANDBOX, "600000")


@pytest.fixture(autouse=True)
def _log(caplog: Any) -> None:
    caplog.set_level(logging.INFO)  # the commands make it quieter; this puts it back


@pytest.fixture
def by_mail(settings: Any) -> list[Any]:
    settings.ALERT_EMAILS = ["ops@example.co.ke", "cfo@example.co.ke"]
    return mail.outbox


@pytest.fixture
def by_webhook(settings: Any) -> Any:
    with peer(says(b"{}")) as here:
        settings.ALERT_WEBHOOK_URL = here.url
        settings.ALERT_WEBHOOK_SECRET = "a-shared-secret"
        yield here


def break_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Mail, message: Any) -> None:
        raise Undelivered("SMTPServerDisconnected")

    monkeypatch.setattr(Mail, "send", refuse)


def stop_payouts() -> None:
    make_partner(is_mifos_configured=False)  # so that it is never late, whatever the test's clock
    open_breaker(*SANDBOX, cause="2001: the initiator is wrong", now=NOW)


def posted(here: Peer) -> list[dict[str, Any]]:
    return [json.loads(request.partition(b"\r\n\r\n")[2]) for request in here.requests]


def header(request: bytes, name: str) -> str:
    lines = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    return next(line.split(": ", 1)[1] for line in lines if line.lower().startswith(name))


def test_with_nothing_set_up_nothing_is_read_kept_or_said(django_assert_num_queries):
    stop_payouts()

    with django_assert_num_queries(0):
        assert say_changes(NOW) == []
    assert not Alert.objects.exists()


def test_a_thing_is_said_once_and_once_more_when_it_is_over(by_mail):
    stop_payouts()
    for minutes in range(3):
        say_changes(NOW + timedelta(minutes=minutes))
    assert len(by_mail) == 1

    reset_breaker(*SANDBOX)
    for minutes in range(3, 6):
        say_changes(NOW + timedelta(minutes=minutes))

    began, over = by_mail
    assert began.subject == "[Loan Poll] payouts of a shortcode stopped"
    assert "NEEDS SOMEBODY" in began.body
    assert "Shortcode 600000 (sandbox): payouts stopped since" in began.body
    assert over.subject == "[Loan Poll] Resolved: payouts of a shortcode stopped"
    assert "2001: the initiator is wrong" in over.body
    assert "NEEDS SOMEBODY" not in over.body


def test_a_thing_that_comes_back_is_said_anew(by_mail):
    stop_payouts()
    say_changes(NOW)
    reset_breaker(*SANDBOX)
    say_changes(LATER)
    open_breaker(*SANDBOX, cause="8006: the operator is locked", now=LATER)
    say_changes(LATER + timedelta(minutes=5))

    assert [("Resolved" in one.subject) for one in by_mail] == [False, True, False]


def test_a_thing_that_becomes_another_between_two_passes_is_said_anew(by_mail):
    partner = make_partner(mpesa_credential_set_at=NOW - timedelta(days=80))
    say_changes(NOW)
    partner.mpesa_credential_set_at = NOW - timedelta(days=91)
    partner.save()
    say_changes(LATER)

    assert [("ended it" in one.body) for one in by_mail] == [False, True]
    assert Alert.objects.count() == 1


def test_what_is_over_before_anybody_was_told_is_never_said(by_mail, monkeypatch):
    stop_payouts()
    with monkeypatch.context() as patch:
        break_mail(patch)
        say_changes(NOW)
    reset_breaker(*SANDBOX)
    say_changes(LATER)

    assert by_mail == []
    assert not Alert.objects.exists()


def test_many_loans_are_one_mail_with_counts_and_the_first_few_numbers(by_mail):
    partner = make_partner(name="Umoja Sacco")
    loans = [make_loan(partner, review_reason="outcome_unknown") for _ in range(7)]
    make_loan(partner, review_reason="double_payment")

    say_changes(NOW)

    [told] = by_mail
    assert told.subject == "[Loan Poll] loans need a person: 8"
    assert "Umoja Sacco: 7 loans: Outcome unknown" in told.body
    assert f"({', '.join(str(loan.loan_id) for loan in loans[:5])} and 2 more)" in told.body
    assert str(loans[5].loan_id) not in told.body
    assert not any(loan.client_name in told.body for loan in loans)
    assert not any(loan.phone_number[3:] in told.body for loan in loans)
    assert "http://testserver/loan-tracking?status=needs_review" in told.body


def test_only_the_loan_that_is_new_is_said_and_only_the_one_that_left_is_resolved(by_mail):
    partner = make_partner()
    first = make_loan(partner, review_reason="outcome_unknown")
    say_changes(NOW)
    second = make_loan(partner, review_reason="outcome_unknown", review_since=NOW)
    LoanTracking.objects.filter(pk=first.pk).update(review_reason="")
    say_changes(LATER)

    news, _, resolved = by_mail[1].body.partition("RESOLVED")
    assert str(second.loan_id) in news
    assert str(first.loan_id) not in news
    assert str(first.loan_id) in resolved


def test_the_gravest_comes_first(by_mail):
    make_loan(make_partner(), review_reason="outcome_unknown")
    mark_float_short(*SANDBOX, now=NOW)
    open_breaker(*SANDBOX, cause="2001", now=NOW)

    say_changes(NOW)

    said = by_mail[0].body
    places = [said.index(word) for word in ("payouts stopped", "Outcome unknown", "the float")]
    assert places == sorted(places)


def test_everybody_gets_the_mail_and_no_machine_answers_it(by_mail):
    stop_payouts()
    say_changes(NOW)

    assert by_mail[0].to == ["ops@example.co.ke", "cfo@example.co.ke"]
    assert by_mail[0].extra_headers["Auto-Submitted"] == "auto-generated"


def test_a_mail_that_fails_is_sent_by_the_next_pass(by_mail, monkeypatch):
    stop_payouts()
    with monkeypatch.context() as patch:
        break_mail(patch)
        [said] = say_changes(NOW)
    assert said.trouble == "SMTPServerDisconnected"
    assert Alert.objects.get().said_at is None

    say_changes(NOW)

    assert len(by_mail) == 1
    assert Alert.objects.get().said_at == NOW


def test_one_way_that_fails_neither_stops_nor_repeats_the_other(by_mail, by_webhook, monkeypatch):
    stop_payouts()
    with monkeypatch.context() as patch:
        break_mail(patch)
        say_changes(NOW)
    say_changes(LATER)

    assert len(by_mail) == 1
    assert len(by_webhook.requests) == 1


def test_a_webhook_is_posted_as_json_that_its_receiver_can_check(by_webhook):
    loan = make_loan(review_reason="double_payment")
    say_changes(NOW)

    [request] = by_webhook.requests
    body = request.partition(b"\r\n\r\n")[2]
    at = header(request, "x-loanpoll-timestamp")
    signed = hmac.new(b"a-shared-secret", f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    assert request.startswith(b"POST ")
    assert header(request, "content-type") == "application/json"
    assert header(request, "x-loanpoll-signature") == f"sha256={signed}"
    assert abs(time.time() - int(at)) < 60
    [document] = posted(by_webhook)
    assert document["schema"] == "loanpoll.alerts/1"
    assert document["test"] is False
    assert document["text"].startswith("[Loan Poll] loans need a person: 1")
    [alert] = document["alerts"]
    assert (alert["state"], alert["kind"]) == ("new", "loan_review")
    assert alert["loanIds"] == [loan.loan_id]


def test_without_a_secret_a_post_is_not_signed(by_webhook, settings):
    settings.ALERT_WEBHOOK_SECRET = ""
    stop_payouts()
    say_changes(NOW)

    assert b"signature" not in by_webhook.requests[0].lower()


def test_a_post_that_is_sent_again_has_the_same_id(settings):
    stop_payouts()
    with peer(says(b"", status="503 Busy")) as busy:
        settings.ALERT_WEBHOOK_URL = busy.url
        [said] = say_changes(NOW)
        say_changes(LATER)
        first, second = posted(busy)

    assert said.trouble == "the webhook answered 503"
    assert first["id"] == second["id"]


def test_a_webhook_to_an_inner_address_is_refused_and_its_secret_address_not_shown(
    by_webhook, settings, caplog
):
    settings.LOANPOLL_ALLOW_PRIVATE_HOSTS = False
    settings.ALERT_WEBHOOK_URL = "https://127.0.0.1:8443/s3cret-path"
    stop_payouts()

    [said] = say_changes(NOW)

    assert "not allowed" in said.trouble
    assert "s3cret" not in said.trouble + caplog.text


def test_a_redirect_is_not_followed(settings, by_webhook):
    moved = says(b"", status="307 Moved", headers=f"Location: {by_webhook.url}\r\n")
    with peer(moved) as here:
        settings.ALERT_WEBHOOK_URL = here.url
        stop_payouts()
        [said] = say_changes(NOW)

    assert said.trouble == "the webhook answered 307"
    assert by_webhook.requests == []


def test_a_claim_keeps_a_second_pass_silent_until_it_lapses(by_mail):
    stop_payouts()
    book.keep("mail", review_standing(NOW), now=NOW)
    claim = book.claim_unsaid("mail", now=NOW)  # and this pass dies
    assert claim

    say_changes(NOW + timedelta(seconds=30))
    assert by_mail == []

    say_changes(NOW + timedelta(seconds=61))
    assert len(by_mail) == 1


def test_a_row_that_is_being_said_is_not_closed_under_the_hands_of_who_says_it(by_mail):
    stop_payouts()
    book.keep("mail", review_standing(NOW), now=NOW)
    claim = book.claim_unsaid("mail", now=NOW)
    reset_breaker(*SANDBOX)
    say_changes(NOW + timedelta(seconds=1))
    book.note_said("mail", claim, now=NOW + timedelta(seconds=2))

    say_changes(LATER)

    assert [one.subject[:21] for one in by_mail] == ["[Loan Poll] Resolved:"]


def test_a_pass_that_looked_earlier_does_not_close_what_a_later_one_opened():
    stop_payouts()
    book.keep("mail", review_standing(NOW), now=LATER)
    book.keep("mail", [], now=NOW)

    assert Alert.objects.get().cleared_at is None


@pytest.mark.django_db(transaction=True)
def test_ten_passes_at_once_say_everything_once(by_mail):
    partner = make_partner()
    for _ in range(20):
        make_loan(partner, review_reason="outcome_unknown")
    open_breaker(*SANDBOX, cause="2001", now=NOW)
    gate = threading.Barrier(10)

    def one_pass() -> None:
        gate.wait()
        try:
            say_changes(timezone.now())
        finally:
            connection.close()

    crowd = [threading.Thread(target=one_pass) for _ in range(10)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    say_changes(timezone.now())

    assert Alert.objects.count() == 21
    assert Alert.objects.filter(said_at=None).count() == 0
    assert sum(one.body.count("payouts stopped") for one in by_mail) == 1
    assert sum(one.body.count("20 loans: Outcome unknown") for one in by_mail) == 1


def test_by_default_what_lasts_is_not_repeated_and_a_reminder_can_be_asked_for(by_mail, settings):
    stop_payouts()
    say_changes(NOW)
    say_changes(NOW + timedelta(days=3))
    assert len(by_mail) == 1

    settings.ALERT_REPEAT_AFTER = 60
    say_changes(NOW + timedelta(minutes=59))
    assert len(by_mail) == 1  # never more often than hourly
    say_changes(NOW + timedelta(minutes=60))
    say_changes(NOW + timedelta(minutes=61))

    assert len(by_mail) == 2
    assert "STILL NEEDS SOMEBODY" in by_mail[1].body


def test_a_peer_that_hangs_costs_a_pass_its_patience_and_no_more(settings, monkeypatch, by_mail):
    monkeypatch.setattr(errands, "PATIENCE_SECONDS", 0.2)
    stop_payouts()
    release = threading.Event()

    def hang(connection: Any, request: bytes) -> None:
        release.wait(3)

    with peer(hang) as silent:
        settings.ALERT_WEBHOOK_URL = silent.url
        began = time.monotonic()
        sayings = {each.channel: each.trouble for each in say_changes(NOW)}
        took = time.monotonic() - began
        release.set()

    assert took < 1.5
    assert sayings == {"E-mail": "", "Webhook": "no answer in time"}
    assert Alert.objects.get(channel="webhook").said_at is None


@pytest.fixture
def watcher(settings: Any) -> Any:
    with peer(says(b"OK")) as here:
        settings.HEARTBEAT_URL = f"{here.url}/a-check/"
        yield here


def beats(here: Peer) -> list[str]:
    return [request.split(b" ")[1].decode() for request in here.requests]


def run(**options: Any) -> Any:
    return passes.run_sync(triggered_by=TriggeredBy.SCHEDULE, **options)


def test_a_pass_tells_the_watcher_that_it_began_and_that_it_ended_well(watcher):
    run()

    assert beats(watcher) == ["/loans/a-check/start", "/loans/a-check"]


def test_the_end_never_overtakes_a_slow_start(settings):
    def slow_to_start(connection: Any, request: bytes) -> None:
        if b"/start" in request:
            time.sleep(0.3)
        order.append(request.split(b" ")[1].decode())
        says(b"OK")(connection, request)

    order: list[str] = []
    with peer(slow_to_start) as here:
        settings.HEARTBEAT_URL = here.url
        run()

    assert order == ["/loans/start", "/loans"]


@pytest.mark.django_db(transaction=True)
def test_a_pass_that_could_not_serve_a_partner_is_a_failed_beat(watcher):
    make_partner(mifos_host_url="", is_mpesa_configured=False)

    assert not run().success
    assert beats(watcher)[-1] == "/loans/a-check/fail"


def test_a_pass_that_breaks_is_a_failed_beat_and_still_raises(watcher, monkeypatch):
    def break_down(*args: Any) -> Any:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(passes, "_sync_report", break_down)

    with pytest.raises(RuntimeError, match="the disk is full"):
        run()
    assert beats(watcher)[-1] == "/loans/a-check/fail"


def test_a_rehearsal_beats_no_heart_and_tells_nobody(watcher, by_mail):
    stop_payouts()
    passes.run_sync(triggered_by=TriggeredBy.SCHEDULE, partners=["nobody"], dry_run=True)

    assert watcher.requests == []
    assert by_mail == []


def test_a_query_of_the_watchers_address_stays_behind_the_word(settings):
    with peer(says(b"OK")) as here:
        settings.HEARTBEAT_URL = f"{here.url}?key=1"
        run(partners=["nobody"])

    assert beats(here) == ["/loans/start?key=1", "/loans?key=1"]


def test_a_watcher_that_is_away_does_not_trouble_the_pass(settings, caplog):
    with peer(says(b"OK")) as here:
        url = here.url
    settings.HEARTBEAT_URL = f"{url}/s3cret"

    assert run(partners=["nobody"]).success
    assert "the heartbeat did not arrive" in caplog.text
    assert "s3cret" not in caplog.text


def test_alerts_are_told_at_the_end_of_a_pass(by_mail):
    stop_payouts()
    run(partners=["nobody"])

    assert len(by_mail) == 1


@pytest.mark.parametrize("broken", ["say_changes", "ping"])
def test_alerts_that_break_do_not_break_the_pass(by_mail, monkeypatch, caplog, broken):
    def break_down(*args: Any, **options: Any) -> Any:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(attending, broken, break_down)

    assert run(partners=["nobody"]).success
    assert "can't start new thread" in caplog.text


def test_a_mail_backend_that_raises_anything_is_an_undelivered_mail(by_mail, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    with peer(says(b"")) as here:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", here.port
    stop_payouts()

    [said] = say_changes(NOW)

    assert said.trouble.startswith("ConnectionRefusedError")


def command(name: str, **options: Any) -> str:
    out = StringIO()
    call_command(name, stdout=out, **options)
    return out.getvalue()


def test_send_alerts_tells_what_no_pass_tells_any_more(by_mail):
    make_partner(last_poll_succeeded_at=NOW - timedelta(hours=1))

    assert command("send_alerts") == "E-mail: 1 new, 0 resolved: told\n"
    assert command("send_alerts") == "E-mail: 0 new, 0 resolved: nothing to tell\n"
    assert by_mail[0].subject == "[Loan Poll] partner not polled in time"


def test_send_alerts_is_silent_for_cron_until_it_fails(by_mail, monkeypatch, caplog):
    stop_payouts()
    assert command("send_alerts", cron=True) == ""
    assert len(by_mail) == 1
    assert caplog.text == ""
    mark_float_short(*SANDBOX, now=NOW)
    break_mail(monkeypatch)

    with pytest.raises(CommandError, match="SMTPServerDisconnected") as raised:
        command("send_alerts", cron=True)
    assert raised.value.returncode == 1


@pytest.mark.parametrize("name", ["send_alerts", "send_test_alert"])
def test_a_command_with_nobody_to_tell_says_what_to_set(name):
    with pytest.raises(CommandError, match="set ALERT_EMAILS or ALERT_WEBHOOK_URL") as raised:
        command(name)
    assert raised.value.returncode == 2


def test_a_test_alert_goes_every_way_and_is_kept_nowhere(by_mail, by_webhook):
    assert command("send_test_alert") == "E-mail: handed over\nWebhook: handed over\n"
    assert "Test" in by_mail[0].subject
    assert posted(by_webhook)[0]["test"] is True
    assert not Alert.objects.exists()


def test_a_test_alert_that_fails_ends_with_1_after_naming_the_way(by_mail, by_webhook, monkeypatch):
    break_mail(monkeypatch)
    out = StringIO()

    with pytest.raises(CommandError) as raised:
        call_command("send_test_alert", stdout=out)
    assert raised.value.returncode == 1
    assert out.getvalue() == "E-mail: SMTPServerDisconnected\nWebhook: handed over\n"


def test_the_channels_are_those_that_are_set(settings):
    assert channels.configured_channels() == []
    settings.ALERT_EMAILS = ["ops@example.co.ke"]
    settings.ALERT_WEBHOOK_URL = "https://hooks.example.co.ke/1"

    assert [type(one) for one in channels.configured_channels()] == [Mail, Webhook]


def test_a_look_costs_the_same_statements_however_many_loans_are_known(
    by_mail, django_assert_max_num_queries
):
    partner = make_partner()
    for _ in range(30):
        make_loan(partner, review_reason="outcome_unknown")
    say_changes(NOW)

    with django_assert_max_num_queries(8):  # six of the look, the book, the claim
        say_changes(LATER)
    assert len(by_mail) == 1


@pytest.mark.parametrize(("bound", "status"), [(False, 200), (True, 403)])
def test_alerts_are_read_in_the_admin_by_who_sees_the_whole_house(client, by_mail, bound, status):
    stop_payouts()
    say_changes(NOW)
    user = User.objects.create_user("amina", is_staff=True)
    user.groups.add(Group.objects.get(name="Viewer"))
    if bound:
        user.partner_memberships.create(partner=make_partner())
    client.force_login(user)
    row = f"/admin/disbursements/alert/{Alert.objects.get().pk}"

    assert client.get("/admin/disbursements/alert/").status_code == status
    assert client.get(f"{row}/change/").status_code == status
    assert client.post(f"{row}/change/", {"text": "x"}).status_code == 403
    assert client.post(f"{row}/delete/", {"post": "yes"}).status_code == 403
    assert Alert.objects.get().kind == AlertKind.BREAKER_OPEN
