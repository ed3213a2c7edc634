"""Asks M-Pesa about silent payments. Asking moves no money and proves nothing by itself."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, Q
from django.utils import timezone

from disbursements.claiming import is_its_rail, is_stale
from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.moves import locked_attempt
from disbursements.schedule import is_too_late, next_question_at
from disbursements.sending import doubt, recheck_max_age, stop_shortcode
from disbursements.unrecorded import call_to_unrecorded
from loans.audit import note_change
from loans.models import ReviewReason
from loans.review import raise_review_locked
from mpesa.addresses import ReturnAddress, open_request
from mpesa.client import (
    MpesaClient,
    MpesaCredentials,
    MpesaError,
    MpesaNotSent,
    StatusQuestion,
)
from mpesa.models import MpesaRequest, RequestKind
from mpesa.shortcodes import shortcode_of
from partners.models import Partner
from partners.overlap import Patience, leave_database, overlap

SILENT = (AttemptStatus.ACCEPTED, AttemptStatus.UNKNOWN)
LEAVES_WITHIN = timedelta(minutes=1)  # of its commit, or a question is not sent at all


def ask_the_silent(partner: Partner, mpesa: MpesaClient, *, deadline: float | None = None) -> int:
    """Send every status query that is due; return how many M-Pesa took."""
    now = timezone.now()
    doubt_the_dead(partner, now=now)
    call_people(partner, now=now)
    if not may_ask(partner):
        return 0

    patience = Patience(deadline=deadline)

    def ask(pk: int) -> bool:
        # An answer of this very pass may have stopped it, or a person corrected a credential.
        if not may_ask(partner) or is_stale(partner, Partner.objects.get(pk=partner.pk)):
            return False
        was_asked = ask_one(pk, mpesa)
        patience.note(success=was_asked)
        return was_asked

    due = patience.while_kept(due_to_ask(partner, now=now))
    return sum(overlap(ask, due, workers=partner.mifos_concurrency))


def ask_one(pk: int, mpesa: MpesaClient) -> bool:
    """Ask M-Pesa about one open attempt now. False when it was not asked."""
    began, asked_at = time.monotonic(), timezone.now()
    question = _prepare_question(pk, now=asked_at)
    if question is None:
        return False
    attempt, address = question
    leave_database()
    try:
        _check_awake(asked_at)
        asked = mpesa.ask_status(
            StatusQuestion(
                originator_conversation_id=attempt.originator_conversation_id,
                remarks=f"Loan Poll attempt {attempt.attempt_no}",
                result_url=address.result_url,
                timeout_url=address.timeout_url,
                not_after=began + LEAVES_WITHIN.total_seconds(),
            )
        )
    except MpesaError as exc:
        _not_asked(attempt, address, exc, now=timezone.now())
        return False
    MpesaRequest.objects.filter(pk=address.request_id).update(
        conversation_id=asked.conversation_id[:100]
    )
    return True


def _check_awake(asked_at: datetime) -> None:
    """Two answers count as so far apart as their questions were written, so each leaves soon after.

    Raises MpesaNotSent. The monotonic clock stands still while the machine is suspended.
    """
    if timezone.now() - asked_at > LEAVES_WITHIN:
        raise MpesaNotSent("The machine stood still since the question; nothing was asked")


def doubt_the_dead(partner: Partner, *, now: datetime) -> None:
    """Ask about sends that nobody can answer for: whose process died, or left in doubt too long."""
    sending = DisbursementRequest.objects.filter(partner=partner, status=AttemptStatus.SUBMITTING)
    for each in list(sending):
        if not _why_doubted(each, now=now):
            continue
        with locked_attempt(each.pk) as (attempt, loan):
            reason = _why_doubted(attempt, now=now)
            if reason:
                doubt(attempt, loan, reason=reason, details={}, ask_at=now, now=now)


def _why_doubted(attempt: DisbursementRequest, *, now: datetime) -> str:
    if attempt.status != AttemptStatus.SUBMITTING:
        return ""
    sent_at = attempt.last_sent_at or attempt.created_at
    if attempt.resend_at is None and sent_at < now - longest_send():
        return "The process that sent this died before the answer; asking M-Pesa"
    if attempt.resend_at is not None and attempt.sends_in_doubt and is_too_late(attempt, now=now):
        return "M-Pesa turned it away too long ago to send its id again; asking M-Pesa"
    return ""


def longest_send() -> timedelta:
    """Return how long one send may take: the last check, a token, the POST, and both once more."""
    one_call = settings.LOANPOLL_HTTP_CONNECT_TIMEOUT + settings.LOANPOLL_HTTP_READ_TIMEOUT
    return timedelta(seconds=recheck_max_age() + 4 * one_call)


def call_people(partner: Partner, *, now: datetime) -> None:
    """Put payments too long without a verdict (LOANPOLL_UNKNOWN_REVIEW_AFTER), or paid and not
    recorded for too long, before a person."""
    call_to_unrecorded(partner, now=now)
    limit = now - timedelta(seconds=settings.LOANPOLL_UNKNOWN_REVIEW_AFTER)
    old = DisbursementRequest.objects.filter(
        # From the first send: a later one under the same id does not make the borrower wait anew.
        first_sent_at__lt=limit,
        partner=partner,
        status__in=SILENT,
        loan_tracking__review_reason="",
    )
    for pk in list(old.values_list("pk", flat=True)):
        with locked_attempt(pk) as (attempt, loan):
            if attempt.status not in SILENT:
                continue  # its verdict came meanwhile
            raise_review_locked(
                loan,
                ReviewReason.OUTCOME_UNKNOWN,
                message="M-Pesa has given no verdict for too long; check the M-PESA statement",
                now=now,
                disbursement_request_id=pk,
            )


def may_ask(partner: Partner) -> bool:
    """Is the shortcode's credential good? Each further try with a bad one feeds the lock of the
    operator (contracts/mpesa.md 4)."""
    shortcode = shortcode_of(partner.mpesa_environment, partner.mpesa_shortcode)
    return shortcode.breaker_opened_at is None or not shortcode.is_credential_refused


def due_to_ask(partner: Partner, *, now: datetime) -> list[int]:
    """Return the open attempts of the partner about which M-Pesa is to be asked now."""
    due = DisbursementRequest.objects.filter(
        partner=partner,
        mpesa_environment=partner.mpesa_environment,
        mpesa_shortcode=partner.mpesa_shortcode,
        status__in=SILENT,
        next_query_at__lte=now,
    )
    return list(due.order_by("next_query_at").values_list("pk", flat=True))


def _prepare_question(
    pk: int, *, now: datetime
) -> tuple[DisbursementRequest, ReturnAddress] | None:
    """Commit the question before it is asked; None when another pass was first."""
    with locked_attempt(pk) as (attempt, loan):
        if attempt.status not in SILENT:
            return None
        partner = Partner.objects.get(pk=attempt.partner_id)
        if not is_its_rail(attempt, partner):
            # Another shortcode finds nothing under this id, and that must not read as "not paid".
            return None
        asked = DisbursementRequest.objects.filter(
            Q(next_query_at__lte=now), pk=pk, status__in=SILENT
        ).update(query_count=F("query_count") + 1, next_query_at=next_question_at(attempt, now=now))
        if asked != 1:
            return None
        # As its client knows it, should it be corrected meanwhile.
        attempt.partner = partner
        address = open_request(
            kind=RequestKind.STATUS,
            environment=attempt.mpesa_environment,
            shortcode=attempt.mpesa_shortcode,
            originator_conversation_id=attempt.originator_conversation_id,
            now=now,
        )
        note_change(
            loan,
            actor="system",
            reason=f"Asking M-Pesa what happened (question {attempt.query_count + 1})",
            at=now,
            details={"disbursement_request_id": attempt.pk},
        )
    return attempt, address


def _not_asked(
    attempt: DisbursementRequest, address: ReturnAddress, exc: MpesaError, *, now: datetime
) -> None:
    MpesaRequest.objects.filter(pk=address.request_id).update(outcome=str(exc)[:300])
    if isinstance(exc, MpesaCredentials):
        stop_shortcode(attempt, exc, now=now)
    soon = now + timedelta(seconds=settings.LOANPOLL_STATUS_QUERY_AFTER)
    DisbursementRequest.objects.filter(pk=attempt.pk, next_query_at__gt=soon).update(
        next_query_at=soon
    )
