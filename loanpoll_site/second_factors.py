"""A person's second factor: an authenticator app, and recovery codes for the day it is lost."""

from __future__ import annotations

import hashlib
import secrets
from base64 import b32encode
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from partners.history import write_down

APP = "authenticator app"
RECOVERY = "recovery codes"
HOW_MANY_CODES = 10
WRONG = "That code is not right. Codes change every 30 seconds, and each works once."


class Refused(Exception):
    """The code or the change is refused. The text says why, for the person."""


def has_second_factor(user: Any) -> bool:
    """Return whether `user` has set up an app. Recovery codes alone are none."""
    return bool(TOTPDevice.objects.filter(user_id=user.pk, confirmed=True).exists())


def pending_app(user: User) -> TOTPDevice | None:
    """Return the app that is being set up."""
    found: TOTPDevice | None = TOTPDevice.objects.filter(user=user, confirmed=False).first()
    return found


def new_app(user: User) -> TOTPDevice:
    """Begin to set up an app: a new secret, in the place of one that was never confirmed."""
    with transaction.atomic():
        TOTPDevice.objects.filter(user=user, confirmed=False).delete()
        return TOTPDevice.objects.create(user=user, name=APP, confirmed=False)


def confirm_app(app: TOTPDevice, code: str) -> None:
    """Take the app into use if it shows the right code. Raises Refused."""
    _try(app, _plain(code))
    TOTPDevice.objects.filter(pk=app.pk).update(confirmed=True)
    app.confirmed = True
    write_down(app.user, by=app.user.get_username(), text="Two-factor sign-in set up.")


def check_code(user: User, code: str) -> TOTPDevice | StaticDevice:
    """Return the device that `code` is of: six digits are the app's. Raises Refused."""
    plain = _plain(code)
    if plain.isdecimal() and len(plain) == 6:
        device, given = _device(TOTPDevice, user), plain
    else:
        device, given = _device(StaticDevice, user), _digest(plain)
    if device is None:
        raise Refused(WRONG)
    _try(device, given)
    return device


def new_recovery_codes(user: User) -> list[str]:
    """Make new codes, which end the old ones. Only their digests are kept."""
    # 80 random bits each, so that a digest without a salt tells a thief nothing.
    codes = [b32encode(secrets.token_bytes(10)).decode().lower() for _ in range(HOW_MANY_CODES)]
    with transaction.atomic():
        StaticDevice.objects.filter(user=user).delete()
        device = StaticDevice.objects.create(user=user, name=RECOVERY, confirmed=True)
        StaticToken.objects.bulk_create(
            [StaticToken(device=device, token=_digest(code)) for code in codes]
        )
    write_down(user, by=user.get_username(), text="New recovery codes made.")
    return codes


def codes_left(user: User) -> int:
    """Return how many recovery codes are not used up."""
    return int(StaticToken.objects.filter(device__user=user).count())


def turn_off(user: User) -> None:
    """Forget the second factor, at the person's own wish."""
    forget(user)
    write_down(user, by=user.get_username(), text="Two-factor sign-in turned off.")


def forget(user: User) -> bool:
    """Forget app and recovery codes. Sessions that had passed them have not any longer."""
    with transaction.atomic():
        StaticDevice.objects.filter(user=user).delete()
        gone, _ = TOTPDevice.objects.filter(user=user).delete()
    return bool(gone)


def _device(kind: Any, user: User) -> Any:
    return kind.objects.filter(user=user, confirmed=True).first()


def _try(device: Any, code: str) -> None:
    with transaction.atomic():
        # Locked, so that one code cannot be used twice at the same moment.
        locked = type(device).objects.select_for_update().get(pk=device.pk)
        allowed, why = locked.verify_is_allowed()
        right = allowed and locked.verify_token(code)
    if not allowed:
        raise Refused(_wait(why))
    if not right:
        raise Refused(WRONG)


def _wait(why: dict[str, Any] | None) -> str:
    until = (why or {}).get("locked_until")
    seconds = max(1, round((until - timezone.now()).total_seconds())) if until else 1
    return f"Too many wrong codes. Wait {seconds} s, then try the next code."


def _plain(code: str) -> str:
    return "".join(code.split()).replace("-", "").lower()[:64]


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()[:16]  # the column holds sixteen
