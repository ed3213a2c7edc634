"""A sandbox in a thread, an inbox for its callbacks, and callers of both systems."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.control import SandboxControl
from sandbox.running import running_sandbox

SHAPES = json.loads((Path(__file__).parent / "shapes.json").read_text(encoding="utf-8"))


@dataclass
class Inbox:
    """Keeps every callback: (path, body, headers)."""

    url: str = ""
    mail: list[tuple[str, bytes, dict[str, str]]] = field(default_factory=list)

    def bodies(self, path: str) -> list[Any]:
        return [json.loads(body) for where, body, _ in self.mail if where == path]

    def wait(self, path: str, number: int = 1, seconds: float = 5.0) -> list[Any]:
        end = time.monotonic() + seconds
        while len([1 for where, *_ in self.mail if where == path]) < number:
            assert time.monotonic() < end, f"{len(self.mail)} letters, none more for {path}"
            time.sleep(0.005)
        return self.bodies(path)


@pytest.fixture(scope="session")
def _postman() -> Iterator[tuple[Inbox, ThreadingHTTPServer]]:
    inbox = Inbox()

    class Door(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            inbox.mail.append((self.path, body, dict(self.headers)))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    inbox.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield inbox, server
    server.shutdown()
    server.server_close()


@pytest.fixture
def inbox(_postman: tuple[Inbox, ThreadingHTTPServer]) -> Inbox:
    _postman[0].mail.clear()
    return _postman[0]


@pytest.fixture(scope="session")
def _sandbox() -> Iterator[SandboxControl]:
    with running_sandbox(callback_delay=0.01) as control:
        yield control


@pytest.fixture
def box(_sandbox) -> Iterator[SandboxControl]:
    _sandbox.reset(
        seed=1,
        callback_delay=0.01,
        query_delay=None,
        hold_callbacks=False,
        index_delay=0,
        index_age=None,
        scenarios=False,
        token_life=3599,
    )
    _sandbox.add_tenant("umoja", username="svc", password="pw")
    _sandbox.add_clients("umoja", [{"id": 2, "name": "Jane Wanjiku", "mobile_no": "0712345678"}])
    _sandbox.add_shortcode(
        "600992",
        consumer_key="ck",
        consumer_secret="cs",
        initiator_name="testapi",
        initiator_password="pass#1",
    )
    yield _sandbox
    assert _sandbox.health()["problems"] == []


@dataclass
class Mifos:
    box: SandboxControl
    tenant: str = "umoja"
    auth: tuple[str, str] = ("svc", "pw")

    def get(self, path: str, **query: Any) -> requests.Response:
        return self.call("GET", path, params=query)

    def call(
        self, method: str, path: str, *, headers: Any = None, **more: Any
    ) -> requests.Response:
        sent = {"Fineract-Platform-TenantId": self.tenant, **(headers or {})}
        more.setdefault("timeout", 5)
        url = f"{self.box.mifos_api}/{path}"
        return requests.request(method, url, auth=self.auth, headers=sent, **more)

    def disburse(
        self, loan_id: int, *, key: str | None = None, **changes: Any
    ) -> requests.Response:
        body = {
            "actualDisbursementDate": time.strftime("%d %B %Y", time.gmtime(time.time() + 10800)),
            "dateFormat": "dd MMMM yyyy",
            "locale": "en",
            **changes,
        }
        body = {name: value for name, value in body.items() if value is not None}
        headers = {"Idempotency-Key": key} if key else {}
        return self.call("POST", f"loans/{loan_id}?command=disburse", json=body, headers=headers)


@pytest.fixture
def mifos(box) -> Mifos:
    return Mifos(box)


@dataclass
class Daraja:
    box: SandboxControl
    inbox: Inbox
    credential: str
    token: str = ""

    def log_in(
        self, key: str = "ck", secret: str = "cs", grant: str = "client_credentials"
    ) -> requests.Response:
        url = f"{self.box.mpesa_url}/oauth/v1/generate"
        found = requests.get(url, params={"grant_type": grant}, auth=(key, secret), timeout=5)
        if found.status_code == 200:
            self.token = found.json()["access_token"]
        return found

    def post(self, path: str, body: dict[str, Any], **more: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        more.setdefault("timeout", 5)
        return requests.post(
            f"{self.box.mpesa_url}/mpesa/{path}", json=body, headers=headers, **more
        )

    def pay(
        self,
        ocid: str,
        amount: Any = "1000",
        phone: str = "254712345678",
        *,
        version: str = "v3",
        wire: dict[str, Any] | None = None,
        **changes: Any,
    ) -> requests.Response:
        body = {
            "OriginatorConversationID": ocid,
            "InitiatorName": "testapi",
            "SecurityCredential": self.credential,
            "CommandID": "BusinessPayment",
            "Amount": amount,
            "PartyA": "600992",
            "PartyB": phone,
            "Remarks": "loan 1",
            "QueueTimeOutURL": f"{self.inbox.url}/late",
            "ResultURL": f"{self.inbox.url}/result",
            **changes,
        }
        return self.post(f"b2c/{version}/paymentrequest", body, **(wire or {}))

    def ask(self, **what: Any) -> requests.Response:
        body = {
            "Initiator": "testapi",
            "SecurityCredential": self.credential,
            "CommandID": "TransactionStatusQuery",
            "PartyA": "600992",
            "IdentifierType": "4",
            "Remarks": "ok",
            "QueueTimeOutURL": f"{self.inbox.url}/status-late",
            "ResultURL": f"{self.inbox.url}/status",
            **what,
        }
        return self.post("transactionstatus/v1/query", body)

    def status_of(self, ocid: str) -> tuple[str, str | None]:
        """Return the result code and the inner TransactionStatus."""
        seen = len(self.inbox.bodies("/status"))
        self.ask(OriginalConversationID=ocid)
        result = self.inbox.wait("/status", seen + 1)[-1]["Result"]
        return str(result["ResultCode"]), parameters(result).get("TransactionStatus")


def parameters(result: dict[str, Any]) -> dict[str, Any]:
    rows = result.get("ResultParameters", {}).get("ResultParameter", [])
    return {row["Key"].replace(" ", ""): row.get("Value") for row in rows}


@pytest.fixture
def daraja(box, inbox) -> Daraja:
    caller = Daraja(box, inbox, box.security_credential("pass#1"))
    caller.log_in()
    return caller


def kind(value: Any) -> str:
    return (
        "number"
        if isinstance(value, (int, float)) and not isinstance(value, bool)
        else type(value).__name__
    )


def assert_shaped(found: Any, example: Any, where: str = "") -> None:
    """Every key we send is in the contract's example, with the same JSON type."""
    assert kind(found) == kind(example), f"{where}: {found!r} is not like {example!r}"
    if isinstance(found, dict):
        extra = set(found) - set(example)
        assert not extra, f"{where}: the contract has no {extra}"
        for name, value in found.items():
            assert_shaped(value, example[name], f"{where}.{name}")
    elif isinstance(found, list) and found and example:
        for value in found:
            assert_shaped(
                value, example[0] if len(example) == 1 else _nearest(value, example), where
            )


def _nearest(value: Any, examples: list[Any]) -> Any:
    if isinstance(value, dict) and "Key" in value:
        same = [one for one in examples if one.get("Key") == value["Key"]]
        assert same, f"the contract has no row {value}"
        return same[0] if "Value" in value or "Value" not in same[0] else value
    return examples[0]
