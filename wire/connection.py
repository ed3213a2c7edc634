"""Connections that know how far a call has come, and hold every byte of it to one deadline."""

from __future__ import annotations

import http.client
import io
import math
import time
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from socket import socket
from typing import Any, cast

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import ConnectionPool, HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.connection import create_connection

from wire.failure import NotSent
from wire.guard import checked_addresses

# Below the keep-alive time of common servers and gateways, so that none closes while we send.
LONGEST_IDLE_SECONDS = 10.0
LEAST_SECONDS = 0.001  # 0 would mean a socket that does not wait at all


class Phase(Enum):
    PREPARED = "prepared"  # none of the code below has run
    DIALLING = "dialling"  # nothing of the request has left
    SENDING = "sending"  # something of the request may have left


@dataclass(kw_only=True)
class Call:
    """One request under way: how long it may take, and how far it has come."""

    allow_private_hosts: bool
    connect_by: float
    answer_by: float
    begin_by: float = math.inf  # nothing may leave later, however long it took to connect
    phase: Phase = Phase.PREPARED

    def begin(self) -> None:
        """The first byte leaves now. Raises NotSent when it is too late for it."""
        if self.phase is not Phase.SENDING and time.monotonic() > self.begin_by:
            raise NotSent("the time to begin was over before the connection stood")
        self.phase = Phase.SENDING

    def seconds_left(self) -> float:
        return _seconds_until(self.answer_by)

    def seconds_left_to_connect(self) -> float:
        return _seconds_until(min(self.connect_by, self.answer_by))


current_call: ContextVar[Call] = ContextVar("current_call")


def _seconds_until(moment: float) -> float:
    left = moment - time.monotonic()
    if left <= 0:
        raise TimeoutError("the deadline has passed")
    return left


def _dial(host: str, port: int, socket_options: Any) -> socket:
    """Connect to an address of `host` that was checked: the name is never looked up twice."""
    call = current_call.get()
    addresses = checked_addresses(host, port, allow_private_hosts=call.allow_private_hosts)
    failure: OSError | None = None
    for position, address in enumerate(addresses):
        try:
            share = call.seconds_left_to_connect() / (len(addresses) - position)
            sock = create_connection((address, port), share, socket_options=socket_options)
            sock.settimeout(max(call.connect_by - time.monotonic(), LEAST_SECONDS))  # for TLS
        except OSError as exc:
            failure = exc
        else:
            return sock
    raise NotSent(f"{host} could not be reached") from failure


class _DeadlineReader(io.RawIOBase):
    """A socket's bytes; a peer that drips them cannot stretch the time."""

    def __init__(self, source: io.RawIOBase, sock: socket, call: Call) -> None:
        self._source = source
        self._sock = sock
        self._call = call

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._call.seconds_left())
        return cast("int | None", self._source.readinto(buffer))

    def close(self) -> None:
        self._source.close()
        super().close()


class _DeadlineResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        source = self.fp.detach()
        self.fp = io.BufferedReader(_DeadlineReader(source, sock, current_call.get()))


class PlainConnection(HTTPConnection):
    """A connection that marks the instant from which something may have left."""

    response_class = _DeadlineResponse
    _used_at = 0.0

    def _new_conn(self) -> socket:
        self._used_at = time.monotonic()
        return _dial(self._dns_host, self.port or self.default_port, self.socket_options)

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        call = current_call.get()
        call.begin()
        self.sock.settimeout(call.seconds_left())
        super().send(data)
        self._used_at = time.monotonic()

    @property
    def is_connected(self) -> bool:
        idle = time.monotonic() - self._used_at
        return super().is_connected and idle < LONGEST_IDLE_SECONDS


class SecureConnection(PlainConnection, HTTPSConnection):
    """The same over TLS, with the host's name verified and not its address."""


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = PlainConnection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = SecureConnection


class PhasedAdapter(HTTPAdapter):
    """Hands requests to the connections above. It never sends anything twice."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}

    def get_connection_with_tls_context(
        self, request: PreparedRequest, *args: Any, **kwargs: Any
    ) -> ConnectionPool:
        current_call.get().phase = Phase.DIALLING
        return super().get_connection_with_tls_context(request, *args, **kwargs)

    def build_response(self, req: PreparedRequest, resp: Any) -> Response:
        """Only what `wire` reads. The rest, cookies above all, is dear and would be dropped."""
        response = Response()
        response.status_code = resp.status
        response.headers = resp.headers
        response.raw = resp
        response.request = req
        return response
