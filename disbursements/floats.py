"""The float of a shortcode: asked for while short; the queue resumes when it covers a loan."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet

from disbursements.models import AttemptStatus, DisbursementRequest
from loans.models import HoldReason, LoanStatus, LoanTracking
from mpesa.addresses import open_request
from mpesa.client import BalanceQuestion, MpesaClient, MpesaError
from mpesa.models import MpesaRequest, RequestKind
from mpesa.result_codes import meaning_of
from mpesa.results import BalanceResult, is_success
from mpesa.shortcodes import (
    claim_balance_question,
    clear_float_short,
    note_balance,
    open_breaker,
    shortcode_of,
)
from partners.models import Partner
from partners.overlap import leave_database

FLOAT_SHORT_CODE = "1"


def ask_balance_if_short(partner: Partner, mpesa: MpesaClient, *, now: datetime) -> bool:
    """Ask M-Pesa for the balance while the float is short, at most once an interval."""
    place = (partner.mpesa_environment, partner.mpesa_shortcode)
    shortcode = shortcode_of(*place)
    if shortcode.float_short_since is None or shortcode.breaker_opened_at is not None:
        return False
    not_since = now - timedelta(seconds=settings.LOANPOLL_BACKOFF_BASE)
    if not claim_balance_question(*place, now=now, not_since=not_since):
        return False
    return ask_balance(partner, mpesa, now=now)


def ask_balance(partner: Partner, mpesa: MpesaClient, *, now: datetime) -> bool:
    """Ask M-Pesa for the balance; the answer comes as a callback. False when it was not asked."""
    address = open_request(
        kind=RequestKind.BALANCE,
        environment=partner.mpesa_environment,
        shortcode=partner.mpesa_shortcode,
        originator_conversation_id="",
        now=now,
    )
    leave_database()
    question = BalanceQuestion(
        remarks="Loan Poll float", result_url=address.result_url, timeout_url=address.timeout_url
    )
    try:
        asked = mpesa.ask_balance(question)
    except MpesaError as exc:
        MpesaRequest.objects.filter(pk=address.request_id).update(outcome=str(exc)[:300])
        return False
    MpesaRequest.objects.filter(pk=address.request_id).update(
        conversation_id=asked.conversation_id[:100]
    )
    return True


def take_balance(request: MpesaRequest, result: BalanceResult, *, now: datetime) -> str:
    """Keep a balance answer; end the shortage when it covers the next waiting loan."""
    place = (request.environment, request.shortcode)
    meaning = meaning_of(result.code)
    if meaning.stops_shortcode and not _is_of_an_old_credential(request, now=now):
        # Asked every minute, a refused credential would be locked (contracts/mpesa.md 4).
        open_breaker(*place, cause=f"{result.code}: {meaning.meaning}", now=now)
    if not is_success(result.code) or result.utility_balance is None:
        return f"no balance: {result.code} {result.description}"
    note_balance(*place, utility=result.utility_balance, now=now)
    needed = next_amount(*place, now=now)
    if needed is not None and result.utility_balance < needed:
        return f"utility account holds KES {result.utility_balance}; the next loan needs {needed}"
    clear_float_short(*place, asked_at=request.sent_at, now=now)
    return f"utility account holds KES {result.utility_balance}"


def _is_of_an_old_credential(request: MpesaRequest, *, now: datetime) -> bool:
    """Has every lender of the shortcode corrected its credential since this question left? A
    correction that is dated later than now is of a clock that was set back, and tells nothing."""
    lenders = Partner.objects.filter(
        mpesa_environment=request.environment, mpesa_shortcode=request.shortcode
    )
    of_then = lenders.exclude(
        mpesa_credential_set_at__gt=request.sent_at, mpesa_credential_set_at__lte=now
    )
    return lenders.exists() and not of_then.exists()


def next_amount(environment: str, shortcode: str, *, now: datetime) -> Decimal | None:
    """Return the KES of the oldest loan that waits for the float of this shortcode, and may be paid
    once it is there."""
    held = Q(status=LoanStatus.PENDING, hold_reason=HoldReason.FLOAT_SHORT)
    failed = Q(status=LoanStatus.FAILED, next_attempt_at__lte=now)
    waiting = LoanTracking.objects.filter(
        held | failed | Q(pk__in=_short_and_unconfirmed()),
        partner__mpesa_environment=environment,
        partner__mpesa_shortcode=shortcode,
        partner__is_active=True,
        partner__is_mifos_configured=True,  # else no pass reads its loans, or pays them
        partner__is_paused=False,
        partner__mifos_auto_disbursement_enabled=True,
        review_reason="",
    ).order_by("approved_on", "id")
    return waiting.values_list("net_disbursal_amount", flat=True).first()


def _short_and_unconfirmed() -> QuerySet[Any]:
    """The loans whose failure for want of float is not confirmed yet: they come back for it."""
    reported = DisbursementRequest.objects.filter(
        status=AttemptStatus.UNKNOWN,
        result_code=FLOAT_SHORT_CODE,
        failure_reported_at__isnull=False,
    )
    return reported.values("loan_tracking_id")
