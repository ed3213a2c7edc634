"""The one search box: phone in any spelling, loan, account, receipt, conversation, name.

Who wants more writes `partner:umoja amount:>50000 code:1`; each word before a colon is a QUALIFIER.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from django.db.models import Q, QuerySet

from disbursements.models import DisbursementRequest
from disbursements.pages.counting import PAYOUT
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """The search text, taken apart. `ignored` are amounts that are none."""

    words: str
    qualifiers: list[tuple[str, str]] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


def parse(text: str) -> Asked:
    """Return the qualifiers of a search text, and the words that are left."""
    found = [(name.lower(), value.strip('"')) for name, value in QUALIFIED.findall(text)]
    good = [(name, value) for name, value in found if name != "amount" or _read_amount(value)]
    return Asked(
        words=" ".join(QUALIFIED.sub(" ", text).split()),
        qualifiers=good,
        ignored=[f"search “{name}:{value}”" for name, value in found if (name, value) not in good],
    )


def search(loans: QuerySet[LoanTracking], text: str) -> Found:
    """Return the exact hits among `loans`, or else those whose client's name has every word."""
    asked = parse(text)
    for name, value in asked.qualifiers:
        loans = loans.alias(payout=PAYOUT).filter(QUALIFIERS[name](value))
    if asked.words:
        return _search_words(loans, asked.words)
    is_exact = any(name in {"loan", "phone", "receipt"} for name, _ in asked.qualifiers)
    return Found(loans=loans, only=_only(loans) if is_exact else None)


def _search_words(loans: QuerySet[LoanTracking], words: str) -> Found:
    exact = loans.filter(_exactly(words))
    first_two = list(exact.order_by().values_list("pk", flat=True)[:2])
    if first_two:
        return Found(loans=exact, only=first_two[0] if len(first_two) == 1 else None)
    named = Q()
    for word in words.split():
        named &= Q(client_name__icontains=word)
    return Found(loans=loans.filter(named))


def _only(loans: QuerySet[LoanTracking]) -> int | None:
    first_two = list(loans.order_by().values_list("pk", flat=True)[:2])
    return first_two[0] if len(first_two) == 1 else None


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
    found = DisbursementRequest.objects.filter(of).values_list("loan_tracking_id", flat=True)
    return [*found[:50], *(_loans_of_receipt(text.upper()) if RECEIPT.fullmatch(text) else [])]


def _loans_of_receipt(receipt: str) -> list[int]:
    """Return the loans with this receipt. The index begins with the partner and knows no empty."""
    partners = list(Partner.objects.values_list("pk", flat=True))
    paid = DisbursementRequest.objects.exclude(transaction_receipt="")
    found = paid.filter(partner_id__in=partners, transaction_receipt=receipt)
    return list(found.values_list("loan_tracking_id", flat=True)[:50])


def _originators(text: str) -> list[str]:
    """Return the payments whose send or status query M-Pesa answered with this conversation id."""
    asked = MpesaRequest.objects.filter(conversation_id=text).exclude(originator_conversation_id="")
    return list(asked.values_list("originator_conversation_id", flat=True)[:50])


def _loan(value: str) -> Q:
    numbers = Q(account_number=value)
    if value.isdecimal() and int(value) <= LARGEST_ID:
        numbers |= Q(loan_id=int(value))
    return numbers


def _phone(value: str) -> Q:
    msisdn = normalise_msisdn(value)
    return Q(phone_number__in=[value, msisdn] if msisdn else [value])


def _receipt(value: str) -> Q:
    return Q(mpesa_receipt_number=value.upper()) | Q(pk__in=_loans_of_attempts(value))


def _partner(value: str) -> Q:
    named = Partner.objects.filter(Q(slug=value.lower()) | Q(name__icontains=value))
    return Q(partner_id__in=list(named.values_list("pk", flat=True)))


def _product(value: str) -> Q:
    if value.isdecimal() and int(value) <= LARGEST_ID:
        return Q(product_id=int(value))
    return Q(product_name__icontains=value)


def _amount(value: str) -> Q:
    found = _read_amount(value)
    return Q(**{f"payout{SIDES[found[1]]}": Decimal(found[2])}) if found else Q()


def _read_amount(value: str) -> re.Match[str] | None:
    return AMOUNT.fullmatch(value.replace(",", ""))


def _code(value: str) -> Q:
    attempts = DisbursementRequest.objects.filter(result_code=value)
    return Q(pk__in=attempts.values("loan_tracking_id"))


AMOUNT = re.compile(r"([<>]=?|=?)([0-9]{1,12}(?:\.[0-9]{1,2})?)")
SIDES = {">": "__gt", ">=": "__gte", "<": "__lt", "<=": "__lte", "=": "", "": ""}
QUALIFIERS: dict[str, Callable[[str], Q]] = {
    "loan": _loan,
    "phone": _phone,
    "receipt": _receipt,
    "partner": _partner,
    "product": _product,
    "amount": _amount,
    "code": _code,
}
QUALIFIED = re.compile(rf'(?<!\S)({"|".join(QUALIFIERS)}):("[^"]*"|\S+)', re.IGNORECASE)
