"""One loan as a row of the list: every text ready, so that the template only lays it out."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from datetime import datetime
from hashlib import blake2s

from django.template.loader import render_to_string

from disbursements.models import DisbursementRequest
from disbursements.pages.standing import Standing
from disbursements.pages.tags import Tag, tag_of
from disbursements.pages.why import facts_of, why_waiting
from disbursements.pages.wording import age, amount, clock, masked_phone, payout
from loans.models import LoanStatus, LoanTracking


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """What the list shows of one loan. The age is left out of `version`: it changes by itself."""

    id: int
    loan_id: int
    cycle: int
    account: str
    client: str
    phone: str
    partner: str
    product: str
    amount: str
    currency: str
    tag: Tag
    why: str
    since: datetime
    clock: str
    took: str

    @property
    def version(self) -> str:
        return blake2s(repr(astuple(self)).encode(), digest_size=4).hexdigest()


def rows_of(
    loans: list[LoanTracking], found: list[Standing], *, now: datetime
) -> list[tuple[Row, str]]:
    """Return each loan's row and its age, with one statement for all of their attempts."""
    attempts = attempts_of(loans)
    standings = {standing.partner.pk: standing for standing in found}
    return [
        (row_of(loan, attempts[loan.pk], standings.get(loan.partner_id), now=now), _age(loan, now))
        for loan in loans
    ]


def row_of(
    loan: LoanTracking,
    attempts: list[DisbursementRequest],
    standing: Standing | None,
    *,
    now: datetime,
) -> Row:
    """Return one loan in words."""
    facts = facts_of(
        loan,
        attempts,
        gate=standing.gate if standing else "",
        next_pass_at=standing.next_pass_at if standing else None,
    )
    return Row(
        id=loan.pk,
        loan_id=loan.loan_id,
        cycle=loan.cycle,
        account=loan.account_number,
        client=loan.client_name or "Name not known",
        phone=masked_phone(loan.phone_number),
        partner=standing.partner.name if standing else "",
        product=loan.product_name or f"Product {loan.product_id}",
        amount=amount(payout(loan)),
        currency="" if loan.currency == "KES" else loan.currency,
        tag=tag_of(loan),
        why=why_waiting(facts, now=now),
        since=loan.created_at,
        clock=clock(loan.created_at, now=now),
        took=took(loan),
    )


def attempts_of(loans: list[LoanTracking]) -> dict[int, list[DisbursementRequest]]:
    """Return the attempts of each loan, oldest first."""
    found: dict[int, list[DisbursementRequest]] = {loan.pk: [] for loan in loans}
    of = DisbursementRequest.objects.filter(loan_tracking_id__in=list(found))
    for attempt in of.order_by("loan_tracking_id", "attempt_no"):
        found[attempt.loan_tracking_id].append(attempt)
    return found


def took(loan: LoanTracking) -> str:
    """Return how long it took from found to recorded; empty while it is under way."""
    if loan.status != LoanStatus.DISBURSED or loan.disbursed_at is None:
        return ""
    return age(loan.disbursed_at - loan.created_at)


def row_html(row: Row, old: str, *, can_choose: bool) -> str:
    """Return one row as the list draws it."""
    context = {"row": row, "age": old, "can_choose": can_choose}
    return render_to_string("loans/_row.html", context).strip()


def _age(loan: LoanTracking, now: datetime) -> str:
    return age(now - loan.created_at)
