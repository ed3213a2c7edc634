"""`/loan-tracking/<id>/<action>`: one page that asks before it acts, and works without a script."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from disbursements.models import ResolutionOutcome
from disbursements.pages.actions import Kind
from disbursements.pages.asking import evidence, question_of
from disbursements.pages.cases import Case, read_cases
from disbursements.pages.desk import frame
from disbursements.pages.doing import Order, Refused, do
from disbursements.pages.door import View, staff_page
from disbursements.pages.rows import row_of
from disbursements.pages.scope import visible_loans
from disbursements.pages.standing import standings
from disbursements.pages.tickets import (
    OLD,
    UNFINISHED,
    Ticket,
    close,
    read_ticket,
    sign,
    use_ticket,
    used_ticket,
)
from disbursements.pages.wording import money, payout

ASKS = ["GET", "HEAD", "POST"]


class ReasonForm(forms.Form):
    """Why, in the words of the person. It is kept in the history."""

    reason = forms.CharField(
        max_length=250,
        error_messages={"required": "Give a reason. It is kept in the history."},
    )


class OutcomeForm(ReasonForm):
    """What the M-Pesa statement shows."""

    outcome = forms.ChoiceField(
        choices=ResolutionOutcome.choices,
        error_messages={"required": "Say what the M-Pesa statement shows."},
    )
    receipt = forms.CharField(max_length=20, required=False)

    def clean_receipt(self) -> str:
        return str(self.cleaned_data["receipt"]).upper()


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """What came of a press: `text` for the person; `is_done` is false when nothing was done."""

    text: str
    is_done: bool


def action_page(kind: Kind) -> View:
    """Return the page that asks for `kind` and does it."""

    @require_http_methods(ASKS)
    @staff_page(kind.permission)
    def act(request: HttpRequest, pk: int) -> HttpResponseBase:
        loan = get_object_or_404(visible_loans(request.user), pk=pk)
        [case] = read_cases([loan], request.user.get_username())
        form = form_of(kind, request)
        refusal = ""
        if request.method == "POST" and form.is_valid():
            done = carry_out(kind, case, form, request)
            if done.is_done:
                messages.success(request, done.text)
                return redirect("loan", pk=pk)
            refusal = done.text
        return render(request, "loans/act.html", context_of(request, kind, case, form, refusal))

    return act


def form_of(kind: Kind, request: HttpRequest) -> ReasonForm:
    """Return the form of this action, with what was entered."""
    form = OutcomeForm if kind.name == "resolve" else ReasonForm
    return form(request.POST if request.method == "POST" else None)


def carry_out(kind: Kind, case: Case, form: ReasonForm, request: HttpRequest) -> Done:
    """Do what was confirmed, once. A second press of the same button finds it done."""
    user, now = cast(User, request.user), timezone.now()
    ticket = read_ticket(request.POST.get("ticket", ""), name=kind.name, user=user)
    if ticket is None or case.loan.pk not in ticket.seen:
        return Done(text=OLD, is_done=False)
    order = Order(user=user, now=now, **form.cleaned_data)
    action = use_ticket(ticket, user=user, reason=order.reason, now=now)
    if action is None:
        return done_before(ticket)
    done = _do(kind, case, order, seen=ticket.seen[case.loan.pk])
    result = {"id": case.loan.pk, "done": done.is_done, "text": done.text}
    close(action, [result], now=timezone.now())
    return done


def done_before(ticket: Ticket) -> Done:
    """Return what a second press is told: what came of the first, which may have been refused."""
    first = used_ticket(ticket)
    if first.finished_at is None:
        return Done(text=UNFINISHED, is_done=False)
    if refused := next((one for one in first.results if not one["done"]), None):
        return Done(text=str(refused["text"]), is_done=False)
    return Done(text="That was done already, and only once.", is_done=True)


def _do(kind: Kind, case: Case, order: Order, *, seen: str) -> Done:
    try:
        return Done(text=do(kind, case, order, seen=seen), is_done=True)
    except Refused as exc:
        return Done(text=str(exc), is_done=False)


def context_of(
    request: HttpRequest, kind: Kind, case: Case, form: ReasonForm, refusal: str
) -> dict[str, Any]:
    """Return what the confirmation page lays out. Each showing has a ticket of its own."""
    now = timezone.now()
    found = standings(request.user, now=now)
    standing = next((one for one in found if one.partner.pk == case.loan.partner_id), None)
    ticket = Ticket(
        name=kind.name, user=cast(User, request.user).pk, seen={case.loan.pk: case.seen}
    )
    return {
        **frame(found, now=now, room="loans"),
        "kind": kind,
        "loan": case.loan,
        "row": row_of(case.loan, case.attempts, standing, now=now),
        "net": money(payout(case.loan), case.loan.currency),
        "standing": standing,
        "question": question_of(kind, case),
        "evidence": evidence(case, standing, now=now),
        "why_not": kind.why_not(case),
        "form": form,
        "outcomes": ResolutionOutcome.choices,
        "refusal": refusal,
        "ticket": sign(ticket),
    }
