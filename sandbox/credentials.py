"""The sandbox's own test key: SecurityCredential is decrypted (contracts/mpesa.md 4, 11.1)."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.x509.oid import NameOID

# A public test key, always the same, so that a stored credential outlives a restart.
P = int(
    "e291a4cd475c8575494adb8289e86a54a1b0667f06760187ad5bfd3354f6a03aea736a1720ad130f"
    "2e814d95f28f714b687930565e481630dbd3ff2db0b6fed328b337b90a8a373ed5b3b0c58698be96"
    "0f418847887dba55b5bf8a89c197917ec7bbbc66f38582dee88a4dc56cd8cfc819b3fd5356359ab1"
    "a5b87b059a9593f3",
    16,
)
Q = int(
    "d4233cdb34471bce728e92eb06f793f9f8252315a08210c0e973774be6b5cb29f5155b15d8e6efb4"
    "3786a23b9824b90def457937cabd39a3d84c38634e3f069009dbe74fff75c656089e5f6b8c674677"
    "498abb3f7ca03b53ce827c71bb0a5a8ba3e2db2bfff6cc0296418af8c496411aaff5b79e5917f3ea"
    "c2098e9fd4fa66a1",
    16,
)
E = 65_537
_MOST_KEPT = 10_000
_kept: dict[str, str | None] = {}


@cache
def private_key() -> rsa.RSAPrivateKey:
    d = pow(E, -1, (P - 1) * (Q - 1))
    numbers = rsa.RSAPrivateNumbers(
        p=P,
        q=Q,
        d=d,
        dmp1=d % (P - 1),
        dmq1=d % (Q - 1),
        iqmp=pow(Q, -1, P),
        public_numbers=rsa.RSAPublicNumbers(E, P * Q),
    )
    return numbers.private_key()


@cache
def certificate() -> str:
    """Return the certificate; out of date on purpose, like those in use (contracts/mpesa.md 4)."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sandbox.mpesa.test")])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private_key().public_key())
        .serial_number(600_997)
        .not_valid_before(datetime(2015, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2018, 1, 1, tzinfo=UTC))
        .sign(private_key(), hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.PEM).decode()


def security_credential(password: str) -> str:
    """Return `password` as Daraja wants it: RSA PKCS#1 v1.5, then base64."""
    sealed = private_key().public_key().encrypt(password.encode(), PKCS1v15())
    return base64.b64encode(sealed).decode()


def password_in(credential: str) -> str | None:
    """Return the password, or None when it was not made with our certificate."""
    if credential not in _kept:
        if len(_kept) >= _MOST_KEPT:
            _kept.clear()
        _kept[credential] = _decrypt(credential)
    return _kept[credential]


def _decrypt(credential: str) -> str | None:
    try:
        return private_key().decrypt(base64.b64decode(credential), PKCS1v15()).decode()
    except ValueError:
        return None
