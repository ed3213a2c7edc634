"""The SecurityCredential: the initiator's password, encrypted for M-Pesa."""

from __future__ import annotations

import base64
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key
from cryptography.x509 import load_der_x509_certificate, load_pem_x509_certificate

PADDING_BYTES = 11  # what PKCS#1 v1.5 needs beside the text


def security_credential(*, initiator_password: str, certificate_pem: bytes) -> str:
    """Return the credential Daraja expects: the password alone, PKCS#1 v1.5, base64.

    `certificate_pem` is M-Pesa's certificate or bare public key, PEM or DER. Its expiry is not
    enforced: the published ones are past it and in use (contracts/mpesa.md 4). Raises ValueError.
    """
    key = _public_key(certificate_pem)
    secret = initiator_password.encode()
    if not secret:
        raise ValueError("The initiator password is empty.")
    if len(secret) > key.key_size // 8 - PADDING_BYTES:
        raise ValueError("The initiator password is too long for M-Pesa's key.")
    # Not OAEP, and nothing beside the password: anything else is answered 2001, then 8006.
    return base64.b64encode(key.encrypt(secret, PKCS1v15())).decode()


def _public_key(document: bytes) -> RSAPublicKey:
    if b"PRIVATE KEY-----" in document:
        raise ValueError("This is a private key. M-Pesa's certificate is needed.")
    for read in _READERS:
        try:
            key = read(document)
        except ValueError:
            continue
        if isinstance(key, RSAPublicKey):
            return key
        raise ValueError("M-Pesa's certificate must hold an RSA key; this one holds another.")
    raise ValueError("This is neither a certificate nor a public key, in PEM or DER.")


_READERS: tuple[Callable[[bytes], object], ...] = (
    lambda document: load_pem_x509_certificate(document).public_key(),
    load_pem_public_key,
    lambda document: load_der_x509_certificate(document).public_key(),
    load_der_public_key,
)
