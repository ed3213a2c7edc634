"""Who borrows in the demo, what goes wrong for whom, and how each of these loans must end."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from demo.lenders import (
    ASSET,
    BIASHARA,
    EMERGENCY,
    KILIMO,
    SCHOOL,
    Lender,
    lenders,
)
from loans.models import HoldReason as Hold
from loans.models import LoanStatus, ReviewReason

Json = dict[str, Any]
PENDING, PROCESSING = LoanStatus.PENDING, LoanStatus.PROCESSING
DISBURSED, FAILED, CANCELLED = LoanStatus.DISBURSED, LoanStatus.FAILED, LoanStatus.CANCELLED

FIRST_LOAN, FIRST_CLIENT = 10_401, 2_201
SUBMITTED = 100  # in Mifos X: not approved yet, so a scene approves it in its time
GIVEN = (
    *("Mary", "Peter", "Grace", "Brian", "Faith", "Samuel", "Mercy", "Kevin", "Esther", "Daniel"),
    *("Joyce", "Hassan", "Ruth", "Dennis", "Agnes", "Moses", "Lilian"),
)
FAMILY = (
    *("Achieng", "Kamau", "Wanjiru", "Otieno", "Chebet", "Mwangi", "Nekesa", "Kiprono", "Mutua"),
    *("Wambui", "Omondi", "Njeri", "Barasa"),
)
HOLIDAY = -4  # days from today, and so is the next
NON_WORKING = -2
WEEK = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


@dataclass(frozen=True, kw_only=True)
class Part:
    """One loan of the story, and its ending. `exception` says why its three books may differ."""

    key: str
    lender: str
    principal: int
    status: LoanStatus
    product: int = BIASHARA
    fee: int = 0
    hold: str = ""
    review: str = ""
    exception: str = ""
    loan: Json = field(default_factory=dict)
    client: Json = field(default_factory=dict)
    same_client_as: str = ""
    fault: Json = field(default_factory=dict)  # one rule of the sandbox, for this phone
    wallet: Json = field(default_factory=dict)  # what the phone can receive
    waits_for_scene: bool = False


@dataclass(frozen=True, kw_only=True)
class Role:
    """A part with its numbers: who plays it in Mifos X and M-Pesa."""

    part: Part
    loan_id: int
    client_id: int
    name: str
    phone: str

    @property
    def msisdn(self) -> str:
        return f"254{self.phone[1:]}"

    def client_document(self) -> Json:
        return {
            "id": self.client_id,
            "name": self.name,
            "mobile_no": self.phone,
            **self.part.client,
        }

    def loan_document(self) -> Json:
        part = self.part
        return {
            "id": self.loan_id,
            "client_id": self.client_id,
            "product_id": part.product,
            "principal": str(part.principal),
            "charges": str(part.fee),
            **({"status": SUBMITTED} if part.waits_for_scene else {}),
            **part.loan,
        }


@dataclass(frozen=True, kw_only=True)
class Cast:
    """All lenders and all roles; `document` is the world the sandbox loads."""

    lenders: list[Lender]
    roles: dict[str, Role]

    def document(self) -> Json:
        return {
            "tenants": [self._tenant(lender) for lender in self.lenders],
            "shortcodes": [lender.shortcode_document() for lender in self.lenders],
            "wallets": [
                {"msisdn": role.msisdn, **role.part.wallet}
                for role in self.roles.values()
                if role.part.wallet
            ],
            "faults": [
                {"match": {"msisdn": role.msisdn}, **role.part.fault}
                for role in self.roles.values()
                if role.part.fault
            ],
        }

    def _tenant(self, lender: Lender) -> Json:
        roles = [role for role in self.roles.values() if role.part.lender == lender.slug]
        clients = {role.client_id: role.client_document() for role in reversed(roles)}
        return {
            **lender.tenant_document(),
            "clients": list(clients.values()),
            "loans": [role.loan_document() for role in roles],
        }


def assemble(*, today: date) -> Cast:
    """Give every part its numbers. The same every day, but for what counts from today."""
    closed = WEEK[(today + timedelta(days=NON_WORKING)).weekday()]
    open_days = ",".join(day for day in WEEK if day != closed)
    roles: dict[str, Role] = {}
    for position, part in enumerate(PARTS):
        twin = roles.get(part.same_client_as)
        number = position if twin is None else twin.client_id - FIRST_CLIENT
        roles[part.key] = Role(
            part=part,
            loan_id=FIRST_LOAN + position,
            client_id=FIRST_CLIENT + number,
            name=client_name(number),
            phone=phone_number(number),
        )
    return Cast(lenders=lenders(holiday=HOLIDAY, working_days=open_days), roles=roles)


def client_name(number: int) -> str:
    return f"{GIVEN[number % len(GIVEN)]} {FAMILY[number % len(FAMILY)]}"


def phone_number(number: int) -> str:
    """Return a number as staff type it: 0710 00…, or 0110 00… for every tenth."""
    return f"{'0110' if number % 10 == 9 else '0710'}{number:06d}"


def _paid(key: str, lender: str, principal: int, **more: Any) -> Part:
    return Part(key=key, lender=lender, principal=principal, status=DISBURSED, **more)


def _held(hold: Hold, lender: str, principal: int, **more: Any) -> Part:
    key = more.pop("key", hold.value)
    return Part(key=key, lender=lender, principal=principal, status=PENDING, hold=hold, **more)


def _reviewed(review: ReviewReason, principal: int, **more: Any) -> Part:
    return Part(
        **{
            "key": review.value,
            "lender": "umoja",
            "principal": principal,
            "status": PROCESSING,
            "review": review,
            "waits_for_scene": True,
            **more,
        }
    )


def _callback(outcome: str, **rule: Any) -> Json:
    return {"call": "callback", "outcome": outcome, **rule}


def _payment(outcome: str, **rule: Any) -> Json:
    return {"call": "b2c", "outcome": outcome, **rule}


LATE = _callback("late")  # kept by the sandbox until a scene lets it go
LONG_AGO = {"submitted_on": -6, "approved_on": -5}

# What goes well, also when a letter or an answer is lost on the way.
PAID = [
    _paid("ordinary", "umoja", 12_500, fee=250),
    _paid("second", "umoja", 8_000, product=EMERGENCY),
    _paid("third", "umoja", 45_000, fee=900),
    _paid("fourth", "tumaini", 30_000, fee=600),
    _paid("fifth", "tumaini", 6_500, product=EMERGENCY, fee=100),
    _paid("callback_lost", "umoja", 18_000, fee=300, fault=_callback("lost")),
    _paid("callback_doubled", "umoja", 9_500, fault=_callback("doubled")),
    _paid("callback_first", "umoja", 15_000, fault=_callback("before_answer")),
    _paid("timed_out_then_paid", "umoja", 22_000, fault=_callback("timeout_then_result")),
    _paid("answer_lost", "umoja", 27_500, fee=500, fault=_payment("reset_after")),
    _paid("never_arrived", "umoja", 11_000, fault=_payment("reset_before")),
    _paid("retried", "umoja", 7_000, wallet={"registered": False}),
    _paid("approved_by_person", "tumaini", 35_000, product=SCHOOL),
    _paid("paused_for_a_moment", "tumaini", 14_000, waits_for_scene=True),
    _paid("checked", "mwalimu", 16_000),
    _paid("float_enough", "akiba", 6_000),
]

FAILURES = [
    Part(
        key="not_registered",
        lender="umoja",
        principal=5_500,
        status=FAILED,
        wallet={"registered": False},
    ),
    Part(
        key="wallet_full",
        lender="umoja",
        principal=20_000,
        status=FAILED,
        wallet={"balance": "499000"},
    ),
    Part(key="withdrawn", lender="umoja", principal=13_000, status=CANCELLED),
]

# A whole lender waits, or one of its limits says no. The order within a lender matters.
LENDER_HOLDS = [
    _paid("limit_first", "kikomo", 8_000),
    _held(Hold.CLIENT_DAILY_LIMIT, "kikomo", 5_000, same_client_as="limit_first"),
    _paid("limit_second", "kikomo", 9_000),
    _held(Hold.DAILY_LIMIT, "kikomo", 6_000),
    _held(Hold.ABOVE_LOAN_LIMIT, "kikomo", 60_000),
    _held(Hold.PARTNER_PAUSED, "subira", 10_000),
    _held(Hold.FLOAT_SHORT, "akiba", 7_000, key="float_too_small"),
    _held(Hold.FLOAT_SHORT, "akiba", 9_500, waits_for_scene=True),
    _held(Hold.BREAKER_OPEN, "boresha", 12_000, waits_for_scene=True),
    _held(Hold.NO_DISBURSE_PERMISSION, "ruhusa", 17_000),
    _held(Hold.PAYMENT_TYPE_INVALID, "taslimu", 8_500),
    _held(Hold.AUTO_OFF, "tazama", 21_000),
    _held(Hold.NOT_CONFIGURED, "mgeni", 19_000),
    _held(Hold.PARTNER_INACTIVE, "zamani", 7_500, waits_for_scene=True),
]

LOAN_HOLDS = [
    _held(Hold.PRODUCT_NOT_ENABLED, "tumaini", 25_000, product=KILIMO),
    _held(Hold.BELOW_MINIMUM, "tumaini", 400),
    _held(Hold.ABOVE_MAXIMUM, "tumaini", 150_000),
    _held(Hold.OUTSIDE_MPESA_LIMITS, "tumaini", 300_000, product=ASSET),
    _held(Hold.NEEDS_APPROVAL, "tumaini", 42_000, product=SCHOOL),
    _held(Hold.PHONE_MISSING, "tumaini", 12_000, client={"mobile_no": None}),
    _held(Hold.PHONE_INVALID, "tumaini", 9_000, client={"mobile_no": "020 2345678"}),
    _held(Hold.PHONE_SHARED, "tumaini", 15_500, client={"mobile_no": "0711 222 333"}),
    _held(
        Hold.PHONE_SHARED,
        "tumaini",
        11_500,
        key="phone_shared_too",
        client={"mobile_no": "+254711222333"},
    ),
    _held(Hold.NET_UNKNOWN, "tumaini", 10_500, loan={"hide_net": True}),
    _held(Hold.CENTS, "tumaini", 13_500, loan={"charges": "150.50"}),
    _held(Hold.FOREIGN_CURRENCY, "tumaini", 2_000, loan={"currency": "USD"}),
    _held(Hold.GROUP_LOAN, "tumaini", 80_000, loan={"loan_type": 4, "group_id": 17}),
    _held(
        Hold.TRANCHE_LOAN,
        "tumaini",
        90_000,
        loan={
            "multi_disburse": True,
            "tranches": [
                {"id": 1, "expectedDisbursementDate": "2099-01-01", "principal": "45000"},
                {"id": 2, "expectedDisbursementDate": "2099-02-01", "principal": "45000"},
            ],
        },
    ),
    _held(Hold.TOP_UP, "tumaini", 33_000, loan={"is_topup": True, "topup_outstanding": "1200"}),
    _held(Hold.DOWN_PAYMENT, "tumaini", 70_000, loan={"down_payment": True}),
    _held(Hold.LINKED_SAVINGS, "tumaini", 26_000, loan={"linked_savings": 77}),
    _held(Hold.CHARGED_OFF, "tumaini", 24_000, loan={"fraud": True}),
    _held(Hold.CLIENT_NOT_ACTIVE, "tumaini", 16_500, client={"active": False}),
    _held(Hold.NOT_DUE, "tumaini", 28_000, loan={"expected_disbursement": 3}),
    _held(Hold.APPROVED_IN_FUTURE, "tumaini", 23_000, loan={"approved_on": 1}),
    _held(Hold.REPAYMENT_DATE_PASSED, "tumaini", 17_500, loan={"expected_first_repayment": -1}),
    _held(Hold.HOLIDAY, "tumaini", 14_500, loan={**LONG_AGO, "expected_disbursement": HOLIDAY}),
    _held(
        Hold.NON_WORKING_DAY,
        "tumaini",
        19_500,
        loan={**LONG_AGO, "expected_disbursement": NON_WORKING},
    ),
    _held(Hold.PHONE_CHANGED, "umoja", 29_000),
    _held(Hold.REOPENED, "umoja", 31_000),
    _held(Hold.HELD_BY_STAFF, "umoja", 38_000),
]

REVIEWS = [
    _reviewed(
        ReviewReason.OUTCOME_UNKNOWN,
        12_000,
        fault=_payment("normal", truth="never_lands", times=None),
    ),
    _reviewed(
        ReviewReason.RESULT_MISMATCH,
        10_000,
        status=DISBURSED,
        fault=_callback("wrong_amount"),
        waits_for_scene=False,
    ),
    _reviewed(
        ReviewReason.CONTRADICTION,
        9_000,
        lender="boresha",
        status=DISBURSED,
        fault=_callback("success_then_failure", code="8"),
    ),
    _reviewed(
        ReviewReason.FAILURE_UNCONFIRMED,
        15_000,
        fault=LATE,
        wallet={"received": "500000"},
    ),
    _reviewed(
        ReviewReason.DOUBLE_PAYMENT,
        20_500,
        fee=500,
        fault=LATE,
        exception="an officer disbursed it by hand in Mifos X while M-Pesa was paying",
    ),
    _reviewed(
        ReviewReason.PAID_NOT_RECORDED,
        24_500,
        fault=LATE,
        exception="its approval was undone in Mifos X while M-Pesa was paying",
    ),
    _reviewed(
        ReviewReason.BOOKS_DIFFER,
        18_500,
        fee=500,
        status=DISBURSED,
        fault=LATE,
        exception="an officer recorded it by hand with the net amount as principal",
    ),
    _reviewed(
        ReviewReason.UNDONE_AFTER_PAYMENT,
        6_000,
        status=DISBURSED,
        exception="its disbursement was undone in Mifos X after it was paid",
    ),
    _reviewed(ReviewReason.MIFOS_CHANGED, 17_000, fault=_payment("reset_before")),
    _reviewed(
        ReviewReason.CHECKER_REJECTED,
        11_000,
        lender="mwalimu",
        waits_for_scene=False,
        exception="the checker in Mifos X rejected the record of the payment",
    ),
]

PARTS: list[Part] = [*PAID, *FAILURES, *LENDER_HOLDS, *LOAN_HOLDS, *REVIEWS]

# What no story can show, and why. None at present.
UNREACHABLE: dict[Hold, str] = {}
# Shown for a moment only: it stops every lender, and would hide their own holds.
PASSING = {Hold.ALL_PAUSED: "paused_for_a_moment"}
