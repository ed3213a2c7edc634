"""What staff, Mifos X hooks and API clients do at the same moment as everybody else."""

from __future__ import annotations

import http.client
import json
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from urllib.parse import urlsplit

from campaigns.environment import CRON_SECRET
from campaigns.lives import Body, Nursery
from campaigns.worlds import SHORTCODES
from sandbox.calls import Json

STATEMENT_HEAD = (
    "Receipt No.,Completion Time,Details,Transaction Status,Paid In,Withdrawn,Reason Type,"
    "Other Party Info"
)
PEOPLE = ("amina", "brian", "carol")
CALL_SECONDS = 15  # a killed web life leaves its callers waiting in the next one's queue


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One HTTP request to the site, and what may be answered."""

    path: str
    body: bytes = b"{}"
    secret: str = ""
    allowed: frozenset[int] = frozenset({200, 503})


def calling(nursery: Nursery, url: str, calls: list[Call]) -> Body:
    """Return a life that makes all these calls at once."""

    def one(call: Call) -> None:
        host = urlsplit(url).netloc
        connection = http.client.HTTPConnection(host, timeout=CALL_SECONDS)
        headers = {"Content-Type": "application/json"}
        if call.secret:
            headers["Authorization"] = f"Bearer {call.secret}"
        with suppress(OSError, http.client.HTTPException):  # the web life may be killed meanwhile
            connection.request("POST", call.path, call.body, headers)
            status = connection.getresponse().status
            if status not in call.allowed:
                nursery.write_error(f"{call.path.split('/')[2]} answered {status}")

    def body() -> None:
        with ThreadPoolExecutor(max(len(calls), 1)) as pool:
            list(pool.map(one, calls))

    return body


def sync_call() -> Call:
    # 502 is the API's word for "no partner could be served"; 429 is its pace.
    allowed = frozenset({200, 429, 502, 503})
    return Call(path="/api/mifos/scheduled-loan-sync", secret=CRON_SECRET, allowed=allowed)


def hook_call(token: str, loan_id: int) -> Call:
    body = {
        "entityName": "LOAN",
        "actionName": "APPROVE",
        "response": {"loanId": loan_id, "resourceId": loan_id},
    }
    return Call(path=f"/api/mifos/webhook/loan-approval/{token}", body=json.dumps(body).encode())


def retrying() -> None:
    """A person asks for a new attempt of every failed loan."""
    from django.utils import timezone

    from disbursements.retry import RetryRefused, retry_loan
    from loans.models import LoanTracking

    for pk in LoanTracking.objects.filter(status="failed").values_list("pk", flat=True):
        with suppress(RetryRefused):
            retry_loan(pk, actor="amina", reason="campaign", now=timezone.now())


def holding(seed: int) -> Body:
    """A person holds some loans, and another lets them go."""

    def body() -> None:
        from django.utils import timezone

        from loans.holding import HoldRefused, hold_loan, release_loan
        from loans.models import LoanTracking

        chance = random.Random(seed)
        for pk in LoanTracking.objects.values_list("pk", flat=True):
            with suppress(HoldRefused):
                if chance.random() < 0.5:
                    hold_loan(pk, actor="brian", reason="campaign", now=timezone.now())
                release_loan(pk, actor="carol", reason="campaign", now=timezone.now())

    return body


def approving() -> None:
    """A person approves whatever waits for an approval, as it stands on the page."""
    from django.contrib.auth.models import User
    from django.utils import timezone

    from loans.approvals import ApprovalRefused, approve_loan
    from loans.models import LoanTracking

    person = User.objects.get(username="carol")
    for loan in LoanTracking.objects.filter(hold_reason="needs_approval"):
        with suppress(ApprovalRefused):
            approve_loan(
                loan.pk,
                by=person,
                amount=loan.net_disbursal_amount or loan.loan_amount,
                phone_number=loan.phone_number,
                reason="campaign",
                now=timezone.now(),
            )


def resolving(payments: dict[str, Json]) -> Body:
    """Two people settle open payments, M-Pesa's statement in hand: they tell the truth."""

    def body() -> None:
        from django.contrib.auth.models import User
        from django.utils import timezone

        from disbursements.models import DisbursementRequest, ResolutionOutcome
        from disbursements.resolve import ResolutionRefused, confirm, propose

        first, second = (User.objects.get(username=name) for name in PEOPLE[:2])
        for attempt in DisbursementRequest.objects.filter(status__in=["accepted", "unknown"]):
            payment = payments.get(attempt.originator_conversation_id)
            outcome = _truth(payment)
            if outcome is None:
                continue
            with suppress(ResolutionRefused):
                proposal = propose(
                    attempt.pk,
                    outcome=ResolutionOutcome(outcome),
                    receipt=str((payment or {}).get("receipt") or ""),
                    reason="campaign",
                    by=first,
                    now=timezone.now(),
                )
                confirm(proposal.pk, by=second, now=timezone.now())

    return body


def reconciling(debits: list[Json], folder: Path) -> Body:
    """The finance officer compares M-Pesa's statement, as it is now, with the other two books."""

    def body() -> None:
        from django.core.management import CommandError, call_command

        for slug, shortcode in SHORTCODES.items():
            rows = [_statement_row(each) for each in debits if each["shortcode"] == shortcode]
            if not rows:
                continue
            file = folder / f"{slug}.csv"
            file.write_text("\n".join([STATEMENT_HEAD, *rows]))
            words = ("--partner", slug, "--statement", str(file))
            with suppress(CommandError):  # its Mifos X may be away
                call_command("reconcile", *words, stdout=StringIO(), stderr=StringIO())

    return body


def _statement_row(debit: Json) -> str:
    """M-Pesa's clock is real and the lives' runs ahead: no payment is older than its order."""
    from django.utils import timezone

    from disbursements.models import DisbursementRequest

    attempts = DisbursementRequest.objects.filter(originator_conversation_id=debit["ocid"])
    at = datetime.fromtimestamp(debit["at"], tz=UTC)
    sent_at = attempts.values_list("first_sent_at", flat=True).first()
    when = timezone.localtime(max(at, sent_at or at))
    return (
        f"{debit['receipt']},{when:%d-%m-%Y %H:%M:%S},Payment,Completed,,-{debit['amount']},"
        f"Business Payment to Customer via API,{debit['msisdn']} - CLIENT"
    )


def _truth(payment: Json | None) -> str | None:
    if payment is None:
        return None  # it may still land: an honest person waits
    if payment["status"] == "Completed":
        return "paid"
    return "not-paid" if payment["status"] in ("Declined", "Cancelled", "Expired") else None
