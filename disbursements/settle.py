"""Step 4: a callback is read, and what it proves moves the attempt. None is ever lost."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from disbursements.evidence import apply_verdict, ask_soon, doubt_closed, doubt_failure, promise_of
from disbursements.floats import FLOAT_SHORT_CODE, take_balance
from disbursements.models import CLOSED_STATES, DisbursementRequest
from disbursements.moves import locked_attempt
from disbursements.verdicts import Proof, Verdict, verdict_of_payment, verdict_of_status
from mpesa.models import CallbackKind, MpesaCallback, MpesaRequest
from mpesa.result_codes import Meaning, meaning_of
from mpesa.results import (
    PaymentResult,
    UnreadableCallback,
    read_balance_result,
    read_payment_result,
    read_status_result,
)
from mpesa.shortcodes import mark_float_short, note_balance, open_breaker
from partners.models import Partner
from prepared.statements import Prepared, Rows, Slot, Tuples, Update

_mark_read = Update(
    lambda: MpesaCallback.objects.filter(pk=Slot("pk"), applied_at=None), applied_at=Slot("now")
)
_mark_answered = Update(
    lambda: MpesaRequest.objects.filter(pk=Slot("pk"), answered_at=None), answered_at=Slot("now")
)
_callbacks = Prepared(MpesaCallback)
_callback = Rows(lambda: MpesaCallback.objects.select_related("request").filter(pk=Slot("pk")))
_attempt = Rows(
    lambda: DisbursementRequest.objects.filter(originator_conversation_id=Slot("conversation"))
)
_earlier_bodies = Tuples(
    lambda: MpesaCallback.objects.filter(
        request=Slot("request"),
        kind=Slot("kind"),
        applied_at__isnull=False,
        pk__lt=Slot("pk"),
        is_quarantined=False,
    ).values_list("body")
)
logger = logging.getLogger(__name__)
LEFT_OVER_AFTER = timedelta(minutes=1)
PAYMENT_KINDS = frozenset({CallbackKind.PAYMENT_RESULT, CallbackKind.PAYMENT_TIMEOUT})
STATUS_KINDS = frozenset({CallbackKind.STATUS_RESULT, CallbackKind.STATUS_TIMEOUT})


def apply_callback(callback_id: int) -> str:
    """Read one kept callback and do what it proves; return the outcome in words. Harmless twice.

    The letter is marked as read in the transaction that acts on it, so it acts once or not at all.
    """
    now = timezone.now()
    with transaction.atomic():
        if _mark_read(pk=callback_id, now=now) != 1:
            return "was read before"
        callback = _callback.get(pk=callback_id)
        try:
            outcome = _apply(callback, now=now)
        except UnreadableCallback as exc:
            outcome = _unreadable(callback, exc, now=now)
        # Dated once more: the loan's lock may have been waited for, while somebody proposed an
        # outcome without knowing of this letter (disbursements/resolve.py).
        _callbacks.filter(pk=callback_id).update(outcome=outcome[:300], applied_at=timezone.now())
    return outcome


def apply_unread_callbacks(partner: Partner) -> int:
    """Read the letters that were kept and never applied (the process died in between)."""
    return sum(1 for _ in _applied(unread_callbacks(partner)))


def apply_left_over_callbacks(served: QuerySet[Partner], *, now: datetime) -> int:
    """Read the letters that no partner's pass reads."""
    return sum(1 for _ in _applied(left_over_callbacks(served, now=now)))


def left_over_callbacks(served: QuerySet[Partner], *, now: datetime) -> list[int]:
    """Return the letters that nobody has read for a while, oldest first: their shortcode may be no
    partner's any more, or its partner be served no more. Those of `served` partners wait for their
    own pass, and keep nobody else's waiting."""
    readers = served.order_by().filter(
        mpesa_environment=OuterRef("request__environment"),
        mpesa_shortcode=OuterRef("request__shortcode"),
    )
    unread = MpesaCallback.objects.filter(
        ~Exists(readers),
        applied_at=None,
        request__isnull=False,
        received_at__lt=now - LEFT_OVER_AFTER,
    )
    return list(unread.order_by("id").values_list("pk", flat=True))


def unread_callbacks(partner: Partner) -> list[int]:
    """Return the letters about the partner's shortcode that nobody has read, oldest first."""
    unread = MpesaCallback.objects.filter(
        applied_at=None,
        request__environment=partner.mpesa_environment,
        request__shortcode=partner.mpesa_shortcode,
    )
    return list(unread.order_by("id").values_list("pk", flat=True))


def _applied(unread: list[int]) -> Iterator[str]:
    for pk in unread:
        try:
            yield apply_callback(pk)
        except Exception:
            logger.exception("callback %s could not be applied; it is read again next pass", pk)


def _apply(callback: MpesaCallback, *, now: datetime) -> str:
    request = callback.request
    if request is None:
        return "belongs to no request of ours"
    # A letter from a strange address is no answer: the true one is still to come.
    is_first = not callback.is_quarantined and _note_answered(request, now=now)
    kind = CallbackKind(callback.kind)
    if kind in PAYMENT_KINDS | STATUS_KINDS:
        return _apply_to_attempt(callback, request, is_first=is_first, now=now)
    if kind == CallbackKind.BALANCE_RESULT and not callback.is_quarantined:
        if _came_before(callback):
            return "the same answer again; the float may have changed since"
        return take_balance(request, read_balance_result(callback.body), now=now)
    return "no balance this time"


def _apply_to_attempt(
    callback: MpesaCallback, request: MpesaRequest, *, is_first: bool, now: datetime
) -> str:
    attempt = _attempt_of(request)
    if attempt is None:
        return "no attempt has this id"
    if callback.is_quarantined:
        return _apply_quarantined(callback, attempt, now=now)
    match CallbackKind(callback.kind):
        case CallbackKind.PAYMENT_TIMEOUT:
            # M-Pesa's queue gave up waiting. Money may still move (contracts/mpesa.md 0.6).
            verdict = Verdict(proof=Proof.OPEN, reason="M-Pesa's queue timed out; it may still pay")
        case CallbackKind.STATUS_TIMEOUT:
            return "the question timed out; the schedule asks again"
        case CallbackKind.PAYMENT_RESULT:
            return _apply_result(callback, attempt, now=now)
        case _:
            return _apply_answer(callback, request, attempt, is_first=is_first, now=now)
    return apply_verdict(attempt.pk, verdict, now=now)


def _apply_quarantined(
    callback: MpesaCallback, attempt: DisbursementRequest, *, now: datetime
) -> str:
    """The list of Safaricom's addresses may be stale, so the letter is not thrown away: we ask,
    and over a closed attempt that it contradicts a person is called."""
    said = "A callback came from an address not on the list"
    verdict = _verdict_in(callback, attempt)
    # The lock lasts as long as the letter's transaction: nobody closes the attempt meanwhile.
    with locked_attempt(attempt.pk) as (current, _):
        if current.status in CLOSED_STATES:
            return f"quarantined: {doubt_closed(attempt.pk, verdict, now=now)}"
        doubt_failure(attempt.pk, verdict, now=now)
        return f"quarantined: {said}; {_ask_after(callback, attempt, said, now=now)}"


def _verdict_in(callback: MpesaCallback, attempt: DisbursementRequest) -> Verdict:
    promise = promise_of(attempt)
    match CallbackKind(callback.kind):
        case CallbackKind.PAYMENT_RESULT:
            result = read_payment_result(callback.body)
            return verdict_of_payment(result, promise, meaning_of(result.code))
        case CallbackKind.STATUS_RESULT:
            return verdict_of_status(read_status_result(callback.body), promise)
    return Verdict(proof=Proof.OPEN, reason="A queue timed out")


def _ask_after(
    callback: MpesaCallback, attempt: DisbursementRequest, reason: str, *, now: datetime
) -> str:
    """Ask now about a payment of which no good letter came. Never for an answer: bad answers
    that each asked again at once would not end."""
    if CallbackKind(callback.kind) not in PAYMENT_KINDS:
        return "the schedule asks again"
    ask_soon(attempt.pk, reason=reason, now=now)
    return "asking M-Pesa"


def _apply_answer(
    callback: MpesaCallback,
    request: MpesaRequest,
    attempt: DisbursementRequest,
    *,
    is_first: bool,
    now: datetime,
) -> str:
    result = read_status_result(callback.body)
    verdict = verdict_of_status(result, promise_of(attempt))
    if verdict.proof == Proof.NOT_FOUND and not is_first:
        return "the same answer again; one question counts once"
    outcome = apply_verdict(attempt.pk, verdict, asked_at=request.sent_at, now=now)
    if (
        meaning_of(result.code).stops_shortcode
        and not _came_before(callback)
        and not _is_of_an_old_credential(attempt, request.sent_at, now=now)
    ):
        # The question's credential is the payment's: each further try feeds its lock (rule 12).
        # After the loan, as every other writer does: the other order would deadlock.
        _stop(attempt.mpesa_environment, attempt.mpesa_shortcode, result.code, now=now)
    return outcome


def _apply_result(callback: MpesaCallback, attempt: DisbursementRequest, *, now: datetime) -> str:
    """Apply a B2C result: to its loan first, then to the shortcode, as every other writer does."""
    result = read_payment_result(callback.body)
    meaning = meaning_of(result.code)
    verdict = verdict_of_payment(result, promise_of(attempt), meaning)
    outcome = apply_verdict(attempt.pk, verdict, now=now)
    if verdict.proof != Proof.MISMATCH and not _came_before(callback):
        _note_on_shortcode(attempt, result, verdict, meaning, now=now)
    return outcome


def _came_before(callback: MpesaCallback) -> bool:
    """Was this very letter delivered before? Its shortcode may have been let go since (C03)."""
    earlier = _earlier_bodies.all(request=callback.request_id, kind=callback.kind, pk=callback.pk)
    return any(body == callback.body for (body,) in earlier)


def _note_on_shortcode(
    attempt: DisbursementRequest,
    result: PaymentResult,
    verdict: Verdict,
    meaning: Meaning,
    *,
    now: datetime,
) -> None:
    place = (attempt.mpesa_environment, attempt.mpesa_shortcode)
    if verdict.proof == Proof.PAID and result.utility_balance is not None:
        note_balance(*place, utility=result.utility_balance, now=now)
    if result.code == FLOAT_SHORT_CODE:
        mark_float_short(*place, now=now)
    if not meaning.stops_shortcode:
        return
    if not _is_of_an_old_credential(attempt, attempt.last_sent_at, now=now):
        _stop(*place, result.code, now=now)


def _is_of_an_old_credential(
    attempt: DisbursementRequest, sent_at: datetime | None, *, now: datetime
) -> bool:
    """Was it sent before the credential was corrected? The shortcode may have been let go since.
    One that is dated later than now is of a clock that was set back, and tells nothing."""
    set_at = attempt.partner.mpesa_credential_set_at
    return set_at is not None and sent_at is not None and sent_at < set_at <= now


def _stop(environment: str, shortcode: str, code: str, *, now: datetime) -> None:
    cause = f"{code}: {meaning_of(code).meaning}"
    open_breaker(environment, shortcode, cause=cause, now=now)


def _unreadable(callback: MpesaCallback, exc: UnreadableCallback, *, now: datetime) -> str:
    attempt = _attempt_of(callback.request) if callback.request else None
    if attempt is not None:
        _ask_after(callback, attempt, "M-Pesa sent a callback that cannot be read", now=now)
    return f"unreadable: {exc}"


def _attempt_of(request: MpesaRequest) -> DisbursementRequest | None:
    """The return address is bound to one payment: the letter's own words cannot change which."""
    return _attempt.first(conversation=request.originator_conversation_id)


def _note_answered(request: MpesaRequest, *, now: datetime) -> bool:
    """Mark the request as answered; False when it was answered before (a doubled letter)."""
    return _mark_answered(pk=request.pk, now=now) == 1
