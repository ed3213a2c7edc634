"""What went to M-Pesa and came back for one loan, as far as it is kept: no secret ever is.

A request is kept without its body and its credential; a letter's body is kept sealed, for settling
and for the finder of faults, and no page shows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from disbursements.models import DisbursementRequest
from disbursements.pages.wording import age, without_phones
from mpesa.models import MpesaCallback, MpesaRequest

MOST = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Exchange:
    """One line: what was sent or came, and what is known of it."""

    at: datetime
    is_letter: bool
    what: str
    told: str
    id: str
    took: str


def exchanges_of(attempts: list[DisbursementRequest]) -> list[Exchange]:
    """Return the newest exchanges of these attempts, in two statements."""
    originators = [attempt.originator_conversation_id for attempt in attempts]
    sent = MpesaRequest.objects.filter(originator_conversation_id__in=originators)
    requests = list(sent.order_by("-sent_at", "-id")[:MOST])
    letters = MpesaCallback.objects.filter(request__in=[one.pk for one in requests])
    newest = letters.defer("body").order_by("-received_at", "-id")[:MOST]
    lines = [*map(_request, requests), *map(_letter, newest)]
    return sorted(lines, key=lambda line: line.at, reverse=True)


def _request(request: MpesaRequest) -> Exchange:
    answered = request.answered_at
    return Exchange(
        at=request.sent_at,
        is_letter=False,
        what=request.get_kind_display(),
        told=without_phones(request.outcome) or ("" if answered else "no result yet"),
        id=request.conversation_id,
        took=age(answered - request.sent_at) if answered else "",
    )


def _letter(letter: MpesaCallback) -> Exchange:
    told = without_phones(letter.outcome) or "not read yet"
    return Exchange(
        at=letter.received_at,
        is_letter=True,
        what=letter.get_kind_display(),
        told=f"{told}, from an address not Safaricom's" if letter.is_quarantined else told,
        id="",
        took="",
    )
