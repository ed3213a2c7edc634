"""The claim: what allows a payment is read again under the locks, and one commit promises it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from disbursements.claiming import Claim, Terms, claim
from disbursements.identity import (
    attempt_digest,
    mifos_external_id,
    originator_conversation_id,
    record_idempotency_key,
)
from disbursements.models import (
    AttemptStatus,
    DisbursementRequest,
    ResolutionOutcome,
    ReviewResolution,
    TriggeredBy,
)
from disbursements.tests.making import make_attempt, make_loan, make_partner, make_product
from loans.eligibility import Refusal, start_of_day
from loans.models import HoldReason, LoanEvent, LoanStatus, LoanTracking
from mpesa.models import MpesaRequest
from mpesa.shortcodes import mark_float_short, open_breaker
from partners.models import Partner, PayoutSwitch

pytestmark = pytest.mark.django_db

NOW = timezone.now()
TODAY = timezone.localdate(NOW)


@pytest.fixture
def partner() -> Partner:
    partner = make_partner()
    make_product(partner)
    return partner


def take(loan: LoanTracking, **changes: Any) -> Claim | Refusal | None:
    facts: dict[str, Any] = {
        "seen": Partner.objects.get(pk=loan.partner_id),
        "terms": Terms.of(loan),
        "today": TODAY,
        "triggered_by": TriggeredBy.SCHEDULE,
        "now": NOW,
    }
    return claim(loan.pk, **{**facts, **changes})


def refused(loan: LoanTracking, **changes: Any) -> HoldReason:
    answer = take(loan, **changes)
    assert isinstance(answer, Refusal)
    assert not DisbursementRequest.objects.filter(loan_tracking=loan).exists()
    assert LoanTracking.objects.get(pk=loan.pk).hold_reason == answer.hold
    return answer.hold


def test_a_claim_commits_all_that_the_payment_will_say(partner):
    loan = make_loan(partner, loan_amount=Decimal(9000), net_disbursal_amount=Decimal(8500))

    claimed = take(loan)

    assert isinstance(claimed, Claim)
    attempt = DisbursementRequest.objects.get()
    assert (attempt.amount, attempt.principal) == (Decimal(8500), Decimal(9000))
    assert (attempt.msisdn, attempt.mpesa_shortcode) == (loan.phone_number, "600000")
    assert (attempt.status, attempt.send_count, attempt.sends_in_doubt) == ("submitting", 1, 1)
    assert MpesaRequest.objects.get().originator_conversation_id == str(attempt)
    assert claimed.address.result_url != claimed.address.timeout_url
    loan = LoanTracking.objects.get()
    assert loan.status == LoanStatus.PROCESSING
    assert list(LoanEvent.objects.values_list("to_status", flat=True)) == [
        "submitting",
        "processing_disbursement",
    ]


def test_the_id_is_made_of_the_loan_and_the_attempt_and_nothing_else(partner):
    loan = make_loan(partner)
    take(loan)
    first = DisbursementRequest.objects.get()

    DisbursementRequest.objects.all().delete()
    LoanTracking.objects.update(status=LoanStatus.PENDING)
    take(LoanTracking.objects.get())  # as after the restore of an older backup

    again = DisbursementRequest.objects.get()
    assert again.originator_conversation_id == first.originator_conversation_id
    assert len(again.originator_conversation_id) <= 36


def test_ids_differ_by_partner_loan_cycle_and_attempt(partner):
    loan = make_loan(partner)
    other = make_partner(mifos_host_url="HTTPS://Mifos.Example:8443/", mifos_tenant_id="two")
    digests = {
        attempt_digest(partner=partner, loan=loan, attempt_no=1),
        attempt_digest(partner=partner, loan=loan, attempt_no=2),
        attempt_digest(partner=partner, loan=make_loan(partner), attempt_no=1),
        attempt_digest(
            partner=partner, loan=make_loan(partner, loan_id=loan.loan_id, cycle=2), attempt_no=1
        ),
        attempt_digest(partner=other, loan=loan, attempt_no=1),
        attempt_digest(partner=make_partner(mifos_host_url=""), loan=loan, attempt_no=1),
    }

    assert len(digests) == 6
    digest = digests.pop()
    assert originator_conversation_id(partner=partner, digest=digest) == f"600000-{digest}"
    assert mifos_external_id(digest) == f"loanpoll-{digest}"
    assert record_idempotency_key(tenant="t", loan_id=1, external_id="x", key_no=2) == "lp:t:1:x:2"


def test_a_failed_attempt_is_followed_by_the_next_number(partner):
    loan = make_loan(partner)
    make_attempt(loan, status=AttemptStatus.FAILED, attempt_no=4)

    claimed = take(loan)

    assert isinstance(claimed, Claim)
    assert claimed.attempt.attempt_no == 5


@pytest.mark.parametrize("status", ["submitting", "accepted", "unknown", "paid", "completed"])
def test_a_second_live_attempt_is_refused_by_the_database_itself(partner, status):
    loan = make_loan(partner)
    make_attempt(loan, status=status)

    assert take(loan) is None
    assert loan.attempts.count() == 1


@pytest.mark.parametrize("status", ["processing_disbursement", "failed", "cancelled"])
def test_only_a_pending_loan_is_claimed(partner, status):
    assert take(make_loan(partner, status=status)) is None


def test_a_loan_in_review_is_not_claimed(partner):
    assert take(make_loan(partner, review_reason="contradiction")) is None


@pytest.mark.parametrize(
    "change",
    [
        {"loan_amount": 1},
        {"net_disbursal_amount": 1},
        {"phone_number": "254711999999"},
        {"currency": "USD"},
    ],
)
def test_terms_that_changed_since_the_re_read_are_not_paid(partner, change):
    loan = make_loan(partner)
    terms = Terms.of(loan)
    LoanTracking.objects.update(**change)

    assert take(loan, terms=terms) is None


@pytest.mark.parametrize(
    "change",
    [
        {"mpesa_shortcode": "600001"},
        {"mpesa_environment": "production"},
        {"mifos_tenant_id": "another"},
    ],
)
def test_a_partner_that_moved_since_the_pass_began_is_not_paid_for(partner, change):
    loan = make_loan(partner)
    seen = Partner.objects.get()
    Partner.objects.update(**change)

    assert take(loan, seen=seen) is None


@pytest.mark.parametrize(
    ("change", "hold"),
    [
        ({"is_paused": True}, HoldReason.PARTNER_PAUSED),
        ({"is_active": False}, HoldReason.PARTNER_INACTIVE),
        ({"mifos_auto_disbursement_enabled": False}, HoldReason.AUTO_OFF),
        ({"loan_limit": 12_499}, HoldReason.ABOVE_LOAN_LIMIT),
        ({"approval_threshold": 12_499}, HoldReason.NEEDS_APPROVAL),
    ],
)
def test_what_the_partner_allows_is_read_inside_the_lock(partner, change, hold):
    loan = make_loan(partner)
    Partner.objects.update(**change)

    assert refused(loan) == hold


def test_the_switch_the_breaker_and_the_float_hold_every_loan(partner):
    PayoutSwitch.objects.create(pk=1, is_paused=True, paused_by="ceo")
    assert refused(make_loan(partner)) == HoldReason.ALL_PAUSED
    PayoutSwitch.objects.update(is_paused=False)

    mark_float_short("sandbox", "600000", now=NOW)
    assert refused(make_loan(partner)) == HoldReason.FLOAT_SHORT

    open_breaker("sandbox", "600000", cause="2001", now=NOW)
    assert refused(make_loan(partner)) == HoldReason.BREAKER_OPEN


def test_a_product_switched_off_is_not_paid(partner):
    partner.products.update(enabled=False)

    assert refused(make_loan(partner)) == HoldReason.PRODUCT_NOT_ENABLED


def test_the_daily_limit_counts_what_was_paid_today_and_what_is_open(partner):
    for status in (AttemptStatus.PAID, AttemptStatus.UNKNOWN):
        make_attempt(make_loan(partner, status=LoanStatus.PROCESSING), status=status)
    make_attempt(make_loan(partner), status=AttemptStatus.FAILED)
    make_attempt(
        make_loan(partner, status=LoanStatus.PROCESSING),
        status=AttemptStatus.PAID,
        created_at=start_of_day(TODAY) - timedelta(seconds=1),
        paid_at=start_of_day(TODAY) - timedelta(seconds=1),
    )

    Partner.objects.update(daily_limit=37_499)
    loan = make_loan(partner)
    assert refused(loan) == HoldReason.DAILY_LIMIT
    held = LoanTracking.objects.get(pk=loan.pk)
    assert held.next_attempt_at == start_of_day(TODAY + timedelta(days=1))

    Partner.objects.update(daily_limit=37_500)
    assert isinstance(take(make_loan(partner)), Claim)


def test_the_daily_limit_counts_what_two_people_settled_as_paid_today(partner):
    failed = make_attempt(make_loan(partner, status="cancelled"), status=AttemptStatus.FAILED)
    said = ReviewResolution.objects.create(
        disbursement_request=failed,
        outcome=ResolutionOutcome.PAID,
        receipt="SGH7K2M9QD",
        proposed_by=User.objects.create(username="amina"),
        proposed_at=NOW,
        confirmed_by=User.objects.create(username="brian"),
        confirmed_at=start_of_day(TODAY) - timedelta(seconds=1),
    )
    Partner.objects.update(daily_limit=24_999)
    loan = make_loan(partner)
    ReviewResolution.objects.update(confirmed_at=NOW)

    assert refused(loan) == HoldReason.DAILY_LIMIT

    ReviewResolution.objects.update(confirmed_at=said.confirmed_at)  # yesterday's
    assert isinstance(take(make_loan(partner)), Claim)


def test_the_limit_of_a_client_counts_that_client_only(partner):
    Partner.objects.update(client_daily_limit=12_500)
    make_attempt(make_loan(partner, status=LoanStatus.PROCESSING, client_id=5))

    assert refused(make_loan(partner, client_id=5)) == HoldReason.CLIENT_DAILY_LIMIT
    assert isinstance(take(make_loan(partner, client_id=6)), Claim)


def test_the_refusal_of_the_database_is_no_claim(partner):
    loan = make_loan(partner, phone_number="254712345678")
    make_attempt(
        make_loan(partner),
        originator_conversation_id=originator_conversation_id(
            partner=partner, digest=attempt_digest(partner=partner, loan=loan, attempt_no=1)
        ),
    )

    assert take(loan) is None
    assert LoanTracking.objects.get(pk=loan.pk).status == LoanStatus.PENDING
