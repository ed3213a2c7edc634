"""In the admin, too, a whole phone number is shown only to those who may see it."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse

from disbursements.tests.making import make_attempt, make_loan

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _plain_http(settings):
    settings.SECURE_SSL_REDIRECT = False


@pytest.mark.parametrize(("role", "sees"), [("Viewer", False), ("Approver", True)])
@pytest.mark.parametrize("table", ["loans_loantracking", "disbursements_disbursementrequest"])
def test_the_rows_of_a_loan_mask_its_phone(client: Client, role: str, sees: bool, table: str):
    user = User.objects.create_user("vera.w", is_staff=True)
    user.groups.set(Group.objects.filter(name=role))
    client.force_login(user)
    loan = make_loan(phone_number="254712345678")
    row = loan if table == "loans_loantracking" else make_attempt(loan, msisdn="254712345678")

    html = client.get(reverse(f"admin:{table}_change", args=[row.pk])).content.decode()

    assert ("254712345678" in html) is sees
    assert "678" in html
