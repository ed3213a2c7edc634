"""Does once in the parent what the first pass and the first letter of every life would do anew.

Half of a short life's time goes into what Django makes at first use: statements, fields, handlers.
What the product itself remembers is forgotten again, so that a life knows no more than a new one.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from campaigns.lives import one_pass
from campaigns.web import serving_on
from campaigns.worlds import lenders

if TYPE_CHECKING:
    from campaigns.rig import Rig

PASSES = 2  # what is paid in the first is recorded in the second


def warm(rig: Rig) -> None:
    """Let the parent play one small world. No life may run; nothing stays connected."""
    rig.renew(lenders(loans=4), seed=1, web=False)
    with _letters_answered(rig):
        for _ in range(PASSES):
            one_pass()
            rig.sandbox.wait_for_callbacks(20)
    _forget()
    gc.freeze()  # or the first collection in each life would copy every page


@contextmanager
def _letters_answered(rig: Rig) -> Iterator[None]:
    server = serving_on(rig.nursery.web_socket, lambda label: None, threaded=False)

    def serve() -> None:
        server.serve_forever(poll_interval=0.1)
        _disconnect()

    answering = threading.Thread(target=serve)
    answering.start()
    try:
        yield
    finally:
        server.shutdown()
        answering.join()


def _forget() -> None:
    from mpesa.tokens import forget_warm_tokens
    from partners import gateways

    forget_warm_tokens()
    # Two lives that talk over one connection of their parent's would read each other's answers.
    for name in ("_mifos_clients", "_mpesa_clients"):
        setattr(gateways, name, gateways.ClientCache())
    _disconnect()


def _disconnect() -> None:
    from django.db import connections

    connections.close_all()
    for connection in connections.all():
        if hasattr(connection, "close_pool"):
            connection.close_pool()
