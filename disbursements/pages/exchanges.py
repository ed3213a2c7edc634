"""What went to M-Pesa and Mifos X and came back for one loan, as far as it is kept: no secret is.

A request is kept without its body and its credential; a letter's body is kept sealed, for settling
and for the finder of faults, and no page shows it. Of Mifos X every order is kept, and every
question that went wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from disbursements.models import DisbursementRequest
from disbursements.pages.wording import age, without_phones
from loans.models import LoanTracking
from mpesa.models import MpesaCallback, MpesaRequest
from partners.models import MifosExchange

MOST = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Exchange:
    """One line: what was sent or came, and what is known of it."""

    at: datetime
    way: str
    what: str
    told: str
    id: str
    took: str


def exchanges_of(loan: LoanTracking, attempts: list[DisbursementRequest]) -> list[Exchange]:
    """Return the newest exchanges about this loan, in three statements."""
    originators = [attempt.originator_conversation_id for attempt in attempts]
    sent = MpesaRequest.objects.filter(originator_conversation_id__in=originators)
    requests = list(sent.order_by("-sent_at", "-id")[:MOST])
    letters = MpesaCallback.objects.filter(request__in=[one.pk for one in requests])
    newest = letters.defer("body").order_by("-received_at", "-id")[:MOST]
    told = MifosExchange.objects.filter(partner=loan.partner_id, loan_id=loan.loan_id)
    orders = told.order_by("-id")[:MOST]
    lines = [*map(_request, requests), *map(_letter, newest), *map(_mifos, orders)]
    return sorted(lines, key=lambda line: line.at, reverse=True)


def _request(request: MpesaRequest) -> Exchange:
    answered = request.answered_at
    return Exchange(
        at=request.sent_at,
        way="To M-Pesa",
        what=request.get_kind_display(),
        told=without_phones(request.outcome) or ("" if answered else "no result yet"),
        id=request.conversation_id,
        took=age(answered - request.sent_at) if answered else "",
    )


def _letter(letter: MpesaCallback) -> Exchange:
    told = without_phones(letter.outcome) or "not read yet"
    return Exchange(
        at=letter.received_at,
        way="From M-Pesa",
        what=letter.get_kind_display(),
        told=f"{told}, from an address not Safaricom's" if letter.is_quarantined else told,
        id="",
        took="",
    )


def _mifos(exchange: MifosExchange) -> Exchange:
    ended = (
        f"HTTP {exchange.http_status}" if exchange.http_status else exchange.get_ending_display()
    )
    excerpt = "" if exchange.http_status == 200 else exchange.excerpt
    return Exchange(
        at=exchange.started_at,
        way="To Mifos X",
        what=f"{exchange.method} {exchange.path}",
        told=f"{ended}: {without_phones(excerpt)}" if excerpt else ended,
        id="",
        took=f"{exchange.milliseconds / 1000:.1f} s",
    )
