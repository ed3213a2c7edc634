"""Payouts stop at once, and who stopped them is written down."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.db import OperationalError

from partners.models import Partner, PartnerMembership
from partners.pausing import (
    pause_all,
    pause_partner,
    payouts_paused,
    resume_all,
    resume_partner,
)
from partners.tests.samples import NOW, make_partner

pytestmark = pytest.mark.django_db


def test_a_paused_partner_says_by_whom_and_why():
    partner = make_partner()

    assert pause_partner(partner, by="p.njoroge", reason="float audit", now=NOW)

    stored = Partner.objects.get()
    assert (stored.is_paused, stored.paused_by, stored.paused_at, stored.pause_reason) == (
        True,
        "p.njoroge",
        NOW,
        "float audit",
    )
    assert partner.is_paused


def test_a_second_pause_keeps_the_first_name():
    partner = make_partner()
    pause_partner(partner, by="p.njoroge", reason="float audit", now=NOW)

    assert not pause_partner(partner, by="another", reason="me too", now=NOW)

    assert Partner.objects.get().paused_by == "p.njoroge"


def test_resuming_leaves_no_trace_on_the_row_but_one_in_the_history():
    user = get_user_model().objects.create_user("p.njoroge")
    partner = make_partner()
    pause_partner(partner, by="p.njoroge", reason="float audit", now=NOW)

    assert resume_partner(partner, by="p.njoroge", reason="audit done", now=NOW)

    assert (partner.is_paused, partner.paused_by, partner.paused_at) == (False, "", None)
    said = LogEntry.objects.filter(user=user).order_by("id")
    assert [entry.change_message for entry in said] == [
        "Payouts paused: float audit",
        "Payouts resumed: audit done",
    ]


def test_the_switch_of_all_leaves_single_pauses_alone():
    partner = make_partner()
    assert payouts_paused() is None
    pause_partner(partner, by="a", reason="own", now=NOW)
    assert pause_all(by="b", reason="M-Pesa incident", now=NOW)
    assert not pause_all(by="c", reason="again", now=NOW)
    switch = payouts_paused()
    assert switch is not None
    assert switch.pause_reason == "M-Pesa incident"

    assert resume_all(by="b", reason="over", now=NOW)

    assert payouts_paused() is None
    assert Partner.objects.get().is_paused


def test_the_commands_pause_and_resume():
    make_partner()
    User.objects.create(username="p.njoroge", is_superuser=True)
    out = StringIO()
    words = ("--reason", "audit", "--actor", "p.njoroge")

    call_command("pause", "--partner", "umoja", *words, stdout=out)
    call_command("pause", "--all", *words, stdout=out)
    call_command("resume", "--all", *words, stdout=out)
    call_command("resume", "--partner", "umoja", *words, stdout=out)
    call_command("resume", "--partner", "umoja", *words, stdout=out)

    told = [line.partition("; it was")[0] for line in out.getvalue().splitlines()]
    assert told == [
        "umoja: paused",
        "all partners: paused",
        "all partners: resumed",
        "umoja: resumed",
        "umoja: not paused",
    ]


def test_the_command_says_what_it_lifted():
    pause_partner(make_partner(), by="asha", reason="float audit", now=NOW)
    User.objects.create(username="p.njoroge", is_superuser=True)
    out = StringIO()

    call_command(
        *("resume", "--partner", "umoja", "--reason", "over", "--actor", "p.njoroge"), stdout=out
    )

    assert "resumed; it was paused" in out.getvalue()
    assert "by asha: float audit" in out.getvalue()


def test_the_command_lifts_no_pause_that_came_after_it_looked(monkeypatch):
    partner = make_partner()
    pause_partner(partner, by="asha", reason="float audit", now=NOW)
    User.objects.create(username="p.njoroge", is_superuser=True)
    monkeypatch.setattr("partners.management.commands.resume.partners_named", lambda _: [partner])
    Partner.objects.update(paused_at=NOW + timedelta(minutes=1), pause_reason="stolen key")
    out = StringIO()

    call_command(
        *("resume", "--partner", "umoja", "--reason", "over", "--actor", "p.njoroge"), stdout=out
    )

    assert "nothing was done" in out.getvalue()
    assert Partner.objects.get().is_paused


def test_an_unknown_partner_stops_the_command_before_anything_is_done():
    make_partner()

    with pytest.raises(CommandError, match="no partner 'umojx'") as refused:
        call_command(
            "pause", "--partner", "umoja", "--partner", "umojx", "--reason", "x", "--actor", "y"
        )

    assert refused.value.returncode == 2
    assert not Partner.objects.get().is_paused


def test_a_command_without_a_reason_is_refused():
    with pytest.raises(CommandError, match="--reason"):
        call_command("pause", "--all", "--actor", "p.njoroge")


@pytest.mark.parametrize("who", ["nobody", "clerk", "bound"])
def test_who_may_not_resume_on_the_page_may_not_by_a_command(who):
    partner = make_partner()
    pause_all(by="a", reason="incident", now=NOW)
    for name in ("clerk", "bound"):
        User.objects.create(username=name)
    bound = User.objects.get(username="bound")
    rights = Permission.objects.filter(codename__in=["change_partner", "change_payoutswitch"])
    bound.user_permissions.set(rights)
    PartnerMembership.objects.create(user=bound, partner=partner)

    with pytest.raises(CommandError) as refused:
        call_command("resume", "--all", "--reason", "over", "--actor", who)

    assert refused.value.returncode == 2
    assert payouts_paused() is not None
    if who == "bound":
        call_command("resume", "--partner", "umoja", "--reason", "over", "--actor", who)


def test_a_database_that_was_never_migrated_stops_a_command_with_exit_2(monkeypatch):
    def away() -> bool:
        raise OperationalError("no such table: partners")

    monkeypatch.setattr(Partner.objects, "exists", away)

    with pytest.raises(CommandError, match=r"Nothing was done.*migrate") as stopped:
        call_command("pause", "--all", "--reason", "x", "--actor", "y")

    assert stopped.value.returncode == 2


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_an_empty_reason_is_refused(command):
    with pytest.raises(CommandError, match="reason is empty"):
        call_command(command, "--all", "--reason", " ", "--actor", "p.njoroge")
