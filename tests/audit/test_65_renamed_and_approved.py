"""AUDIT 65: whoever asked for a payout approves it himself, under another user name.

Who asked is kept as a user name. An administrator may change user names, his own among them, and
the door compares names: one person does what two must.
"""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from disbursements.retry import retry_loan
from disbursements.tests.making import make_attempt, make_loan, make_partner, make_product
from loans.approvals import ApprovalRefused
from loans.models import LoanStatus
from tests.audit.test_31_mends_of_the_first import approve, decided

pytestmark = pytest.mark.django_db


def test_nobody_gives_himself_another_user_name(client: Client) -> None:
    ann = User.objects.create_user("ann.k", password="a-good-long-password", is_staff=True)
    rights = ("view_user", "change_user", "approve_loantracking", "retry_disbursementrequest")
    ann.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client.force_login(ann)
    partner = make_partner()
    make_product(partner, auto_approve=False)
    loan = make_loan(partner, status=LoanStatus.FAILED)
    make_attempt(loan, status="failed", result_code="2040")
    retry_loan(loan.pk, actor="ann.k", reason="again", now=timezone.now())
    loan = decided(loan)
    assert loan.approvals.get(state="requested").requested_by == "ann.k"

    page = f"/admin/auth/user/{ann.pk}/change/"
    form = {"username": "ann.kamau", "email": "", "first_name": "", "last_name": ""}
    inline = "partner_memberships"
    counts = {f"{inline}-TOTAL_FORMS": "0", f"{inline}-INITIAL_FORMS": "0"}
    client.post(page, {**form, **counts})
    ann.refresh_from_db()

    with pytest.raises(ApprovalRefused):
        approve(loan, ann)
