"""The floor and the plain loop, each in a process of its own: `python -m bench.floor < JSON`.

The floor makes the product's HTTP calls and commits its rows, and nothing else: no decision, no
check, no model. The plain loop is what the guide's system does: ten loans a pass, one by one.
"""

from __future__ import annotations

import json
import resource
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from bench.rows import ACCEPTED, CLAIM, KEPT, LEASED, RECORDED, SETTLED, FloorRows

BASE = "/fineract-provider/api/v1"
DETAIL = "charges,multiDisburseDetails,linkedAccount,transactions"
LOANS_A_PASS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """What one process is to do; the same words as a partner's file."""

    mode: str  # floor or loop
    url: str
    loans: list[list[Any]]  # loan id, client id, msisdn, net, principal
    partner: dict[str, Any]
    mpesa_url: str
    threads: int


class Rail:
    """The two systems as bare HTTP."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.mifos = _session(work.threads)
        self.mifos.auth = (work.partner["mifos_username"], work.partner["mifos_password"])
        self.mifos.headers["Fineract-Platform-TenantId"] = work.partner["mifos_tenant_id"]
        self.mpesa = _session(work.threads)
        self.mpesa.headers["Authorization"] = f"Bearer {self._token()}"
        self.base = work.partner["mifos_host_url"] + BASE
        self.today = time.strftime("%d %B %Y", time.gmtime(time.time() + 10_800))

    def loan(self, loan_id: int) -> Any:
        return self.mifos.get(
            f"{self.base}/loans/{loan_id}", params={"associations": DETAIL}
        ).json()

    def client(self, client_id: int) -> Any:
        return self.mifos.get(f"{self.base}/clients/{client_id}").json()

    def page(self) -> Any:
        query: dict[str, Any] = {"status": 200, "limit": LOANS_A_PASS, "offset": 0}
        return self.mifos.get(f"{self.base}/loans", params=query).json()

    def disburse(self, loan: list[Any]) -> Any:
        body = {
            "actualDisbursementDate": self.today,
            "dateFormat": "dd MMMM yyyy",
            "locale": "en",
            "transactionAmount": str(loan[4]),
            "paymentTypeId": self.work.partner["mifos_payment_type_id"],
            "receiptNumber": f"R{loan[0]}",
            "externalId": f"floor-{loan[0]}",
        }
        url = f"{self.base}/loans/{loan[0]}"
        headers = {"Idempotency-Key": f"floor-{loan[0]}"}
        answer = self.mifos.post(url, params={"command": "disburse"}, json=body, headers=headers)
        answer.raise_for_status()
        return answer.json()

    def pay(self, loan: list[Any], result_url: str) -> Any:
        body = {
            "OriginatorConversationID": f"floor-{loan[0]}",
            "InitiatorName": self.work.partner["mpesa_initiator_name"],
            "SecurityCredential": self.work.partner["mpesa_security_credential"],
            "CommandID": "BusinessPayment",
            "Amount": str(int(float(loan[3]))),
            "PartyA": self.work.partner["mpesa_shortcode"],
            "PartyB": loan[2],
            "Remarks": "floor",
            "QueueTimeOutURL": result_url,
            "ResultURL": result_url,
        }
        url = f"{self.work.mpesa_url}/mpesa/b2c/v3/paymentrequest"
        answer = self.mpesa.post(url, json=body)
        answer.raise_for_status()
        return answer.json()

    def _token(self) -> str:
        partner = self.work.partner
        answer = self.mpesa.get(
            f"{self.work.mpesa_url}/oauth/v1/generate",
            params={"grant_type": "client_credentials"},
            auth=(partner["mpesa_consumer_key"], partner["mpesa_consumer_secret"]),
        )
        return str(answer.json()["access_token"])


class Floor:
    """Pays and records every loan, as fast as these calls and commits allow."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.rail = Rail(work)
        self.own = threading.local()
        self.by_id = {loan[0]: loan for loan in work.loans}
        self.pool = ThreadPoolExecutor(work.threads)
        self.left = len(work.loans)
        self.lock = threading.Lock()
        self.done = threading.Event()
        self.server = _callback_server(self)

    def run(self) -> None:
        rows = FloorRows(self.work.url)
        rows.create()
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        for loan in self.work.loans:
            rows.commit([("INSERT", "loans")], loan[0])
        for loan in self.work.loans:
            self.pool.submit(self._pay, loan)
        self.done.wait()
        self.server.shutdown()

    def take_callback(self, loan_id: int, body: bytes) -> None:
        json.loads(body)
        self._rows().commit(KEPT, loan_id)
        self._rows().commit(SETTLED, loan_id)
        self.pool.submit(self._record, self.by_id[loan_id])

    def _pay(self, loan: list[Any]) -> None:
        try:
            self.rail.loan(loan[0])
            self.rail.client(loan[1])
            self._rows().commit(CLAIM, loan[0])
            port = self.server.server_address[1]
            self.rail.pay(loan, f"http://127.0.0.1:{port}/{loan[0]}")
            self._rows().commit(ACCEPTED, loan[0])
        except Exception as exc:
            sys.stderr.write(f"floor: {exc}\n")
            self._one_less()

    def _record(self, loan: list[Any]) -> None:
        try:
            self._rows().commit(LEASED, loan[0])
            self.rail.loan(loan[0])
            self._rows().commit(LEASED, loan[0])
            self.rail.disburse(loan)
            self.rail.loan(loan[0])
            self._rows().commit(RECORDED, loan[0])
        finally:
            self._one_less()

    def _one_less(self) -> None:
        with self.lock:
            self.left -= 1
        if not self.left:
            self.done.set()

    def _rows(self) -> FloorRows:
        if not hasattr(self.own, "rows"):
            self.own.rows = FloorRows(self.work.url)
        found: FloorRows = self.own.rows
        return found


def plain_loop(work: Work) -> None:
    """Ten loans a pass, one at a time, no second look; recorded in the pass after."""
    rail, rows = Rail(work), FloorRows(work.url)
    rows.create()
    paid: list[list[Any]] = []
    for start in range(0, len(work.loans) + LOANS_A_PASS, LOANS_A_PASS):
        rail.page()
        for loan in work.loans[start : start + LOANS_A_PASS]:
            rows.commit([("INSERT", "loans"), ("INSERT", "attempts")], loan[0])
            rail.pay(loan, "http://127.0.0.1:9/r")
            rows.commit([("UPDATE", "attempts"), ("UPDATE", "loans")], loan[0])
        for loan in paid:
            rail.disburse(loan)
            rows.commit([("UPDATE", "attempts"), ("UPDATE", "loans")], loan[0])
        paid = work.loans[start : start + LOANS_A_PASS]


def _session(size: int) -> requests.Session:
    made = requests.Session()
    made.trust_env = False
    made.mount("http://", HTTPAdapter(pool_maxsize=size))
    return made


def _callback_server(floor: Floor) -> ThreadingHTTPServer:
    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            floor.take_callback(int(self.path.strip("/")), body)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 1024
        daemon_threads = True

    return Server(("127.0.0.1", 0), Door)


def measured(work: Work) -> dict[str, float]:
    """Do the work; return seconds, CPU seconds and peak memory of this process."""
    began = time.monotonic()
    if work.mode == "loop":
        plain_loop(work)
    else:
        Floor(work).run()
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "seconds": time.monotonic() - began,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_mib": used.ru_maxrss / 1024,
    }


def as_argument(work: Work) -> str:
    """Return the work as the command line takes it."""
    return json.dumps(asdict(work))


if __name__ == "__main__":
    print(json.dumps(measured(Work(**json.load(sys.stdin)))))
