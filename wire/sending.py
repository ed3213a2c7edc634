"""Sending one request: a total deadline, a checked host, no retry, no redirect, no memory."""

from __future__ import annotations

import base64
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException

import requests
from requests import PreparedRequest, Response
from urllib3.exceptions import HTTPError

from wire.answer import Answer, encode_json
from wire.connection import Call, Phase, PhasedAdapter, current_call
from wire.failure import NoAnswer, NotSent, WireError
from wire.guard import check_url

MIB = 1024 * 1024
READ_AT_ONCE = 64 * 1024
HEADERS = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "loanpoll"}

# Everything that requests, urllib3, http.client, ssl and the sockets raise on bad peers or input.
FAULTS = (requests.RequestException, HTTPError, HTTPException, OSError, ValueError)
TIMEOUTS = (requests.Timeout, TimeoutError)


@dataclass(frozen=True, kw_only=True, slots=True)
class WireConfig:
    """How long to wait, whom to trust, how much to read. `read_timeout` bounds a whole call."""

    connect_timeout: float
    read_timeout: float
    allow_private_hosts: bool
    pool_size: int
    largest_body: int = 1 * MIB
    largest_body_of_get: int = 8 * MIB


class Wire:
    """The way to an outside system, to be shared by many threads."""

    def __init__(self, config: WireConfig) -> None:
        self._config = config
        # No session around it: that would bring cookies, redirects and, from the environment, a
        # proxy, .netrc and a CA bundle; and it costs more CPU than the request.
        self._adapter = PhasedAdapter(pool_maxsize=config.pool_size)

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str | int] | None = None,
        body: object | None = None,
        auth: tuple[str, str] | None = None,
        begin_by: float | None = None,
    ) -> Answer:
        """Send one request once. Raise NotSent or NoAnswer when no whole answer comes in time.

        After `begin_by` (monotonic seconds) no byte of it leaves any more.
        """
        parts = check_url(url, allow_private_hosts=self._config.allow_private_hosts)
        request = self._prepare(method, url, headers, params, body, auth)
        call = self._begin(begin_by)
        token = current_call.set(call)
        try:
            return self._exchange(request)
        except FAULTS as exc:
            raise _failure(str(parts.hostname), call.phase, exc) from exc
        finally:
            current_call.reset(token)

    def close(self) -> None:
        """Close the idle connections."""
        self._adapter.close()

    def _prepare(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        params: Mapping[str, str | int] | None,
        body: object | None,
        auth: tuple[str, str] | None,
    ) -> PreparedRequest:
        all_headers = {**HEADERS, **(headers or {})}
        data = None
        if auth is not None:
            all_headers["Authorization"] = _basic(auth)
        try:
            if body is not None:
                all_headers.setdefault("Content-Type", "application/json")
                data = encode_json(body).encode()
            return _written(method, url, all_headers, params, data)
        except (requests.RequestException, ValueError, TypeError):
            # Without a cause: these errors quote the header or the body that they stumble over.
            raise NotSent("the request cannot be written as HTTP") from None

    def _begin(self, begin_by: float | None) -> Call:
        now = time.monotonic()
        return Call(
            allow_private_hosts=self._config.allow_private_hosts,
            connect_by=now + self._config.connect_timeout,
            answer_by=now + self._config.read_timeout,
            begin_by=math.inf if begin_by is None else begin_by,
        )

    def _exchange(self, request: PreparedRequest) -> Answer:
        response = self._adapter.send(
            request,
            stream=True,
            timeout=(self._config.connect_timeout, self._config.read_timeout),
        )
        try:
            body = _read_body(response, self._limit(request))
        finally:
            response.close()
        return Answer(
            status=response.status_code,
            headers=response.headers,
            body=body,
            url=str(request.url),
        )

    def _limit(self, request: PreparedRequest) -> int:
        is_get = request.method == "GET"
        return self._config.largest_body_of_get if is_get else self._config.largest_body


def _written(
    method: str,
    url: str,
    headers: dict[str, str],
    params: Mapping[str, str | int] | None,
    data: bytes | None,
) -> PreparedRequest:
    """Do what `Request.prepare` does, but for cookies, hooks and a login in the address."""
    request = PreparedRequest()
    request.prepare_method(method)
    request.prepare_url(url, params)
    request.prepare_headers(headers)
    request.prepare_body(data, None)
    return request


def _basic(auth: tuple[str, str]) -> str:
    # UTF-8 as Spring reads it; requests would write Latin-1 and stumble over other letters.
    return "Basic " + base64.b64encode(":".join(auth).encode()).decode("ascii")


def _read_body(response: Response, limit: int) -> bytes:
    body = bytearray()
    while part := response.raw.read(READ_AT_ONCE, decode_content=True):
        body += part
        if len(body) > limit:
            raise NoAnswer(f"the answer is larger than {limit} bytes")
    return bytes(body)


def _failure(host: str, phase: Phase, exc: Exception) -> WireError:
    """Return the error that fits `phase`; where nothing is proven, that is NoAnswer."""
    if phase is Phase.DIALLING:
        if isinstance(exc, requests.exceptions.SSLError):
            return NotSent(f"the TLS certificate or handshake of {host} failed")
        return NotSent(f"{host} could not be reached")
    if isinstance(exc, requests.ConnectTimeout):
        return NotSent(f"{host} could not be reached in time")
    if isinstance(exc, TIMEOUTS):
        return NoAnswer(f"{host} did not answer in time")
    return NoAnswer(f"the answer of {host} broke off or could not be read")
