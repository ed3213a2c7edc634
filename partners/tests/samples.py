"""Partners for tests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from partners.models import Partner

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def make_partner(**changes: Any) -> Partner:
    """Return a saved partner with everything filled in."""
    values: dict[str, Any] = {
        "slug": "umoja",
        "name": "Umoja Sacco",
        "is_mifos_configured": True,
        "mifos_auto_disbursement_enabled": True,
        "mifos_host_url": "https://mifos.umoja.example",
        "mifos_tenant_id": "default",
        "mifos_username": "loanpoll",
        "mifos_password": "hush-mifos",
        "mifos_payment_type_id": 3,
        "is_mpesa_configured": True,
        "mpesa_shortcode": "600123",
        "mpesa_initiator_name": "testapi",
        "mpesa_consumer_key": "hush-key",
        "mpesa_consumer_secret": "hush-secret",
        "mpesa_security_credential": "hush-credential",
        "mpesa_credential_set_at": NOW,
        **changes,
    }
    return Partner.objects.create(**values)
