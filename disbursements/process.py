"""Step 3: each loan that may be paid is read again, claimed, and sent. Commit, call, commit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Case, Q, When

from disbursements.claiming import Claim, Terms, call_person, claim, is_stale
from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.reports import LoanOutcome, LoanReport
from disbursements.reread import FreshLoan, LoanGone, Preflight, read_fresh
from disbursements.sending import Answer, recheck_max_age, send
from disbursements.shop import Shop
from disbursements.shown import is_ours
from loans.approvals import expire_approvals
from loans.audit import lock_loan, note_change
from loans.decide import RECHECK_HOLDS, set_hold
from loans.eligibility import Refusal, refusal_for
from loans.models import HoldReason, LoanStatus, LoanTracking
from loans.refresh import DISBURSALS, cancel, take_facts
from loans.rules import facts_of, rules_of
from loans.terms import changed_terms, columns_of_client, columns_of_loan
from mifos.client import Disbursal, MifosError, MifosRefused
from mpesa.client import (
    MpesaCredentials,
    MpesaError,
    MpesaNotSent,
    MpesaThrottled,
    MpesaUnknown,
)
from mpesa.shortcodes import open_breaker
from partners.models import Partner
from partners.overlap import leave_database, overlap
from prepared.statements import Rows, Slot

_loan = Rows(lambda: LoanTracking.objects.filter(pk=Slot("pk")))
DISBURSED_ALREADY = "Mifos X shows it waiting, with a disbursement that stands: a person looks"
READS_BEFORE_GIVING_UP = 3  # the pace may keep a loan waiting until its re-read is too old


def pay_due_loans(shop: Shop, due: list[int]) -> Iterator[LoanReport]:
    """Pay these loans, waiting on HTTP in threads. Yields as they finish."""

    def pay(pk: int) -> LoanReport:
        return pay_loan(pk, shop)

    yield from overlap(pay, _while_open(shop, due), workers=shop.partner.mifos_concurrency)


def due_loans(
    partner: Partner, *, loan_id: int | None = None, limit: int | None = None, now: datetime
) -> list[int]:
    """Return the pending loans to take up now: the free ones, the oldest approval first, then the
    held ones whose second look into Mifos X is due, which no `limit` may let stand before them."""
    free = Q(hold_reason="")
    look_again = Q(hold_reason__in=RECHECK_HOLDS, next_attempt_at__lte=now)
    loans = LoanTracking.objects.filter(
        free | look_again, partner=partner, status=LoanStatus.PENDING, review_reason=""
    )
    if loan_id is not None:
        loans = loans.filter(loan_id=loan_id)
    free_first = Case(When(hold_reason="", then=0), default=1)
    return list(
        loans.order_by(free_first, "approved_on", "id").values_list("pk", flat=True)[:limit]
    )


def pay_loan(pk: int, shop: Shop) -> LoanReport:
    """Take one pending loan from the re-read to M-Pesa's answer; every exit leaves a true row."""
    loan = _loan.get(pk=pk)
    loan.partner = shop.partner
    has_slot = False
    for _ in range(READS_BEFORE_GIVING_UP):
        try:
            fresh = read_fresh(shop.mifos, loan.loan_id)
            why_not = take_fresh(loan, fresh, shop) or prepare(shop)
        except LoanGone:
            cancel(pk, None, now=shop.now())
            return report_held(loan, "Mifos X no longer knows this loan")
        except MifosRefused as exc:
            # Its client is not shown to us: without a hold it would look ready for ever.
            unseen = Refusal(hold=HoldReason.PHONE_MISSING, message=str(exc))
            _hold_as_it_is_now(pk, unseen, shop.preflight, now=shop.now())
            return report_held(loan, str(exc))
        except MifosError as exc:
            shop.note_trouble(exc)
            return report_held(loan, str(exc))
        shop.note_read()
        if why_not:
            return report_held(loan, why_not)
        if not has_slot:
            shop.wait_for_slot()
            has_slot = True  # and stays: queueing anew after a second look would never end
        if not shop.takes_more:
            return report_held(loan, "The next pass pays it")
        if fresh.age < recheck_max_age():
            return _claim_and_send(loan, fresh, shop)
    return report_held(loan, "The pace kept it waiting; the next pass pays it")


def take_fresh(loan: LoanTracking, fresh: FreshLoan, shop: Shop) -> str:
    """Write what Mifos X just said, and the hold that follows. Returns why not, or nothing."""
    now = shop.now()
    if not fresh.loan.waiting_for_disbursal:
        cancel(loan.pk, fresh.loan, now=now)
        return "It no longer waits in Mifos X"
    if fresh.loan.disbursals and not _note_earlier_disbursal(loan, fresh, now=now):
        return DISBURSED_ALREADY
    ours, theirs = _refusals_after(loan, fresh, shop, now=now)
    refusal = ours or theirs
    if refusal is not None or loan.hold_reason:
        _hold_as_it_is_now(loan.pk, theirs, shop.preflight, now=now)
    return refusal.sentence if refusal else ""


def _hold_as_it_is_now(
    pk: int, theirs: Refusal | None, preflight: Preflight, *, now: datetime
) -> None:
    """Write the hold, judged again under the locks: what was released, or whose rules were changed,
    between the judgement and its writing would stay held for ever."""
    with transaction.atomic():
        # Waits for a change that is dated already and not yet committed.
        partners = Partner.objects.select_for_update(no_key=True).prefetch_related("products")
        partner = partners.get(pk=preflight.partner.pk)
        loan = lock_loan(pk)
        if loan.status == LoanStatus.PENDING:
            ours = _our_refusal(loan, partner, preflight)
            set_hold(loan, ours or theirs, actor="system", now=now)


def _note_earlier_disbursal(loan: LoanTracking, fresh: FreshLoan, *, now: datetime) -> bool:
    """Mifos X shows that it was disbursed before, by hand or by us, and undone: never by itself
    again (rule 15). False when a disbursement still stands: then a person is called."""
    standing = [each for each in fresh.loan.disbursals if not each.is_reversed]
    with transaction.atomic():
        row = lock_loan(loan.pk)
        if standing:
            call_person(row, DISBURSED_ALREADY, now=now)
        elif row.status == LoanStatus.PENDING and is_news(row, fresh.loan.disbursals):
            # What was approved before was approved without knowing of it.
            expire_approvals(row)
            note_change(
                row,
                actor="system",
                reason="Mifos X shows that it was disbursed before, and undone",
                at=now,
                details={DISBURSALS: [each.transaction_id for each in fresh.loan.disbursals]},
                approval_cause=HoldReason.REOPENED,
            )
    loan.approval_cause = row.approval_cause
    return not standing


def is_news(row: LoanTracking, disbursals: Iterable[Disbursal]) -> bool:
    """Did whoever approved that it is paid again not know of one of these?"""
    if row.approval_cause != HoldReason.REOPENED:
        return True
    told = row.events.filter(details__has_key=DISBURSALS).values_list("details", flat=True)
    known = {number for details in told for number in details[DISBURSALS]}
    # The earlier cycles' own: who opened this one knew of them.
    ours = DisbursementRequest.objects.filter(
        partner=row.partner_id, loan_tracking__loan_id=row.loan_id
    )
    return any(
        each.transaction_id not in known and not any(is_ours(one, each) for one in ours)
        for each in disbursals
    )


def _refusals_after(
    loan: LoanTracking, fresh: FreshLoan, shop: Shop, *, now: datetime
) -> tuple[Refusal | None, Refusal | None]:
    """Return why our rules hold it; if they do not, why Mifos X would refuse it."""
    columns, ours = fresh_columns(fresh), None
    # Nothing new: the claim judges it by our own rules, inside its locks.
    if loan.hold_reason or changed_terms(loan, columns):
        taken = take_facts(loan.pk, columns, now=now)
        ours = _our_refusal(taken, _rules_now(shop.preflight), shop.preflight)
    return ours, None if ours else shop.preflight.refusal(fresh)


def fresh_columns(fresh: FreshLoan) -> dict[str, Any]:
    """Return the columns of a loan as Mifos X has just told them."""
    return {**columns_of_loan(fresh.loan), **columns_of_client(fresh.client)}


def judge(
    loan: LoanTracking, fresh: FreshLoan, preflight: Preflight, *, is_approval_over: bool = False
) -> Refusal | None:
    """Return why this loan may not be paid now: our rules first, then what Mifos X would refuse."""
    partner = _rules_now(preflight)
    ours = _our_refusal(loan, partner, preflight, is_approval_over=is_approval_over)
    return ours or preflight.refusal(fresh)


def _our_refusal(
    loan: LoanTracking, partner: Partner, preflight: Preflight, *, is_approval_over: bool = False
) -> Refusal | None:
    [facts] = facts_of([loan])
    if is_approval_over:
        facts = replace(facts, approved_causes=frozenset())
    return refusal_for(facts=facts, rules=rules_of(partner), today=preflight.today)


def _rules_now(preflight: Preflight) -> Partner:
    """Afresh: what a pass holds by rules that were changed since it began would stay held."""
    return Partner.objects.prefetch_related("products").get(pk=preflight.partner.pk)


def prepare(shop: Shop) -> str:
    """Get M-Pesa's token before anything is promised. Returns what is wrong, or the empty text."""
    leave_database()
    try:
        shop.mpesa.prepare()
    except MpesaError as exc:
        note_rail(shop, exc)
        return str(exc)
    return ""


def note_rail(shop: Shop, answer: Answer) -> None:
    """Stop this pass, or the whole shortcode, when M-Pesa's answer is not about one loan."""
    match answer:
        case MpesaCredentials() if is_stale(shop.partner, Partner.objects.get(pk=shop.partner.pk)):
            # It was corrected since this pass began, and the breaker may have been reset for it.
            shop.close("The settings were changed meanwhile; the next pass uses the new ones")
        case MpesaCredentials():
            place = (shop.partner.mpesa_environment, shop.partner.mpesa_shortcode)
            open_breaker(*place, cause=str(answer), now=shop.now())
            shop.close(str(answer))
        case MpesaNotSent() | MpesaThrottled():
            shop.close(str(answer))
        case MpesaUnknown():
            shop.note_silence(str(answer))
        case _:
            shop.note_answer()


def _claim_and_send(loan: LoanTracking, fresh: FreshLoan, shop: Shop) -> LoanReport:
    claimed = claim(
        loan.pk,
        seen=shop.partner,
        terms=_confirmed_terms(fresh),
        today=shop.preflight.today,
        triggered_by=shop.triggered_by,
        now=shop.now(),
    )
    if claimed is None:
        return report_held(loan, "Another pass has taken it up")
    if isinstance(claimed, Refusal):
        return report_held(loan, claimed.sentence)
    answer = send(claimed, fresh=fresh, mpesa=shop.mpesa)
    note_rail(shop, answer)
    return report_attempt(claimed, shop)


def _confirmed_terms(fresh: FreshLoan) -> Terms:
    columns = fresh_columns(fresh)
    return Terms(
        principal=columns["loan_amount"],
        net=columns["net_disbursal_amount"],
        phone_number=columns["phone_number"],
        currency=columns["currency"],
    )


OUTCOMES = {
    AttemptStatus.SUBMITTING: LoanOutcome.HELD,
    AttemptStatus.ACCEPTED: LoanOutcome.PROCESSING,
    AttemptStatus.UNKNOWN: LoanOutcome.UNKNOWN,
    AttemptStatus.PAID: LoanOutcome.PAID,
    AttemptStatus.COMPLETED: LoanOutcome.PAID,
    AttemptStatus.FAILED: LoanOutcome.FAILED,
}


def report_attempt(claimed: Claim, shop: Shop) -> LoanReport:
    """Report an attempt as its answer left it; its callback may have come already."""
    attempt, loan = claimed.attempt, claimed.attempt.loan_tracking
    return LoanReport(
        partner=shop.partner.slug,
        tracking_id=loan.pk,
        loan_id=loan.loan_id,
        client_name=loan.client_name,
        phone_number=loan.phone_number,
        amount=attempt.amount,
        outcome=OUTCOMES[AttemptStatus(attempt.status)],
        reason=loan.error_message,
        disbursement_id=attempt.pk,
        conversation_id=attempt.conversation_id,
        receipt=attempt.transaction_receipt,
        result_code=attempt.result_code,
    )


def report_held(loan: LoanTracking, reason: str) -> LoanReport:
    """Report a loan for which nothing was sent, and why."""
    return LoanReport(
        partner=loan.partner.slug,
        tracking_id=loan.pk,
        loan_id=loan.loan_id,
        client_name=loan.client_name,
        phone_number=loan.phone_number,
        amount=loan.net_disbursal_amount,
        outcome=LoanOutcome.HELD,
        reason=reason,
    )


def _while_open(shop: Shop, pks: list[int]) -> Iterator[int]:
    for pk in pks:
        if not shop.takes_more:
            return
        yield pk
