"""The end of the fixed story: do the books agree, did every loan end as it must, is all shown?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from demo.books import Comparison, Difference, Kind, Loan
from demo.cast import UNREACHABLE, Cast
from loans.models import HoldReason, LoanEvent, LoanStatus, ReviewReason

# How a declared exception shows: these and no others.
SHAPES: dict[str, frozenset[Kind]] = {
    ReviewReason.DOUBLE_PAYMENT: frozenset({Kind.NOT_RECORDED, Kind.BY_HAND}),
    ReviewReason.PAID_NOT_RECORDED: frozenset({Kind.NOT_RECORDED}),
    ReviewReason.CHECKER_REJECTED: frozenset({Kind.NOT_RECORDED}),
    ReviewReason.UNDONE_AFTER_PAYMENT: frozenset({Kind.NOT_RECORDED}),
    ReviewReason.BOOKS_DIFFER: frozenset({Kind.OTHER_AMOUNT}),
}


@dataclass(frozen=True, kw_only=True)
class Declared:
    """One loan whose books differ, as the story says they must."""

    loan: Loan
    why: str
    kinds: frozenset[Kind]


@dataclass(kw_only=True)
class Verdict:
    """What `--once` says at its end."""

    books: Comparison
    declared: list[Declared]
    undeclared: list[Difference] = field(default_factory=list)
    not_seen: list[Declared] = field(default_factory=list)
    not_ended: list[str] = field(default_factory=list)
    not_shown: list[str] = field(default_factory=list)

    @property
    def books_agree(self) -> bool:
        return not self.undeclared and not self.not_seen

    @property
    def is_good(self) -> bool:
        return self.books_agree and not self.not_ended and not self.not_shown


def judge(cast: Cast, books: Comparison, *, not_ended: list[str]) -> Verdict:
    """Hold the books against what the story declares, and the trail against every reason."""
    declared = list(_declared(cast))
    expected = {(each.loan, kind) for each in declared for kind in each.kinds}
    found = {(each.loan, each.kind) for each in books.differences}
    return Verdict(
        books=books,
        declared=declared,
        undeclared=[each for each in books.differences if (each.loan, each.kind) not in expected],
        not_seen=[
            each for each in declared if any((each.loan, kind) not in found for kind in each.kinds)
        ],
        not_ended=not_ended,
        not_shown=sorted(set(_all_reasons()) - shown_reasons() - set(UNREACHABLE)),
    )


def shown_reasons() -> set[str]:
    """Return every status, hold and review reason that the trail of events holds."""
    shown: set[str] = set()
    for status, details in LoanEvent.objects.values_list("to_status", "details"):
        shown.update({status, details.get("hold", ""), details.get("review", "")})
    return shown


def as_json(verdict: Verdict) -> dict[str, Any]:
    """Return the verdict as plain values for `--json`. Amounts are text."""
    books = verdict.books
    return {
        "booksAgree": verdict.books_agree,
        "books": [
            {"book": book.name, "payments": book.payments, "kes": str(book.kes)}
            for book in (books.mpesa, books.ours, books.mifos, books.matched)
        ],
        "expectedExceptions": [
            {
                "partner": each.loan[0],
                "loanId": each.loan[1],
                "why": each.why,
                "kinds": sorted(each.kinds),
            }
            for each in verdict.declared
        ],
        "undeclaredDifferences": [
            {"partner": each.loan[0], "loanId": each.loan[1], "kind": each.kind}
            for each in verdict.undeclared
        ],
        "exceptionsNotSeen": [each.loan[1] for each in verdict.not_seen],
        "loansNotEnded": verdict.not_ended,
        "reasonsNotShown": verdict.not_shown,
        "reasonsUnreachable": dict(UNREACHABLE),
    }


def as_lines(verdict: Verdict) -> Iterator[str]:
    """Return the verdict in words and a table."""
    books = verdict.books
    yield f"  {'Book':<24} {'payments':>8} {'KES':>12}"
    for book in (books.mpesa, books.ours, books.mifos, books.matched):
        yield f"  {book.name:<24} {book.payments:>8} {book.kes:>12,.0f}"
    yield f"\n  Expected exceptions of this story: {len(verdict.declared)}"
    for each in verdict.declared:
        yield f"    {each.loan[0]:<8} {each.loan[1]}  {each.why}"
    yield ""
    yield from _problems(verdict)
    good = "The three books agree, apart from the exceptions named above."
    yield f"  {good if verdict.books_agree else 'THE THREE BOOKS DO NOT AGREE.'}"


def _problems(verdict: Verdict) -> Iterator[str]:
    for each in verdict.undeclared:
        yield f"  NOT EXPECTED  {each.loan[0]} {each.loan[1]}: {each.kind} (KES {each.net})"
    for missed in verdict.not_seen:
        yield f"  NOT SEEN      {missed.loan[0]} {missed.loan[1]}: {missed.why}"
    for standing in verdict.not_ended:
        yield f"  NOT ENDED     {standing}"
    for reason in verdict.not_shown:
        yield f"  NOT SHOWN     {reason}"


def _declared(cast: Cast) -> Iterator[Declared]:
    for role in cast.roles.values():
        if role.part.exception:
            yield Declared(
                loan=(role.part.lender, role.loan_id),
                why=role.part.exception,
                kinds=SHAPES[role.part.review],
            )


def _all_reasons() -> Iterator[str]:
    for choices in (LoanStatus, HoldReason, ReviewReason):
        yield from choices.values
