"""Step 2: keeps the hold reason of every pending loan true. Reads the database only, no network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from loans.audit import note_change
from loans.eligibility import Refusal, refusal_for, start_of_day
from loans.gates import GATE_HOLDS
from loans.models import ApprovalState, HoldReason, LoanApproval, LoanStatus, LoanTracking
from loans.rules import facts_of, rules_of
from partners.models import Partner

CHUNK = 200
SYSTEM = "system"
RECHECK_BACKOFFS = 15  # a held loan is read again after this many times LOANPOLL_BACKOFF_BASE

# Holds that only a fresh look into Mifos X can lift; processing takes that look when it is due.
RECHECK_HOLDS = frozenset(
    {
        HoldReason.PHONE_MISSING,
        HoldReason.PHONE_INVALID,
        HoldReason.PHONE_SHARED,
        HoldReason.CLIENT_NOT_ACTIVE,
        HoldReason.LINKED_SAVINGS,
        HoldReason.CHARGED_OFF,
        HoldReason.APPROVED_IN_FUTURE,
        HoldReason.NOT_DUE,
        HoldReason.REPAYMENT_DATE_PASSED,
        HoldReason.NON_WORKING_DAY,
        HoldReason.HOLIDAY,
        HoldReason.NO_DISBURSE_PERMISSION,
        HoldReason.PAYMENT_TYPE_INVALID,
    }
)
# Holds that an approver lifts, for the amount and the phone number that the approver saw.
APPROVABLE_HOLDS = frozenset(
    {
        HoldReason.NEEDS_APPROVAL,
        HoldReason.PHONE_SHARED,
        HoldReason.PHONE_CHANGED,
        HoldReason.REOPENED,
    }
)


def decide_pending(partner: Partner, *, gate: Refusal | None, now: datetime, today: date) -> None:
    """Set the hold of each pending loan of the partner whose answer may have changed since."""
    rules = rules_of(partner)
    for chunk in _due_chunks(partner, gate=gate, now=now):
        with transaction.atomic():
            loans = list(
                LoanTracking.objects.select_for_update(of=("self",))
                .filter(pk__in=chunk, status=LoanStatus.PENDING)
                .order_by("pk")
            )
            for loan, facts in zip(loans, facts_of(loans), strict=True):
                refusal = refusal_for(facts=facts, rules=rules, today=today) or gate
                if refusal is None and loan.hold_reason in RECHECK_HOLDS:
                    _look_again_now(loan, now=now)
                else:
                    set_hold(loan, refusal, actor="system", now=now)


def rehearse_decision(loan: LoanTracking, partner: Partner, *, now: datetime, today: date) -> bool:
    """Give an unsaved pending row the hold that `decide_pending` would; return whether a pass then
    takes it up. What keeps all of the partner's loans waiting is left aside."""
    is_stale = loan.decided_at is None or loan.decided_at < partner.rules_changed_at
    is_due = loan.next_attempt_at is not None and loan.next_attempt_at <= now
    looks_again = loan.hold_reason in RECHECK_HOLDS
    if is_stale or loan.hold_reason in GATE_HOLDS or (is_due and not looks_again):
        [facts] = facts_of([loan])
        refusal = refusal_for(facts=facts, rules=rules_of(partner), today=today)
        if refusal is None and looks_again:
            return True
        for name, value in hold_columns(refusal, now=now).items():
            setattr(loan, name, value)
        is_due = False
    return not loan.hold_reason or (loan.hold_reason in RECHECK_HOLDS and is_due)


def set_hold(loan: LoanTracking, refusal: Refusal | None, *, actor: str, now: datetime) -> None:
    """Write the hold (or its end) on a locked pending loan; an event only when it changed."""
    columns = hold_columns(refusal, now=now)
    if refusal is not None and refusal.hold in APPROVABLE_HOLDS:
        request_approvals([loan], cause=refusal.hold, now=now)
    unchanged = (loan.hold_reason, loan.error_message) == (
        columns["hold_reason"],
        columns["error_message"],
    )
    if unchanged:
        LoanTracking.objects.filter(pk=loan.pk).update(**columns)
        return
    reason = f"Held: {refusal.sentence}" if refusal else "May be paid"
    note_change(
        loan,
        actor=actor,
        reason=reason,
        at=now,
        details={"hold": columns["hold_reason"]},
        **columns,
    )


def hold_columns(refusal: Refusal | None, *, now: datetime) -> dict[str, object]:
    """Return the columns of a loan that carry this answer."""
    return {
        "hold_reason": refusal.hold.value if refusal else "",
        "error_message": refusal.sentence[:500] if refusal else "",
        "decided_at": now,
        "next_attempt_at": _look_again_at(refusal, now=now) if refusal else None,
    }


def request_approvals(
    loans: Iterable[LoanTracking], *, now: datetime, cause: HoldReason | None = None
) -> None:
    """Keep one open approval request per loan, for its present amount, phone number and hold."""
    for loan in loans:
        facts = {
            "amount": loan.net_disbursal_amount,
            "phone_number": loan.phone_number,
            "cause": cause or loan.hold_reason,
        }
        asked = LoanApproval.objects.filter(loan_tracking=loan, state=ApprovalState.REQUESTED)
        if not asked.update(**facts):
            LoanApproval.objects.create(
                loan_tracking=loan, requested_by=_asker_of(loan), requested_at=now, **facts
            )


def _asker_of(loan: LoanTracking) -> str:
    """Whoever asked for this payment before, or to pay it again, still may not approve it."""
    asked = loan.approvals.exclude(requested_by=SYSTEM)
    reopened = loan.events.filter(
        from_status=LoanStatus.FAILED, to_status=LoanStatus.PENDING
    ).exclude(actor=SYSTEM)
    both = (
        asked.order_by("-id").values_list("requested_at", "requested_by").first(),
        reopened.order_by("-id").values_list("at", "actor").first(),
    )
    return max((each for each in both if each), default=(None, SYSTEM))[1]


def _due_chunks(partner: Partner, *, gate: Refusal | None, now: datetime) -> Iterator[list[int]]:
    last = 0
    due = (
        LoanTracking.objects.filter(partner=partner, status=LoanStatus.PENDING)
        .filter(_is_due(partner, gate=gate, now=now))
        .order_by("pk")
        .values_list("pk", flat=True)
    )
    while chunk := list(due.filter(pk__gt=last)[:CHUNK]):
        yield chunk
        last = chunk[-1]


def _is_due(partner: Partner, *, gate: Refusal | None, now: datetime) -> Q:
    stale = Q(decided_at=None) | Q(decided_at__lt=partner.rules_changed_at)
    timed = Q(next_attempt_at__lte=now) & ~Q(hold_reason__in=RECHECK_HOLDS)
    other_gates = GATE_HOLDS - ({gate.hold} if gate else set())
    gated = Q(hold_reason__in=other_gates)
    return stale | timed | gated | (Q(hold_reason="") if gate else Q(pk__in=[]))


def _look_again_at(refusal: Refusal, *, now: datetime) -> datetime | None:
    if refusal.retry_on is not None:
        return max(start_of_day(refusal.retry_on), now)
    if refusal.hold in RECHECK_HOLDS:
        return now + timedelta(seconds=settings.LOANPOLL_BACKOFF_BASE * RECHECK_BACKOFFS)
    return None


def _look_again_now(loan: LoanTracking, *, now: datetime) -> None:
    LoanTracking.objects.filter(pk=loan.pk).update(next_attempt_at=now, decided_at=now)
