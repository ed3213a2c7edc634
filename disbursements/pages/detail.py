"""`/loan-tracking/<id>`: everything known of one loan, its three books and its whole story."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.pages.actions import possible_actions
from disbursements.pages.advice import advice_for
from disbursements.pages.books import three_books
from disbursements.pages.cases import Case, read_cases
from disbursements.pages.desk import frame
from disbursements.pages.door import staff_page
from disbursements.pages.exchanges import exchanges_of
from disbursements.pages.listing import VIEW_LOANS
from disbursements.pages.rows import Row, row_of, rows_of
from disbursements.pages.scope import User, visible_loans
from disbursements.pages.standing import Standing, standings
from disbursements.pages.tags import Tag, attempt_tag, status_tag
from disbursements.pages.why import attempt_that_counts, facts_of
from disbursements.pages.wording import age, masked_phone, money, without_phones
from loans.models import LoanEvent, LoanStatus, LoanTracking

MOST_EVENTS = 200
MOST_RELATED = 10
STATUS_WORDS = {**dict(LoanStatus.choices), **dict(AttemptStatus.choices)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Happening:
    """One event of the timeline, in words."""

    at: datetime
    actor: str
    before: str
    after: str
    moved: bool
    attempt: str
    reason: str
    details: list[tuple[str, str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptLine:
    """One attempt, in words."""

    row: DisbursementRequest
    tag: Tag
    amount: str
    phone: str
    took: str
    counts: bool


@require_safe
@staff_page(VIEW_LOANS)
def loan_detail(request: HttpRequest, pk: int) -> HttpResponseBase:
    """One loan."""
    now = timezone.now()
    loan = get_object_or_404(visible_loans(request.user), pk=pk)
    found = standings(request.user, now=now)
    [case] = read_cases([loan], request.user.get_username())
    attempts = case.attempts
    context = {
        **frame(found, now=now, room="loans"),
        **loan_context(loan, attempts, _standing_of(loan, found), now=now),
        **_actions(case, request.user),
        **_story(loan, attempts),
        "exchanges": exchanges_of(loan, attempts),
        "related": rows_of(list(related_loans(request, loan)), found, now=now),
    }
    return render(request, "loans/detail.html", context)


def loan_context(
    loan: LoanTracking,
    attempts: list[DisbursementRequest],
    standing: Standing | None,
    *,
    now: datetime,
) -> dict[str, Any]:
    """Return the loan's own part of the page."""
    row: Row = row_of(loan, attempts, standing, now=now)
    gate = standing.gate if standing else ""
    return {
        "loan": loan,
        "row": row,
        "standing": standing,
        "status_tag": status_tag(loan),
        "age": age(now - loan.created_at),
        "principal": money(loan.loan_amount, loan.currency),
        "net": money(loan.net_disbursal_amount, loan.currency),
        "advice": advice_for(facts_of(loan, attempts, gate=gate)),
        "books": three_books(loan, attempt_that_counts(attempts)),
        "attempts": [_attempt_line(attempt, attempts) for attempt in reversed(attempts)],
        "error": without_phones(loan.error_message),
    }


def _actions(case: Case, user: User) -> dict[str, Any]:
    """Return what the user may do now; of what is not possible now, all but the rare things."""
    actions = possible_actions(case, may=user.has_perm)  # type: ignore[union-attr]  # all users have it
    return {
        "possible": [one for one in actions if not one.why_not],
        "may_act": bool(actions),
        "impossible": [one for one in actions if one.why_not and not one.is_rare],
        "proposal": case.proposal,
    }


def related_loans(request: HttpRequest, loan: LoanTracking) -> QuerySet[LoanTracking]:
    """Return other loans of the same client, and other cycles of this one, newest first."""
    others = visible_loans(request.user).filter(partner_id=loan.partner_id).exclude(pk=loan.pk)
    if loan.client_id is None:
        others = others.filter(loan_id=loan.loan_id)
    else:
        others = others.filter(client_id=loan.client_id)
    return others.order_by("-created_at", "-id")[:MOST_RELATED]


def _standing_of(loan: LoanTracking, found: list[Standing]) -> Standing | None:
    return next((one for one in found if one.partner.pk == loan.partner_id), None)


def _attempt_line(attempt: DisbursementRequest, attempts: list[DisbursementRequest]) -> AttemptLine:
    end = attempt.completed_at or attempt.failed_at
    start = attempt.first_sent_at or attempt.created_at
    return AttemptLine(
        row=attempt,
        tag=attempt_tag(attempt.status),
        amount=money(attempt.amount, attempt.currency),
        phone=masked_phone(attempt.msisdn),
        took=age(end - start) if end else "",
        counts=attempt is attempt_that_counts(attempts),
    )


def _story(loan: LoanTracking, attempts: list[DisbursementRequest]) -> dict[str, Any]:
    newest = loan.events.order_by("-id")[: MOST_EVENTS + 1]
    events = list(newest)
    numbers = {attempt.pk: attempt.attempt_no for attempt in attempts}
    return {
        "events": [happening(event, numbers) for event in events[:MOST_EVENTS]],
        "more_events": len(events) > MOST_EVENTS,
    }


def happening(event: LoanEvent, numbers: dict[int, int]) -> Happening:
    """Return one event in words. Phone numbers in its texts are masked."""
    number = numbers.get(event.disbursement_request_id or 0)
    return Happening(
        at=event.at,
        actor=event.actor,
        before=STATUS_WORDS.get(event.from_status, event.from_status),
        after=STATUS_WORDS.get(event.to_status, event.to_status),
        moved=event.from_status != event.to_status,
        attempt=f"attempt {number}" if number else "",
        reason=without_phones(event.reason),
        details=list(_details(event.details)),
    )


def _details(details: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in details.items():
        name = f"{prefix}{key.replace('_', ' ')}"
        if isinstance(value, dict):
            yield from _details(value, prefix=f"{name}, ")
        elif value not in (None, "", []):
            yield name, without_phones(str(value))
