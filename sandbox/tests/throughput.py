"""How many calls a second one sandbox process answers: `python -m sandbox.tests.throughput`."""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from urllib.parse import urlsplit

import requests

from sandbox.control import SandboxControl
from sandbox.running import sandbox_process
from sandbox.world import SampleWorld, generate, partner_rows

BASE = "/fineract-provider/api/v1"


def request_bytes(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: sandbox", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


async def one_connection(
    address: tuple[str, int], next_request: Callable[[], bytes], end: float
) -> int:
    """Ask again and again on one kept connection. Raises AssertionError on anything but 200."""
    reader, writer = await asyncio.open_connection(*address)
    done = 0
    while time.monotonic() < end:
        writer.write(next_request())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        done += 1
    writer.close()
    return done


async def rate(
    url: str, next_request: Callable[[], bytes], seconds: float, connections: int
) -> float:
    parts = urlsplit(url)
    address = (str(parts.hostname), int(parts.port or 80))
    end = time.monotonic() + seconds
    counts = await asyncio.gather(
        *(one_connection(address, next_request, end) for _ in range(connections))
    )
    return sum(counts) / seconds


def mifos_headers(row: dict[str, str]) -> dict[str, str]:
    key = base64.b64encode(f"{row['mifos_username']}:{row['mifos_password']}".encode()).decode()
    return {
        "Authorization": f"Basic {key}",
        "Fineract-Platform-TenantId": row["mifos_tenant_id"],
        "Content-Type": "application/json",
    }


def daraja_headers(control: SandboxControl, row: dict[str, str]) -> dict[str, str]:
    found = requests.get(
        f"{control.mpesa_url}/oauth/v1/generate",
        params={"grant_type": "client_credentials"},
        auth=(row["mpesa_consumer_key"], row["mpesa_consumer_secret"]),
        timeout=5,
    )
    token = found.json()["access_token"]
    return {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}


def payments(row: dict[str, str], headers: dict[str, str]) -> Iterator[bytes]:
    number = 0
    while True:
        number += 1
        body = {
            "OriginatorConversationID": f"load-{number}",
            "InitiatorName": row["mpesa_initiator_name"],
            "SecurityCredential": row["mpesa_security_credential"],
            "CommandID": "BusinessPayment",
            "Amount": "10",
            "PartyA": row["mpesa_shortcode"],
            "PartyB": f"2547{number:08d}",
            "Remarks": "load",
            "QueueTimeOutURL": "http://127.0.0.1:9/t",
            "ResultURL": "http://127.0.0.1:9/r",
        }
        yield request_bytes(
            "POST", "/mpesa/b2c/v3/paymentrequest", headers, json.dumps(body).encode()
        )


def disbursals(sample: SampleWorld, headers: dict[str, str]) -> Iterator[bytes]:
    day = time.strftime("%d %B %Y", time.gmtime(time.time() + 10_800))
    for loan in sample.payable:
        body = {
            "actualDisbursementDate": day,
            "dateFormat": "dd MMMM yyyy",
            "locale": "en",
            "transactionAmount": str(loan.principal),
            "paymentTypeId": 7,
            "receiptNumber": f"R{loan.loan_id}",
            "externalId": f"x:{loan.loan_id}",
        }
        path = f"{BASE}/loans/{loan.loan_id}?command=disburse"
        keyed = {**headers, "Idempotency-Key": f"k{loan.loan_id}"}
        yield request_bytes("POST", path, keyed, json.dumps(body).encode())


def measure(seconds: float, connections: int, loans: int) -> dict[str, int]:
    """Return calls a second by kind; callbacks are held, so that only the answers are measured."""
    sample = generate(tenants=1, loans=loans, unpayable_share=0)
    out: dict[str, int] = {}
    with sandbox_process(world=sample.document, hold_callbacks=True, callback_delay=0.0) as control:
        row = partner_rows(sample.document, control.mifos_url)[0]
        control.change_shortcode(row["mpesa_shortcode"], utility="1e9")
        mifos, daraja = mifos_headers(row), daraja_headers(control, row)
        first = sample.loans[0]
        detail = f"{BASE}/loans/{first.loan_id}?associations=charges,transactions"
        plain = {
            "loan with associations": detail,
            "client": f"{BASE}/clients/{first.client_id}",
            "list page of 100": f"{BASE}/loans?status=200&limit=100&offset=0&orderBy=l.id",
        }
        streams: dict[str, tuple[str, Callable[[], bytes]]] = {}
        for name, path in plain.items():
            sent = request_bytes("GET", path, mifos)
            streams[name] = (control.mifos_url, partial(bytes, sent))
        streams["b2c payment"] = (control.mpesa_url, payments(row, daraja).__next__)
        for name, (url, next_request) in streams.items():
            out[name] = round(asyncio.run(rate(url, next_request, seconds, connections)))
        out["disburse"] = disburse_rate(control, sample, mifos)
    return out


def disburse_rate(control: SandboxControl, sample: SampleWorld, headers: dict[str, str]) -> int:
    """Disburse every loan once, one connection."""
    requests_ready = list(disbursals(sample, headers))
    feed = iter(requests_ready[:-1])
    last = requests_ready[-1]
    started = time.monotonic()
    parts = urlsplit(control.mifos_url)

    async def all_of_them() -> int:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        done = 0
        for sent in [*feed, last]:
            writer.write(sent)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            await reader.readexactly(
                int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            )
            done += 1
        writer.close()
        return done

    done = asyncio.run(all_of_them())
    return round(done / (time.monotonic() - started))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--loans", type=int, default=2000)
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.seconds, arguments.connections, arguments.loans), indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
