"""Which hosts may be spoken to: the guard against a partner's address that points inwards."""

from __future__ import annotations

import re
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

from wire.failure import NotSent

Address = IPv4Address | IPv6Address

PORTS = frozenset({443, 8443})
ODD_CHARACTERS = re.compile(r"[\x00-\x20\x7f\\]")

GLOBAL_UNICAST = IPv6Network("2000::/3")
NAT64 = IPv6Network("64:ff9b::/96")
TEREDO = IPv6Network("2001::/32")
SIX_TO_FOUR = IPv6Network("2002::/16")
# Not covered by ipaddress.is_global in every Python we support, or public in form only.
INWARD_NETWORKS = (
    IPv4Network("100.64.0.0/10"),
    IPv4Network("168.63.129.16/32"),  # Azure's metadata and DNS service
    IPv4Network("192.0.0.0/24"),  # holds Oracle's metadata service
    IPv4Network("192.88.99.0/24"),
    IPv4Network("198.18.0.0/15"),
)


def check_url(url: str, *, allow_private_hosts: bool) -> SplitResult:
    """Return the parts of `url`. Raise NotSent when its form alone forbids it."""
    if ODD_CHARACTERS.search(url):
        raise NotSent("the address holds characters that no address may hold")
    try:
        parts = urlsplit(url)
        port = 443 if parts.port is None else parts.port
    except ValueError:
        raise NotSent("the address cannot be read") from None  # its text could hold a password
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise NotSent("the address is not an https address with a host")
    if "@" in parts.netloc:
        raise NotSent("the address holds a user name or password")
    if not allow_private_hosts and (parts.scheme != "https" or port not in PORTS):
        raise NotSent("only https on port 443 or 8443 is allowed")
    return parts


def checked_addresses(host: str, port: int, *, allow_private_hosts: bool) -> list[str]:
    """Return the addresses of `host`. Raise NotSent when there are none, or one is forbidden."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise NotSent(f"the name {host} cannot be resolved") from exc
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        if _is_forbidden(address, allow_private_hosts=allow_private_hosts):
            raise NotSent(f"{host} points to an address that is not allowed")
    if not addresses:
        raise NotSent(f"the name {host} has no address")
    return addresses


def _is_forbidden(text: str, *, allow_private_hosts: bool) -> bool:
    address = ip_address(text.partition("%")[0])
    if address in NAT64:
        address = IPv4Address(int(address) & 0xFFFFFFFF)
    if allow_private_hosts:
        return _is_nobodys(getattr(address, "ipv4_mapped", None) or address)
    return not _is_public(address)


def _is_nobodys(address: Address) -> bool:
    return address.is_link_local or address.is_multicast or address.is_unspecified


def _is_public(address: Address) -> bool:
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in network for network in INWARD_NETWORKS)
    return address in GLOBAL_UNICAST and address not in SIX_TO_FOUR and address not in TEREDO
