"""The poll: the waiting list is kept, each loan once, and no trouble of one loses another."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from disbursements.tests.making import make_loan, make_partner, make_product
from disbursements.tests.peers import FakeMifos, client_of, detail_of
from loans.fetch import fetch_one, fetch_partner
from loans.models import LoanApproval, LoanEvent, LoanStatus, LoanTracking
from mifos.client import LoanDetail, MifosUnreachable
from partners.models import Partner

# The poll reads clients and missing loans in threads, each with its own connection.
pytestmark = pytest.mark.django_db(transaction=True)

NOW = timezone.now()


class Listing(FakeMifos):
    """A Mifos X whose waiting list comes in pages."""

    def __init__(self, *pages: list[LoanDetail], error: Exception | None = None) -> None:
        super().__init__()
        self.pages, self.error = pages, error

    def approved_loans(self) -> Iterator[list[LoanDetail]]:
        yield from self.pages
        if self.error:
            raise self.error


@pytest.fixture
def partner() -> Partner:
    partner = make_partner()
    make_product(partner)
    return partner


def sample(partner: Partner, loan_id: int, **columns: Any) -> LoanTracking:
    """Return a loan that is in Mifos X and not yet in our table."""
    return LoanTracking(
        partner=partner,
        loan_id=loan_id,
        client_id=columns.pop("client_id", loan_id),
        client_name="Jane Wanjiku",
        phone_number=columns.pop("phone_number", f"0712{loan_id:06d}"),
        product_id=1,
        loan_amount=Decimal(9000),
        net_disbursal_amount=Decimal(8500),
        currency="KES",
        **columns,
    )


def poll(partner: Partner, *loans: LoanTracking, mifos: Any = None) -> Any:
    peer: Any = mifos or Listing([detail_of(loan) for loan in loans])
    for loan in loans:
        peer.clients.setdefault(loan.client_id, client_of(loan))
    return fetch_partner(Partner.objects.prefetch_related("products").get(), peer, now=NOW)


def test_a_new_loan_is_kept_with_its_client_its_decision_and_its_event(partner):
    report = poll(partner, sample(partner, 1))

    loan = LoanTracking.objects.get()
    assert (report.approved, report.new_loans, report.error) == (1, 1, "")
    assert (loan.phone_number, loan.client_name) == ("254712000001", "Jane Wanjiku")
    assert (loan.status, loan.hold_reason) == (LoanStatus.PENDING, "")
    assert LoanEvent.objects.get().reason == "Found approved in Mifos X"
    partner.refresh_from_db()
    assert partner.last_poll_succeeded_at is not None


def test_the_same_list_again_changes_nothing(partner):
    poll(partner, sample(partner, 1))
    before = LoanTracking.objects.values().get()

    report = poll(partner, sample(partner, 1))

    assert report.new_loans == 0
    assert LoanTracking.objects.values().get() == before


def test_a_client_that_cannot_be_read_loses_no_loan(partner):
    one, other = sample(partner, 1), sample(partner, 2)
    mifos = Listing([detail_of(one), detail_of(other)])
    mifos.clients[1] = MifosUnreachable("away")

    poll(partner, one, other, mifos=mifos)

    holds = LoanTracking.objects.order_by("loan_id").values_list("hold_reason", flat=True)
    assert list(holds) == ["phone_missing", ""]


def test_one_number_of_two_clients_holds_both_and_of_one_client_none(partner):
    poll(
        partner,
        sample(partner, 1, phone_number="0712345678"),
        sample(partner, 2, phone_number="+254712345678"),
        sample(partner, 3, client_id=30),
        sample(partner, 4, client_id=30, phone_number="0712000003"),
    )

    holds = LoanTracking.objects.order_by("loan_id").values_list("hold_reason", flat=True)
    assert list(holds) == ["phone_shared", "phone_shared", "", ""]
    assert LoanApproval.objects.filter(requested_by="system").count() == 2


def test_a_group_loan_is_kept_and_held(partner):
    group = sample(partner, 1, client_id=None)
    mifos = Listing([detail_of(group, loan_type_id=2)])

    poll(partner, mifos=mifos)

    assert LoanTracking.objects.get().hold_reason == "group_loan"


def test_a_list_that_breaks_off_keeps_its_first_pages_and_cancels_nothing(partner):
    known = make_loan(partner, decided_at=NOW)
    first = sample(partner, 1)
    mifos = Listing([detail_of(first)], error=MifosUnreachable("away"))

    report = poll(partner, first, mifos=mifos)

    assert report.error == "away"
    assert LoanTracking.objects.filter(loan_id=1).exists()
    known.refresh_from_db()
    assert known.status == LoanStatus.PENDING
    partner.refresh_from_db()
    assert (partner.last_error, partner.last_error_at) == ("away", NOW)


def test_what_changed_in_mifos_is_followed_and_what_is_missing_is_looked_at(partner):
    changed, left, silent = make_loan(partner), make_loan(partner), make_loan(partner)
    mifos = Listing([detail_of(changed, net_disbursal_amount=Decimal(7))])
    mifos.know(left, status_id=400)
    mifos.loans[silent.loan_id] = MifosUnreachable("away")

    report = poll(partner, mifos=mifos)

    for loan in (changed, left, silent):
        loan.refresh_from_db()
    assert changed.net_disbursal_amount == 7
    assert (left.status, silent.status) == (LoanStatus.CANCELLED, LoanStatus.PENDING)
    assert report.cancelled == 1


def test_a_finished_loan_that_waits_again_is_reopened_or_reviewed(partner):
    cancelled = make_loan(partner, status=LoanStatus.CANCELLED)
    paid = make_loan(partner, status=LoanStatus.DISBURSED)
    failed = make_loan(partner, status=LoanStatus.FAILED)
    mifos = Listing([detail_of(loan) for loan in (cancelled, paid, failed)])
    mifos.know(paid)

    poll(partner, mifos=mifos)

    for loan in (cancelled, paid, failed):
        loan.refresh_from_db()
    assert cancelled.status == LoanStatus.PENDING
    assert paid.review_reason == "undone_after_payment"
    assert failed.status == LoanStatus.FAILED


def test_the_newest_cycle_of_a_loan_is_the_one_that_is_followed(partner):
    old = make_loan(partner, status=LoanStatus.DISBURSED)
    new = make_loan(partner, loan_id=old.loan_id, cycle=2, status=LoanStatus.CANCELLED)

    poll(partner, mifos=Listing([detail_of(old)]))

    old.refresh_from_db()
    new.refresh_from_db()
    assert (old.review_reason, new.status) == ("", LoanStatus.PENDING)


def test_a_hook_keeps_a_loan_that_waits_and_no_other(partner):
    waiting, other = sample(partner, 1), sample(partner, 2)
    mifos: Any = FakeMifos()
    mifos.know(waiting)
    mifos.know(other, status_id=100)

    for loan_id in (1, 2):
        fetch_one(partner, mifos, loan_id, now=NOW)

    assert [loan.loan_id for loan in LoanTracking.objects.all()] == [1]


def test_a_mifos_that_hangs_on_clients_is_not_waited_for_once_a_client(partner):
    Partner.objects.update(mifos_concurrency=1)
    loans = [sample(partner, number) for number in range(1, 9)]
    mifos = Listing([detail_of(loan) for loan in loans])
    asked: list[int] = []

    def hang(client_id: int) -> Any:
        asked.append(client_id)
        raise MifosUnreachable("away")

    mifos.client = hang  # type: ignore[method-assign]  # a stand-in

    poll(partner, mifos=mifos)

    assert len(asked) == 3
    assert LoanTracking.objects.filter(hold_reason="phone_missing").count() == 8
