"""What keeps all loans of a partner waiting, whatever their own merits."""

from __future__ import annotations

from loans.eligibility import Refusal
from loans.models import HoldReason
from mpesa.models import Shortcode
from mpesa.shortcodes import shortcode_of
from partners.models import Partner, PayoutSwitch
from prepared.statements import Rows

_paused = Rows(lambda: PayoutSwitch.objects.filter(is_paused=True))

GATE_HOLDS = frozenset(
    {
        HoldReason.ALL_PAUSED,
        HoldReason.PARTNER_PAUSED,
        HoldReason.BREAKER_OPEN,
        HoldReason.FLOAT_SHORT,
    }
)


def gate_for(partner: Partner) -> Refusal | None:
    """Return why no loan of this partner may be paid now, or None. Reads the database afresh."""
    return gate_of(Partner.objects.get(pk=partner.pk))


def gate_of(partner: Partner) -> Refusal | None:
    """The same, for a partner whose row was read a moment ago."""
    return _switch_refusal(partner) or _shortcode_refusal(
        shortcode_of(partner.mpesa_environment, partner.mpesa_shortcode)
    )


def _switch_refusal(partner: Partner) -> Refusal | None:
    switch = _paused.first()
    if switch is not None:
        return Refusal(
            hold=HoldReason.ALL_PAUSED,
            message=f"All payouts are paused by {switch.paused_by}: {switch.pause_reason}",
        )
    if not partner.is_active:
        return Refusal(hold=HoldReason.PARTNER_INACTIVE)
    if not partner.mifos_auto_disbursement_enabled:
        return Refusal(hold=HoldReason.AUTO_OFF)
    if partner.is_paused:
        return Refusal(
            hold=HoldReason.PARTNER_PAUSED,
            message=f"Payouts are paused by {partner.paused_by}: {partner.pause_reason}",
        )
    return None


def _shortcode_refusal(shortcode: Shortcode) -> Refusal | None:
    if shortcode.breaker_opened_at is not None:
        return Refusal(
            hold=HoldReason.BREAKER_OPEN,
            message=f"Shortcode {shortcode.shortcode} is stopped: {shortcode.breaker_cause}",
        )
    if shortcode.float_short_since is not None:
        return Refusal(
            hold=HoldReason.FLOAT_SHORT,
            message=f"The float of {shortcode.shortcode} is short; top up its utility account",
        )
    return None
