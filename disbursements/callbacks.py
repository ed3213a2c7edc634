"""The door for Safaricom: check the token, keep the letter, hand it on, answer."""

from __future__ import annotations

import logging

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone

from disbursements import handover
from disbursements.doors import is_from_safaricom, machine_door, refuse_unknown, source_address
from disbursements.settle import apply_callback
from mpesa.addresses import KINDS, find_request
from mpesa.models import MpesaCallback
from prepared.statements import insert

logger = logging.getLogger(__name__)

ACCEPTED = {"ResultCode": 0, "ResultDesc": "Accepted"}


@machine_door
def receive_callback(request: HttpRequest, body: bytes, *, slug: str, token: str) -> HttpResponse:
    kind = KINDS.get(slug)
    asked = find_request(kind, token) if kind else None
    if kind is None or asked is None:
        return refuse_unknown(request, door="callbacks")
    source = source_address(request)
    callback = MpesaCallback(
        kind=kind,
        request=asked,
        body=body.decode(errors="replace"),
        source_address=source,
        is_quarantined=not is_from_safaricom(source),
        received_at=timezone.now(),
    )
    with transaction.atomic():
        insert([callback])
        if handover.settle(callback.pk):
            return JsonResponse(ACCEPTED)
    try:
        apply_callback(callback.pk)
    except Exception:
        # Safaricom sends it once. The letter is kept, and the next pass reads it again.
        logger.exception("callback %s was kept but not applied", callback.pk)
    return JsonResponse(ACCEPTED)
