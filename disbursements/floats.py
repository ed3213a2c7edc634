"""The float of a shortcode: asked for while short; the queue resumes when it covers a loan."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db.models import Q

from loans.models import HoldReason, LoanStatus, LoanTracking
from mpesa.addresses import open_request
from mpesa.client import BalanceQuestion, MpesaClient, MpesaError
from mpesa.models import MpesaRequest, RequestKind
from mpesa.results import BalanceResult, is_success
from mpesa.shortcodes import (
    claim_balance_question,
    clear_float_short,
    note_balance,
    shortcode_of,
)
from partners.models import Partner
from partners.overlap import leave_database


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
    if not is_success(result.code) or result.utility_balance is None:
        return f"no balance: {result.code} {result.description}"
    place = (request.environment, request.shortcode)
    note_balance(*place, utility=result.utility_balance, now=now)
    needed = next_amount(*place)
    if needed is not None and result.utility_balance < needed:
        return f"utility account holds KES {result.utility_balance}; the next loan needs {needed}"
    clear_float_short(*place)
    return f"utility account holds KES {result.utility_balance}"


def next_amount(environment: str, shortcode: str) -> Decimal | None:
    """Return the KES of the oldest loan that waits for the float of this shortcode."""
    held = Q(status=LoanStatus.PENDING, hold_reason=HoldReason.FLOAT_SHORT)
    failed = Q(status=LoanStatus.FAILED, next_attempt_at__isnull=False)
    waiting = LoanTracking.objects.filter(
        held | failed,
        partner__mpesa_environment=environment,
        partner__mpesa_shortcode=shortcode,
    ).order_by("approved_on", "id")
    return waiting.values_list("net_disbursal_amount", flat=True).first()
