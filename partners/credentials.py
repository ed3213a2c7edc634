"""Sets a partner's M-Pesa security credential, pasted or made from a password and a certificate."""

from __future__ import annotations

import hashlib
from datetime import datetime

from django.utils.crypto import salted_hmac

from mpesa.credential import security_credential
from partners.models import Partner

CREDENTIAL_COLUMNS = (
    "mpesa_security_credential",
    "mpesa_credential_source",
    "mpesa_credential_set_at",
)


def paste_credential(partner: Partner, credential: str, *, now: datetime) -> None:
    """Set a ready-made credential on the row, unsaved. The same one keeps its age."""
    if credential == partner.mpesa_security_credential:
        return
    partner.mpesa_security_credential = credential
    partner.mpesa_credential_source = ""
    partner.mpesa_credential_set_at = now if credential else None


def make_credential(partner: Partner, *, password: str, certificate: bytes, now: datetime) -> None:
    """Make the credential on the row, unsaved. The same password and certificate keep the old one.

    Encrypting is random, so only the digest shows whether anything changed. Raises ValueError.
    """
    source = _source(password, certificate)
    if source == partner.mpesa_credential_source and partner.mpesa_security_credential:
        return
    paste_credential(
        partner,
        security_credential(initiator_password=password, certificate_pem=certificate),
        now=now,
    )
    partner.mpesa_credential_source = source


def _source(password: str, certificate: bytes) -> str:
    # Keyed, because a plain digest of a short password could be guessed from a stolen database.
    what = f"{hashlib.sha256(certificate).hexdigest()}{password}"
    return salted_hmac("partners.credentials", what, algorithm="sha256").hexdigest()
