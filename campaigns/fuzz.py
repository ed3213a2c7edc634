"""Campaign 6: nonsense at every door, and from both peers. No 500, no move."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from campaigns.environment import PROJECT
from campaigns.lives import Body
from campaigns.mutate import mutated
from campaigns.play import Job, Outcome, begin, spread
from campaigns.rig import Rig
from campaigns.verdict import Violation
from campaigns.worlds import lenders, partner_rows_for
from sandbox.calls import Json

BODIES = 500  # in one block
SHORT_BODIES = 60
BLOCKS = 12
LARGEST_BODY = 64 * 1024  # what the doors read at most
DOORS = ("callbacks", "hooks", "partners", "mifos", "mpesa")
EXAMPLES = {"mifos": "mifos/tests/examples.json", "mpesa": "mpesa/tests/daraja_examples.json"}
Tell = Callable[[str], None]


def plan(rig: Rig, *, seed: int, count: int | None, short: bool) -> list[Job]:
    """Name blocks of bodies for each door, and the API once, by its own document."""
    bodies = SHORT_BODIES if short else BODIES
    names = [f"{door}/{block}/{bodies}" for block in range(BLOCKS) for door in DOORS]
    jobs = [(name, seed + number) for number, name in enumerate(names)]
    if short:
        return jobs[: len(DOORS)]
    return [*spread(jobs, count), ("api/schemathesis", seed)]


def play(rig: Rig, name: str, seed: int) -> Outcome:
    """Send one block of bodies to one door."""
    door, _, rest = name.partition("/")
    outcome = Outcome(campaign="fuzz", name=name, seed=seed, armed=1)
    if door == "api":
        return _schemathesis(rig, outcome)
    outcome.armed = bodies = int(rest.rpartition("/")[2])
    running = begin(rig, outcome, lenders(loans=6, seed=seed), threaded=True, hold_callbacks=True)
    rig.one_pass()
    letters = _letters(rig)
    notes = rig.nursery.folder / "fuzz"
    notes.unlink(missing_ok=True)
    chance = random.Random(f"{seed}/{name}")
    trial = Trial(rig=rig, letters=letters, chance=chance, tell=_teller(notes), bodies=bodies)
    end = rig.act(BODIES_OF[door](trial))
    told = notes.read_text().splitlines() if notes.exists() else []
    outcome.fired = {f"{door}: bodies": bodies}
    if end.code != 0:
        running.found.append(Violation("fuzz", f"{door} ended as {end}"))
    running.found += [Violation("fuzz", text) for text in dict.fromkeys(told)]
    running.heal()
    running.until_quiet()
    return running.judge()


def _teller(notes: Path) -> Tell:
    def tell(text: str) -> None:
        with notes.open("a") as out:
            out.write(text.replace("\n", " ")[:1000] + "\n")

    return tell


@dataclass(frozen=True, slots=True)
class Letter:
    """A callback that M-Pesa would send: its true path and body."""

    path: str
    body: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """What one block of bodies works with."""

    rig: Rig
    letters: list[Letter]
    chance: random.Random
    tell: Tell
    bodies: int


def _letters(rig: Rig) -> list[Letter]:
    rows = rig.sandbox.callbacks(bodies=True)["letters"]
    return [Letter(urlsplit(row["url"]).path, json.loads(row["body"])) for row in rows]


def _callbacks(trial: Trial) -> Body:
    """Spoiled letters with right, foreign and wrong tokens; each is undone after."""
    letters, chance, tell = trial.letters, trial.chance, trial.tell

    def run() -> None:
        from django.db import transaction
        from django.test import Client

        client = Client(raise_request_exception=False, SERVER_NAME="127.0.0.1")
        before = _state()
        for _ in range(trial.bodies):
            letter, other = chance.choice(letters), chance.choice(letters)
            path, is_right = _address(letter, other, chance)
            body = mutated(letter.body, chance)
            with transaction.atomic():
                answer = client.post(path, body, content_type="application/json")
                after = _state()
                _judge_callback(path, body, is_right, answer.status_code, before, after, tell)
                transaction.set_rollback(True)

    return run


def _address(letter: Letter, other: Letter, chance: random.Random) -> tuple[str, bool]:
    """Return a path, and whether its token is one that we gave out for this kind of letter."""
    start, _, token = letter.path.rpartition("/")
    wrong = chance.choice((token[:-1], token + "A", token.swapcase(), "x", "0" * 43, token[::-1]))
    status = start.replace("payout-result", "status-result")
    choices = (
        (letter.path, True),
        (other.path, True),
        (letter.path.replace("result", "timeout"), True),
        (f"{start}/{wrong}", False),
        (f"{status}/{token}", False),
        (f"{start}/", False),
    )
    return chance.choice(choices)


def _state() -> tuple[tuple[Any, ...], ...]:
    from disbursements.models import DisbursementRequest
    from loans.models import LoanEvent, LoanTracking
    from mpesa.models import MpesaCallback

    attempts = DisbursementRequest.objects.order_by("id").values_list(
        "id", "status", "amount", "msisdn"
    )
    loans = LoanTracking.objects.order_by("id").values_list("id", "status", "review_reason")
    counts = (LoanEvent.objects.count(), MpesaCallback.objects.count())
    return (*attempts, *loans, counts)


def _judge_callback(
    path: str,
    body: bytes,
    is_right: bool,
    status: int,
    before: tuple[tuple[Any, ...], ...],
    after: tuple[tuple[Any, ...], ...],
    tell: Tell,
) -> None:
    door = path.split("/")[3]
    if status >= 500:
        tell(f"{door} answered {status} to {body[:300]!r}")
    if not is_right and (not _is_sent_away(status, body) or before != after):
        tell(f"{door} took a wrong token: {status}, {body[:300]!r}")
    for old, new in zip(before, after, strict=True):
        if old == new or len(old) < 4:
            continue
        if new[1] in ("failed", "completed"):
            tell(f"one letter made an attempt {new[1]}: {body[:600]!r}")
        if new[1] == "paid" and not _says_paid(body):
            tell(f"a letter that does not say so made an attempt paid: {body[:900]!r}")


def _is_sent_away(status: int, body: bytes) -> bool:
    """A body over the limit is not read, so that nobody looks at its token either."""
    return status == (413 if len(body) > LARGEST_BODY else 404)


def _says_paid(body: bytes) -> bool:
    """Does the letter, read by another reader than the product's, name success and a receipt?"""
    try:
        result = json.loads(body.removeprefix(b"\xef\xbb\xbf").decode(errors="replace"))["Result"]
    except (ValueError, KeyError, TypeError):
        return False
    code = result.get("ResultCode")
    says_success = code == "0" or (type(code) is int and code == 0) or str(code).strip() == "0"
    return says_success and "TransactionReceipt" in json.dumps(result)


def _hooks(trial: Trial) -> Body:
    """Spoiled hooks; the worst that a right token may do is a look at one loan."""
    chance, tell = trial.chance, trial.tell
    tokens = list(trial.rig.secret_hooks.values())
    hook = json.loads((PROJECT / EXAMPLES["mifos"]).read_text())
    shapes = [_hook(3001), {"loanId": 3002, "status": "x"}, *_objects(hook)][:30]

    def run() -> None:
        from django.core.cache import cache
        from django.test import Client

        client = Client(raise_request_exception=False, SERVER_NAME="127.0.0.1")
        for _ in range(trial.bodies):
            cache.clear()  # the pace of hooks is not what is tried here
            token = chance.choice((*tokens, "wrong", tokens[0][:-1]))
            body = mutated(chance.choice(shapes), chance)
            path = f"/api/mifos/webhook/loan-approval/{token}"
            before = None if token in tokens else _state()
            status = client.post(path, body, content_type="application/json").status_code
            if status >= 500:
                tell(f"a hook was answered {status}: {body[:300]!r}")
            if before is None:
                continue
            if not _is_sent_away(status, body) or before != _state():
                tell(f"a hook with a wrong token did something: {status}")

    return run


def _hook(loan_id: int) -> Json:
    response = {"loanId": loan_id, "resourceId": loan_id, "changes": {"status": {"id": 200}}}
    return {
        "entityName": "LOAN",
        "actionName": "APPROVE",
        "createdBy": 1,
        "clientId": 1001,
        "response": response,
        "timestamp": "2026-11-23T06:40:02Z",
    }


def _partners(trial: Trial) -> Body:
    """Spoiled partner files: a named error and nothing changed, or a file that could be right."""
    chance, tell = trial.chance, trial.tell
    rows = partner_rows_for(trial.rig.sandbox, {})
    folder = trial.rig.nursery.folder

    def run() -> None:
        from django.db import transaction
        from django.utils import timezone

        from partners.loading import WrongFile, load_partners

        for number in range(trial.bodies // 2):
            path = folder / f"partners-{number % 2}.{chance.choice(('json', 'yaml'))}"
            path.write_bytes(mutated(rows, chance))
            before = _partner_rows()
            with transaction.atomic():
                try:
                    load_partners(path, now=timezone.now())
                except WrongFile:
                    if before != _partner_rows():
                        tell("a wrong partner file changed something")
                except Exception as exc:
                    spoiled = path.read_bytes()[:600]
                    tell(f"load_partners raised {type(exc).__name__}: {exc} on {spoiled!r}")
                transaction.set_rollback(True)

    return run


def _partner_rows() -> list[tuple[Any, ...]]:
    from partners.models import LoanProductAutoDisbursalConfig, Partner

    return [
        *Partner.objects.order_by("id").values_list(),
        *LoanProductAutoDisbursalConfig.objects.order_by("id").values_list(),
    ]


@dataclass(frozen=True, slots=True)
class SpoiledWire:
    """Stands where the wire is, and answers with a spoiled example whatever is asked."""

    examples: list[Any]
    chance: random.Random
    said: list[bytes]

    def send(self, method: str, url: str, **request: Any) -> Any:
        from wire import Answer

        status = self.chance.choice(
            (200, 200, 200, 200, 201, 400, 401, 403, 404, 409, 425, 429, 500, 503)
        )
        headers = self.chance.choice(
            ({}, {"x-served-from-cache": "true"}, {"Content-Type": "text/html"})
        )
        body = mutated(self._example(request), self.chance)
        self.said[:] = [body]
        return Answer(status=status, headers=headers, body=body, url=url)

    def _example(self, request: dict[str, Any]) -> Any:
        """Return an example; often one that echoes our own ids, as the true peer would."""
        example = self.chance.choice(self.examples)
        told = request.get("body") or {}
        if isinstance(example, dict) and isinstance(told, dict) and self.chance.random() < 0.5:
            own = told.get("OriginatorConversationID")
            return {**example, "OriginatorConversationID": own} if own else example
        return example

    def close(self) -> None: ...


def _mifos(trial: Trial) -> Body:
    """Spoiled answers of Mifos X through its client: only the client's own errors come out."""
    return _spoiled_client("mifos", trial)


def _mpesa(trial: Trial) -> Body:
    """Spoiled answers of Daraja through its client, and spoiled results through the readers."""
    return _spoiled_client("mpesa", trial)


def _spoiled_client(system: str, trial: Trial) -> Body:
    examples = [
        *_objects(json.loads((PROJECT / EXAMPLES[system]).read_text())),
        *_recorded(trial.rig),
    ]

    def run() -> None:
        wire = SpoiledWire(examples, trial.chance, [])
        calls, errors = (_mifos_calls if system == "mifos" else _mpesa_calls)(wire)
        for number in range(trial.bodies):
            name, call = calls[number % len(calls)]
            try:
                found = call()
            except errors:
                continue
            except Exception as exc:
                trial.tell(
                    f"{system}.{name} raised {type(exc).__name__}: {exc} on {wire.said[0][:600]!r}"
                )
                continue
            if name == "pay" and not _accepts(wire.said[0]):
                trial.tell(f"pay took {wire.said[0][:600]!r} as accepted: {found}")

    return run


def _accepts(body: bytes) -> bool:
    try:
        answer = json.loads(body.decode("utf-8-sig"))
    except ValueError:
        return False
    return answer.get("ResponseCode") in ("0", 0) and answer.get("OriginatorConversationID") == OCID


OCID = "600001-0123456789abcdef01234567"
Calls = list[tuple[str, Callable[[], object]]]


def _mifos_calls(wire: SpoiledWire) -> tuple[Calls, type[Exception]]:
    from datetime import date
    from decimal import Decimal

    from django.utils import timezone

    from mifos.client import DisburseOrder, MifosClient, MifosError
    from partners.gateways import mifos_config
    from partners.models import Partner

    client = MifosClient(mifos_config(Partner.objects.all()[0]))
    setattr(client, "_wire", wire)  # noqa: B010 - the client makes its own wire
    order = DisburseOrder(
        loan_id=3001,
        principal=Decimal(5000),
        on=date(2026, 11, 23),
        payment_type_id=7,
        receipt_number="SGH7K2M9QD",
        account_number="254712345678",
        routing_code="AG_1",
        external_id="loanpoll-1",
        idempotency_key="lp:1",
        note="",
    )
    calls: Calls = [
        ("approved_loans", lambda: list(_some(client.approved_loans()))),
        ("loan", lambda: client.loan(3001)),
        ("client", lambda: client.client(1001)),
        ("payment_types", client.payment_types),
        ("products", client.products),
        ("permissions", client.permissions),
        ("business_date", lambda: client.business_date(now=timezone.now())),
        ("calendar", lambda: client.calendar(office_id=1)),
        ("disburse", lambda: client.disburse(order)),
        ("command_state", lambda: client.command_state(5, loan_id=3001)),
        ("by_external_id", lambda: client.disbursal_by_external_id(3001, "loanpoll-1")),
    ]
    return calls, MifosError


def _some(pages: Iterator[Any]) -> Iterator[Any]:
    """A spoiled total may promise pages without end."""
    for _, page in zip(range(20), pages, strict=False):
        yield page


def _mpesa_calls(wire: SpoiledWire) -> tuple[Calls, Any]:
    from decimal import Decimal

    from mpesa.client import BalanceQuestion, MpesaClient, MpesaError, PaymentOrder, StatusQuestion
    from mpesa.results import (
        UnreadableCallback,
        read_balance_result,
        read_payment_result,
        read_status_result,
    )
    from partners.gateways import mpesa_config
    from partners.models import Partner

    client = MpesaClient(mpesa_config(Partner.objects.all()[0]), _NoStore(), wire)  # type: ignore[arg-type]  # stands in for a Wire
    urls: Json = {"result_url": "http://127.0.0.1/a", "timeout_url": "http://127.0.0.1/b"}
    order = PaymentOrder(
        originator_conversation_id=OCID,
        amount=Decimal(100),
        msisdn="254712345678",
        remarks="Loan 1 attempt 1",
        **urls,
    )
    status = StatusQuestion(originator_conversation_id=OCID, remarks="Loan 1", **urls)
    balance = BalanceQuestion(remarks="Float", **urls)

    def body() -> str:
        wire.send("POST", "")
        return wire.said[0].decode("utf-8", "replace")

    calls: Calls = [
        ("pay", lambda: client.pay(order)),
        ("prepare", client.prepare),
        ("ask_status", lambda: client.ask_status(status)),
        ("ask_balance", lambda: client.ask_balance(balance)),
        ("read_payment_result", lambda: read_payment_result(body())),
        ("read_status_result", lambda: read_status_result(body())),
        ("read_balance_result", lambda: read_balance_result(body())),
    ]
    return calls, (MpesaError, UnreadableCallback)


class _NoStore:
    """Gives a token without asking, except every third time."""

    def __init__(self) -> None:
        self._asked = 0

    def token(self, fetch: Callable[[], Any]) -> str:
        self._asked += 1
        return str(fetch().access_token) if self._asked % 3 == 0 else "token"

    def discard(self, access_token: str) -> None: ...


def _objects(node: Any) -> list[Any]:
    """Return every object in a document of examples that could be a body by itself."""
    found = [node] if isinstance(node, dict) else []
    for inner in (
        node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    ):
        found += _objects(inner)
    return [each for each in found if len(each) > 1][:400]


def _recorded(rig: Rig) -> list[Any]:
    """Return what the sandbox really answers to the reads."""
    import requests

    tenant = {"Fineract-Platform-TenantId": "lender1", "Content-Type": "application/json"}
    paths = (
        *(
            "loans?status=200&limit=50",
            "loans/3001?associations=all",
            "clients/1001",
            "paymenttypes",
        ),
        *(
            "businessdate/BUSINESS_DATE",
            "holidays",
            "workingdays",
            "configurations",
            "loanproducts",
        ),
    )
    answers = [
        requests.get(
            f"{rig.sandbox.mifos_api}/{path}",
            headers=tenant,
            auth=("svc-lender1", "pw-lender1"),
            timeout=20,
        )
        for path in paths
    ]
    bodies = [answer.json() for answer in answers if answer.status_code == 200]
    return [body for body in bodies if body] * 8


def _schemathesis(rig: Rig, outcome: Outcome) -> Outcome:
    """The API by its own OpenAPI document: the product's tests, as they stand."""
    started = time.monotonic()
    place = "disbursements/tests/test_api_schema.py"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", place]
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DJANGO_SETTINGS_MODULE", "DATABASE_URL")
    }
    ran = subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
    )
    outcome.engine = rig.engine.name
    outcome.fired = {"api: schemathesis": 1}
    outcome.violations = [] if ran.returncode == 0 else [f"api: {ran.stdout[-1500:]}"]
    outcome.seconds = round(time.monotonic() - started, 3)
    return outcome


Block = Callable[[Trial], Body]
BODIES_OF: dict[str, Block] = {
    "callbacks": _callbacks,
    "hooks": _hooks,
    "partners": _partners,
    "mifos": _mifos,
    "mpesa": _mpesa,
}
