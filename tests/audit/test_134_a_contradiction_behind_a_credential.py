"""AUDIT 134: a contradiction comes while a shortcode is stopped, and its reset lets it go on.

The breaker keeps its first cause; a refused credential alone is told beside it (audit 19). The
other way round the graver cause is lost: a credential is refused, then M-Pesa contradicts itself on
a payment. Whoever corrects the credential lets the shortcode pay again from a page that names the
credential only, and the same contradiction stops it no second time (audit 56).
"""

from __future__ import annotations

import pytest
from django.utils import timezone

from disbursements.evidence import apply_verdict
from disbursements.models import AttemptStatus
from disbursements.tests.making import make_attempt, make_loan
from loans.models import LoanStatus
from mpesa.shortcodes import open_breaker, reset_breaker, shortcode_of
from tests.audit.test_31_mends_of_the_first import LATE

pytestmark = pytest.mark.django_db
PLACE = ("sandbox", "600000")


def test_whoever_resets_it_is_told_of_the_contradiction() -> None:
    open_breaker(*PLACE, cause="2001: the credential is invalid", now=timezone.now())
    shown = shortcode_of(*PLACE)
    loan = make_loan(status=LoanStatus.FAILED)
    attempt = make_attempt(loan, status=AttemptStatus.FAILED, failed_at=timezone.now())

    apply_verdict(attempt.pk, LATE, now=timezone.now())  # proven failed, and now paid

    cause = shortcode_of(*PLACE).breaker_cause
    assert "2001" in cause
    assert attempt.originator_conversation_id in cause
    assert not reset_breaker(*PLACE, seen=shown)  # the page had not shown it
