"""AUDIT 28: a product disbursed on its expected date only is paid a day late (5.2 row 9)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.journeys.conftest import Stage, open_stage, stage

__all__ = ["open_stage", "stage"]
pytestmark = pytest.mark.django_db(transaction=True)


def test_a_loan_that_mifos_x_takes_only_on_its_expected_date_is_seen_before_paying(
    stage: Stage,
) -> None:
    yesterday = timezone.localdate() - timedelta(days=1)
    stage.sandbox.change_tenant(stage.tenant, sync_expected_date=True)
    stage.sandbox.change_loan(
        stage.tenant, stage.first, expected_disbursement=yesterday.isoformat()
    )

    stage.sync(4)

    loan = stage.loan()
    # Today: paid, and Mifos X refuses the record for ever. Nobody can make it yesterday again.
    assert (loan.status, loan.review_reason) == ("pending_disbursement", ""), stage.told()
