"""The site in a life of its own, with a boundary before and after every answer."""

from __future__ import annotations

import socket
from socketserver import ThreadingMixIn
from typing import IO, Any, cast
from wsgiref.simple_server import ServerHandler, WSGIRequestHandler, WSGIServer

from campaigns.boundaries import Cross, call_name

SECONDS_TO_READ = 5
application: Any = None  # Django's, made once by the parent of all lives


class _Server(WSGIServer):
    request_queue_size = 512

    def __init__(self, listening: socket.socket) -> None:
        address = listening.getsockname()
        super().__init__(address, Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.server_address = address
        self.server_name, self.server_port = "127.0.0.1", address[1]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that hangs up is no error of ours."""


class _ThreadedServer(ThreadingMixIn, _Server):
    daemon_threads = True


class Handler(WSGIRequestHandler):
    """Answers one request per connection, and tells of its boundaries."""

    timeout = SECONDS_TO_READ
    cross: Cross

    def handle(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            return
        name = "/".join(call_name(self.path).split("/")[:4])
        self.cross(f"callback read {name}")
        handler = ServerHandler(
            cast(IO[bytes], self.rfile),
            cast(IO[bytes], self.wfile),
            self.get_stderr(),
            self.get_environ(),
            multithread=True,
        )
        handler.request_handler = self  # type: ignore[attr-defined]  # wsgiref sets it so, too
        handler.run(_crossing(self.server.get_app(), self.cross, name))  # type: ignore[attr-defined]  # a WSGIServer
        self.wfile.flush()
        self.cross(f"answer out {name}")

    def address_string(self) -> str:
        return str(self.client_address[0])

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the campaign reads the tables."""


def _crossing(application: Any, cross: Cross, name: str) -> Any:
    def answer(environ: dict[str, Any], start_response: Any) -> Any:
        answered = application(environ, start_response)
        cross(f"before answer {name}")
        return answered

    return answer


def serve_on(listening: socket.socket, cross: Cross, *, threaded: bool) -> None:
    """Answer for ever."""
    serving_on(listening, cross, threaded=threaded).serve_forever(poll_interval=10)


def serving_on(listening: socket.socket, cross: Cross, *, threaded: bool) -> WSGIServer:
    """Return the server, ready to serve."""
    Handler.cross = staticmethod(cross)
    server = (_ThreadedServer if threaded else _Server)(listening)
    server.set_app(application)
    return server
