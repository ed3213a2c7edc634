"""All that decides what may be done with a loan: its row, attempts, open request and proposal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.utils.crypto import salted_hmac

from disbursements.models import AttemptStatus, DisbursementRequest, ReviewResolution
from disbursements.pages.rows import attempts_of
from disbursements.pages.why import attempt_that_counts
from disbursements.questioned import attempt_to_settle
from loans.models import ApprovalState, LoanApproval, LoanTracking


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One loan as it stands. `username` is who looks at it: some doors are shut to the asker."""

    loan: LoanTracking
    attempts: list[DisbursementRequest]
    username: str
    request: LoanApproval | None = None
    proposal: ReviewResolution | None = None

    @property
    def attempt(self) -> DisbursementRequest | None:
        """The live attempt, or else the last one."""
        return attempt_that_counts(self.attempts)

    @property
    def questioned(self) -> DisbursementRequest | None:
        """The attempt that two people should settle."""
        return attempt_to_settle(self.attempts)

    @property
    def live(self) -> DisbursementRequest | None:
        """The attempt that is not proven dead."""
        one = self.attempt
        return one if one and one.status != AttemptStatus.FAILED else None

    @property
    def seen(self) -> str:
        """A digest of all a person decides by. What is confirmed must be what was shown."""
        loan = self.loan
        facts = [
            (loan.status, loan.hold_reason, loan.review_reason, loan.currency, loan.phone_number),
            (str(loan.net_disbursal_amount), str(loan.loan_amount), loan.staff_hold),
            (loan.client_id, loan.product_id, str(loan.approved_on)),
            [(one.attempt_no, one.status, one.result_code) for one in self.attempts],
            self.request and self.request.pk,
            self.proposal and self.proposal.pk,
            self.questioned and self.questioned.pk,
        ]
        return salted_hmac("loanpoll.seen", repr(facts)).hexdigest()[:16]


def read_cases(loans: list[LoanTracking], username: str) -> list[Case]:
    """Return the cases of these loans, in their order, in three statements."""
    attempts = attempts_of(loans)
    ids = list(attempts)
    requests = {
        one.loan_tracking_id: one
        for one in LoanApproval.objects.filter(
            loan_tracking_id__in=ids, state=ApprovalState.REQUESTED
        )
    }
    proposals = {one.disbursement_request.loan_tracking_id: one for one in _open_proposals(ids)}
    return [
        Case(
            loan=loan,
            attempts=attempts[loan.pk],
            username=username,
            request=requests.get(loan.pk),
            proposal=proposals.get(loan.pk),
        )
        for loan in loans
    ]


def _open_proposals(loan_ids: list[int]) -> list[ReviewResolution]:
    of = ReviewResolution.objects.filter(
        disbursement_request__loan_tracking_id__in=loan_ids, confirmed_at=None, withdrawn_at=None
    )
    return list(of.select_related("disbursement_request", "proposed_by"))


WhyNot = Callable[[Case], str]
