"""Builds the two clients of a partner from its row and the settings."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar
from urllib.parse import urlsplit

from django.conf import settings

from mifos.client import MifosClient, MifosConfig
from mifos.exchange import keep_nothing
from mpesa.client import MpesaClient, MpesaConfig
from mpesa.models import MpesaEnvironment
from mpesa.tokens import DatabaseTokenStore
from partners.exchanges import keeper
from partners.models import Partner
from partners.validation import MIFOS_COLUMNS, MPESA_COLUMNS, missing_columns

MOST_CLIENTS = 256
MPESA_POOL_SIZE = 64  # connections that are kept, not a limit: as many as a pass has threads
DARAJA_SANDBOX_HOST = "sandbox.safaricom.co.ke"
DARAJA_PRODUCTION_HOST = "api.safaricom.co.ke"


class NotConfigured(Exception):
    """The partner's settings, or ours, do not suffice for a client. Nothing was sent."""


class Closable(Protocol):
    def close(self) -> None: ...


Client = TypeVar("Client", bound=Closable)


@dataclass(slots=True)
class ClientCache(Generic[Client]):
    """One client per partner in this process. Other settings make another client."""

    _clients: OrderedDict[int, tuple[str, Client]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, partner: Partner, config: object, build: Callable[[], Client]) -> Client:
        """Return the client for `config`. One that was replaced is left to those who use it."""
        if partner.pk is None:
            return build()
        digest = hashlib.sha256(repr(_facts(config)).encode()).hexdigest()
        with self._lock:
            kept = self._clients.get(partner.pk)
            if kept is None or kept[0] != digest:
                kept = (digest, build())
                self._clients[partner.pk] = kept
            self._clients.move_to_end(partner.pk)
            if len(self._clients) > MOST_CLIENTS:
                self._clients.popitem(last=False)
            return kept[1]


def _facts(config: object) -> list[tuple[str, object]]:
    # repr() of a config may hide its secrets, so two passwords could look the same there.
    names: list[str] = sorted(getattr(type(config), "__dataclass_fields__", {}))
    return [(name, getattr(config, name)) for name in names]


_mifos_clients: ClientCache[MifosClient] = ClientCache()
_mpesa_clients: ClientCache[MpesaClient] = ClientCache()


def mifos_client(partner: Partner) -> MifosClient:
    """Return the partner's Mifos X client. Raises NotConfigured."""
    config = mifos_config(partner)
    keep = keeper(partner.pk) if partner.pk else keep_nothing
    return _mifos_clients.get(partner, config, lambda: MifosClient(config, keep=keep))


def mpesa_client(partner: Partner) -> MpesaClient:
    """Return the partner's M-Pesa client. Raises NotConfigured."""
    config = mpesa_config(partner)
    tokens = DatabaseTokenStore(base_url=config.base_url, consumer_key=config.consumer_key)
    return _mpesa_clients.get(partner, config, lambda: MpesaClient(config, tokens))


def mifos_config(partner: Partner) -> MifosConfig:
    """Return what the Mifos X client needs to know. Raises NotConfigured."""
    _require(partner, "Mifos X", MIFOS_COLUMNS)
    return MifosConfig(
        base_url=joined(partner.mifos_host_url, partner.mifos_api_endpoint),
        tenant=partner.mifos_tenant_id,
        username=partner.mifos_username,
        password=partner.mifos_password,
        time_zone=partner.mifos_time_zone,
        connect_timeout=settings.LOANPOLL_HTTP_CONNECT_TIMEOUT,
        read_timeout=settings.LOANPOLL_HTTP_READ_TIMEOUT,
        allow_private_hosts=settings.LOANPOLL_ALLOW_PRIVATE_HOSTS,
        concurrency=partner.mifos_concurrency,
    )


def mpesa_config(partner: Partner) -> MpesaConfig:
    """Return what the M-Pesa client needs to know. Raises NotConfigured."""
    _require(partner, "M-Pesa", MPESA_COLUMNS)
    return MpesaConfig(
        base_url=daraja_url(partner.mpesa_environment),
        consumer_key=partner.mpesa_consumer_key,
        consumer_secret=partner.mpesa_consumer_secret,
        shortcode=partner.mpesa_shortcode,
        initiator_name=partner.mpesa_initiator_name,
        security_credential=partner.mpesa_security_credential,
        connect_timeout=settings.LOANPOLL_HTTP_CONNECT_TIMEOUT,
        read_timeout=settings.LOANPOLL_HTTP_READ_TIMEOUT,
        allow_private_hosts=settings.LOANPOLL_ALLOW_PRIVATE_HOSTS,
        pool_size=MPESA_POOL_SIZE,
    )


def daraja_url(environment: str) -> str:
    """Return Daraja's address. Raises NotConfigured when it is the other environment's (S18)."""
    if environment == MpesaEnvironment.PRODUCTION:
        name, url, foreign = "PRODUCTION", settings.MPESA_PRODUCTION_URL, DARAJA_SANDBOX_HOST
    else:
        name, url, foreign = "SANDBOX", settings.MPESA_SANDBOX_URL, DARAJA_PRODUCTION_HOST
    if (urlsplit(url).hostname or "") == foreign:
        raise NotConfigured(
            f"MPESA_{name}_URL points to {foreign}, which is the other environment. "
            "Remove the setting to get Safaricom's own address."
        )
    return str(url)


def joined(host: str, endpoint: str) -> str:
    """Return host and endpoint with exactly one slash between them and none at the end."""
    return f"{host.rstrip('/')}/{endpoint.strip('/')}".rstrip("/")


def _require(partner: Partner, system: str, columns: tuple[str, ...]) -> None:
    missing = missing_columns(partner, columns)
    if missing:
        raise NotConfigured(
            f"The {system} settings of {partner.slug} are incomplete: {', '.join(missing)}."
        )
