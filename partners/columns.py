"""Turns one value of a partner file into one column's value, or says what is wrong with it."""

from __future__ import annotations

import os
import re
from decimal import Decimal
from typing import Any

from django.db import models

from partners.models import LoanProductAutoDisbursalConfig, Partner
from partners.validation import LIMIT_COLUMNS, SECRET_COLUMNS

PARTNER_COLUMNS = (
    "name",
    "is_active",
    "is_mifos_configured",
    "mifos_auto_disbursement_enabled",
    "mifos_host_url",
    "mifos_api_endpoint",
    "mifos_tenant_id",
    "mifos_username",
    "mifos_password",
    "mifos_payment_type_id",
    "mifos_time_zone",
    "mifos_concurrency",
    "is_mpesa_configured",
    "mpesa_environment",
    "mpesa_shortcode",
    "mpesa_initiator_name",
    "mpesa_consumer_key",
    "mpesa_consumer_secret",
    "mpesa_security_credential",
    "mpesa_payments_per_second",
    *LIMIT_COLUMNS,
    "resend_unknown",
    "webhook_token",
)
PRODUCT_COLUMNS = (
    "product_id",
    "product_name",
    "enabled",
    "min_amount",
    "max_amount",
    "auto_approve",
)
# Keys that are no column: what a credential is made from.
CREDENTIAL_KEYS = ("mpesa_initiator_password", "mpesa_certificate")
HIDDEN_KEYS = frozenset({*SECRET_COLUMNS, *CREDENTIAL_KEYS, "webhook_token"})

EXAMPLES = {
    "slug": "umoja",
    "name": "Umoja Sacco",
    "mifos_host_url": "https://mifos.example.co.ke",
    "mifos_api_endpoint": "/fineract-provider/api/v1",
    "mifos_tenant_id": "default",
    "mifos_username": "loanpoll",
    "mifos_password": "env:UMOJA_MIFOS_PASSWORD",
    "mifos_payment_type_id": "3",
    "mifos_time_zone": "Africa/Nairobi",
    "mifos_concurrency": "4",
    "mpesa_environment": "sandbox or production",
    "mpesa_shortcode": "123456",
    "mpesa_initiator_name": "loanpollapi",
    "mpesa_consumer_key": "env:UMOJA_MPESA_KEY",
    "mpesa_consumer_secret": "env:UMOJA_MPESA_SECRET",
    "mpesa_security_credential": "env:UMOJA_MPESA_CREDENTIAL",
    "mpesa_initiator_password": "env:UMOJA_INITIATOR_PASSWORD",
    "mpesa_certificate": "ProductionCertificate.cer, beside this file",
    "mpesa_payments_per_second": "5",
    "webhook_token": "env:UMOJA_WEBHOOK_TOKEN",
    "pause_reason": "float audit",
    "product_id": "7",
    "product_name": "Emergency loan",
    **dict.fromkeys((*LIMIT_COLUMNS, "min_amount", "max_amount"), "50000"),
}

LARGEST_ID = 2_147_483_647
MOST_DIGITS = 28
NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")
WHOLE = re.compile(r"[0-9]{1,20}")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
WORDS = {"true": True, "1": True, "false": False, "0": False}


class WrongValue(Exception):
    """What is wrong with a value, as the end of a sentence that begins with its key."""


def partner_value(column: str, raw: Any) -> Any:
    """Return `raw` as the partner's column holds it. Raises WrongValue."""
    return _value(Partner._meta.get_field(column), raw)


def product_value(column: str, raw: Any) -> Any:
    """Return `raw` as the product config's column holds it. Raises WrongValue."""
    return _value(LoanProductAutoDisbursalConfig._meta.get_field(column), raw)


def text_value(key: str, raw: Any) -> str:
    """Return `raw` as text. Raises WrongValue."""
    value = from_environment(raw)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise WrongValue("must be text")
    text = str(value)
    if key not in HIDDEN_KEYS:
        text = text.strip()
    elif text != text.strip():
        raise WrongValue("begins or ends with a blank or a line break")
    if key != "mpesa_certificate" and CONTROL.search(text):
        raise WrongValue("holds a line break or another control character")
    return text


def boolean_value(raw: Any) -> bool:
    """Return true or false. Text counts only when it comes from the environment."""
    value = from_environment(raw)
    if value is not raw:
        value = WORDS.get(str(value).lower(), value)
    if not isinstance(value, bool):
        raise WrongValue("must be true or false, without quotes")
    return value


def from_environment(raw: Any) -> Any:
    """Return the environment's value for `env:NAME`, and everything else as it is."""
    if not isinstance(raw, str) or not raw.startswith("env:"):
        return raw
    name = raw.removeprefix("env:").strip()
    if not VARIABLE.fullmatch(name):
        raise WrongValue("names no environment variable after env:")
    value = os.environ.get(name, "").rstrip("\r\n")
    if not value:
        state = "is empty" if name in os.environ else "is not set"
        raise WrongValue(f"reads the environment variable {name}, which {state}")
    return value


def _value(field: Any, raw: Any) -> Any:
    if raw is None:
        return _nothing(field)
    match field:
        case models.BooleanField():
            return boolean_value(raw)
        case models.DecimalField():
            return _amount(field, from_environment(raw))
        case models.IntegerField():
            return _whole(from_environment(raw))
        case _:
            return text_value(field.name, raw)


def _nothing(field: Any) -> None:
    if not field.null:
        raise WrongValue("is empty. Leave the key out to keep what is there")


def _amount(field: models.DecimalField[Any, Any], raw: Any) -> Decimal:
    number = _decimal(raw)
    places, whole = field.decimal_places, field.max_digits - field.decimal_places
    if len(number.as_tuple().digits) > MOST_DIGITS or abs(number) >= Decimal(10) ** whole:
        raise WrongValue("has too many digits")
    exponent = number.normalize().as_tuple().exponent
    if isinstance(exponent, int) and exponent < -places:
        raise WrongValue(f"may have at most {places} decimals")
    return number


def _decimal(raw: Any) -> Decimal:
    if isinstance(raw, str) and NUMBER.fullmatch(raw):
        raw = Decimal(raw)
    if isinstance(raw, bool) or not isinstance(raw, int | Decimal):
        raise WrongValue("must be a number, without commas or a currency")
    number = Decimal(raw)
    if not number.is_finite():
        raise WrongValue("must be a number, and a finite one")
    return number


def _whole(raw: Any) -> int:
    if isinstance(raw, str) and WHOLE.fullmatch(raw):
        raw = int(raw)
    if isinstance(raw, bool) or not isinstance(raw, int):
        raise WrongValue("must be a whole number")
    if not 0 <= raw <= LARGEST_ID:
        raise WrongValue(f"must be between 0 and {LARGEST_ID:,}")
    return raw
