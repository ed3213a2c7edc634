"""H01–H04: names that do not resolve, closed ports, silent hosts and bad certificates."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from campaigns.shared import Shared

ROWS = {"H01": "dns", "H02": "refused", "H03": "silent", "H04": "tls"}
# call -> (method, path)
CALLS = {
    "loans_list": ("GET", r"/loans$"),
    "loan": ("GET", r"/loans/[0-9]+$"),
    "client": ("GET", r"/clients/[0-9]+$"),
    "businessdate": ("GET", r"/businessdate/"),
    "authentication": ("POST", r"/authentication$"),
    "paymenttypes": ("GET", r"/paymenttypes$"),
    "holidays": ("GET", r"/holidays$"),
    "workingdays": ("GET", r"/workingdays$"),
    "configurations": ("GET", r"/configurations$"),
    "disburse": ("POST", r"/loans/[0-9]+$"),
    "oauth": ("GET", r"/oauth/"),
    "b2c": ("POST", r"/b2c/v3/"),
    "status": ("POST", r"/transactionstatus/"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class WireFault:
    """Send matching calls of one lender to a broken place, from the `nth` on, `times` times."""

    call: str
    row: str
    lender: str
    loan_id: int | None = None
    nth: int = 1
    times: int = 2


@contextmanager
def silent_port() -> Iterator[int]:
    """A port of this machine whose queue is full, so that connecting to it takes for ever."""
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    plugs = []
    for _ in range(4):
        plug = socket.socket()
        plug.setblocking(False)
        plug.connect_ex(full.getsockname())
        plugs.append(plug)
    try:
        yield int(full.getsockname()[1])
    finally:
        for plug in (*plugs, full):
            plug.close()


def breaking(fault: WireFault, shared: Shared, silent: int) -> Callable[[], None]:
    """Return what a life does to itself so that this fault fires on the real network."""

    def install() -> None:
        from wire.sending import Wire

        send = Wire.send

        def broken_send(self: Wire, method: str, url: str, **request: Any) -> Any:
            if _matches(fault, method, url, request) and _fires(fault, shared):
                url = _elsewhere(url, fault.row, silent)
            return send(self, method, url, **request)

        setattr(Wire, "send", broken_send)  # noqa: B010 - mypy knows that methods stay

    return install


def _matches(fault: WireFault, method: str, url: str, request: dict[str, Any]) -> bool:
    wanted, path = CALLS[fault.call]
    found = urlsplit(url).path
    if method != wanted or not re.search(path, found):
        return False
    if fault.loan_id is not None and not found.endswith(f"/{fault.loan_id}"):
        return False
    told = (request.get("headers") or {}).get("Fineract-Platform-TenantId", "")
    body = request.get("body") or {}
    told += f" {body.get('PartyA', '')} {(request.get('auth') or ('',))[0]}"
    return fault.lender in told or f"60000{fault.lender[-1]}" in told


def _fires(fault: WireFault, shared: Shared) -> bool:
    if shared.add("matched") < fault.nth or shared.get("wires") >= fault.times:
        return False
    shared.add("wires")
    return True


def _elsewhere(url: str, row: str, silent: int) -> str:
    parts = urlsplit(url)
    place = {
        "dns": ("http", "no-such-host.invalid"),
        "refused": ("http", "127.0.0.1:9"),
        "silent": ("http", f"127.0.0.1:{silent}"),
        "tls": ("https", parts.netloc),
    }[ROWS[row]]
    return parts._replace(scheme=place[0], netloc=place[1]).geturl()
