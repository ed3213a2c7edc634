"""Where a B2C payment gets its fate: the debit or the refusal, and the letters that tell of it."""

from __future__ import annotations

import time

from sandbox.calls import Json, dump
from sandbox.daraja_results import (
    BEFORE_TRANSACTION,
    failure_result,
    success_result,
    timeout_notice,
)
from sandbox.deliveries import Letter
from sandbox.ledger import Payment, Shortcode
from sandbox.mail import post
from sandbox.numbers import date_letters
from sandbox.state import Plan, World

ENDINGS = {"17": "Cancelled", "26": "Expired", "100000000": "Expired"}


def settle(world: World, payment: Payment, forced: str, plan: Plan | None) -> list[Letter]:
    """Pay or refuse, and send what the plan says. `forced` is a result code a fault asked for."""
    shortcode = world.ledger.shortcodes[payment.shortcode]
    payment.finished_at = time.time()
    problem = initiator_problem(world, shortcode, payment.initiator, payment.password)
    code = forced or problem or world.ledger.refusal(payment)
    payment.code = code or "0"
    if code and code != "0":
        _refuse(world, payment, code)
    else:
        payment.indexed, payment.status = True, "Completed"
        payment.transaction_id = world.numbers.receipt(payment.finished_at)
        world.ledger.debit(payment, payment.transaction_id, payment.finished_at)
    return _tell(world, payment, plan)


def _refuse(world: World, payment: Payment, code: str) -> None:
    """A failure has a TransactionID that looks real, or zeros (contracts/mpesa.md 5.1)."""
    payment.status = ENDINGS.get(code, "Declined")
    payment.indexed = code not in BEFORE_TRANSACTION
    at = payment.finished_at or payment.at
    zeros = world.quirks.one_in(2)
    payment.transaction_id = f"{date_letters(at)}0000000" if zeros else world.numbers.receipt(at)


def initiator_problem(
    world: World, shortcode: Shortcode, initiator: str, password: str | None
) -> str:
    """Return 8006, 2001, 21 or 2028 when the operator or the shortcode may not do this."""
    if shortcode.locked:
        return "8006"
    if initiator != shortcode.initiator_name or password != shortcode.initiator_password:
        shortcode.wrong_credentials += 1
        shortcode.locked = shortcode.wrong_credentials >= world.options.credential_attempts
        return "2001"
    shortcode.wrong_credentials = 0
    if not shortcode.has_role:
        return "21"
    return "" if shortcode.has_product else "2028"


def _tell(world: World, payment: Payment, plan: Plan | None) -> list[Letter]:
    paid = payment.code == "0"
    truth = (
        _success(world, payment) if paid else failure_result(payment, payment.code, world.quirks)
    )
    if plan is None or plan.outcome == "before_answer":
        return _send(world, payment, truth, plan)
    wrong_code = plan.code or "17"
    match plan.outcome:
        case "says_failure":
            return _send(world, payment, failure_result(payment, wrong_code, world.quirks), None)
        case "says_success":
            return _send(world, payment, _success(world, payment), None)
        case "timeout_only":
            return _notice(world, payment)
        case "timeout_then_result":
            return _notice(world, payment) + _send(world, payment, truth, None, _gap(plan))
        case "success_then_failure" | "failure_then_success":
            first, second = (
                _success(world, payment),
                failure_result(payment, wrong_code, world.quirks),
            )
            if plan.outcome == "failure_then_success":
                first, second = second, first
            return _send(world, payment, first, None) + _send(
                world, payment, second, None, _gap(plan)
            )
        case "to_url":
            plan.params = {"url": payment.timeout_url, **plan.params}
    return _send(world, payment, truth, plan)


def _gap(plan: Plan) -> float:
    return 0.5 if plan.seconds is None else plan.seconds


def _success(world: World, payment: Payment) -> Json:
    """Return a success; with a receipt that is in no book when the payment was not made."""
    receipt = payment.receipt or world.numbers.receipt(payment.at)
    shortcode = world.ledger.shortcodes[payment.shortcode]
    wallet = world.ledger.wallet(payment.msisdn)
    return success_result(payment, shortcode, wallet, receipt, world.quirks)


def payment_facts(payment: Payment) -> Json:
    return {
        "shortcode": payment.shortcode,
        "msisdn": payment.msisdn,
        "ocid": payment.ocid,
        "amount": str(payment.amount),
    }


def _send(
    world: World, payment: Payment, body: Json, plan: Plan | None, delay: float = 0.0
) -> list[Letter]:
    facts = payment_facts(payment)
    if plan is not None and plan.outcome == "before_answer":  # the caller delivers it
        letter = world.deliveries.add("payment_result", payment.result_url, dump(body), facts)
        return [letter]
    return post(world, "payment_result", payment.result_url, body, facts, plan, delay)


def _notice(world: World, payment: Payment) -> list[Letter]:
    body = timeout_notice(payment, world.quirks)
    facts = payment_facts(payment)
    return post(world, "payment_timeout", payment.timeout_url, body, facts, None)
