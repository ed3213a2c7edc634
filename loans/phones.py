"""Phone numbers as Mifos X holds them (free text) and as M-Pesa wants them (2547…, 2541…)."""

from __future__ import annotations

import re
from functools import lru_cache

import phonenumbers

# Anything else in the text (a slash, "or", a name) may hide a second number: a person must look.
ONE_NUMBER = re.compile(r"\+?[0-9 ().\-]+")
KENYAN_MOBILE = re.compile(r"254[17][0-9]{8}")


@lru_cache(maxsize=1000)  # a payment reads the same text several times within seconds
def normalise_msisdn(raw: str) -> str | None:
    """Return the Kenyan mobile number in `raw` as 12 digits, or None when it is not exactly one."""
    text = raw.strip()
    if not ONE_NUMBER.fullmatch(text):
        return None
    try:
        number = phonenumbers.parse(_with_plus(text), "KE")
    except phonenumbers.NumberParseException:
        return None
    if not _is_mobile(number):
        return None
    msisdn = f"{number.country_code}{number.national_number}"
    return msisdn if KENYAN_MOBILE.fullmatch(msisdn) else None


def mask_msisdn(phone: str) -> str:
    """Return a number that is safe to print: `2547****678`, as in logs and answers."""
    return f"{phone[:4]}****{phone[-3:]}" if len(phone) >= 9 else "****"


def _with_plus(text: str) -> str:
    digits = re.sub(r"[^0-9]", "", text)
    return f"+{digits}" if digits.startswith("254") and not text.startswith("+") else text


def _is_mobile(number: phonenumbers.PhoneNumber) -> bool:
    return phonenumbers.is_valid_number(number) and phonenumbers.number_type(number) in {
        phonenumbers.PhoneNumberType.MOBILE,
        phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE,
    }
