"""Says that a partner's rules changed, so that waiting loans are decided again."""

from __future__ import annotations

from datetime import datetime

from partners.models import Partner


def touch_rules(partner: Partner, now: datetime) -> None:
    """Remember that the rules of `partner` changed at `now`."""
    Partner.objects.filter(pk=partner.pk).update(rules_changed_at=now, updated_at=now)
    partner.rules_changed_at = now
