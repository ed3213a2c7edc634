"""Who calls: a client with a key, or hosted cron with its secret."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.utils.crypto import constant_time_compare
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from disbursements.models import ApiKey
from partners.models import Partner


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Stands where DRF wants a user. A `partner` binds the caller to that one partner."""

    pk: str  # what the throttle counts by
    partner: Partner | None = None
    is_cron: bool = False
    is_authenticated: bool = True
    is_active: bool = True


CRON = Caller(pk="cron", is_cron=True)


class KeyAuthentication(BaseAuthentication):
    """An API key, made with `manage.py create_api_key`."""

    def authenticate(self, request: Request) -> tuple[Caller, None] | None:
        credential = bearer(request.headers.get("Authorization"))
        if credential is None:
            return None
        caller = self.caller_of(credential)
        if caller is None:
            raise AuthenticationFailed("This credential is not known, has expired or was revoked.")
        return caller, None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"

    def caller_of(self, credential: str) -> Caller | None:
        return caller_of_key(credential)


class KeyOrCronAuthentication(KeyAuthentication):
    """An API key, or CRON_SECRET."""

    def caller_of(self, credential: str) -> Caller | None:
        return CRON if is_cron_secret(credential) else super().caller_of(credential)


def bearer(header: str | None) -> str | None:
    """Return the credential of an Authorization header; None when there is no header.

    Raises AuthenticationFailed when the header is not a Bearer one.
    """
    if not header:
        return None
    scheme, _, credential = header.strip().partition(" ")
    if scheme.lower() != "bearer" or not credential.strip():
        raise AuthenticationFailed("Send the header as: Authorization: Bearer KEY")
    return credential.strip()


def is_cron_secret(credential: str) -> bool:
    """Return whether this is CRON_SECRET. An unset secret lets nobody in."""
    return bool(settings.CRON_SECRET) and constant_time_compare(credential, settings.CRON_SECRET)


def caller_of_key(credential: str) -> Caller | None:
    """Return the caller whose API key this is, or None."""
    try:
        key = ApiKey.objects.select_related("partner").get(
            prefix=credential.partition(".")[0], revoked=False
        )
    except ApiKey.DoesNotExist:
        return None
    if key.has_expired or not key.is_valid(credential):
        return None
    return Caller(pk=f"key:{key.prefix}", partner=key.partner)


class _KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[misc]  # untyped package
    target_class = "disbursements.api.callers.KeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key: manage.py create_api_key NAME",
        }


class _KeyOrCronScheme(OpenApiAuthenticationExtension):  # type: ignore[misc]  # untyped package
    target_class = "disbursements.api.callers.KeyOrCronAuthentication"
    name = "apiKeyOrCronSecret"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key, or CRON_SECRET for hosted cron",
        }
