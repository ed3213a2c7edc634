"""A text column whose value is encrypted at rest and never comes back as ciphertext.

Keys are settings.FIELD_ENCRYPTION_KEYS: the first writes, all of them read, so a key is rotated by
putting a new one in front, running `manage.py rotate_keys`, and dropping the old one.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models

if TYPE_CHECKING:
    _Text = models.TextField[str, str]
else:
    _Text = models.TextField


@cache
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def cipher() -> MultiFernet:
    """Return the cipher of the keys in force."""
    return _cipher(tuple(settings.FIELD_ENCRYPTION_KEYS))


def encrypt(value: str) -> str:
    """Return `value` encrypted with the first key; the empty text stays empty."""
    return cipher().encrypt(value.encode()).decode() if value else ""


def decrypt(stored: str) -> str:
    """Return the clear text. A lost key raises: ciphertext must never be used as a secret."""
    try:
        return cipher().decrypt(stored.encode()).decode() if stored else ""
    except InvalidToken as exc:
        raise ImproperlyConfigured(
            "A stored secret cannot be read with FIELD_ENCRYPTION_KEYS. Put the key it was written "
            "with back into the list; nothing was changed."
        ) from exc


class EncryptedTextField(_Text):
    """Text that is encrypted in the database and clear on the model. It cannot be searched."""

    def get_prep_value(self, value: Any) -> Any:
        prepared = super().get_prep_value(value)
        return encrypt(prepared) if isinstance(prepared, str) else prepared

    def from_db_value(self, value: str | None, *_: object) -> str | None:
        return None if value is None else decrypt(value)
