"""AUDIT 153: the API gives a whole phone number away when a person wrote it with gaps.

Staff write "0712 345 678" into a reason, and Mifos X's and M-Pesa's words may, too. The pages mask
it (`without_phones`); the API masks numbers in one piece only, for every key and every viewer.
"""

from __future__ import annotations

import pytest
from django.test import Client

from disbursements.models import ApiKey
from disbursements.tests.making import make_event, make_loan

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "written", ["0712 345 678", "+254 712 345 678", "0712-345-678", "254712345678", "0712345678"]
)
def test_it_is_masked_in_every_sentence(client: Client, written: str) -> None:
    loan = make_loan(error_message=f"Held by otieno: {written} is her brother's")
    make_event(loan, reason=f"Held by otieno: {written} is her brother's")
    _, key = ApiKey.objects.create_key(name="reader")

    body = client.get(f"/api/loans/{loan.pk}", headers={"Authorization": f"Bearer {key}"}).json()

    for said in (body["errorMessage"], body["events"][0]["reason"]):
        assert "345" not in said
        assert "678 is her brother's" in said
