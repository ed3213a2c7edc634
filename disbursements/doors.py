"""What the doors for Safaricom and for Mifos X share: one method, a small body, a known source."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache, wraps
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from django.conf import settings
from django.core.cache import cache as shared_cache
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from disbursements.api.problems import problem_response

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 * 1024
WARN_EVERY_SECONDS = 60

Address = IPv4Address | IPv6Address
Door = Callable[..., HttpResponse]


def machine_door(view: Door) -> Door:
    """Let only small POSTs in, hand `view` the body, and answer 503 when the database is away."""

    @wraps(view)
    def checked(request: HttpRequest, **captured: str) -> HttpResponse:
        if request.method != "POST":
            return problem_response(request, status=405, headers={"Allow": "POST"})
        body = read_body(request)
        if body is None:
            return problem_response(request, status=413)
        try:
            return view(request, body, **captured)
        except (OperationalError, InterfaceError):
            logger.exception("the database is away; a caller was sent away")
            return problem_response(request, status=503, headers={"Retry-After": "30"})

    return csrf_exempt(checked)


def read_body(request: HttpRequest) -> bytes | None:
    """Return the body, or None when it is too large; a large one is not read."""
    if is_too_large(request):
        return None
    # A chunked body names no length, so the read has its own end.
    body = request.read(MAX_BODY_BYTES + 1)
    return body if len(body) <= MAX_BODY_BYTES else None


def is_too_large(request: HttpRequest) -> bool:
    """Return whether the request says that its body is over the limit."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    return not length.isdecimal() or int(length) > MAX_BODY_BYTES


def refuse_unknown(request: HttpRequest, *, door: str) -> HttpResponse:
    """Answer 404 to a wrong token. The log hears of it once a minute, and never sees the token."""
    if shared_cache.add(f"unknown-token:{door}", 1, WARN_EVERY_SECONDS):
        logger.warning("%s: a wrong token came from %s", door, source_address(request))
    return problem_response(request, status=404)


def source_address(request: HttpRequest) -> str | None:
    """Return the address of the first hop that is not one of our own proxies.

    Never the left-most value of X-Forwarded-For: the caller writes that one himself.
    """
    peer = str(request.META.get("REMOTE_ADDR") or "")
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
    chain = [*(hop.strip() for hop in forwarded.split(",") if hop.strip()), peer]
    proxies = settings.TRUSTED_PROXY_COUNT
    hop = chain[-1 - proxies] if len(chain) > proxies else peer
    address = _address(hop)
    return str(address) if address else None


def is_from_safaricom(source: str | None) -> bool:
    """Return whether `source` is on the allow-list, or is this machine and that is allowed."""
    address = _address(source or "")
    if address is None:
        return False
    if address.is_loopback and settings.LOANPOLL_ALLOW_PRIVATE_HOSTS:
        return True
    networks = _networks(tuple(settings.MPESA_CALLBACK_ALLOWED_IPS))
    return any(address in network for network in networks)


def _address(text: str) -> Address | None:
    for candidate in (text, text.rpartition(":")[0].strip("[]")):  # some proxies append a port
        try:
            address = ip_address(candidate)
        except ValueError:
            continue
        return getattr(address, "ipv4_mapped", None) or address
    return None


@cache
def _networks(entries: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    networks = []
    for entry in entries:
        try:
            networks.append(ip_network(entry, strict=False))
        except ValueError:
            # A typing error must not lose a callback: it only quarantines, and we ask M-Pesa.
            logger.error("MPESA_CALLBACK_ALLOWED_IPS: %s is not an address", entry)
    return tuple(networks)
