"""AUDIT 39: whether M-Pesa may be asked is looked up once, for all that is silent.

That the credential is refused comes as an answer, while the round goes on: each further question
feeds the lock of the operator (contracts/mpesa.md 4), and after an outage there are hundreds.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from disbursements.ask import ask_the_silent
from disbursements.tests.making import make_attempt, make_loan, make_partner
from disbursements.tests.peers import FakeMpesa
from loans.models import LoanStatus
from mpesa.shortcodes import open_breaker


@pytest.mark.django_db(transaction=True)  # the threads have connections of their own
def test_no_question_follows_the_answer_that_stops_the_shortcode():
    partner = make_partner(mifos_concurrency=1)
    due = timezone.now() - timedelta(hours=1)
    for _ in range(5):
        make_attempt(make_loan(partner, status=LoanStatus.PROCESSING), next_query_at=due)

    class Refusing(FakeMpesa):
        def ask_status(self, question: Any) -> Any:
            asked = super().ask_status(question)
            # Its result comes at once: 2001, as disbursements.settle reads it.
            open_breaker("sandbox", "600000", cause="2001", now=timezone.now())
            return asked

    mpesa: Any = Refusing()
    ask_the_silent(partner, mpesa)

    assert len(mpesa.questions) == 1
