"""Sample worlds with known answers: which loans can be paid, to whom and how much."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.calls import Json
from sandbox.credentials import security_credential

if TYPE_CHECKING:
    from sandbox.control import SandboxControl

GIVEN = (
    *("Jane", "Brian", "Mary", "Kevin", "Faith", "Peter", "Grace", "Samuel", "Mercy", "Daniel"),
    *("Ruth", "James", "Esther", "Joy"),
)
FAMILY = (
    *("Wanjiku", "Otieno", "Njeri", "Kamau", "Achieng", "Mwangi", "Chebet", "Kiprono", "Mutua"),
    *("Wambui", "Hassan", "Omondi"),
)
ERA_ORDER = ("1.10", "1.8", "2026")
PAYMENT_TYPE = 7
# id -> (name, least, most, in the partner's list)
PRODUCTS: dict[int, tuple[str, int, int, bool]] = {
    5: ("Biashara", 500, 100_000, True),
    6: ("Asset finance", 500, 1_000_000, True),
    9: ("Kilimo", 500, 100_000, False),
}
# kind -> (why it must not be paid, what makes the loan so, what makes the client so)
KINDS: dict[str, tuple[str, Json, Json]] = {
    "group": ("group_loan", {"loan_type": 2, "group_id": 17, "client_id": None}, {}),
    "glim": ("group_loan", {"loan_type": 4, "group_id": 17}, {}),
    "tranches": ("tranche_loan", {"multi_disburse": True}, {}),
    "topup": ("top_up", {"is_topup": True, "topup_outstanding": "1200"}, {}),
    "down_payment": ("down_payment", {"down_payment": True}, {}),
    "savings": ("linked_savings", {"linked_savings": 77}, {}),
    "dollars": ("foreign_currency", {"currency": "USD"}, {}),
    "cents": ("cents", {"charges": "150.50"}, {}),
    "fraud": ("charged_off", {"fraud": True}, {}),
    "charged_off": ("charged_off", {"charged_off": True}, {}),
    "not_due": ("not_due", {"expected_disbursement": 3}, {}),
    "repayment_passed": ("repayment_date_passed", {"expected_first_repayment": -1}, {}),
    "other_product": ("product_not_enabled", {"product_id": 9}, {}),
    "too_small": ("below_minimum", {"principal": "400", "charges": "0"}, {}),
    "too_large": ("above_maximum", {"principal": "150000"}, {}),
    "over_mpesa": ("outside_mpesa_limits", {"product_id": 6, "principal": "300000"}, {}),
    "inactive_client": ("client_not_active", {}, {"active": False}),
    "no_phone": ("phone_missing", {}, {"mobile_no": None}),
    "landline": ("phone_invalid", {}, {"mobile_no": "020 2345678"}),
    "two_numbers": ("phone_invalid", {}, {"mobile_no": "0712345678/0722111222"}),
    "foreign_phone": ("phone_invalid", {}, {"mobile_no": "+353851239876"}),
    "shared_phone": ("phone_shared", {}, {}),
    "pending": ("not_approved", {"status": 100}, {}),
    "active": ("not_approved", {"status": 300}, {}),
    "withdrawn": ("not_approved", {"status": 400}, {}),
    "rejected": ("not_approved", {"status": 500}, {}),
}


@dataclass(frozen=True, slots=True)
class SampleLoan:
    """One loan of a sample world, and what should become of it."""

    tenant: str
    loan_id: int
    client_id: int | None
    product_id: int
    kind: str
    payable: bool
    why: str  # empty when payable
    principal: Decimal
    net: Decimal
    msisdn: str | None  # 12 digits, when the client has one usable number
    raw_phone: str | None


@dataclass(slots=True)
class SampleWorld:
    """A world document for `control.load`, with the truth about its loans."""

    document: Json
    loans: list[SampleLoan] = field(default_factory=list)

    @property
    def payable(self) -> list[SampleLoan]:
        return [loan for loan in self.loans if loan.payable]

    @property
    def expected_debits(self) -> dict[tuple[str, int], tuple[str, Decimal]]:
        """Return (tenant, loan id) -> (phone, amount) of every payout that should happen."""
        return {(row.tenant, row.loan_id): (row.msisdn or "", row.net) for row in self.payable}


def small_world(
    *, payable: int = 5, kinds: tuple[str, ...] = ("group", "cents", "no_phone"), seed: int = 1
) -> SampleWorld:
    """Return one lender with a few payable loans, and one loan of each kind that must wait."""
    made = _Maker(seed)
    made.tenant("umoja", "Umoja Sacco", "600997", ERA_ORDER[0])
    for _ in range(payable):
        made.loan("payable")
    for kind in kinds:
        made.loan(kind)
    return made.finished()


def generate(
    tenants: int = 2,
    loans: int = 200,
    seed: int = 1,
    unpayable_share: float = 0.2,
    kinds: tuple[str, ...] = tuple(KINDS),
) -> SampleWorld:
    """Return `loans` loans over some lenders; the unpayable ones take every kind in turn."""
    made = _Maker(seed)
    unpayable = round(loans * unpayable_share) if kinds else 0
    plan = [kinds[number % len(kinds)] for number in range(unpayable)]
    plan += ["payable"] * (loans - unpayable)
    made.random.shuffle(plan)
    for number in range(tenants):
        name = f"lender{number + 1}"
        made.tenant(name, f"Lender {number + 1}", str(600_001 + number), ERA_ORDER[number % 3])
        for kind in plan[number::tenants]:
            made.loan(kind)
    return made.finished()


class _Maker:
    """Builds the document lender by lender; the same seed gives the same world."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.loans: list[SampleLoan] = []
        self.tenants: list[Json] = []
        self.shortcodes: list[Json] = []
        self.partners: list[Json] = []
        self.people = 0
        self.next_loan = 3000

    def tenant(self, name: str, title: str, shortcode: str, era: str) -> None:
        products = {str(number): row[0] for number, row in PRODUCTS.items()}
        self.tenants.append(
            {
                "name": name,
                "era": era,
                "username": f"svc-{name}",
                "password": f"pw-{name}",
                "products": products,
                "clients": [],
                "loans": [],
            }
        )
        self.shortcodes.append(
            {
                "shortcode": shortcode,
                "initiator_name": f"api-{name}",
                "initiator_password": f"Init#{name}",
                "consumer_key": f"key-{name}",
                "consumer_secret": f"secret-{name}",
                "name": title,
                "utility": "0",
            }
        )
        self.partners.append({"slug": name, "name": title, "tenant": name, "shortcode": shortcode})

    def loan(self, kind: str) -> None:
        """Add one loan with its own client; a shared phone needs a second client with a loan."""
        why, loan_changes, client_changes = KINDS.get(kind, ("", {}, {}))
        client = {**self._client(), **client_changes}
        self._add(kind, why, client, loan_changes)
        if kind == "shared_phone":
            twin = self._client()
            raw = str(client["mobile_no"])
            digits = raw.replace(" ", "").replace("-", "")[-9:]
            twin["mobile_no"] = f"+254{digits}" if raw.startswith("0") else f"0{digits}"
            self._add(kind, why, twin, loan_changes)

    def _client(self) -> Json:
        self.people += 1
        number = self.people
        name = f"{self.random.choice(GIVEN)} {self.random.choice(FAMILY)}"
        msisdn = (
            f"25411{number * 37:07d}" if number % 10 == 0 else f"2547{10_000_000 + number * 37:08d}"
        )
        return {"id": 1000 + number, "name": name, "mobile_no": self._spelled(msisdn)}

    def _spelled(self, msisdn: str) -> str:
        """Write a number in one of the ways found in Mifos X (contracts/mifos.md 4)."""
        rest = msisdn[3:]
        forms = (
            f"0{rest}",
            msisdn,
            f"+{msisdn}",
            f"0{rest[:3]} {rest[3:6]} {rest[6:]}",
            f"+254 {rest[:3]}-{rest[3:]}",
        )
        return forms[self.random.randrange(len(forms))]

    def _add(self, kind: str, why: str, client: Json, changes: Json) -> None:
        self.next_loan += 1
        fee = self.random.choice((0, 0, 100, 250))
        row: Json = {
            "id": self.next_loan,
            "client_id": client["id"],
            "product_id": 5,
            "principal": str(self.random.randrange(20, 600) * 100),
            "charges": str(fee),
            **changes,
        }
        if row.get("multi_disburse"):
            row["tranches"] = _tranches(row)
        self.tenants[-1]["clients"].append(client)
        self.tenants[-1]["loans"].append(row)
        self.loans.append(_sample(self.tenants[-1]["name"], kind, why, row, client))

    def finished(self) -> SampleWorld:
        for partner, shortcode in zip(self.partners, self.shortcodes, strict=True):
            owed = sum(
                loan.net for loan in self.loans if loan.payable and loan.tenant == partner["tenant"]
            )
            shortcode["utility"] = str(owed * 2 + 100_000)
        document: Json = {
            "tenants": self.tenants,
            "shortcodes": self.shortcodes,
            "partners": self.partners,
        }
        return SampleWorld(document, self.loans)


def _tranches(row: Json) -> list[Json]:
    half = str(Decimal(row["principal"]) / 2)
    base = row["id"] * 10
    return [
        {"id": base + part, "expectedDisbursementDate": f"2099-01-0{part}", "principal": half}
        for part in (1, 2)
    ]


def _sample(tenant: str, kind: str, why: str, row: Json, client: Json) -> SampleLoan:
    principal = Decimal(row["principal"])
    raw = client["mobile_no"]
    digits = "".join(part for part in str(raw or "") if part.isdigit())
    usable = len(digits) in (10, 12) and digits[-9] in "17" and not str(raw).startswith("020")
    return SampleLoan(
        tenant=tenant,
        loan_id=row["id"],
        client_id=row["client_id"],
        product_id=row["product_id"],
        kind=kind,
        payable=not why,
        why=why,
        principal=principal,
        net=principal - Decimal(row["charges"]),
        msisdn=f"254{digits[-9:]}" if usable else None,
        raw_phone=raw,
    )


def partner_rows(document: Json, mifos_url: str, **extra: Any) -> list[Json]:
    """Return the partners of a world as `load_partners` wants them; `extra` sets more columns."""
    tenants = {row["name"]: row for row in document.get("tenants", [])}
    shortcodes = {row["shortcode"]: row for row in document.get("shortcodes", [])}
    return [
        _partner_row(row, tenants[row["tenant"]], shortcodes[row["shortcode"]], mifos_url, extra)
        for row in document.get("partners", [])
    ]


def _partner_row(partner: Json, tenant: Json, shortcode: Json, mifos_url: str, extra: Json) -> Json:
    return {
        "slug": partner["slug"],
        "name": partner["name"],
        "is_active": True,
        "is_mifos_configured": True,
        "mifos_auto_disbursement_enabled": True,
        "mifos_host_url": mifos_url,
        "mifos_api_endpoint": "/fineract-provider/api/v1",
        "mifos_tenant_id": tenant["name"],
        "mifos_username": tenant["username"],
        "mifos_password": tenant["password"],
        "mifos_payment_type_id": PAYMENT_TYPE,
        "is_mpesa_configured": True,
        "mpesa_environment": "sandbox",
        "mpesa_shortcode": shortcode["shortcode"],
        "mpesa_initiator_name": shortcode["initiator_name"],
        "mpesa_consumer_key": shortcode["consumer_key"],
        "mpesa_consumer_secret": shortcode["consumer_secret"],
        "mpesa_security_credential": security_credential(shortcode["initiator_password"]),
        **extra,
        "products": [
            {
                "product_id": number,
                "product_name": name,
                "enabled": True,
                "min_amount": str(least),
                "max_amount": str(most),
                "auto_approve": True,
            }
            for number, (name, least, most, listed) in PRODUCTS.items()
            if listed
        ],
    }


def partner_file(sample: SampleWorld, control: SandboxControl, path: Path, **extra: Any) -> Path:
    """Write the file for `load_partners`, pointing at a running sandbox."""
    rows = partner_rows(sample.document, control.mifos_url, **extra)
    path.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return path
