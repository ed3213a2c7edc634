"""Time to phone: from the approval in Mifos X until M-Pesa has the payment, by polling and by hook.

The approvals are spread evenly, as a branch office's are, and not timed to the polls.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import requests

from bench.paying import QUEUE, hire
from bench.stage import Stage, stage, wait_until
from sandbox.world import SampleWorld, generate

# Mifos X's hooks are taken up to 60 times a minute for each partner (disbursements/hooks.py).
SECONDS_BETWEEN_APPROVALS = 1.1
POLL_SECONDS = 10.0
PATIENCE_SECONDS = 120.0
WEBHOOK_TOKEN = "only-for-benchmarks-" * 2


def poll_inline(loans: int) -> list[float]:
    """One process on SQLite; a pass begins every POLL_SECONDS, as cron would begin it."""
    with _office("sqlite", loans) as made, _passes(made):
        return _times(made, loans)


def poll_queued(loans: int) -> list[float]:
    """One worker on PostgreSQL, which polls every POLL_SECONDS."""
    settings = {**QUEUE, "LOANPOLL_POLL_INTERVAL": str(POLL_SECONDS)}
    with _office("postgres", loans, settings) as made:
        hire(made, 1)
        return _times(made, loans)


def hook_inline(loans: int) -> list[float]:
    """The web process looks at the loan itself, inside the hook's own request."""
    with _office("sqlite", loans) as made:
        _register_hook(made)
        return _times(made, loans)


def hook_queued(loans: int) -> list[float]:
    """The hook makes a job; polling is as good as off."""
    with _office("postgres", loans, {**QUEUE, "LOANPOLL_POLL_INTERVAL": "3600"}) as made:
        hire(made, 1)
        _register_hook(made)
        return _times(made, loans)


def in_short(seconds: list[float]) -> tuple[float, float, float]:
    """Return p50, p95 and the longest."""
    return (
        statistics.median(seconds),
        statistics.quantiles(seconds, n=20, method="inclusive")[18],
        max(seconds),
    )


@contextmanager
def _office(kind: str, loans: int, settings: Mapping[str, str] | None = None) -> Iterator[Stage]:
    token = {"webhook_token": WEBHOOK_TOKEN}
    with stage(kind, _unapproved(loans), partner=token, settings=settings) as made:
        made.start_web()
        yield made


def _unapproved(loans: int) -> SampleWorld:
    world = generate(tenants=1, loans=loans, unpayable_share=1, kinds=("pending",))
    world.document["shortcodes"][0]["utility"] = str(100_000 * loans)
    return world


def _times(made: Stage, loans: int) -> list[float]:
    """Approve one loan after the other; return the seconds until M-Pesa had each payment."""
    approved: dict[str, float] = {}
    for loan in _unapproved(loans).loans:
        approved[loan.msisdn or ""] = time.time()
        made.control.command(loan.tenant, loan.loan_id, "approve")
        time.sleep(SECONDS_BETWEEN_APPROVALS)
    wait_until(lambda: made.control.count("mpesa", "b2c") >= loans, seconds=PATIENCE_SECONDS)
    sent = {each["fields"]["PartyB"]: each["at"] for each in made.control.ledger()["requests"]}
    return [sent[phone] - at for phone, at in approved.items()]


@contextmanager
def _passes(made: Stage) -> Iterator[None]:
    over = threading.Event()

    def begin_passes() -> None:
        while not over.wait(POLL_SECONDS):
            made.start("scheduled_loan_sync")

    clock = threading.Thread(target=begin_passes)
    clock.start()
    try:
        yield
    finally:
        over.set()
        clock.join()


def _register_hook(made: Stage) -> None:
    door = f"{made.environment['PUBLIC_BASE_URL']}/api/mifos/webhook/loan-approval/{WEBHOOK_TOKEN}/"
    answer = requests.post(
        f"{made.control.mifos_api}/hooks",
        json={
            "name": "Web",
            "isActive": True,
            "displayName": "Loan Poll",
            "config": {"Payload URL": door, "Content Type": "json"},
            "events": [{"actionName": "APPROVE", "entityName": "LOAN"}],
        },
        headers={"Fineract-Platform-TenantId": "lender1"},
        auth=("officer", "officer-password"),
        timeout=30,
    )
    answer.raise_for_status()
