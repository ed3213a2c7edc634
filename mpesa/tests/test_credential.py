"""The SecurityCredential opens with M-Pesa's private key, and holds the password alone."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from mpesa.credential import security_credential

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ELLIPTIC = ec.generate_private_key(ec.SECP256R1())
SPKI = PublicFormat.SubjectPublicKeyInfo
PASSWORD = "Safe#Pass%1$"


def expired_certificate() -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "apicrypt")])
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=KEY.public_key(),
        serial_number=1,
        not_valid_before=datetime(2015, 1, 1, tzinfo=UTC),
        not_valid_after=datetime(2016, 1, 1, tzinfo=UTC),
    )
    return builder.sign(KEY, SHA256())


CERTIFICATE = expired_certificate().public_bytes(Encoding.PEM)


def opened(credential: str) -> str:
    return KEY.decrypt(base64.b64decode(credential, validate=True), PKCS1v15()).decode()


@pytest.mark.parametrize(
    "document",
    [
        CERTIFICATE,
        b"Bag Attributes\n\n" + CERTIFICATE,
        expired_certificate().public_bytes(Encoding.DER),
        KEY.public_key().public_bytes(Encoding.PEM, SPKI),
        KEY.public_key().public_bytes(Encoding.DER, SPKI),
        KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1),
    ],
)
def test_the_credential_opens_to_the_password_alone(document):
    credential = security_credential(initiator_password=PASSWORD, certificate_pem=document)

    assert opened(credential) == PASSWORD


def test_two_credentials_of_one_password_differ_and_both_open():
    first, second = (
        security_credential(initiator_password=PASSWORD, certificate_pem=CERTIFICATE)
        for _ in range(2)
    )

    assert first != second
    assert opened(first) == opened(second) == PASSWORD


@pytest.mark.parametrize(
    ("password", "document", "complaint"),
    [
        ("", CERTIFICATE, "empty"),
        ("x" * 246, CERTIFICATE, "too long"),
        (PASSWORD, b"", "neither a certificate nor a public key"),
        (PASSWORD, b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "neither"),
        (PASSWORD, ELLIPTIC.public_key().public_bytes(Encoding.PEM, SPKI), "must hold an RSA key"),
        (
            PASSWORD,
            KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            "private key",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(password, document, complaint):
    with pytest.raises(ValueError, match=complaint):
        security_credential(initiator_password=password, certificate_pem=document)
