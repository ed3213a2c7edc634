"""Which loans and partners a user may see. Every page asks here, and only here."""

from __future__ import annotations

from django.db.models import QuerySet

from loans.models import LoanTracking
from partners import visibility
from partners.models import Partner
from partners.visibility import User as User
from partners.visibility import within_sight

# A page has no use for them, and a lost encryption key must not take the desk down.
SECRETS = (
    "mifos_password",
    "mpesa_consumer_key",
    "mpesa_consumer_secret",
    "mpesa_security_credential",
    "webhook_token",
)


def visible_loans(user: User) -> QuerySet[LoanTracking]:
    """Return the loans that `user` may see."""
    return within_sight(LoanTracking.objects.all(), user)


def visible_partners(user: User) -> QuerySet[Partner]:
    """Return the partners that `user` may see, without their secrets."""
    return visibility.visible_partners(user).defer(*SECRETS)
