"""The sandbox's control panel from Python: set it up, break it, read its books."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, cast

import requests

from sandbox.calls import Json, dump

TIMEOUT_SECONDS = 60


class SandboxError(Exception):
    """The control panel refused what was asked."""


class SandboxControl:
    """Talks to one running sandbox; every method is one HTTP call."""

    def __init__(self, mifos_url: str, mpesa_url: str, pid: int | None = None) -> None:
        self.mifos_url = mifos_url
        self.mpesa_url = mpesa_url
        self.pid = pid
        self._panel = mifos_url
        self._session = requests.Session()
        self._session.trust_env = False

    @property
    def mifos_api(self) -> str:
        return f"{self.mifos_url}/fineract-provider/api/v1"

    def _ask(self, method: str, door: str, body: Any = None, **query: Any) -> Any:
        response = self._session.request(
            method,
            f"{self._panel}/_sandbox/{door}",
            data=None if body is None else dump(body),
            params={name: value for name, value in query.items() if value is not None},
            timeout=TIMEOUT_SECONDS,
        )
        if response.status_code != 200:
            raise SandboxError(f"{door}: {response.text}")
        return response.json()

    def _post(self, door: str, body: Any = None) -> Any:
        return self._ask("POST", door, body or {})

    # the whole sandbox

    def reset(self, **options: Any) -> Json:
        """Empty everything and start over; options given here are set, the others stay."""
        return cast(Json, self._post("reset", options))

    def options(self, **changes: Any) -> Json:
        return cast(Json, self._post("options", changes))

    def load(self, document: Json) -> Json:
        """Load a world document, for instance `small_world().document`."""
        return cast(Json, self._post("world", document))

    def health(self) -> Json:
        return cast(Json, self._ask("GET", "health"))

    def outage(self, system: str, on: bool = True) -> None:
        """Refuse connections to one system, or take them again."""
        panel = self.mpesa_url if system == "mifos" else self.mifos_url
        response = self._session.post(
            f"{panel}/_sandbox/outage", json={"system": system, "on": on}, timeout=TIMEOUT_SECONDS
        )
        if response.status_code != 200:
            raise SandboxError(response.text)
        self._panel = panel

    def stop(self) -> None:
        self._post("stop")

    # Mifos X

    def add_tenant(self, name: str, **settings: Any) -> Json:
        """Create a tenant: username, password, era, permissions, maker_checker, holidays, …"""
        return cast(Json, self._post("tenants", {"name": name, **settings}))

    change_tenant = add_tenant

    def add_clients(self, tenant: str, clients: list[Json]) -> list[int]:
        return cast(list[int], self._post("clients", {"tenant": tenant, "clients": clients}))

    def add_loans(self, tenant: str, loans: list[Json]) -> list[int]:
        return cast(list[int], self._post("loans", {"tenant": tenant, "loans": loans}))

    def change_loan(self, tenant: str, loan_id: int, **changes: Any) -> Json:
        """Change any attribute of a loan: principal, charges, status, locked_by_cob, …"""
        body = {"tenant": tenant, "loan_id": loan_id, "changes": changes}
        return cast(Json, self._post("loan", body))

    def change_client(self, tenant: str, client_id: int, **changes: Any) -> Json:
        """Change a client: mobile_no, active, name, office_id, …"""
        body = {"tenant": tenant, "client_id": client_id, "changes": changes}
        return cast(Json, self._post("client", body))

    def command(
        self,
        tenant: str,
        loan_id: int,
        command: str,
        body: Json | None = None,
        user: str = "officer",
    ) -> Json:
        """Do what a person does in Mifos X: approve, reject, disburse, undodisbursal …

        Returns `status` and `body` of the genuine endpoint; a refusal is not raised.
        """
        asked = {
            "tenant": tenant,
            "loan_id": loan_id,
            "command": command,
            "body": body,
            "user": user,
        }
        return cast(Json, self._post("command", asked))

    def withdraw(self, tenant: str, loan_id: int) -> Json:
        """Undo the approval, then withdraw: Fineract does not withdraw an approved loan."""
        self.command(tenant, loan_id, "undoapproval")
        return self.command(tenant, loan_id, "withdrawnByApplicant")

    def waiting_commands(self, tenant: str) -> list[Json]:
        return cast(list[Json], self._ask("GET", "commands", tenant=tenant))

    def decide(self, tenant: str, command_id: int, verdict: str, user: str = "officer") -> Json:
        """Approve or reject a command that awaits a checker."""
        asked = {"tenant": tenant, "command_id": command_id, "verdict": verdict, "user": user}
        return cast(Json, self._post("checker", asked))

    def book(self, tenant: str | None = None) -> Json:
        """Return `transactions` (every disbursal) and `loans` (status and net) of Mifos X."""
        return cast(Json, self._ask("GET", "mifos/book", tenant=tenant))

    def loan(self, tenant: str, loan_id: int) -> Json:
        return cast(Json, self._ask("GET", "mifos/loan", tenant=tenant, loan_id=loan_id))

    # M-Pesa

    def add_shortcode(self, shortcode: str, **settings: Any) -> Json:
        """Create a shortcode: consumer_key, consumer_secret, initiator_name, utility, …"""
        return cast(Json, self._post("shortcodes", {"shortcode": shortcode, **settings}))

    change_shortcode = add_shortcode

    def set_wallet(self, msisdn: str, **settings: Any) -> Json:
        """Set what a phone can receive: balance, received, registered, exists, name."""
        return cast(Json, self._post("wallets", {"msisdn": msisdn, **settings}))

    def top_up(self, shortcode: str, amount: int) -> Json:
        """Move money from the Working to the Utility account."""
        return cast(Json, self._post("float", {"shortcode": shortcode, "amount": amount}))

    def ledger(self, since: int = 0) -> Json:
        """Return `debits`, `requests` (every B2C request seen), `shortcodes`, `tokens_issued`."""
        return cast(Json, self._ask("GET", "mpesa/ledger", since=since))

    def debits(self) -> list[Json]:
        return cast(list[Json], self.ledger()["debits"])

    def payments(self) -> list[Json]:
        return cast(list[Json], self._ask("GET", "mpesa/payments"))

    def reverse(self, receipt: str) -> Json:
        return cast(Json, self._post("reverse", {"receipt": receipt}))

    def change_payment(self, ocid: str, **changes: Any) -> Json:
        """Set how a status query sees a payment: status (any text), indexed, receipt."""
        return cast(Json, self._post("payment", {"ocid": ocid, **changes}))

    def kill_tokens(self, consumer_key: str | None = None) -> Json:
        return cast(Json, self._post("tokens/kill", {"consumer_key": consumer_key}))

    def certificate(self) -> str:
        return cast(str, self._ask("GET", "certificate")["certificate"])

    def security_credential(self, password: str) -> str:
        return cast(str, self._post("credential", {"password": password})["credential"])

    # faults, late effects, callbacks

    def add_fault(self, call: str, outcome: str, **rule: Any) -> Json:
        """Set a rule; see the menu in README.md. Returns it with its id."""
        return cast(Json, self._post("faults", {"call": call, "outcome": outcome, **rule})[0])

    def faults(self) -> Json:
        """Return `rules` with their counts, and `fired`: what really fired, in order."""
        return cast(Json, self._ask("GET", "faults"))

    def clear_faults(self, rule_id: int | None = None) -> None:
        self._ask("DELETE", "faults", {"id": rule_id})

    def effects(self) -> list[Json]:
        return cast(list[Json], self._ask("GET", "effects"))

    def release_effects(self, ids: list[int] | None = None) -> list[int]:
        """Let late effects land now."""
        return cast(list[int], self._post("effects/release", {"ids": ids}))

    def callbacks(self, *, bodies: bool = False, since: int = 0) -> Json:
        return cast(Json, self._ask("GET", "callbacks", bodies=1 if bodies else None, since=since))

    def release_callbacks(
        self, ids: list[int] | None = None, *, order: str = "given", **match: Any
    ) -> list[int]:
        """Send held and pending letters now; `order` is given, reversed or shuffled."""
        return cast(list[int], self._post("callbacks/release", _chosen(ids, match, order=order)))

    def drop_callbacks(self, ids: list[int] | None = None, **match: Any) -> list[int]:
        return cast(list[int], self._post("callbacks/drop", _chosen(ids, match)))

    def duplicate_callbacks(
        self, ids: list[int] | None = None, *, times: int = 1, **match: Any
    ) -> list[int]:
        """Deliver letters again, all at once."""
        return cast(list[int], self._post("callbacks/again", _chosen(ids, match, times=times)))

    # counts

    def requests(self, *, log: bool = False, since: int = 0) -> Json:
        """Return `counts` per system and call, `total`, and with `log` every call in order."""
        return cast(Json, self._ask("GET", "requests", log=1 if log else None, since=since))

    def count(self, system: str, call: str) -> int:
        return int(self.requests()["counts"][system].get(call, 0))

    def wait_until(self, found: Callable[[], object], seconds: float = 10.0) -> None:
        """Wait for something to become true. Raises TimeoutError."""
        end = time.monotonic() + seconds
        while not found():
            if time.monotonic() > end:
                raise TimeoutError(f"not within {seconds} s: {json.dumps(self.health())}")
            time.sleep(0.01)

    def wait_for_callbacks(self, seconds: float = 10.0) -> None:
        """Wait until nothing is on a timer and no letter is on its way."""

        def quiet() -> bool:
            health = self.health()
            return not health["timers"] and not health["letters"].get("pending")

        self.wait_until(quiet, seconds)

    def close(self) -> None:
        self._session.close()


def _chosen(ids: list[int] | None, match: Json, **more: Any) -> Json:
    body: Json = {"match": match, **more}
    if ids is not None:
        body["ids"] = ids
    return body
