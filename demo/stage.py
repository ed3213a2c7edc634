"""Where the story plays: the sandbox on one side, the product's passes on the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User

from demo.cast import Cast, Part, Role
from demo.telling import Teller
from disbursements.models import TriggeredBy
from disbursements.passes import run_fetch, run_process, run_sync
from loans.models import LoanStatus, LoanTracking
from sandbox.control import SandboxControl

PATIENCE_SECONDS = 30.0
PAUSE_SECONDS = 0.3


class StoryStuck(Exception):
    """The story did not get where it must. The text says where it stands."""


@dataclass(kw_only=True)
class Stage:
    """What scenes act with. Every method of Loan Poll used here is one its users have, too."""

    box: SandboxControl
    cast: Cast
    teller: Teller
    people: dict[str, User]

    def role(self, key: str) -> Role:
        return self.cast.roles[key]

    def loan(self, key: str) -> LoanTracking:
        role = self.role(key)
        return LoanTracking.objects.select_related("partner").get(
            partner__slug=role.part.lender, loan_id=role.loan_id
        )

    def fetch(self, *slugs: str) -> None:
        """Step 1 for these lenders (none named = all)."""
        run_fetch(triggered_by=TriggeredBy.SCHEDULE, partners=slugs)
        self.teller.follow()

    def run_pass(self, *slugs: str) -> None:
        """One whole pass for these lenders (none named = all), and the letters it caused."""
        run_sync(triggered_by=TriggeredBy.SCHEDULE, partners=slugs)
        self.wait_for_letters()

    def pay(self, key: str) -> None:
        """Approve this loan in Mifos X, and pay it alone: nothing else is asked or recorded."""
        role = self.role(key)
        self.approve_in_mifos(key)
        self.fetch(role.part.lender)
        run_process(
            triggered_by=TriggeredBy.SCHEDULE,
            partners=(role.part.lender,),
            loan_id=role.loan_id,
        )
        self.wait_for_letters()

    def wait_for_letters(self) -> None:
        self.box.wait_for_callbacks(PATIENCE_SECONDS)
        self.teller.follow()

    def approve_in_mifos(self, key: str) -> None:
        self.in_mifos(key, "approve")

    def in_mifos(self, key: str, command: str, body: dict[str, Any] | None = None) -> None:
        """Let an officer do something to this loan in Mifos X. Raises StoryStuck when refused."""
        role = self.role(key)
        answer = self.box.command(role.part.lender, role.loan_id, command, body)
        if answer["status"] != 200:
            raise StoryStuck(f"Mifos X refused {command} of loan {role.loan_id}: {answer['body']}")

    def ocid(self, key: str) -> str:
        """Return the id under which M-Pesa was asked to pay this loan."""
        return str(self.loan(key).attempts.latest("attempt_no").originator_conversation_id)

    def release_letter(self, key: str) -> None:
        """Let the sandbox post the result it kept for this borrower."""
        self.box.release_callbacks(msisdn=self.role(key).msisdn)
        self.wait_for_letters()

    def release_letters_in_order(self, key: str) -> None:
        """Release them one by one: the site takes letters that come at once in any order."""
        msisdn = self.role(key).msisdn
        for letter in self.box.callbacks()["letters"]:
            if letter["state"] == "held" and letter["facts"].get("msisdn") == msisdn:
                self.box.release_callbacks([letter["id"]])
                self.wait_for_letters()

    def until(self, key: str, reached: Callable[[LoanTracking], bool]) -> None:
        """Run passes of this loan's lender until it is so. Raises StoryStuck."""
        until = time.monotonic() + PATIENCE_SECONDS
        while not reached(self.loan(key)):
            if time.monotonic() > until:
                raise StoryStuck(_standing(self.role(key), self.loan(key)))
            self.run_pass(self.role(key).part.lender)
            time.sleep(PAUSE_SECONDS)

    def until_status(self, key: str, status: LoanStatus) -> None:
        self.until(key, lambda loan: loan.status == status)

    def not_ended(self) -> list[str]:
        """Return the loans that do not stand yet as their part says, in words."""
        return [_standing(role, loan) for role, loan in self._played() if not _is_over(role, loan)]

    def _played(self) -> Iterator[tuple[Role, LoanTracking | None]]:
        rows = LoanTracking.objects.select_related("partner")
        found = {(row.partner.slug, row.loan_id): row for row in rows}
        for role in self.cast.roles.values():
            yield role, found.get((role.part.lender, role.loan_id))


def _is_over(role: Role, loan: LoanTracking | None) -> bool:
    return loan is not None and _ending(role.part) == (
        loan.status,
        loan.hold_reason,
        loan.review_reason,
    )


def _ending(part: Part) -> tuple[str, str, str]:
    return part.status, part.hold, part.review


def _standing(role: Role, loan: LoanTracking | None) -> str:
    wanted = "/".join(word for word in _ending(role.part) if word)
    if loan is None:
        return f"{role.part.key}: loan {role.loan_id} was never found, wanted {wanted}"
    stands = "/".join(word for word in (loan.status, loan.hold_reason, loan.review_reason) if word)
    return f"{role.part.key}: loan {role.loan_id} is {stands}, wanted {wanted}"
