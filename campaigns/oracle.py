"""Says which promises of reliability.md 1 are broken. Knows the books, not the product."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from operator import itemgetter
from zoneinfo import ZoneInfo

from campaigns.audit import audit_violations
from campaigns.books import Books, Unit, kes, moment
from campaigns.engines import Row
from campaigns.verdict import Violation
from sandbox.world import SampleWorld

RECHECK_SECONDS = 10.0
NAIROBI = ZoneInfo("Africa/Nairobi")
MONEY = ("paid", "completed")
FINAL = ("disbursed", "failed", "cancelled")
CREDENTIAL_CODES = frozenset({"2001", "8006", "21"})
PROOFS = frozenset(
    {
        *("refused by the gateway", "never left", "status query"),
        *("failure result and not found", "two people"),
    }
)
NO_BYTE_COUNTED = frozenset({"refused by the gateway", "never left"})


@dataclass(kw_only=True)
class Case:
    """The books, and what the schedule knows beyond them."""

    books: Books
    world: SampleWorld
    now: datetime  # on the lives' clock
    quiet: bool = True
    person_acted_at: list[float] = field(default_factory=list)  # a breaker was closed then
    bystanders: frozenset[str] = frozenset()  # tenants that no fault was aimed at
    touched: frozenset[Unit] = frozenset()  # loans that somebody changed by hand


Check = Callable[[Case], Iterator[str]]


def violations(case: Case) -> list[Violation]:
    """Return every broken promise, named as in reliability.md 1.1, 1.3 and 1.2 (L1)."""
    found = [Violation(name, text) for name, check in CHECKS for text in check(case)]
    found += audit_violations(case.books)
    if case.quiet:
        found += [Violation(name, text) for name, check in AT_REST for text in check(case)]
    return found


def one_payout_per_unit(case: Case) -> Iterator[str]:
    counts: dict[Unit, list[str]] = defaultdict(list)
    for debit in case.books.debits:
        unit = case.books.unit_of_ocid.get(debit["ocid"])
        if unit is None:
            yield f"debit {debit['receipt']} belongs to no loan"
        else:
            counts[unit].append(debit["receipt"])
    cycles = _cycles(case.books)
    for unit, receipts in counts.items():
        if len(receipts) > cycles.get(unit, 1):
            yield f"{unit} was paid {len(receipts)} times: {receipts}"


def _cycles(books: Books) -> dict[Unit, int]:
    counts: dict[Unit, int] = defaultdict(int)
    for loan in books.loans.values():
        counts[books.unit_of_loan(loan)] += 1
    return counts


def amount_is_net(case: Case) -> Iterator[str]:
    for unit, request, seen, _ in _sends(case.books):
        if seen is not None and kes(request["amount"]) != kes(seen["saw"]["net"]):
            yield f"{unit}: asked {request['amount']}, Mifos X last said {seen['saw']['net']}"


def phone_is_the_clients(case: Case) -> Iterator[str]:
    for unit, request, _, client in _sends(case.books):
        raw = str((client or {}).get("saw", {}).get("mobileNo") or "")
        digits = "".join(sign for sign in raw if sign.isdigit())
        msisdn = request["msisdn"]
        if len(msisdn) != 12 or msisdn[:4] not in ("2547", "2541") or digits[-9:] != msisdn[-9:]:
            yield f"{unit}: sent to {msisdn}, Mifos X last said {raw or 'nothing'}"


def belongs_to_its_partner(case: Case) -> Iterator[str]:
    owners = {
        row["originator_conversation_id"]: case.books.partners[row["partner_id"]]
        for row in case.books.attempts.values()
    }
    for request in case.books.requests:
        fields, partner = request["fields"], owners.get(request["ocid"])
        told = (fields.get("PartyA"), fields.get("InitiatorName"))
        if partner is None:
            continue  # S6 tells of it
        if told != (partner["mpesa_shortcode"], partner["mpesa_initiator_name"]):
            yield f"{request['ocid']} was sent as {told}"
        if request["version"] != "v3":
            yield f"{request['ocid']} went to {request['version']}"


def waits_at_the_last_look(case: Case) -> Iterator[str]:
    recorded_at = {
        row["originator_conversation_id"]: done["at"]
        for row in case.books.attempts.values()
        for done in case.books.transactions
        if done["external_id"] == row["mifos_external_id"]
    }
    for unit, request, seen, _ in _sends(case.books):
        if seen is None:
            yield f"{unit}: sent without a look into Mifos X"
        elif recorded_at.get(request["ocid"], request["at"]) < request["at"]:
            continue  # a second knock after a 401 that lied: by now all is paid, and M-Pesa refuses
        elif seen["saw"]["status"] != 200:
            yield f"{unit}: sent while Mifos X had said status {seen['saw']['status']}"
        elif request["at"] - seen["at"] > RECHECK_SECONDS:
            yield f"{unit}: sent {request['at'] - seen['at']:.1f} s after the look"


def _sends(books: Books) -> Iterator[tuple[Unit, Row, Row | None, Row | None]]:
    """Yield each B2C call with the last reads of its loan and client before it, as they arrived.

    The log has a call where it ended, and one whose answer is held back ends late.
    """
    loans: dict[Unit, Row] = {}
    clients: dict[tuple[str, int], Row] = {}
    for entry in sorted(books.log, key=itemgetter("at")):
        if entry["call"] == "loan" and entry.get("saw") and "status" in entry["saw"]:
            loans[(entry["tenant"], entry["loan_id"])] = entry
        elif entry["call"] == "client" and entry.get("saw"):
            clients[(entry["tenant"], int(entry["client_id"]))] = entry
        elif entry["call"] == "b2c":
            unit = books.unit_of_ocid.get(entry.get("ocid", ""))
            if unit is not None:
                seen = loans.get(unit)
                client = (seen or {}).get("saw", {}).get("client")
                yield unit, entry, seen, clients.get((unit[0], client or 0))


def promised_before_sent(case: Case) -> Iterator[str]:
    rows = {row["originator_conversation_id"]: row for row in case.books.attempts.values()}
    for request in case.books.requests:
        row, fields = rows.get(request["ocid"]), request["fields"]
        if row is None:
            yield f"request {request['ocid']} has no attempt in our tables"
            continue
        told = (kes(fields["Amount"]), fields["PartyB"], case.books.unit_of_request(request))
        kept = (kes(row["amount"]), row["msisdn"], case.books.unit_of_attempt(row))
        if told != kept:
            yield f"{request['ocid']}: sent {told}, and kept {kept}"


def resends_are_equal(case: Case) -> Iterator[str]:
    first: dict[str, tuple[str, ...]] = {}
    for request in case.books.requests:
        names = ("Amount", "PartyB", "PartyA", "CommandID", "InitiatorName", "Remarks")
        told = tuple(str(request["fields"].get(name)) for name in names)
        if first.setdefault(request["ocid"], told) != told:
            yield f"{request['ocid']}: {first[request['ocid']]} and then {told}"


def one_open_attempt(case: Case) -> Iterator[str]:
    live: dict[int, int] = defaultdict(int)
    for attempt in case.books.attempts.values():
        live[attempt["loan_tracking_id"]] += attempt["status"] != "failed"
    for loan, count in live.items():
        if count > 1:
            yield f"loan row {loan} has {count} open attempts"


def new_attempts_follow_proof(case: Case) -> Iterator[str]:
    began, closed = _attempt_events(case.books)
    by_loan: dict[int, list[Row]] = defaultdict(list)
    for attempt in case.books.attempts.values():
        by_loan[attempt["loan_tracking_id"]].append(attempt)
    for attempts in by_loan.values():
        rows = sorted(attempts, key=lambda row: int(row["attempt_no"]))
        for earlier, later in pairwise(rows):
            proof = closed.get(earlier["id"])
            if proof is None or proof > began.get(later["id"], 0):
                yield f"attempt {later['id']} began before {earlier['id']} was proven failed"


def _attempt_events(books: Books) -> tuple[dict[int, int], dict[int, int]]:
    began: dict[int, int] = {}
    closed: dict[int, int] = {}
    for event in books.events:
        attempt = event["disbursement_request_id"]
        if attempt is not None and not event["from_status"]:
            began[attempt] = event["id"]
        elif attempt is not None and event["to_status"] == "failed":
            closed[attempt] = event["id"]
    return began, closed


def failures_have_evidence(case: Case) -> Iterator[str]:
    for event in case.books.events:
        if event["disbursement_request_id"] is None or event["to_status"] != "failed":
            continue
        proof = event["details"].get("proof")
        ocid = case.books.attempts[event["disbursement_request_id"]]["originator_conversation_id"]
        if proof not in PROOFS:
            yield f"{ocid} failed on '{proof}'"
        elif proof in NO_BYTE_COUNTED and ocid in case.books.payments:
            yield f"{ocid} failed as '{proof}', and M-Pesa had accepted it"


def disbursed_is_true(case: Case) -> Iterator[str]:
    for loan in _loans(case.books, "disbursed"):
        unit = case.books.unit_of_loan(loan)
        paid = [
            row for row in case.books.debits if case.books.unit_of_ocid.get(row["ocid"]) == unit
        ]
        if not paid:
            yield f"{unit} is disbursed, and M-Pesa paid nothing"
        ours = {row["mifos_external_id"] for row in _attempts_of(case.books, loan)}
        shown = any(row["external_id"] in ours for row in _disbursals(case.books, unit))
        if not shown and unit not in case.touched:
            yield f"{unit} is disbursed, and Mifos X shows nothing of ours"


def failed_is_true(case: Case) -> Iterator[str]:
    failed = {
        row["originator_conversation_id"]
        for row in case.books.attempts.values()
        if row["status"] == "failed"
    }
    for debit in case.books.debits:
        if debit["ocid"] in failed:
            yield f"attempt {debit['ocid']} is failed, and M-Pesa paid it: {debit['receipt']}"


def one_true_disbursal(case: Case) -> Iterator[str]:
    by_external = {row["mifos_external_id"]: row for row in case.books.attempts.values()}
    standing: dict[Unit, int] = defaultdict(int)
    for row in case.books.transactions:
        if not str(row["by"]).startswith("svc-"):
            continue
        unit = (row["tenant"], int(row["loan_id"]))
        standing[unit] += not row["reversed"]
        attempt = by_external.get(row["external_id"])
        if attempt is None or case.books.unit_of_attempt(attempt) != unit:
            yield f"{unit}: Mifos X has {row['external_id']}, which is no attempt of that loan"
        elif kes(row["amount"]) != kes(attempt["principal"]):
            yield f"{unit}: recorded {row['amount']}, the principal is {attempt['principal']}"
        elif row["receipt"] != attempt["transaction_receipt"]:
            yield f"{unit}: recorded {row['receipt']}, ours is {attempt['transaction_receipt']}"
    cycles = _cycles(case.books)
    for unit, count in standing.items():
        if count > cycles.get(unit, 1):
            yield f"{unit} was disbursed {count} times in Mifos X by us"


def recorded_only_after_paid(case: Case) -> Iterator[str]:
    debits = {row["receipt"]: row for row in case.books.debits}
    for row in case.books.transactions:
        if str(row["by"]).startswith("svc-"):
            debit = debits.get(row["receipt"])
            if debit is None or debit["at"] > row["at"]:
                yield f"loan {row['loan_id']} was recorded with {row['receipt']} and was not paid"


def only_policy_is_paid(case: Case) -> Iterator[str]:
    forbidden = {(row.tenant, row.loan_id): row.why for row in case.world.loans if not row.payable}
    for request in case.books.requests:
        unit = case.books.unit_of_request(request)
        if unit in forbidden:
            yield f"{unit} was sent although {forbidden[unit]}"


def limits_hold(case: Case) -> Iterator[str]:
    spent: dict[tuple[int, str], float] = defaultdict(float)
    for attempt in case.books.attempts.values():
        if attempt["status"] != "failed":
            day = moment(attempt["created_at"]).astimezone(NAIROBI).date().isoformat()
            spent[(attempt["partner_id"], day)] += float(kes(attempt["amount"]))
    for (partner, day), amount in spent.items():
        limit = case.books.partners[partner]["daily_limit"]
        if limit is not None and amount > float(limit):
            yield f"partner {partner} spent {amount} of {limit} on {day}"


def credential_faults_stop(case: Case) -> Iterator[str]:
    told: dict[str, float] = {}
    for letter in case.books.letters:
        payment = case.books.payments.get(str(letter["facts"].get("ocid")))
        is_told = letter["kind"] == "payment_result" and letter["state"] == "sent"
        if is_told and payment and payment["code"] in CREDENTIAL_CODES and letter["sent_at"]:
            shortcode = payment["shortcode"]
            told[shortcode] = min(letter["sent_at"], told.get(shortcode, letter["sent_at"]))
    for shortcode, at in told.items():
        until = min((when for when in case.person_acted_at if when > at), default=float("inf"))
        later = [
            row
            for row in case.books.requests
            if row["fields"].get("PartyA") == shortcode and at < row["at"] < until
        ]
        if len(later) > 1:
            yield f"{shortcode}: {len(later)} sends after a credential fault was told"


def web_is_sound(case: Case) -> Iterator[str]:
    for letter in case.books.letters:
        if letter["status"] is not None and letter["status"] >= 500 and letter["status"] != 503:
            yield f"a callback ({letter['kind']}) was answered with {letter['status']}"
    for problem in case.books.problems:
        yield f"the sandbox itself failed: {problem}"


def nothing_is_lost(case: Case) -> Iterator[str]:
    known = {case.books.unit_of_loan(loan) for loan in case.books.loans.values()}
    for row in case.world.payable:
        unit = (row.tenant, row.loan_id)
        if unit not in known and unit not in case.touched:
            yield f"{unit} waits in Mifos X and is not in our list"


def all_is_settled(case: Case) -> Iterator[str]:
    for loan in case.books.loans.values():
        if not is_settled(loan, case.now):
            yield (
                f"{case.books.unit_of_loan(loan)} is {loan['status']}"
                f" ({loan['disbursement_status'] or 'no attempt'}): {loan['error_message']}"
            )
    if case.books.unread:
        yield f"{case.books.unread} callbacks are kept and not read"


def is_settled(loan: Row, now: datetime) -> bool:
    """Is the loan terminal, or held with a reason, or in a person's work queue, at `now`?"""
    if loan["review_reason"]:
        return True
    if loan["status"] == "failed":
        return loan["next_attempt_at"] is None or moment(loan["next_attempt_at"]) > now
    return loan["status"] in FINAL or (
        loan["status"] == "pending_disbursement"
        and bool(loan["hold_reason"])
        and loan["decided_at"] is not None  # or the next pass decides it anew
    )


def books_agree(case: Case) -> Iterator[str]:
    """Loan by loan, where no person is called: M-Pesa's, ours and Mifos X's say the same."""
    for loan in case.books.loans.values():
        unit = case.books.unit_of_loan(loan)
        if loan["review_reason"] or unit in case.touched:
            continue
        attempts = _attempts_of(case.books, loan)
        ocids = {row["originator_conversation_id"] for row in attempts}
        rail = sorted(
            (row["receipt"], kes(row["amount"]))
            for row in case.books.debits
            if row["ocid"] in ocids and not row["reversed"]
        )
        ours = sorted(
            (row["transaction_receipt"], kes(row["amount"]))
            for row in attempts
            if row["status"] in MONEY
        )
        theirs = sorted(
            (row["receipt"], kes(row["net"] if row["net"] is not None else row["amount"]))
            for row in _disbursals(case.books, unit)
        )
        if not rail == ours == theirs:
            yield f"{unit}: M-Pesa {rail}, ours {ours}, Mifos X {theirs}"


def bystanders_are_served(case: Case) -> Iterator[str]:
    done = {case.books.unit_of_loan(loan) for loan in _loans(case.books, "disbursed")}
    for row in case.world.payable:
        unit = (row.tenant, row.loan_id)
        if row.tenant in case.bystanders and unit not in done | case.touched:
            yield f"{unit} is not disbursed, and no fault was aimed at its lender"


def _loans(books: Books, status: str) -> list[Row]:
    return [loan for loan in books.loans.values() if loan["status"] == status]


def _attempts_of(books: Books, loan: Row) -> list[Row]:
    return [row for row in books.attempts.values() if row["loan_tracking_id"] == loan["id"]]


def _disbursals(books: Books, unit: Unit) -> list[Row]:
    return [
        row
        for row in books.transactions
        if (row["tenant"], int(row["loan_id"])) == unit and not row["reversed"]
    ]


CHECKS: tuple[tuple[str, Check], ...] = (
    ("S1", one_payout_per_unit),
    ("S2", amount_is_net),
    ("S3", phone_is_the_clients),
    ("S4", belongs_to_its_partner),
    ("S5", waits_at_the_last_look),
    ("S6", promised_before_sent),
    ("S7", resends_are_equal),
    ("S8", one_open_attempt),
    ("S9", new_attempts_follow_proof),
    ("S10", failures_have_evidence),
    ("S11", disbursed_is_true),
    ("S12", failed_is_true),
    ("S13", one_true_disbursal),
    ("S14", recorded_only_after_paid),
    ("S16", only_policy_is_paid),
    ("S17", limits_hold),
    ("S20", credential_faults_stop),
    ("web", web_is_sound),
)
AT_REST: tuple[tuple[str, Check], ...] = (
    ("lost", nothing_is_lost),
    ("L1", all_is_settled),
    ("books", books_agree),
    ("S19", bystanders_are_served),
)
