"""What people do while the passes run: officers in Mifos X, and staff in Loan Poll."""

from __future__ import annotations

import threading
from collections.abc import Callable

from django.db import connections
from django.utils import timezone

from demo.lenders import PAYMENT_TYPE
from demo.stage import Stage
from disbursements.retry import retry_loan
from loans.approvals import approve_loan
from loans.holding import hold_loan
from loans.models import HoldReason, LoanStatus
from partners.models import Partner
from partners.pausing import pause_all, pause_partner, resume_all

Scene = Callable[[Stage], None]
NEW_PHONE = "0710 900900"


def morning(stage: Stage) -> None:
    """The first poll finds what was approved; people act before the first payment."""
    stage.fetch()
    tell = stage.teller.act
    changed = stage.role("phone_changed")
    tell(f"somebody changes the phone number of the client of loan {changed.loan_id} in Mifos X")
    stage.box.change_client("umoja", changed.client_id, mobile_no=NEW_PHONE)
    tell(f"the borrower withdraws loan {stage.role('withdrawn').loan_id}")
    stage.box.withdraw("umoja", stage.role("withdrawn").loan_id)
    tell(f"an officer pays loan {stage.role('reopened').loan_id} in cash, and says so in Mifos X")
    stage.in_mifos("reopened", "disburse")
    hold_loan(
        stage.loan("held_by_staff").pk,
        actor="operator",
        reason="the branch wants to see the guarantor first",
        now=timezone.now(),
    )
    _approve(stage, "approved_by_person")
    subira = Partner.objects.get(slug="subira")
    pause_partner(subira, by="admin", reason="float audit until noon", now=timezone.now())
    stage.teller.follow()
    stage.run_pass()


def cash_taken_back(stage: Stage) -> None:
    """What was disbursed by hand is undone: it comes back, and is not paid by itself."""
    stage.until_status("reopened", LoanStatus.CANCELLED)
    stage.teller.act(f"the officer undoes the cash payment of {stage.role('reopened').loan_id}")
    stage.in_mifos("reopened", "undodisbursal")
    stage.run_pass("umoja")


def silence(stage: Stage) -> None:
    """M-Pesa queues a payment, never makes it, and never answers questions about it."""
    stage.pay("outcome_unknown")
    match = {"ocid": stage.ocid("outcome_unknown")}
    stage.box.add_fault("status_callback", "lost", match=match, times=None)


def unconfirmed_failure(stage: Stage) -> None:
    """A failure letter comes, and M-Pesa's own books do not confirm it."""
    stage.pay("failure_unconfirmed")
    stage.box.change_payment(stage.ocid("failure_unconfirmed"), status="Pending")
    stage.release_letter("failure_unconfirmed")


def paid_by_hand_too(stage: Stage) -> None:
    """An officer disburses by hand while M-Pesa is paying."""
    stage.pay("double_payment")
    stage.teller.act(f"an officer disburses {stage.role('double_payment').loan_id} by hand as well")
    stage.in_mifos("double_payment", "disburse")
    stage.release_letter("double_payment")


def approval_undone(stage: Stage) -> None:
    """The approval is undone while M-Pesa is paying: Mifos X can no longer record it."""
    stage.pay("paid_not_recorded")
    stage.teller.act(f"the approval of {stage.role('paid_not_recorded').loan_id} is undone")
    stage.in_mifos("paid_not_recorded", "undoapproval")
    stage.release_letter("paid_not_recorded")


def recorded_wrongly(stage: Stage) -> None:
    """An officer records our payment by hand, with the net amount where the principal belongs."""
    stage.pay("books_differ")
    role = stage.role("books_differ")
    receipt = next(row["receipt"] for row in stage.box.debits() if row["msisdn"] == role.msisdn)
    stage.teller.act(f"an officer records {role.loan_id} by hand, with the net as the principal")
    body = {
        "actualDisbursementDate": f"{timezone.localdate():%d %B %Y}",
        "dateFormat": "dd MMMM yyyy",
        "locale": "en",
        "transactionAmount": role.part.principal - role.part.fee,
        "paymentTypeId": PAYMENT_TYPE,
        "receiptNumber": receipt,
    }
    stage.in_mifos("books_differ", "disburse", body)
    stage.release_letter("books_differ")


def undone_after_payment(stage: Stage) -> None:
    """A finished loan is undone in Mifos X: it is never paid again by itself."""
    stage.pay("undone_after_payment")
    stage.until_status("undone_after_payment", LoanStatus.DISBURSED)
    stage.teller.act(f"the disbursement of {stage.role('undone_after_payment').loan_id} is undone")
    stage.in_mifos("undone_after_payment", "undodisbursal")
    stage.run_pass("umoja")


def changed_in_doubt(stage: Stage) -> None:
    """The amount changes in Mifos X while nobody knows whether the payment left."""
    stage.pay("mifos_changed")
    role = stage.role("mifos_changed")
    stage.teller.act(f"the principal of {role.loan_id} is lowered in Mifos X")
    stage.box.change_loan("umoja", role.loan_id, principal=str(role.part.principal - 2_000))


def checker_decides(stage: Stage) -> None:
    """Mifos X asks a second person for each record: one is approved, one rejected."""
    numbers = {stage.role(key).loan_id: key for key in ("checked", "checker_rejected")}
    for key in numbers.values():
        stage.until(key, lambda loan: loan.attempts.filter(mifos_command_id__gt=0).exists())
    for command in stage.box.waiting_commands("mwalimu"):
        verdict = "approve" if numbers[command["loanId"]] == "checked" else "reject"
        stage.teller.act(f"the checker answers '{verdict}' for loan {command['loanId']}")
        stage.box.decide("mwalimu", command["id"], verdict)


def stopped_shortcode(stage: Stage) -> None:
    """M-Pesa contradicts itself on one loan, so the shortcode stops and the next loan waits."""
    stage.box.options(hold_callbacks=True)
    stage.pay("contradiction")
    stage.release_letters_in_order("contradiction")
    stage.box.options(hold_callbacks=False)
    stage.run_pass("boresha")
    stage.approve_in_mifos("breaker_open")
    stage.run_pass("boresha")


def float_runs_out(stage: Stage) -> None:
    """The float covers no second loan: its attempt fails, and it waits for money with the next."""
    stage.until("float_too_small", lambda loan: loan.hold_reason == HoldReason.FLOAT_SHORT)
    stage.approve_in_mifos("float_short")
    stage.run_pass("akiba")


def everything_paused(stage: Stage) -> None:
    """An administrator stops all payouts for a moment."""
    stage.approve_in_mifos("paused_for_a_moment")
    stage.teller.act("an administrator pauses all payouts")
    pause_all(by="admin", reason="fire drill", now=timezone.now())
    stage.run_pass("tumaini")
    stage.teller.act("… and resumes them")
    resume_all(by="admin", reason="drill over", now=timezone.now())
    stage.run_pass("tumaini")


def lender_leaves(stage: Stage) -> None:
    """A lender is switched off while its poll is on the way: what it finds is not paid."""
    stage.approve_in_mifos("partner_inactive")
    match = {"tenant": "zamani"}
    stage.box.add_fault("loans_list", "slow_answer", match=match, seconds=1.5)
    poll = threading.Thread(target=_pass_in_a_thread, args=(stage, "zamani"))
    poll.start()
    stage.box.wait_until(
        lambda: any(row["call"] == "loans_list" for row in stage.box.faults()["fired"])
    )
    stage.teller.act("an administrator deactivates Zamani Chama in the middle of its poll")
    Partner.objects.filter(slug="zamani").update(is_active=False)
    poll.join()
    stage.teller.follow()


def second_attempt(stage: Stage) -> None:
    """The borrower registers for M-Pesa, and an operator asks for a new attempt."""
    stage.until_status("retried", LoanStatus.FAILED)
    role = stage.role("retried")
    stage.teller.act(f"the borrower of {role.loan_id} registers for M-Pesa; an operator retries")
    stage.box.set_wallet(role.msisdn, registered=True)
    retry_loan(
        stage.loan("retried").pk,
        actor="operator",
        reason="the borrower has registered for M-Pesa",
        now=timezone.now(),
    )
    stage.run_pass("umoja")


SCENES: list[Scene] = [
    morning,
    silence,
    changed_in_doubt,
    stopped_shortcode,
    float_runs_out,
    unconfirmed_failure,
    paid_by_hand_too,
    approval_undone,
    recorded_wrongly,
    cash_taken_back,
    everything_paused,
    lender_leaves,
    second_attempt,
    undone_after_payment,
    checker_decides,
]


def _approve(stage: Stage, key: str) -> None:
    loan = stage.loan(key)
    approve_loan(
        loan.pk,
        by=stage.people["approver"],
        amount=loan.net_disbursal_amount or loan.loan_amount,
        phone_number=loan.phone_number,
        reason="school calendar seen",
        now=timezone.now(),
    )


def _pass_in_a_thread(stage: Stage, slug: str) -> None:
    try:
        stage.run_pass(slug)
    finally:
        connections.close_all()
