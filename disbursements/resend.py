"""The same id again: after a send that never left, or two times "not found" (rule 6)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from disbursements.absence import is_failure_doubted
from disbursements.claiming import Claim, is_its_rail, is_stale, standing_refusal
from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.moves import Move, locked_attempt, move_attempt, note_on_attempt
from disbursements.process import (
    READS_BEFORE_GIVING_UP,
    fresh_columns,
    is_news,
    judge,
    note_rail,
    prepare,
    report_attempt,
)
from disbursements.reports import LoanReport
from disbursements.reread import FreshLoan, LoanGone, read_fresh
from disbursements.schedule import is_too_late, may_send_again
from disbursements.sending import doubt, fail, recheck_max_age, send
from disbursements.shop import Shop
from loans.audit import note_change
from loans.eligibility import Refusal
from loans.models import LoanStatus, LoanTracking, ReviewReason
from loans.review import raise_review_locked
from mifos.client import MifosError
from mpesa.addresses import open_request
from mpesa.client import MpesaNotSent
from mpesa.models import RequestKind
from partners.models import Partner
from partners.overlap import overlap

UNSENT_TOO_LONG = "M-Pesa turned it away for a day; asking M-Pesa"
# Of the loan, and not of the attempt. Another one of these is another approval in Mifos X.
SAME_LOAN = ("client_id", "product_id", "approved_on", "expected_disbursement_date")


def send_due_again(shop: Shop, due: list[int]) -> Iterator[LoanReport]:
    """Send again these attempts, each under its own id."""

    def again(pk: int) -> LoanReport | None:
        return send_again(pk, shop)

    open_ones = (pk for pk in due if shop.takes_more)
    reports = overlap(again, open_ones, workers=shop.partner.mifos_concurrency)
    yield from (report for report in reports if report is not None)


def send_again(pk: int, shop: Shop) -> LoanReport | None:
    """Send one attempt again under its own id, if Mifos X still shows exactly what was promised."""
    attempt = DisbursementRequest.objects.select_related("loan_tracking").get(pk=pk)
    has_slot = False
    for _ in range(READS_BEFORE_GIVING_UP):
        try:
            fresh = _fresh_as_promised(attempt, shop)
        except MifosError as exc:
            shop.note_trouble(exc)
            return None
        if fresh is None or prepare(shop):
            return None
        if not has_slot:
            shop.wait_for_slot()
            has_slot = True  # and stays, as for a new payment
        if not shop.takes_more:
            return None
        if fresh.age < recheck_max_age():
            return _reclaim_and_send(pk, fresh, shop)
    return None


def _reclaim_and_send(pk: int, fresh: FreshLoan, shop: Shop) -> LoanReport | None:
    claimed = reclaim(pk, shop)
    if claimed is None:
        return None
    note_rail(shop, send(claimed, fresh=fresh, mpesa=shop.mpesa))
    return report_attempt(claimed, shop)


def _fresh_as_promised(attempt: DisbursementRequest, shop: Shop) -> FreshLoan | None:
    """Read the loan again. None when this attempt may not be sent now. Raises MifosError."""
    try:
        fresh = read_fresh(shop.mifos, attempt.loan_tracking.loan_id)
    except LoanGone:
        give_up(attempt.pk, now=shop.now())
        return None
    if not is_as_promised(attempt, fresh) or _was_disbursed(attempt.loan_tracking, fresh):
        give_up(attempt.pk, now=shop.now())
        return None
    refusal = judge(attempt.loan_tracking, fresh, shop.preflight)
    if refusal is not None:
        if not withdraw_unsent(attempt.pk, why=refusal.sentence, now=shop.now()):
            ask_instead(attempt.pk, why=refusal.sentence, now=shop.now())
        return None
    return fresh


def _was_disbursed(loan: LoanTracking, fresh: FreshLoan) -> bool:
    """Does Mifos X show a disbursement that nobody knew of when this payment was allowed?"""
    shown = fresh.loan.disbursals
    return any(not each.is_reversed for each in shown) or (bool(shown) and is_news(loan, shown))


def is_as_promised(attempt: DisbursementRequest, fresh: FreshLoan) -> bool:
    """Does Mifos X still show the loan waiting as it was allowed, with the amount and the phone of
    this attempt?"""
    columns, loan = fresh_columns(fresh), attempt.loan_tracking
    promised = (attempt.principal, attempt.amount, attempt.msisdn, attempt.currency)
    names = ("loan_amount", "net_disbursal_amount", "phone_number", "currency")
    return (
        fresh.loan.waiting_for_disbursal
        and not columns["mifos_obstacle"]
        and promised == tuple(columns[name] for name in names)
        and all(getattr(loan, name) == columns[name] for name in SAME_LOAN)
    )


def reclaim(pk: int, shop: Shop) -> Claim | None:
    """Commit the next send of an attempt before its first byte; None when it may not be sent."""
    with transaction.atomic(durable=True), locked_attempt(pk) as (attempt, loan):
        # Not before the lock: a question asked while we waited for it must be older than the send.
        now = shop.now()
        if loan.review_reason or not _may_go_again(attempt, now=now):
            return None
        partner = Partner.objects.get(pk=shop.partner.pk)
        if is_stale(shop.partner, partner):
            return None
        if standing_refusal(partner, loan, today=shop.preflight.today) is not None:
            return None  # the next pass, which judges it before, withdraws it or asks
        if not is_its_rail(attempt, partner) or not _is_wanted(attempt, partner):
            return None
        if attempt.resolutions.filter(confirmed_at=None, withdrawn_at=None).exists():
            return None  # whoever proposed "not paid" did not know of this send
        if is_failure_doubted(attempt, loan):
            return None  # a strange letter called it paid; people, or M-Pesa, settle it
        attempt.partner = partner  # as its clients know it, should it be corrected meanwhile
        _commit_send(attempt, loan, now=now)
        address = open_request(
            kind=RequestKind.PAYMENT,
            environment=attempt.mpesa_environment,
            shortcode=attempt.mpesa_shortcode,
            originator_conversation_id=attempt.originator_conversation_id,
            now=now,
        )
    return Claim(attempt=attempt, address=address)


def give_up(pk: int, *, now: datetime) -> None:
    """Mifos X changed under an open attempt: withdraw it if it never left, else call a person."""
    why = "The loan changed in Mifos X before the payment was sent"
    if withdraw_unsent(pk, why=why, now=now):
        return
    with locked_attempt(pk) as (attempt, loan):
        if attempt.status not in {AttemptStatus.SUBMITTING, AttemptStatus.UNKNOWN}:
            return  # its result came in the meantime, and may be why the loan changed
        if attempt.status == AttemptStatus.SUBMITTING:
            doubt(attempt, loan, reason=why, details={}, ask_at=now, now=now)
        raise_review_locked(
            loan,
            ReviewReason.MIFOS_CHANGED,
            message="The loan changed in Mifos X while the payment's outcome is open",
            now=now,
            disbursement_request_id=attempt.pk,
        )


def withdraw_unsent(pk: int, *, why: str, now: datetime) -> bool:
    """Close an attempt none of whose sends left, so that its loan is judged anew. False: it may."""
    with locked_attempt(pk) as (attempt, loan):
        if not _never_left(attempt, loan):
            return False
        fail(
            attempt,
            loan,
            reason=why,
            evidence={"proof": "never left", "sends": attempt.send_count},
            now=now,
            loan_status=LoanStatus.PENDING,
        )
    return True


def _never_left(attempt: DisbursementRequest, loan: LoanTracking) -> bool:
    """Did no byte of this attempt leave? What a gateway refused did leave: its word keeps the id
    for another send, and is not proof enough for a new one."""
    if attempt.status != AttemptStatus.SUBMITTING or attempt.sends_in_doubt:
        return False
    answered = loan.events.filter(details__disbursement_request_id=attempt.pk)
    answers = answered.filter(details__has_key="answer").values_list("details", flat=True)
    return {each["answer"] for each in answers} <= {MpesaNotSent.__name__}


def ask_instead(pk: int, *, why: str, now: datetime) -> None:
    """A throttled send may have passed: what may not be sent again now is asked about."""
    with locked_attempt(pk) as (attempt, loan):
        if attempt.status == AttemptStatus.SUBMITTING and _may_go_again(attempt, now=now):
            doubt(attempt, loan, reason=why, details={}, ask_at=now, now=now)


def take_back_unsent(partner: Partner, *, now: datetime, gate: Refusal | None) -> None:
    """Take back what provably never left and may not, or could not for a day, be sent again.

    Else it would say "being sent" for as long as its partner may not pay.
    """
    waiting = DisbursementRequest.objects.filter(
        partner=partner, status=AttemptStatus.SUBMITTING, resend_at__isnull=False
    )
    for each in list(waiting):
        if gate is not None:
            _take_back(each.pk, why=f"It never left, and now: {gate.sentence}", now=now)
        elif each.sends_in_doubt == 0 and is_too_late(each, now=now):
            give_up_sending(each.pk, now=now)


def _take_back(pk: int, *, why: str, now: datetime) -> None:
    if not withdraw_unsent(pk, why=why, now=now):
        ask_instead(pk, why=why, now=now)


def give_up_sending(pk: int, *, now: datetime) -> None:
    """Close as failed what could not leave for a day: a person looks why, and retries it. What a
    gateway turned away is asked about instead."""
    with locked_attempt(pk) as (attempt, loan):
        if attempt.status != AttemptStatus.SUBMITTING or attempt.sends_in_doubt:
            return
        if not _never_left(attempt, loan):
            doubt(attempt, loan, reason=UNSENT_TOO_LONG, details={}, ask_at=now, now=now)
            return
        fail(
            attempt,
            loan,
            reason=f"It could not be sent for a day: {attempt.result_description or 'no answer'}",
            evidence={"proof": "never left", "sends": attempt.send_count},
            now=now,
        )


def due_again(partner: Partner, *, now: datetime) -> list[int]:
    """Return the attempts of the partner whose own id may be sent again now."""
    never_left = Q(status=AttemptStatus.SUBMITTING, resend_at__lte=now)
    unknown = Q(status=AttemptStatus.UNKNOWN, last_not_found_at__isnull=False)
    if not partner.resend_unknown:
        unknown = Q(pk__in=[])
    attempts = DisbursementRequest.objects.filter(
        never_left | unknown,
        partner=partner,
        mpesa_environment=partner.mpesa_environment,
        mpesa_shortcode=partner.mpesa_shortcode,
    )
    return [each.pk for each in attempts.order_by("id") if _may_go_again(each, now=now)]


def _is_wanted(attempt: DisbursementRequest, partner: Partner) -> bool:
    """A partner may switch off that an unknown one is sent again; one that never left still is."""
    return partner.resend_unknown or attempt.status != AttemptStatus.UNKNOWN


def _may_go_again(attempt: DisbursementRequest, *, now: datetime) -> bool:
    if attempt.status == AttemptStatus.SUBMITTING:
        is_due = attempt.resend_at is not None and attempt.resend_at <= now
        return is_due and (attempt.sends_in_doubt == 0 or not is_too_late(attempt, now=now))
    return may_send_again(attempt, now=now)


def _commit_send(attempt: DisbursementRequest, loan: LoanTracking, *, now: datetime) -> None:
    columns = {
        "send_count": attempt.send_count + 1,
        "sends_in_doubt": attempt.sends_in_doubt + 1,
        "last_sent_at": now,
        "resend_at": None,
        "first_not_found_at": None,
        "last_not_found_at": None,
        "next_query_at": None,
    }
    reason = f"Send {attempt.send_count + 1} under the same id {attempt.originator_conversation_id}"
    if attempt.status == AttemptStatus.UNKNOWN:
        move = Move(
            to_status=AttemptStatus.SUBMITTING,
            actor="system",
            reason=f"M-Pesa twice did not know the id. {reason}",
            at=now,
            columns=columns,
        )
        move_attempt(attempt, loan, move)
        return
    note_on_attempt(attempt, **columns)
    note_change(
        loan,
        actor="system",
        reason=reason,
        at=now,
        details={"disbursement_request_id": attempt.pk},
    )
