"""The sentence of each loan, its tag, and how the desk writes things. No database."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from disbursements.models import AttemptStatus
from disbursements.pages.advice import DO_NOT_PAY, advice_for
from disbursements.pages.exporting import safe_cells
from disbursements.pages.why import (
    REVIEW_NEXT,
    AttemptFacts,
    LoanFacts,
    why_waiting,
)
from disbursements.pages.wording import (
    age,
    amount,
    clock,
    local_phone,
    masked_phone,
    money,
    without_phones,
)
from loans.models import HoldReason, LoanStatus, ReviewReason

# 09:41:22 in Nairobi.
NOW = datetime(2026, 11, 23, 6, 41, 22, tzinfo=UTC)
SOON = NOW + timedelta(minutes=4)


def facts(status: LoanStatus = LoanStatus.PENDING, **others: object) -> LoanFacts:
    return LoanFacts(status=status, **others)  # type: ignore[arg-type]  # a short hand


def attempt(status: AttemptStatus, **others: object) -> AttemptFacts:
    return AttemptFacts(status=status, **others)  # type: ignore[arg-type]  # a short hand


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (facts(next_pass_at=SOON), "Ready. The next pass, at 09:45, pays it."),
        (facts(), "Ready. The next pass pays it."),
        (facts(gate="Payouts are paused."), "Payouts are paused."),
        (
            facts(error_message="Mifos X did not answer.", next_attempt_at=SOON),
            "Mifos X did not answer. Tried again at 09:45.",
        ),
        (
            facts(hold_reason="not_due", expected_on=date(2026, 11, 25)),
            "Due on 25 Nov 2026. It goes on by itself on that day.",
        ),
        (
            facts(hold_reason="daily_limit", next_attempt_at=NOW + timedelta(hours=15)),
            "The partner's daily limit is used up. Looked at again on 24 Nov 00:41.",
        ),
        (
            facts(hold_reason="held_by_staff", staff_hold="Held by J. Otieno: client asked"),
            "Held by J. Otieno: client asked. An operator must release it.",
        ),
        (
            facts(hold_reason="phone_invalid"),
            "The phone number is not a Kenyan mobile number. "
            "A loan officer corrects it in Mifos X; the next pass reads it.",
        ),
        (facts(LoanStatus.PROCESSING), "A payment is being prepared."),
        (
            facts(
                LoanStatus.PROCESSING,
                attempt=attempt(AttemptStatus.ACCEPTED, accepted_at=NOW, next_query_at=SOON),
            ),
            "Accepted by M-Pesa at 09:41; no result yet. M-Pesa is asked at 09:45.",
        ),
        (
            facts(
                LoanStatus.PROCESSING,
                attempt=attempt(AttemptStatus.UNKNOWN, unknown_at=NOW, next_query_at=NOW),
            ),
            "No clear answer from M-Pesa since 09:41. The next pass asks M-Pesa.",
        ),
        (
            facts(
                LoanStatus.PROCESSING,
                attempt=attempt(AttemptStatus.SUBMITTING, send_count=1, resend_at=SOON),
            ),
            "Not accepted yet. The same payment is sent again at 09:45.",
        ),
        (
            facts(
                LoanStatus.PROCESSING,
                attempt=attempt(
                    AttemptStatus.PAID, receipt="SGH7", record_tries=3, next_record_at=SOON
                ),
            ),
            "Paid, receipt SGH7; not yet in Mifos X (tried 3 times). Recorded again at 09:45.",
        ),
        (
            facts(LoanStatus.DISBURSED, receipt="SGH7", disbursed_at=NOW),
            "Receipt SGH7, in Mifos X since 09:41.",
        ),
        (
            facts(
                LoanStatus.FAILED,
                attempt=attempt(
                    AttemptStatus.FAILED, result_code="1", result_description="Balance too low."
                ),
            ),
            "1: Balance too low. No money moved. An operator decides about a new attempt.",
        ),
        (facts(LoanStatus.CANCELLED), "It left Mifos X's waiting list. Nothing was paid."),
        (
            facts(LoanStatus.FAILED, review_reason="double_payment"),
            "Possible double payment. Finance must look before anything else is done.",
        ),
    ],
)
def test_every_state_says_when_or_who(given: LoanFacts, said: str):
    assert why_waiting(given, now=NOW) == said


# Loan Poll never pays these, so paying them by hand cannot pay them twice.
PAID_BY_A_PERSON = {
    *(HoldReason.OUTSIDE_MPESA_LIMITS, HoldReason.FOREIGN_CURRENCY, HoldReason.GROUP_LOAN),
    *(HoldReason.TRANCHE_LOAN, HoldReason.TOP_UP, HoldReason.DOWN_PAYMENT),
    HoldReason.LINKED_SAVINGS,
}


@pytest.mark.parametrize("reason", HoldReason)
def test_every_hold_says_who_acts_or_when_it_goes_on(reason: HoldReason):
    said = why_waiting(facts(hold_reason=reason), now=NOW)

    assert len(said.split(". ")) >= 2
    assert ("A person pays it another way" in said) == (reason in PAID_BY_A_PERSON)


def test_a_hold_that_was_answered_tells_nobody_to_answer_it():
    held = facts(hold_reason=HoldReason.NEEDS_APPROVAL, is_decided=False)

    assert why_waiting(held, now=NOW).endswith("the next pass decides anew.")
    assert "Ask an approver" not in advice_for(held).do


@pytest.mark.parametrize("reason", ReviewReason)
def test_every_review_has_its_next_step_and_its_advice(reason: ReviewReason):
    assert REVIEW_NEXT[reason]
    assert advice_for(facts(LoanStatus.PROCESSING, review_reason=reason)).danger


def test_nobody_is_told_to_pay_by_hand_while_the_outcome_is_unknown():
    unknown = facts(LoanStatus.PROCESSING, attempt=attempt(AttemptStatus.UNKNOWN))

    assert DO_NOT_PAY in advice_for(unknown).do


def test_a_sentence_never_shows_a_whole_phone_number():
    said = why_waiting(
        facts(error_message="Client 0712345678 is barred", next_attempt_at=SOON), now=NOW
    )

    assert "0712 ***678" in said
    assert "345" not in said


@pytest.mark.parametrize(
    ("phone", "shown"),
    [
        ("254712345678", "0712 ***678"),
        ("254110345902", "0110 ***902"),
        ("", "no phone number"),
        ("0712/0713 111", "07***11"),
        ("911", "***"),
    ],
)
def test_phones_are_masked(phone: str, shown: str):
    assert masked_phone(phone) == shown


def test_ids_with_many_digits_are_no_phone_numbers():
    text = "AG_20261123_00000000000712345678 paid to +254712345678"

    assert without_phones(text) == "AG_20261123_00000000000712345678 paid to 0712 ***678"


@pytest.mark.parametrize("phone", ["0712 345 678", "+254 712-345-678", "0712 34 56 78"])
def test_numbers_with_gaps_are_phone_numbers_too(phone: str):
    assert "***" in without_phones(f"paid to {phone} at 09:41")


def test_an_exported_phone_keeps_its_leading_zero():
    assert local_phone("254712345678") == "0712 345 678"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\0"])
def test_no_exported_cell_is_a_formula(start: str):
    assert safe_cells([f"{start}HYPERLINK(1)"]) == [f"'{start}HYPERLINK(1)"]


def test_money_has_cents_only_when_there_are_some():
    assert (amount(Decimal("12500.00")), money(Decimal("0.5"))) == ("12,500", "KSh 0.50")
    assert money(Decimal(500), "USD") == "USD 500"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(42, "42 s"), (660, "11 min"), (7440, "2 h 04 m"), (277_200, "3 d 5 h"), (-5, "0 s")],
)
def test_ages_are_short(seconds: int, said: str):
    assert age(timedelta(seconds=seconds)) == said


def test_a_time_of_another_day_names_the_day():
    assert clock(NOW, now=NOW) == "09:41"
    assert clock(NOW - timedelta(days=1), now=NOW) == "22 Nov 09:41"
    assert clock(NOW - timedelta(days=400), now=NOW) == "19 Oct 2025 09:41"
