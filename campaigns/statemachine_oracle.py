"""What must hold at every instant (reliability.md 1), from the ledgers and plain rows only."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Sum

from campaigns.statemachine_house import PHONES, House, Lender
from campaigns.statemachine_mifos import LoanRead
from campaigns.statemachine_rail import AT_THE_GATE, CREDENTIAL_FAULTS, NAIROBI, Body, Letter
from disbursements.models import DisbursementRequest, ReviewResolution
from loans.models import LoanApproval, LoanEvent, LoanTracking
from mifos.client import DisburseOrder
from partners.models import LoanProductAutoDisbursalConfig, Partner, PayoutSwitch

RECHECK_MAX_AGE = 10.0
SLACK = 0.2  # the calls of the send itself
FINAL = {"completed", "failed"}
MOVES = {
    "": {"submitting"},
    "submitting": {"accepted", "unknown", "paid", "failed"},
    "accepted": {"unknown", "paid", "failed"},
    "unknown": {"submitting", "paid", "failed"},
    "paid": {"completed"},
    "completed": set(),
    "failed": set(),
}
LOAN_MOVES = {
    "": {"pending_disbursement"},
    "pending_disbursement": {"processing_disbursement", "cancelled"},
    "processing_disbursement": {"disbursed", "failed", "pending_disbursement"},
    "failed": {"pending_disbursement"},
    "cancelled": {"pending_disbursement"},
    "disbursed": set(),
}
# Failure results that prove something once a query agrees: the documented ones (mpesa.md 6, ●).
PROVING = {
    "1",
    "2",
    "3",
    "4",
    "8",
    "11",
    "21",
    "2001",
    "2006",
    "2028",
    "2040",
    "8006",
    "SFC_IC0003",
}


class Broken(AssertionError):
    """An invariant does not hold. The text begins with its number."""


def require(holds: bool, number: str, what: str) -> None:
    if not holds:
        raise Broken(f"{number}: {what}")


@dataclass
class Oracle:
    """Looks on, remembers what was said, and believes nothing the product says of itself."""

    house: House
    last_event: int = 0
    loans: dict[int, str] = field(default_factory=dict)
    attempts: dict[int, str] = field(default_factory=dict)
    heads: dict[int, str] = field(default_factory=dict)
    told: dict[str, set[str]] = field(default_factory=dict)
    credential_fault: dict[str, int] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)
    noticed: list[Broken] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.house.rail.on_send = lambda body: self._noticed(self.look_at_send, body)
        self.last_event = (
            LoanEvent.objects.order_by("-id").values_list("id", flat=True).first() or 0
        )

    def watch(self, lender: Lender) -> None:
        """Look at every disbursement that is posted to this lender's Mifos X."""
        lender.tenant.on_post = lambda order: self._noticed(self.look_at_post, lender, order)

    def _noticed(self, look: Callable[..., None], *what: object) -> None:
        """Keep what was seen: the product may swallow the exception as one more error."""
        try:
            look(*what)
        except Broken as exc:
            self.noticed.append(exc)
            raise

    def hear(self, letter: Letter) -> None:
        """Remember what a letter from Safaricom's own address has told the product."""
        if letter.ocid:
            self.told.setdefault(letter.ocid, set()).add(letter.says)
        payment = self.house.rail.payments.get(letter.ocid)
        if payment is not None and letter.says in CREDENTIAL_FAULTS:
            self.credential_fault.setdefault(payment.shortcode, 0)

    def forgive(self, shortcode: str) -> None:
        """A person has reset the breaker."""
        self.credential_fault.pop(shortcode, None)

    # At the instant of a send

    def look_at_send(self, body: Body) -> None:
        """Check what must hold before the first byte of a B2C request leaves."""
        require(not connection.in_atomic_block, "S6", "a request left inside a transaction")
        ocid = str(body["OriginatorConversationID"])
        row = DisbursementRequest.objects.select_related("loan_tracking", "partner").filter(
            originator_conversation_id=ocid
        )
        attempt = row.first()
        if attempt is None:
            raise Broken("S6: a request left whose id is not committed")
        lender = self.house.lender_of(attempt.partner)
        self._same_as_committed(body, attempt)
        self._same_as_before(body)
        self._owner(body, lender)
        self._mifos_agrees(attempt, lender)
        self._gates(lender)
        self._no_other_payment(attempt)
        if attempt.send_count == 1:
            self._limits(attempt)

    def _same_as_committed(self, body: Body, attempt: DisbursementRequest) -> None:
        row = (attempt.msisdn, attempt.amount, attempt.status)
        sent = (body["PartyB"], Decimal(str(body["Amount"])), "submitting")
        require(row == sent, "S6", f"{row} is committed and {sent} leaves")
        require(str(body["Amount"]).isdigit(), "S2", "the amount is not in whole shillings")
        require(attempt.sends_in_doubt >= 1, "S6", "a send is not committed as doubtful")
        require(not attempt.loan_tracking.review_reason, "S5", "a loan in review was sent")

    def _same_as_before(self, body: Body) -> None:
        same = ("Amount", "PartyA", "PartyB", "InitiatorName", "CommandID", "Remarks")
        for earlier in self.house.rail.requests:
            if earlier["OriginatorConversationID"] == body["OriginatorConversationID"]:
                changed = [name for name in same if earlier[name] != body[name]]
                require(not changed, "S7", f"a resend differs in {changed}")

    def _owner(self, body: Body, lender: Lender) -> None:
        partner = lender.partner
        sent = (body["PartyA"], body["InitiatorName"], body["SecurityCredential"])
        own = (
            partner.mpesa_shortcode,
            partner.mpesa_initiator_name,
            partner.mpesa_security_credential,
        )
        require(sent == own, "S4", "another partner's shortcode or credential was used")
        urls = {body["ResultURL"], body["QueueTimeOutURL"]}
        require(len(urls) == 2, "S4", "result and time-out share an address")
        for earlier in self.house.rail.requests:
            used = {earlier["ResultURL"], earlier["QueueTimeOutURL"]}
            # The one repeat inside a send: a dead token is replaced, and the same body goes again.
            once_more = earlier == body and self._ends(body)[-1:] == ["dead_token"]
            require(once_more or not urls & used, "S4", "a return address was used twice")

    def _ends(self, body: Body) -> list[str]:
        return self.house.rail.sends.get(str(body["OriginatorConversationID"]), [])

    def _mifos_agrees(self, attempt: DisbursementRequest, lender: Lender) -> None:
        loan = attempt.loan_tracking
        read = lender.tenant.reads.get(loan.loan_id)
        client = lender.tenant.client_reads.get(loan.client_id or 0)
        if read is None or client is None:
            raise Broken("S5: sent without a look into Mifos X")
        age = self.house.clock.monotonic() - min(read.at, client[0])
        require(age <= RECHECK_MAX_AGE + SLACK, "S5", f"the last look is {age:.1f} s old")
        require(read.status == 200, "S5", f"Mifos X said status {read.status}")
        require(attempt.amount == read.net, "S2", f"{attempt.amount} sent, net is {read.net}")
        require(
            attempt.msisdn == msisdn_of(client[1]), "S3", f"{attempt.msisdn} is not {client[1]}"
        )
        require(client[2], "S16", "the client is not active")
        problem = policy_problem(attempt, read, self.house.clock.now())
        require(not problem, "S16", problem)

    def _gates(self, lender: Lender) -> None:
        partner = Partner.objects.get(pk=lender.partner.pk)
        is_open = partner.is_active and partner.mifos_auto_disbursement_enabled
        require(is_open and not partner.is_paused, "S16", "the partner is off or paused")
        paused = PayoutSwitch.objects.filter(is_paused=True).exists()
        require(not paused, "S16", "all payouts are paused")
        faults = self.credential_fault.get(partner.mpesa_shortcode)
        if faults is not None:
            require(faults < 1, "S20", "sent again after a credential fault")
            self.credential_fault[partner.mpesa_shortcode] = faults + 1

    def _no_other_payment(self, attempt: DisbursementRequest) -> None:
        others = DisbursementRequest.objects.filter(loan_tracking=attempt.loan_tracking_id).exclude(
            pk=attempt.pk
        )
        for other in others:
            require(other.status == "failed", "S9", "a new attempt before the last was closed")
            alive = self.house.rail.could_still_pay(other.originator_conversation_id)
            require(not alive, "S9", "a new attempt, and the last one may still pay")
        if attempt.send_count == 1 and others:
            number = max(other.attempt_no for other in others) + 1
            require(attempt.attempt_no == number, "S9", "attempt numbers have a gap")

    def _limits(self, attempt: DisbursementRequest) -> None:
        limit = Partner.objects.get(pk=attempt.partner_id).daily_limit
        if limit is None:
            return
        today = datetime.combine(
            self.house.clock.now().astimezone(NAIROBI).date(), time.min, tzinfo=NAIROBI
        )
        counted = DisbursementRequest.objects.filter(
            partner=attempt.partner_id, created_at__gte=today
        ).exclude(status="failed")
        total = counted.aggregate(sum=Sum("amount"))["sum"] or Decimal(0)
        require(total <= limit, "S17", f"KES {total} promised today, the limit is {limit}")

    # At the instant of a disbursement in Mifos X

    def look_at_post(self, lender: Lender, order: DisburseOrder) -> None:
        """Check that M-Pesa has paid what is about to be recorded, and that it says so."""
        require(not connection.in_atomic_block, "S14", "a record left inside a transaction")
        attempt = DisbursementRequest.objects.select_related("loan_tracking").get(
            mifos_external_id=order.external_id
        )
        payment = self.house.rail.payments.get(attempt.originator_conversation_id)
        paid = payment is not None and payment.is_paid
        require(paid, "S14", "recorded in Mifos X, and M-Pesa has not paid")
        require(attempt.loan_tracking.loan_id == order.loan_id, "S13", "recorded on another loan")
        require(attempt.partner_id == lender.partner.pk, "S13", "recorded at another lender")
        receipt = payment.receipt if payment else ""
        require(order.receipt_number == receipt, "S13", f"receipt {order.receipt_number!r}")
        require(order.principal == attempt.principal, "S13", "not the principal is recorded")
        loan = lender.tenant.loans[order.loan_id]
        same = order.principal == loan.principal or loan.status != 200
        require(same, "S13", f"{order.principal} recorded, {loan.principal} approved")

    # After every step

    def look_around(self) -> None:
        """Check every invariant that rows and ledgers can show."""
        if self.noticed:
            raise self.noticed[0]
        strange = self.house.rail.strange_tokens
        require(not strange, "S4", f"{strange} paid with another app's token")
        require(not self.house.swallowed, "X0", "".join(self.house.swallowed[:1]))
        partners = [each.partner.pk for each in self.house.lenders]
        loans = {row.pk: row for row in LoanTracking.objects.filter(partner__in=partners)}
        attempts = list(DisbursementRequest.objects.filter(partner__in=partners).order_by("id"))
        self._replay(
            list(LoanEvent.objects.filter(id__gt=self.last_event, loan_tracking__in=loans))
        )
        self._rows_agree(loans, attempts)
        for lender in self.house.lenders:
            self._ledgers(lender, loans, attempts)
        for attempt in attempts:
            self._attempt(attempt, loans[attempt.loan_tracking_id])

    def _replay(self, events: Sequence[LoanEvent]) -> None:
        for event in events:
            self.last_event = event.pk
            head = self.heads.get(event.loan_tracking_id, "")
            require(event.previous_digest == head, "A3", "the chain of digests is broken")
            self.heads[event.loan_tracking_id] = event.digest
            require(bool(event.actor), "A1", "an event without an actor")
            if event.disbursement_request_id is None:
                self._step(self.loans, LOAN_MOVES, event.loan_tracking_id, event)
            else:
                self._step(self.attempts, MOVES, event.disbursement_request_id, event)

    def _step(
        self, table: dict[int, str], moves: dict[str, set[str]], key: int, event: LoanEvent
    ) -> None:
        before = table.get(key, "")
        require(event.from_status == before, "A2", f"{before!r} left as {event.from_status!r}")
        is_note = event.to_status == before
        require(is_note or event.to_status in moves[before], "S15", f"{before} → {event.to_status}")
        table[key] = event.to_status
        self.seen[f"{before} → {event.to_status}"] += not is_note
        digest = digest_of(event)
        require(event.digest == digest, "A3", "an event's digest is not its content's")

    def _rows_agree(
        self, loans: dict[int, LoanTracking], attempts: Sequence[DisbursementRequest]
    ) -> None:
        for pk, loan in loans.items():
            require(self.loans.get(pk) == loan.status, "A1", f"{loan.status} without an event")
            require(self.heads.get(pk) == loan.audit_head, "A3", "the head is not the last event's")
        for attempt in attempts:
            told = self.attempts.get(attempt.pk)
            require(told == attempt.status, "A1", f"attempt {attempt.status}, events say {told}")
        live = Counter(each.loan_tracking_id for each in attempts if each.status != "failed")
        require(all(count == 1 for count in live.values()), "S8", "two open attempts of one loan")
        for pk, loan in loans.items():
            self._loan(loan, [each for each in attempts if each.loan_tracking_id == pk])

    def _loan(self, loan: LoanTracking, attempts: list[DisbursementRequest]) -> None:
        live = [each.status for each in attempts if each.status != "failed"]
        expected = {
            "pending_disbursement": [[]],
            "cancelled": [[]],
            "failed": [[]],
            "processing_disbursement": [["submitting"], ["accepted"], ["unknown"], ["paid"]],
            "disbursed": [["completed"]],
        }
        require(live in expected[loan.status], "A2", f"loan {loan.status} with attempts {live}")
        said = loan.disbursement_status
        last = attempts[-1].status if attempts else ""
        require(said == last, "A2", f"the loan says {said!r}, its last attempt is {last!r}")

    def _ledgers(
        self,
        lender: Lender,
        loans: dict[int, LoanTracking],
        attempts: Sequence[DisbursementRequest],
    ) -> None:
        paid = Counter(
            loans[each.loan_tracking_id].loan_id
            for each in attempts
            if each.partner_id == lender.partner.pk and self._is_paid(each)
        )
        for loan_id, count in paid.items():
            allowed = 1 + lender.new_cycles.get(loan_id, 0)
            require(count <= allowed, "S1", f"loan {loan_id} was paid {count} times")
        for book in lender.tenant.loans.values():
            ours = [each for each in book.postings if each.external_id and not each.is_reversed]
            require(len(ours) <= 1, "S13", f"loan {book.loan_id} has {len(ours)} records of ours")
            for posting in ours:
                on_time = book.approved_on <= posting.on <= lender.tenant.today()
                require(on_time, "S13", f"recorded on {posting.on}")

    def _attempt(self, attempt: DisbursementRequest, loan: LoanTracking) -> None:
        ocid = attempt.originator_conversation_id
        payment = self.house.rail.payments.get(ocid)
        match attempt.status:
            case "failed":
                alive = self.house.rail.could_still_pay(ocid)
                require(not alive, "S12", f"{ocid} is failed, and money moved or may move")
                require(self._has_proof(attempt), "S10", f"{ocid} failed without proof")
            case "paid" | "completed":
                if payment is None or not payment.is_paid:
                    raise Broken(f"S11: {ocid} is {attempt.status}, and M-Pesa has not paid")
                same = attempt.transaction_receipt == payment.receipt == loan.mpesa_receipt_number
                require(same, "S11", f"receipt {attempt.transaction_receipt} of {payment.receipt}")
        if attempt.status == "completed":
            book = self.house.lender_of(attempt.partner).tenant.loans[loan.loan_id]
            ours = [e for e in book.postings if e.external_id == attempt.mifos_external_id]
            # Somebody disbursed it by hand, and two people have settled that.
            by_hand = [e for e in book.postings if not e.external_id and not e.is_reversed]
            is_settled = attempt.resolutions.filter(confirmed_at__isnull=False).exists()
            is_shown = len(ours) == 1 or (is_settled and bool(by_hand))
            require(is_shown, "S11", "completed, and Mifos X does not show it")

    def _is_paid(self, attempt: DisbursementRequest) -> bool:
        payment = self.house.rail.payments.get(attempt.originator_conversation_id)
        return payment is not None and payment.is_paid

    def _has_proof(self, attempt: DisbursementRequest) -> bool:
        ocid = attempt.originator_conversation_id
        told = self.told.get(ocid, set())
        sends = self.house.rail.sends.get(ocid, [])
        at_the_gate = all(each in AT_THE_GATE for each in sends)
        two_people = ReviewResolution.objects.filter(
            disbursement_request=attempt, outcome="not-paid", confirmed_at__isnull=False
        )
        return (
            "status Declined" in told
            or (bool(told & PROVING) and "status 2033" in told)
            or (at_the_gate and self._left_no_doubt(attempt))
            or two_people.exists()
        )

    def _left_no_doubt(self, attempt: DisbursementRequest) -> bool:
        """A committed send whose process died is in doubt even if nothing left this house."""
        return attempt.sends_in_doubt == 0


def msisdn_of(mobile: str) -> str | None:
    """Return what M-Pesa must be told, from a table and not by the product's reading."""
    if mobile in PHONES:
        return PHONES[mobile]
    return f"254{mobile[1:]}"


def policy_problem(attempt: DisbursementRequest, read: LoanRead, now: datetime) -> str:
    """Return why this loan is out of policy, from what Mifos X last said and the rules in force."""
    return next(_policy_problems(attempt, read, now), "")


def _policy_problems(attempt: DisbursementRequest, read: LoanRead, now: datetime) -> Iterator[str]:
    rule = LoanProductAutoDisbursalConfig.objects.filter(
        partner=attempt.partner_id, product_id=read.product_id
    ).first()
    net = read.net
    if any(read.nature.values()):
        yield f"its nature: {read.nature}"
    if read.currency != "KES":
        yield f"in {read.currency}"
    if net is None or net != int(net) or not 10 <= net <= 250_000 or net > read.principal:
        yield f"net {net} of {read.principal}"
    if read.expected_on is not None and read.expected_on > now.astimezone(NAIROBI).date():
        yield f"expected on {read.expected_on}"
    if attempt.send_count > 1:
        return  # what was promised under earlier rules is kept under the same id
    if rule is None or not rule.enabled:
        yield "the product is not enabled"
    elif not rule.min_amount <= read.principal <= rule.max_amount:
        yield "outside the product's amounts"
    elif not rule.auto_approve and not _is_approved(attempt):
        yield "not approved by a person"
    if attempt.loan_tracking.staff_hold:
        yield "held by staff"
    if attempt.loan_tracking.approval_cause and not _is_approved(attempt):
        yield f"{attempt.loan_tracking.approval_cause} and not approved"


def _is_approved(attempt: DisbursementRequest) -> bool:
    return LoanApproval.objects.filter(
        loan_tracking=attempt.loan_tracking_id,
        state="approved",
        amount=attempt.amount,
        phone_number=attempt.msisdn,
        decided_by__isnull=False,
    ).exists()


def digest_of(event: LoanEvent) -> str:
    """Return the digest that this event must carry (docs: the audit trail), computed here anew."""
    loan = event.loan_tracking
    content: list[Any] = [
        f"{loan.partner_id}/{loan.loan_id}/{loan.cycle}",
        event.disbursement_request_id,
        event.from_status,
        event.to_status,
        event.actor,
        event.reason,
        event.at.astimezone(UTC).isoformat(timespec="microseconds"),
        event.details,
        event.previous_digest,
    ]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
