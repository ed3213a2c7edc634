"""The result codes we ship, from contracts/mpesa.md 6. What an administrator amended stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mpesa.models import ResultCode

Row = tuple[str, str, str, str, str, bool]

# code, meaning, money moved, new attempt, who acts, stops the shortcode.
# Only what the B2C page itself documents is definite. All other codes, likely as "no money moved"
# may be for some, say no more than a code we do not know: maybe, and never.
DOCUMENTED: tuple[Row, ...] = (
    ("0", "Paid", "yes", "never", "", False),
    ("1", "The utility account is short of funds", "no", "float", "partner", False),
    ("2", "Below the smallest amount of a transaction", "no", "person", "operations", False),
    ("3", "Above the largest amount of a transaction", "no", "person", "operations", False),
    ("4", "Over the customer's daily limit", "no", "next_day", "borrower", False),
    ("8", "The customer's wallet would hold too much", "no", "next_day", "borrower", False),
    ("11", "Our account is in an invalid state", "no", "person", "partner, Safaricom", True),
    ("21", "The initiator lacks the role", "no", "person", "partner's administrator", True),
    ("2001", "The initiator or its credential is invalid", "no", "person", "operations", True),
    ("2006", "An account rule or state forbids it", "no", "person", "partner, borrower", False),
    ("2028", "The shortcode lacks the B2C product", "no", "person", "partner, Safaricom", True),
    ("2040", "The recipient is not registered", "no", "person", "borrower, operations", False),
    ("8006", "The security credential is locked", "no", "person", "business administrator", True),
    ("SFC_IC0003", "The number is not on M-Pesa", "no", "person", "borrower, operations", False),
)


def _unsure(code: str, meaning: str, who_acts: str, stops_shortcode: bool = False) -> Row:
    return (code, meaning, "maybe", "never", who_acts, stops_shortcode)


ELSEWHERE: tuple[Row, ...] = (
    _unsure("15", "The id was seen before; says nothing of the first payment", "operations"),
    _unsure("17", "Internal failure", "operations"),
    _unsure("18", "The initiator's credential was not accepted", "operations", True),
    _unsure("19", "Messages out of sequence", "operations"),
    _unsure("20", "The initiator is not known", "operations", True),
    _unsure("22", "The initiator may not pay this receiver", "operations"),
    _unsure("24", "A parameter is missing", "developers"),
    _unsure("25", "A parameter is invalid", "developers"),
    _unsure("26", "M-Pesa is too busy", "operations"),
    _unsure("29", "Invalid command", "developers"),
    _unsure("100000000", "Kept by M-Pesa and may be paid later", "operations"),
    *(
        _unsure(f"1000000{last:02}", "M-Pesa is overloaded or out of order", "operations")
        for last in (1, 2, 4, 7, 9, 11)
    ),
    _unsure("100000005", "A value is not accepted", "developers"),
    _unsure("100000010", "No permission", "operations"),
    _unsure("5", "Below the account's smallest balance", "operations"),
    _unsure("6", "The party is not known", "operations"),
    _unsure("7", "The party is not known", "operations"),
    _unsure("12", "A party is invalid", "operations"),
    _unsure("13", "A party is invalid", "operations"),
    _unsure("14", "A party is invalid", "operations"),
    _unsure("1005", "The account is not accepted", "operations"),
    _unsure("2007", "Refused by an outside check", "operations"),
    _unsure("2020", "The format of the amount is not accepted", "operations"),
    _unsure("2029", "The party is not known", "operations"),
    _unsure("2043", "The organisation is not a child of ours", "operations"),
    _unsure("2051", "The phone number is not accepted", "operations"),
    _unsure("2202", "The account is not accepted", "operations"),
    _unsure("R002", "The type of identity document is not found", "borrower, operations"),
    _unsure("R003", "The identity number does not match", "borrower, operations"),
)
SHIPPED = DOCUMENTED + ELSEWHERE


def ship_result_codes(model: type[ResultCode], using: str) -> None:
    """Add the rows that are missing; a code that is there already is left as it is.

    A release with new codes calls this again from a migration of its own.
    """
    rows = [
        model(
            code=code,
            meaning=meaning,
            money_moved=money_moved,
            new_attempt=new_attempt,
            who_acts=who_acts,
            stops_shortcode=stops_shortcode,
        )
        for code, meaning, money_moved, new_attempt, who_acts, stops_shortcode in SHIPPED
    ]
    model._default_manager.using(using).bulk_create(rows, ignore_conflicts=True)
