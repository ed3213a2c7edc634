"""The admin's environment band."""

from __future__ import annotations

from django import template

from mpesa.models import MpesaEnvironment
from partners.models import Partner

register = template.Library()


@register.simple_tag
def environment() -> str:
    """Return LIVE, SANDBOX or both: whether the active partners pay real money."""
    active = Partner.objects.filter(is_active=True).order_by()
    kinds = set(active.values_list("mpesa_environment", flat=True).distinct())
    words = {MpesaEnvironment.PRODUCTION: "LIVE", MpesaEnvironment.SANDBOX: "SANDBOX"}
    return " and ".join(word for kind, word in words.items() if kind in kinds)
