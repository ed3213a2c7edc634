"""AUDIT 9: one Mifos X tenant entered as two partners, in two spellings of its address."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from disbursements.tests.making import make_partner

pytestmark = pytest.mark.django_db
HOST = "https://mifos.example.co.ke"


@pytest.mark.parametrize(
    "other",
    [
        {"mifos_host_url": f"{HOST}:443"},
        {"mifos_host_url": f"{HOST}."},
        {"mifos_host_url": "https://mifos.example.co.ke./"},
        {"mifos_api_endpoint": "/fineract-provider/./api/v1"},
        {"mifos_api_endpoint": "/api/v1"},  # a proxy's second way to the same server
    ],
)
def test_a_tenant_is_one_partner_however_its_address_is_written(other):
    make_partner(mifos_host_url=HOST, mpesa_shortcode="600100")
    twin = make_partner(mifos_host_url="https://elsewhere.example.co.ke", mpesa_shortcode="600200")
    for column, value in {"mifos_host_url": HOST, **other}.items():
        setattr(twin, column, value)

    # Both would find the same loans, and each would pay them from a shortcode of its own: two ids.
    with pytest.raises(ValidationError):
        twin.full_clean()
