"""The one commit before the first byte: limits counted, loan claimed, attempt written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet, Subquery, Sum
from django.utils import timezone

from disbursements.identity import attempt_digest, mifos_external_id, originator_conversation_id
from disbursements.models import (
    OPEN_STATES,
    AttemptStatus,
    DisbursementRequest,
    ResolutionOutcome,
    ReviewResolution,
    TriggeredBy,
)
from loans.audit import EventDraft, lock_loan, note_change, note_on_loan
from loans.decide import set_hold
from loans.eligibility import Refusal, refusal_for, start_of_day
from loans.gates import gate_of
from loans.models import HoldReason, LoanStatus, LoanTracking, ReviewReason
from loans.phones import mask_msisdn
from loans.review import raise_review_locked
from loans.rules import facts_of, products_of, rules_of
from mpesa.addresses import ReturnAddress, open_request
from mpesa.models import RequestKind
from partners.models import Partner
from partners.validation import IDENTITY_COLUMNS, MPESA_COLUMNS
from prepared.statements import Rows, Slot, Tuples, insert

_locked_partner = Rows(
    # no_key: rows that only refer to the partner are inserted without waiting for claims.
    lambda: (
        Partner.objects.select_for_update(of=("self",), no_key=True)
        .filter(loans=Slot("loan"))
        .order_by()
    )
)
_last_attempt = Tuples(
    lambda: (
        DisbursementRequest.objects.filter(loan_tracking=Slot("loan"))
        .order_by("-attempt_no")
        .values_list("attempt_no")[:1]
    )
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """What Mifos X confirmed when it was read again; the claim must promise exactly this."""

    principal: Decimal
    net: Decimal | None
    phone_number: str
    currency: str

    @classmethod
    def of(cls, loan: LoanTracking) -> Terms:
        return cls(
            principal=loan.loan_amount,
            net=loan.net_disbursal_amount,
            phone_number=loan.phone_number,
            currency=loan.currency,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """A committed promise to pay, and where M-Pesa shall answer."""

    attempt: DisbursementRequest
    address: ReturnAddress


def claim(
    loan_pk: int,
    *,
    seen: Partner,
    terms: Terms,
    today: date,
    triggered_by: TriggeredBy,
    now: datetime,
) -> Claim | Refusal | None:
    """Write the attempt in `submitting`, or say why not. None: the loan has moved on.

    `today` is Mifos X's business date, `seen` the partner as the clients of this pass know it.
    Everything that allows the payment is read again inside the locks: the partner's row (limits are
    counted under it) and the loan's.
    """
    try:
        with transaction.atomic(durable=True):
            partner = _locked_partner.get(loan=loan_pk)
            loan = lock_loan(loan_pk)
            if loan.status != LoanStatus.PENDING or Terms.of(loan) != terms:
                return None
            if is_stale(seen, partner):
                # The id would name one shortcode and the money leave from another; or a refused
                # credential, corrected since, would be tried once more (reliability.md S20).
                return None
            if loan.review_reason:
                return None  # a person looks at it: nothing is sent meanwhile
            refusal = _refusal(partner, loan, today=today, now=now)
            if refusal is not None:
                set_hold(loan, refusal, actor="system", now=now)
                return refusal
            return _write(partner, loan, triggered_by=triggered_by, now=now)
    except IntegrityError:
        # The database's own promise (one live attempt, one id) was faster than our reading.
        _call_if_blocked(loan_pk, now=now)
        return None


def _call_if_blocked(loan_pk: int, *, now: datetime) -> None:
    """Another pass has it, or its id belongs to another loan's attempt: then no pass ever will."""
    with transaction.atomic():
        loan = lock_loan(loan_pk)
        is_live = loan.attempts.exclude(status=AttemptStatus.FAILED).exists()
        if loan.status == LoanStatus.PENDING and not is_live:
            message = (
                "Another loan's payment already has the id of this one: "
                "is this lender's Mifos X entered twice?"
            )
            call_person(loan, message, now=now)


def call_person(loan: LoanTracking, message: str, *, now: datetime) -> None:
    """Keep a locked pending loan for a person. Two people can end a review only of an attempt, so a
    loan without one is held instead, until somebody releases it."""
    if loan.attempts.exists():
        raise_review_locked(loan, ReviewReason.DOUBLE_PAYMENT, message=message, now=now)
    elif loan.status == LoanStatus.PENDING and message[:300] not in loan.staff_hold:
        hold = HoldReason.HELD_BY_STAFF
        # Held for something else already: whoever releases it must know of both.
        why = "; ".join(each for each in (message[:300], loan.staff_hold) if each)
        note_change(
            loan,
            actor="system",
            reason=f"Held: {message}",
            at=now,
            details={"hold": hold.value},
            staff_hold=why[:300],
            hold_reason=hold,
            error_message=message[:500],
            next_attempt_at=None,
        )


def is_stale(seen: Partner, partner: Partner) -> bool:
    """Do the clients of this pass, made from `seen`, know other settings than the row has now?"""
    columns = (*IDENTITY_COLUMNS, *MPESA_COLUMNS)
    return any(getattr(seen, column) != getattr(partner, column) for column in columns)


def is_its_rail(attempt: DisbursementRequest, partner: Partner) -> bool:
    """Each send of an attempt leaves from one shortcode: another knows nothing of its id."""
    place = (attempt.mpesa_environment, attempt.mpesa_shortcode)
    return place == (partner.mpesa_environment, partner.mpesa_shortcode)


def _refusal(partner: Partner, loan: LoanTracking, *, today: date, now: datetime) -> Refusal | None:
    return standing_refusal(partner, loan, today=today) or limit_refusal(partner, loan, now=now)


def standing_refusal(partner: Partner, loan: LoanTracking, *, today: date) -> Refusal | None:
    """Return which rule, of those that hold whatever else is paid, keeps a locked loan waiting."""
    [facts] = facts_of([loan])
    rules = rules_of(partner, products_of(partner))
    return gate_of(partner) or refusal_for(facts=facts, rules=rules, today=today)


def limit_refusal(
    partner: Partner,
    loan: LoanTracking,
    *,
    before: Sequence[LoanTracking] = (),
    now: datetime,
) -> Refusal | None:
    """Return the limit of the Nairobi day that this loan would break (rule 11), or None.

    A rehearsal, which writes no attempts, names the loans that it would have paid `before`.
    """
    same_client = [each for each in before if each.client_id == loan.client_id]
    limits = (
        (HoldReason.DAILY_LIMIT, partner.daily_limit, Q(), before),
        (
            HoldReason.CLIENT_DAILY_LIMIT,
            partner.client_daily_limit,
            Q(loan_tracking__client_id=loan.client_id),
            same_client,
        ),
    )
    for hold, limit, whose, unwritten in limits:
        if limit is None:
            continue
        used = _spent_today(partner, whose, now=now) + sum(map(_net, unwritten), Decimal(0))
        if used + _net(loan) > limit:
            return Refusal(
                hold=hold,
                message=f"{hold.label}: KES {used} of {limit} today",
                retry_on=timezone.localdate(now) + timedelta(days=1),
            )
    return None


def _net(loan: LoanTracking) -> Decimal:
    return loan.net_disbursal_amount or Decimal(0)


def _spent_today(partner: Partner, whose: Q, *, now: datetime) -> Decimal:
    """Return the KES that were paid today or may still be, under the partner's lock.

    Whenever they were begun. In one statement: between two, a payment that was open could be paid
    and be missed by both, for a result needs no lock of the partner. Each sum by an index of its
    own: for their OR, SQLite reads all history.
    """
    mine = DisbursementRequest.objects.filter(whose, partner=partner).order_by()
    paid_today = mine.filter(paid_at__gte=start_of_day(timezone.localdate(now)))
    still_open = mine.filter(status__in=OPEN_STATES)
    sums = (_sum_of(each) for each in (paid_today, still_open, _settled_today(mine, now=now)))
    [found] = Partner.objects.filter(pk=partner.pk).values_list(*sums)
    return sum((each for each in found if each), Decimal(0))


def _settled_today(
    mine: QuerySet[DisbursementRequest], *, now: datetime
) -> QuerySet[DisbursementRequest]:
    """A failed attempt stays failed when two people say that it was paid after all."""
    said = ReviewResolution.objects.filter(
        outcome=ResolutionOutcome.PAID,
        confirmed_at__gte=start_of_day(timezone.localdate(now)),
    )
    of_those = said.values("disbursement_request_id")
    return mine.filter(status=AttemptStatus.FAILED, pk__in=of_those)


def _sum_of(attempts: QuerySet[DisbursementRequest]) -> Subquery:
    return Subquery(attempts.values("partner").annotate(sum=Sum("amount")).values("sum"))


def _write(
    partner: Partner, loan: LoanTracking, *, triggered_by: TriggeredBy, now: datetime
) -> Claim:
    attempt = _attempt(partner, loan, triggered_by=triggered_by, now=now)
    insert([attempt])
    address = open_request(
        kind=RequestKind.PAYMENT,
        environment=attempt.mpesa_environment,
        shortcode=attempt.mpesa_shortcode,
        originator_conversation_id=attempt.originator_conversation_id,
        now=now,
    )
    note_claim(loan, attempt, now=now)
    return Claim(attempt=attempt, address=address)


def _attempt(
    partner: Partner, loan: LoanTracking, *, triggered_by: TriggeredBy, now: datetime
) -> DisbursementRequest:
    attempt_no = 1 + max((last for (last,) in _last_attempt.all(loan=loan.pk)), default=0)
    digest = attempt_digest(partner=partner, loan=loan, attempt_no=attempt_no)
    return DisbursementRequest(
        loan_tracking=loan,
        partner=partner,
        attempt_no=attempt_no,
        triggered_by=triggered_by,
        amount=loan.net_disbursal_amount,
        principal=loan.loan_amount,
        msisdn=loan.phone_number,
        currency=loan.currency,
        mpesa_environment=partner.mpesa_environment,
        mpesa_shortcode=partner.mpesa_shortcode,
        approved_on=loan.approved_on,
        originator_conversation_id=originator_conversation_id(partner=partner, digest=digest),
        mifos_external_id=mifos_external_id(digest),
        status=AttemptStatus.SUBMITTING,
        send_count=1,
        sends_in_doubt=1,
        first_sent_at=now,
        last_sent_at=now,
    )


def note_claim(loan: LoanTracking, attempt: DisbursementRequest, *, now: datetime) -> None:
    """Write the two events of a claim: the attempt begins, the loan is being processed."""
    reason = f"Attempt {attempt.attempt_no}: asking M-Pesa to pay KES {attempt.amount}"
    actor = attempt.triggered_by
    drafts = [
        EventDraft(
            from_status="",
            to_status=AttemptStatus.SUBMITTING,
            details={
                "amount": str(attempt.amount),
                "principal": str(attempt.principal),
                "originator_conversation_id": attempt.originator_conversation_id,
                "msisdn": mask_msisdn(attempt.msisdn),
            },
            disbursement_request_id=attempt.pk,
            actor=actor,
            reason=reason,
            at=now,
        ),
        EventDraft(
            from_status=loan.status,
            to_status=LoanStatus.PROCESSING,
            actor=actor,
            reason=reason,
            at=now,
        ),
    ]
    note_on_loan(
        loan,
        drafts=drafts,
        status=LoanStatus.PROCESSING,
        disbursement_status=AttemptStatus.SUBMITTING,
        hold_reason="",
        error_message="",
        next_attempt_at=None,
    )
