"""What each M-Pesa result code means for us: one table that administrators may amend."""

from __future__ import annotations

from dataclasses import dataclass

from mpesa.models import MoneyMoved, NewAttempt, ResultCode
from prepared.statements import Rows, Slot

_by_code = Rows(lambda: ResultCode.objects.filter(code=Slot("code")))

# 0 is paid. 15 and 100000000 speak of a payment that may have moved or may still move
# (contracts/mpesa.md 6). No amendment may read them as proof of a failure.
NEVER_PROOF_OF_FAILURE = frozenset({"0", "15", "100000000"})
BY_ITSELF = frozenset({NewAttempt.FLOAT, NewAttempt.NEXT_DAY})


@dataclass(frozen=True, kw_only=True, slots=True)
class Meaning:
    """What one code says. A new attempt may follow only once the failure is proven."""

    code: str
    meaning: str
    money_moved: MoneyMoved
    new_attempt: NewAttempt
    who_acts: str
    stops_shortcode: bool


def meaning_of(code: str) -> Meaning:
    """Return what `code` means; a code that is not in the table may have moved money."""
    row = _by_code.first(code=code) or ResultCode(
        code=code, meaning="A code that is not in our table", who_acts="operations"
    )
    # A row that got past the form reads as a code we do not know.
    is_sound = not refusal_of(row)
    return Meaning(
        code=row.code,
        meaning=row.meaning,
        money_moved=MoneyMoved(row.money_moved) if is_sound else MoneyMoved.MAYBE,
        new_attempt=NewAttempt(row.new_attempt) if is_sound else NewAttempt.NEVER,
        who_acts=row.who_acts,
        stops_shortcode=row.stops_shortcode,
    )


def refusal_of(row: ResultCode) -> str:
    """Return why an amended row may not stand, or the empty text."""
    if row.money_moved not in MoneyMoved.values or row.new_attempt not in NewAttempt.values:
        return "This is not one of the choices."
    claims_failure = row.money_moved == MoneyMoved.NO or row.new_attempt != NewAttempt.NEVER
    if row.code in NEVER_PROOF_OF_FAILURE and claims_failure:
        return f"Result {row.code} is never proof that no money moved."
    if row.money_moved == MoneyMoved.YES and row.code != "0":
        return "Only result 0 says that money moved."
    if row.money_moved == MoneyMoved.MAYBE and row.new_attempt in BY_ITSELF:
        return "A payment that may have moved money is never tried again by itself."
    return ""
