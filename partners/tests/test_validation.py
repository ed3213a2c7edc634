"""What must not change while money is on its way, and which addresses are of the open internet."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from partners.tests.samples import make_partner
from partners.validation import IDENTITY_COLUMNS, is_private_host, normal_host


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "a.localhost", "mifos", "10.0.0.1", "127.1", "0", "0177.0.0.1", "::1",
        "fe80::1%eth0", "fd00::1", "100.64.0.1", "169.254.169.254", "metadata.google.internal",
        "printer.local", "127.0.0.1.",
    ],
)  # fmt: skip
def test_a_private_name_is_seen(host):
    assert is_private_host(host)


@pytest.mark.parametrize(
    "host", ["mifos.example.co.ke", "8.8.8.8", "2606:4700::1111", "10.example"]
)
def test_a_public_name_passes(host):
    assert not is_private_host(host)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (" HTTPS://Mifos.Example/ ", "https://mifos.example"),
        ("https://mifos.example:8443", "https://mifos.example:8443"),
        ("https://mifos.example/Path", "https://mifos.example/Path"),
        ("mifos", "mifos"),
        ("", ""),
    ],
)
def test_one_server_has_one_spelling(typed, kept):
    assert normal_host(typed) == kept


CHANGES = {
    "mifos_host_url": "https://other.example",
    "mifos_api_endpoint": "/other/api/v1",
    "mifos_tenant_id": "other",
    "mpesa_environment": "production",
    "mpesa_shortcode": "712345",
}


@pytest.fixture
def partner_with_attempt(db):
    """A partner with one payment under way, made without the room above by its relation alone."""
    partner = make_partner(mpesa_initiator_name="live")
    attempts = partner.attempts.model
    loans: Any = attempts._meta.get_field("loan_tracking").related_model
    loan = loans.objects.create(
        partner=partner, loan_id=1, product_id=1, loan_amount=100, currency="KES"
    )
    attempts.objects.create(
        partner=partner,
        loan_tracking=loan,
        attempt_no=1,
        triggered_by="schedule",
        amount=Decimal(100),
        principal=Decimal(100),
        msisdn="254712345678",
        originator_conversation_id="a",
        mifos_external_id="a",
        status="unknown",
    )
    return partner


@pytest.mark.parametrize("column", IDENTITY_COLUMNS)
def test_where_the_money_goes_is_fixed_while_an_attempt_is_open(partner_with_attempt, column):
    partner = partner_with_attempt
    setattr(partner, column, CHANGES[column])

    with pytest.raises(ValidationError) as refused:
        partner.full_clean()

    assert "while payments of this partner are open" in str(refused.value.message_dict[column])


def test_it_may_change_once_the_attempt_is_closed(partner_with_attempt):
    partner = partner_with_attempt
    partner.attempts.update(status="failed")
    partner.mpesa_shortcode = "712345"

    partner.full_clean()


def test_other_settings_may_change_while_an_attempt_is_open(partner_with_attempt):
    partner = partner_with_attempt
    partner.mifos_password = "rotated"
    partner.mpesa_credential_set_at += timedelta(days=1)

    partner.full_clean()
