"""Daraja as these tests see it: recorded payloads, a wire that answers by script, a plain store."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mpesa.client import FreshToken, MpesaClient, MpesaConfig
from wire import Answer

EXAMPLES: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent / "daraja_examples.json").read_text()
)
OUR_ID = "600997_Test_32et3241ed8yu"
TOKEN = "c9SQxWWhmdVRlyh0zh8gZDTkubVF"
CONFIG = MpesaConfig(
    base_url="https://daraja.test",
    consumer_key="consumer-key-of-the-app",
    consumer_secret="consumer-secret-of-the-app",
    shortcode="600992",
    initiator_name="testapi",
    security_credential="RC6E9WDxXR4b9X2c6z3gp0oC5Th==",
)


def body_of(name: str) -> Any:
    """Return the recorded body by its name in the contract's examples."""
    return json.loads(json.dumps(EXAMPLES[name]["body"]))


def answer(status: int, body: object) -> Answer:
    raw = body if isinstance(body, str) else json.dumps(body)
    return Answer(status=status, headers={}, body=raw.encode(), url="https://daraja.test/")


def recorded(name: str) -> Answer:
    return answer(EXAMPLES[name]["http_status"], EXAMPLES[name]["body"])


def error(status: int, code: str, message: str) -> Answer:
    return answer(status, {"requestId": "1-2-3", "errorCode": code, "errorMessage": message})


@dataclass
class ScriptedWire:
    """Answers POSTs and token requests in the order given; remembers what was sent."""

    posts: list[Answer | Exception] = field(default_factory=list)
    tokens: list[Answer | Exception] = field(default_factory=list)
    sent: list[dict[str, Any]] = field(default_factory=list)
    is_closed: bool = False

    def send(self, method: str, url: str, **what: Any) -> Answer:
        self.sent.append({"method": method, "url": url, **what})
        outcome = (self.tokens if method == "GET" else self.posts).pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def close(self) -> None:
        self.is_closed = True

    @property
    def posted(self) -> list[dict[str, Any]]:
        return [request for request in self.sent if request["method"] == "POST"]


@dataclass
class PlainStore:
    """A token store for one thread."""

    kept: str = ""
    discarded: list[str] = field(default_factory=list)

    def token(self, fetch: Callable[[], FreshToken]) -> str:
        self.kept = self.kept or fetch().access_token
        return self.kept

    def discard(self, access_token: str) -> None:
        self.discarded.append(access_token)
        self.kept = "" if self.kept == access_token else self.kept


def client_on(wire: ScriptedWire, tokens: PlainStore | None = None) -> MpesaClient:
    # The scripted wire has the two methods of Wire that the client uses.
    return MpesaClient(CONFIG, tokens or PlainStore(kept=TOKEN), wire=wire)  # type: ignore[arg-type]
