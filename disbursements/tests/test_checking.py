"""The check of an installation finds what is wrong, says what to do, and pays nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from disbursements import checking
from disbursements.checking import check_system
from disbursements.models import SyncRun
from mifos.client import MifosCredentials
from partners import access
from partners.findings import Finding, Verdict
from partners.models import Partner
from partners.pausing import pause_all
from partners.tests.fakes import FakeMifos, FakeMpesa
from partners.tests.samples import make_partner

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _an_installation_in_order(settings, monkeypatch):
    # The throw-away PostgreSQL of the tests may lose a commit, and is warned of.
    monkeypatch.setattr("loanpoll_site.checks._switched_off", list)
    settings.LOANPOLL_ALLOW_PRIVATE_HOSTS = False
    settings.PUBLIC_BASE_URL = "https://pay.example.co.ke"
    settings.CRON_SECRET = "x" * 43
    SyncRun.objects.create(command="scheduled_loan_sync", triggered_by="schedule", started_at=NOW)


@pytest.fixture(autouse=True)
def worlds(monkeypatch) -> dict[str, Any]:
    """What each partner's Mifos X answers; all is well where nothing is put in."""
    found: dict[str, Any] = {}
    monkeypatch.setattr(access, "mifos_client", lambda p: found.get(p.slug, FakeMifos()))
    monkeypatch.setattr(access, "mpesa_client", lambda _: FakeMpesa())
    return found


@pytest.fixture
def umoja() -> Partner:
    return _partner("umoja")


def _partner(slug: str, **changes: Any) -> Partner:
    partner = make_partner(slug=slug, mifos_tenant_id=slug, mpesa_credential_set_at=NOW, **changes)
    partner.products.create(product_id=7, enabled=True)
    return partner


def troubles(findings: list[Finding]) -> list[tuple[str, Verdict]]:
    return [(each.subject, each.verdict) for each in findings if each.verdict != Verdict.OK]


def test_an_installation_in_order_passes(umoja):
    report = check_system(now=NOW)

    assert troubles(report.findings) == []
    assert report.exit_code == 0
    assert {each.subject for each in report.findings} == {
        "database", "settings", "cron", "callbacks", "partner umoja",
    }  # fmt: skip


def test_one_partners_trouble_leaves_the_others_checked(umoja, worlds):
    _partner("tumaini")
    worlds["tumaini"] = FakeMifos(allowed=MifosCredentials("refused"))

    report = check_system(now=NOW)

    assert troubles(report.findings) == [("partner tumaini", Verdict.FAIL)]
    assert report.exit_code == 1
    assert sum(each.subject == "partner umoja" for each in report.findings) == 6


def test_only_the_named_partner_is_checked(umoja, worlds):
    _partner("tumaini", is_active=False)

    report = check_system(now=NOW, slugs=["tumaini"])

    assert {each.subject for each in report.partners} == {"partner tumaini"}


def test_an_inactive_partner_is_left_out(umoja):
    _partner("tumaini", is_active=False)

    assert {each.subject for each in check_system(now=NOW).partners} == {"partner umoja"}


def test_an_unknown_partner_is_a_wrong_configuration(umoja):
    report = check_system(now=NOW, slugs=["umojx"])

    assert report.exit_code == 2
    assert any("no partner 'umojx'" in each.detail for each in report.installation)


def test_no_partner_at_all_is_a_warning():
    report = check_system(now=NOW)

    assert troubles(report.findings) == [("partners", Verdict.WARN)]
    assert report.exit_code == 0


def test_a_database_that_does_not_answer_ends_the_check(umoja, monkeypatch):
    def refuse(*_: object) -> None:
        raise OperationalError("no")

    monkeypatch.setattr(checking, "MigrationExecutor", refuse)

    report = check_system(now=NOW)

    assert troubles(report.findings) == [("database", Verdict.FAIL)]
    assert report.exit_code == 2
    assert report.partners == []


def test_a_lost_encryption_key_is_a_wrong_configuration(umoja, settings):
    settings.FIELD_ENCRYPTION_KEYS = ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]

    report = check_system(now=NOW)

    assert report.exit_code == 2
    assert any("mifos_password cannot be read" in each.detail for each in report.installation)
    assert report.partners == []


@pytest.mark.parametrize(
    ("age", "verdict"), [(timedelta(minutes=14), Verdict.OK), (timedelta(minutes=16), Verdict.WARN)]
)
def test_a_cron_that_stopped_is_seen(umoja, age, verdict):
    SyncRun.objects.update(started_at=NOW - age)

    [cron] = [each for each in check_system(now=NOW).findings if each.subject == "cron"]

    assert cron.verdict == verdict


def test_a_pass_started_by_hand_does_not_hide_a_dead_cron(umoja):
    SyncRun.objects.update(triggered_by="staff")

    [cron] = [each for each in check_system(now=NOW).findings if each.subject == "cron"]

    assert cron.detail == "no scheduled pass has run yet"


def test_real_payments_need_a_public_callback_address(umoja, settings):
    settings.PUBLIC_BASE_URL = "https://10.0.0.5"
    assert ("callbacks", Verdict.WARN) in troubles(check_system(now=NOW).findings)

    Partner.objects.update(mpesa_environment="production", mpesa_shortcode="712345")

    assert ("callbacks", Verdict.FAIL) in troubles(check_system(now=NOW).findings)


def test_a_stop_of_all_payouts_is_said(umoja):
    pause_all(by="p.njoroge", reason="incident", now=NOW)

    assert troubles(check_system(now=NOW).findings) == [("payouts", Verdict.WARN)]


def test_the_command_prints_a_table_and_what_to_do(umoja, worlds):
    worlds["umoja"] = FakeMifos(allowed=MifosCredentials("Mifos X refused the user 'loanpoll'"))
    out = StringIO()

    with pytest.raises(CommandError) as failed:
        call_command("test_loan_polling_system", stdout=out)

    assert failed.value.returncode == 1
    text = out.getvalue()
    assert "✗ partner umoja  Mifos X refused the user 'loanpoll'" in text
    assert "Likely: the password was changed" in text
    assert "Fix:    enter mifos_username" in text
    assert "✓ database" in text


def test_the_command_speaks_json(umoja):
    out = StringIO()

    call_command("test_loan_polling_system", "--json", "--partner", "umoja", stdout=out)

    document = json.loads(out.getvalue())
    assert (document["success"], document["exitCode"]) == (True, 0)
    assert document["findings"][0]["subject"] == "database"
    assert "hush" not in out.getvalue()
