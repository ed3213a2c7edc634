"""The door for Mifos X: a hook says "look at loan N now", and nothing else it says is believed.

No signature, no retry, and a hook is sent for refused commands too (contracts/mifos.md 8).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, JsonResponse

from disbursements import handover
from disbursements.doors import machine_door, refuse_unknown
from disbursements.passes import run_hook
from partners.models import Partner

logger = logging.getLogger(__name__)

RECEIVED = {"received": True}
HOOKS_PER_MINUTE = 60
MAX_LOAN_ID = 2**63 - 1


@machine_door
def receive_approval(request: HttpRequest, body: bytes, *, token: str) -> HttpResponse:
    partner = Partner.objects.filter(webhook_token=token).first()
    if partner is None:
        return refuse_unknown(request, door="hooks")
    loan_id = approved_loan_id(body)
    if loan_id is None or not _may_wake(request, partner):
        return JsonResponse(RECEIVED)
    try:
        if not handover.look(partner.pk, loan_id):
            run_hook(partner_id=partner.pk, loan_id=loan_id)
    except Exception:
        # Mifos X sends it once and ignores the answer; the poll finds the loan too.
        logger.exception("the hook of %s for loan %s did not finish", partner.slug, loan_id)
    return JsonResponse(RECEIVED)


def approved_loan_id(body: bytes) -> int | None:
    """Return which loan a hook speaks of, or None when it speaks of none."""
    try:
        hook = json.loads(body)
    except (ValueError, RecursionError):
        return None
    match hook:
        case {"status": "Exception"}:
            return None
        case {"entityName": str(entity)} if entity.upper() != "LOAN":
            return None
        case dict():
            return next(_loan_ids(hook), None)
        case _:
            return None


def _loan_ids(hook: dict[str, object]) -> Iterator[int]:
    response = hook.get("response")
    inner = response if isinstance(response, dict) else {}
    values = [inner.get("loanId"), inner.get("resourceId")]
    values += [hook.get(key) for key in ("loanId", "resourceId", "entityId")]
    for value in values:
        # `True` is an int to Python, and no loan.
        if isinstance(value, int) and value is not True and 0 < value <= MAX_LOAN_ID:
            yield value


def _may_wake(request: HttpRequest, partner: Partner) -> bool:
    tenant = request.headers.get("Fineract-Platform-TenantId", partner.mifos_tenant_id)
    if tenant != partner.mifos_tenant_id:
        logger.warning("a hook of %s names another tenant; ignored", partner.slug)
        return False
    return partner.is_active and _is_within_pace(partner)


def _is_within_pace(partner: Partner) -> bool:
    key = f"hooks:{partner.pk}"
    cache.add(key, 0, timeout=60)
    try:
        return cache.incr(key) <= HOOKS_PER_MINUTE
    except ValueError:  # it expired between the two calls
        return True
