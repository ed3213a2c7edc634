"""The lenders of the demo: two that are well, and one for each state a whole lender can be in."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from sandbox.credentials import security_credential

Json = dict[str, Any]

PAYMENT_TYPE = 7  # "MPesa B2C" of the sandbox
CASH_TYPE = 24
BIASHARA, ASSET, SCHOOL, EMERGENCY, KILIMO = 5, 6, 7, 8, 9
# id -> (name, least, most, enabled, paid without a person's approval)
PRODUCTS: dict[int, tuple[str, int, int, bool, bool]] = {
    BIASHARA: ("Biashara Loan", 500, 100_000, True, True),
    ASSET: ("Asset Finance", 10_000, 1_000_000, True, True),
    SCHOOL: ("School Fees Loan", 1_000, 80_000, True, False),
    EMERGENCY: ("Emergency Loan", 500, 30_000, True, True),
    KILIMO: ("Kilimo Loan", 500, 60_000, False, True),
}
MPESA_COLUMNS = (
    "mpesa_shortcode",
    "mpesa_initiator_name",
    "mpesa_consumer_key",
    "mpesa_consumer_secret",
    "mpesa_security_credential",
)
READ_ONLY = ["READ_LOAN", "READ_CLIENT", "READ_PAYMENTTYPE"]


@dataclass(frozen=True, kw_only=True)
class Lender:
    """One lender: its columns as a partner, its tenant in Mifos X, its shortcode at M-Pesa."""

    slug: str
    name: str
    shortcode: str
    era: str = "1.10"
    utility: int = 5_000_000
    partner: Json = field(default_factory=dict)
    tenant: Json = field(default_factory=dict)

    def tenant_document(self) -> Json:
        return {
            "name": self.slug,
            "era": self.era,
            "username": "loanpoll",
            "password": f"mifos-{self.slug}",
            "products": {str(number): row[0] for number, row in PRODUCTS.items()},
            **self.tenant,
        }

    def shortcode_document(self) -> Json:
        return {
            "shortcode": self.shortcode,
            "name": self.name,
            "initiator_name": "loanpollapi",
            "initiator_password": f"Initiator#{self.slug}",
            "consumer_key": f"key-{self.slug}",
            "consumer_secret": f"secret-{self.slug}",
            "utility": str(self.utility),
        }

    def partner_row(self, mifos_url: str) -> Json:
        """Return the lender as `load_partners` wants it; a column that is None is left out."""
        row = {
            "slug": self.slug,
            "name": self.name,
            "is_active": True,
            "is_mifos_configured": True,
            "mifos_auto_disbursement_enabled": True,
            "mifos_host_url": mifos_url,
            "mifos_tenant_id": self.slug,
            "mifos_username": "loanpoll",
            "mifos_password": f"mifos-{self.slug}",
            "mifos_payment_type_id": PAYMENT_TYPE,
            "is_mpesa_configured": True,
            "mpesa_environment": "sandbox",
            "mpesa_shortcode": self.shortcode,
            "mpesa_initiator_name": "loanpollapi",
            "mpesa_consumer_key": f"key-{self.slug}",
            "mpesa_consumer_secret": f"secret-{self.slug}",
            "mpesa_security_credential": security_credential(f"Initiator#{self.slug}"),
            "mpesa_payments_per_second": "20",
            **self.partner,
            "products": [_product(number) for number in PRODUCTS],
        }
        return _without_empty(row)


def _without_empty(row: Json) -> Json:
    return {name: value for name, value in row.items() if value is not None}


def _product(number: int) -> Json:
    name, least, most, enabled, auto_approve = PRODUCTS[number]
    return {
        "product_id": number,
        "product_name": name,
        "enabled": enabled,
        "min_amount": str(least),
        "max_amount": str(most),
        "auto_approve": auto_approve,
    }


ONE_BY_ONE = {"mifos_concurrency": 1}
NOT_SET_UP = dict.fromkeys(MPESA_COLUMNS)
LENDERS = [
    Lender(slug="umoja", name="Umoja Sacco", shortcode="600301"),
    Lender(slug="tumaini", name="Tumaini MFI", shortcode="600302", era="2026"),
    Lender(
        slug="kikomo",
        name="Kikomo Sacco (small limits)",
        shortcode="600303",
        era="1.8",
        partner={
            **ONE_BY_ONE,
            "daily_limit": "20000",
            "client_daily_limit": "10000",
            "loan_limit": "50000",
        },
    ),
    Lender(slug="subira", name="Subira Sacco (paused)", shortcode="600304"),
    Lender(slug="boresha", name="Boresha Credit (stopped)", shortcode="600305"),
    Lender(
        slug="akiba",
        name="Akiba Sacco (float short)",
        shortcode="600306",
        utility=10_000,
        partner=ONE_BY_ONE,
    ),
    Lender(
        slug="mwalimu",
        name="Mwalimu Sacco (maker-checker)",
        shortcode="600307",
        tenant={"maker_checker": True},
    ),
    Lender(
        slug="ruhusa",
        name="Ruhusa MFI (no permission)",
        shortcode="600308",
        tenant={"permissions": READ_ONLY},
    ),
    Lender(
        slug="taslimu",
        name="Taslimu Sacco (cash type)",
        shortcode="600309",
        partner={"mifos_payment_type_id": CASH_TYPE},
    ),
    Lender(
        slug="tazama",
        name="Tazama Chama (look only)",
        shortcode="600310",
        partner={"mifos_auto_disbursement_enabled": False},
    ),
    Lender(
        slug="mgeni",
        name="Mgeni Credit (being set up)",
        shortcode="600311",
        partner={
            **NOT_SET_UP,
            "is_mpesa_configured": False,
            "mifos_auto_disbursement_enabled": False,
        },
    ),
    Lender(slug="zamani", name="Zamani Chama (closed)", shortcode="600312"),
]


def lenders(*, holiday: int, working_days: str) -> list[Lender]:
    """Return all lenders. `holiday` is a day counted from today; `working_days` as in Mifos X."""
    calendar = {
        "holidays": [{"name": "Founders' day", "from": holiday}],
        "working_days": working_days,
    }
    return [replace(each, tenant=calendar) if each.slug == "tumaini" else each for each in LENDERS]
