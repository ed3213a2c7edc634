"""Every way in which a partner cannot be served is found, and comes with what to do."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from mifos.client import MifosBusy, MifosCredentials, MifosNotAllowed, MifosUnreachable
from mpesa.client import MpesaCredentials
from mpesa.shortcodes import mark_float_short, open_breaker
from partners import access
from partners.findings import Verdict
from partners.tests.fakes import FakeMifos, FakeMpesa
from partners.tests.samples import NOW, make_partner

pytestmark = pytest.mark.django_db


@pytest.fixture
def partner():
    made = make_partner()
    made.products.create(product_id=7, enabled=True)
    return made


@pytest.fixture
def check(monkeypatch):
    def run(partner, mifos=None, mpesa=None):
        monkeypatch.setattr(access, "mifos_client", lambda _: mifos or FakeMifos())
        monkeypatch.setattr(access, "mpesa_client", lambda _: mpesa or FakeMpesa())
        return access.check_access(partner, now=NOW)

    return run


def troubles(findings):
    return [finding for finding in findings if finding.verdict != Verdict.OK]


def test_a_partner_that_works_is_all_ticks(partner, check):
    findings = check(partner)

    assert troubles(findings) == []
    assert [finding.detail for finding in findings] == [
        "Mifos X login as loanpoll, tenant default",
        "Mifos X permissions DISBURSE_LOAN and reading held",
        "Mifos X loan list readable, 3 approved and waiting",
        "Mifos X payment type 3 is M-Pesa",
        "1 enabled products exist in Mifos X",
        "M-Pesa token obtained from https://sandbox.safaricom.co.ke for shortcode 600123 (sandbox)",
    ]


@pytest.mark.parametrize(
    ("answers", "detail", "fix"),
    [
        ({"allowed": MifosCredentials("refused the password")}, "refused the", "/admin/partners/"),
        ({"allowed": MifosUnreachable("no answer")}, "no answer", "mifos_host_url"),
        ({"allowed": frozenset({"READ_LOAN", "READ_CLIENT"})}, "lacks DISBURSE_LOAN", "roles"),
        ({"pages": MifosNotAllowed("may not list")}, "may not list", "roles"),
        ({"pages": MifosBusy("busy")}, "busy", "wait some minutes"),
        ({"types": []}, "payment type 3 does not exist", "make one"),
        ({"offered": []}, "not in Mifos X: product 7", "product id"),
        ({"types": RuntimeError("surprise")}, "the check itself failed (RuntimeError)", "log"),
    ],
)
def test_a_trouble_in_mifos_is_named_with_its_fix(partner, check, answers, detail, fix):
    [found] = troubles(check(partner, mifos=FakeMifos(**answers)))

    assert found.verdict == Verdict.FAIL
    assert detail in found.detail
    assert fix in found.fix


def test_a_cash_payment_type_is_refused_and_the_others_are_offered(check, partner):
    partner.mifos_payment_type_id = 1

    [found] = troubles(check(partner))

    assert "is a cash type" in found.detail
    assert found.fix.endswith("to one of: 3 M-Pesa")


@pytest.mark.parametrize("all_of", ["ALL_FUNCTIONS", "ALL_FUNCTIONS_READ"])
def test_a_super_role_counts_for_reading(partner, check, all_of):
    found = check(partner, mifos=FakeMifos(allowed=frozenset({all_of, "DISBURSE_LOAN"})))

    assert troubles(found) == []


def test_after_a_refused_login_mifos_is_not_asked_again(partner, check):
    findings = check(partner, mifos=FakeMifos(allowed=MifosCredentials("no"), pages=ValueError()))

    assert len(troubles(findings)) == 1


def test_a_trouble_in_mpesa_is_named_with_its_fix(partner, check):
    refused = FakeMpesa(token=MpesaCredentials("M-Pesa refused the consumer key"))

    [found] = troubles(check(partner, mpesa=refused))

    assert found.detail == "M-Pesa refused the consumer key"
    assert "Daraja portal > My Apps" in found.fix


@pytest.mark.parametrize(
    ("days", "verdict"), [(74, None), (75, Verdict.WARN), (89, Verdict.WARN), (90, Verdict.FAIL)]
)
def test_an_old_credential_is_warned_of_before_it_ends(partner, check, days, verdict):
    partner.mpesa_credential_set_at = NOW - timedelta(days=days)

    assert [finding.verdict for finding in troubles(check(partner))] == [verdict] * bool(verdict)


def test_a_stopped_shortcode_fails_and_a_short_float_warns(partner, check):
    open_breaker("sandbox", "600123", cause="2001: initiator refused", now=NOW)
    mark_float_short("sandbox", "600123", now=NOW)

    stopped, short = troubles(check(partner))

    assert (stopped.verdict, short.verdict) == (Verdict.FAIL, Verdict.WARN)
    assert "2001: initiator refused" in stopped.detail
    assert "23 Nov 12:00 EAT" in short.detail


def test_loans_that_cannot_be_read_are_said(partner, check):
    [found] = troubles(check(partner, mifos=FakeMifos(unreadable_rows=["loan 9: no principal"])))

    assert found.likely == "loan 9: no principal"


def test_a_business_date_left_behind_is_said(partner, check):
    [found] = troubles(check(partner, mifos=FakeMifos(today=date(2026, 11, 20))))

    assert "2026-11-20" in found.detail


def test_a_partner_without_settings_fails_only_where_it_should_pay(check):
    off = {"is_mifos_configured": False, "is_mpesa_configured": False}
    partner = make_partner(**off)
    partner.products.create(product_id=7, enabled=True)

    assert [found.verdict for found in troubles(check(partner))] == [Verdict.FAIL] * 2
    partner.mifos_auto_disbursement_enabled = False
    assert {found.verdict for found in troubles(check(partner))} == {Verdict.WARN}


def test_settings_that_are_missing_are_named(partner, monkeypatch):
    partner.mifos_tenant_id = partner.mpesa_initiator_name = ""

    details = [found.detail for found in troubles(access.check_access(partner, now=NOW))]

    assert details == [
        "The Mifos X settings of umoja are incomplete: mifos_tenant_id.",
        "The M-Pesa settings of umoja are incomplete: mpesa_initiator_name.",
    ]


def test_no_secret_is_in_a_finding(partner, check):
    assert "hush" not in repr(check(partner, mpesa=FakeMpesa(token=MpesaCredentials("no"))))
