"""The one search box: phone in any spelling, loan, account, receipt, conversation, name."""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.db.models import Q, QuerySet

from disbursements.models import DisbursementRequest
from loans.models import LoanTracking
from loans.phones import normalise_msisdn
from mpesa.models import MpesaRequest
from partners.models import Partner

RECEIPT = re.compile(r"[A-Za-z0-9]{10}")
LARGEST_ID = 2**63 - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """The loans that match, and the one to open at once (None = show the list)."""

    loans: QuerySet[LoanTracking]
    only: int | None = None


def search(loans: QuerySet[LoanTracking], text: str) -> Found:
    """Return the exact hits among `loans`, or else those whose client's name has every word."""
    exact = loans.filter(_exactly(text))
    first_two = list(exact.order_by().values_list("pk", flat=True)[:2])
    if first_two:
        return Found(loans=exact, only=first_two[0] if len(first_two) == 1 else None)
    named = Q()
    for word in text.split():
        named &= Q(client_name__icontains=word)
    return Found(loans=loans.filter(named))


def _exactly(text: str) -> Q:
    wanted = Q(phone_number=text) | Q(account_number=text)
    if msisdn := normalise_msisdn(text):
        wanted |= Q(phone_number=msisdn)
    if text.isdecimal() and int(text) <= LARGEST_ID:
        wanted |= Q(loan_id=int(text))
    if " " not in text:
        wanted |= Q(pk__in=_loans_of_attempts(text))
    if RECEIPT.fullmatch(text):
        wanted |= Q(mpesa_receipt_number=text.upper())
    return wanted


def _loans_of_attempts(text: str) -> list[int]:
    """Return the loans whose attempt carries this id or receipt. Each lookup has its index."""
    of = Q(originator_conversation_id__in=[text, *_originators(text)]) | Q(conversation_id=text)
    if RECEIPT.fullmatch(text):
        # The index on receipts begins with the partner.
        partners = list(Partner.objects.values_list("pk", flat=True))
        of |= Q(partner_id__in=partners, transaction_receipt=text.upper())
    found = DisbursementRequest.objects.filter(of).values_list("loan_tracking_id", flat=True)
    return list(found[:50])


def _originators(text: str) -> list[str]:
    """Return the payments whose send or status query M-Pesa answered with this conversation id."""
    asked = MpesaRequest.objects.filter(conversation_id=text).exclude(originator_conversation_id="")
    return list(asked.values_list("originator_conversation_id", flat=True)[:50])
