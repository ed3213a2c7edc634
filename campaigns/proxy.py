"""A wire to PostgreSQL that is cut at the n-th COMMIT: before it, or before its answer."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

from campaigns.shared import Shared

COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"  # one simple query of the wire protocol
BEFORE, AFTER = 1, 2
AT_ONCE = 65536


def serve_proxy(listening: socket.socket, target: str, port: int, shared: Shared) -> None:
    """Carry every connection to PostgreSQL, for ever. `target` is a host or a socket's folder."""
    while True:
        client, _ = listening.accept()
        threading.Thread(target=_carry, args=(client, target, port, shared), daemon=True).start()


def _carry(client: socket.socket, target: str, port: int, shared: Shared) -> None:
    server = _connect(target, port)
    is_lost = threading.Event()
    back = threading.Thread(target=_answers, args=(server, client, is_lost), daemon=True)
    back.start()
    with contextlib.suppress(OSError):
        while data := client.recv(AT_ONCE):
            mode = _cut(data, shared)
            if mode == BEFORE:
                break
            if mode == AFTER:
                is_lost.set()
            server.sendall(data)
    if not is_lost.is_set():
        _close(server)
    back.join(5)
    _close(client)
    _close(server)


def _answers(server: socket.socket, client: socket.socket, is_lost: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while data := server.recv(AT_ONCE):
            if is_lost.is_set():
                break  # committed, and nobody hears of it
            client.sendall(data)
    _close(client)


def _cut(data: bytes, shared: Shared) -> int:
    if COMMIT not in data or shared.add("commits") != shared.get("cut_at"):
        return 0
    shared.add("cuts")
    return int(shared.get("cut_mode"))


def _connect(target: str, port: int) -> socket.socket:
    if target.startswith("/"):
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{target}/.s.PGSQL.{port}")
        return server
    return socket.create_connection((target, port))


def _close(plug: socket.socket) -> None:
    with contextlib.suppress(OSError):
        plug.shutdown(socket.SHUT_RDWR)
    plug.close()


def through(port: int) -> Callable[[], None]:
    """Return what a life does to itself to reach its database through the proxy."""

    def install() -> None:
        from django.db import connections

        known = connections.settings["default"]
        known["HOST"], known["PORT"] = "127.0.0.1", port
        options = known.get("OPTIONS", {})
        options.pop("host", None)

    return install
