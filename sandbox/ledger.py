"""What M-Pesa keeps: shortcodes with their accounts, wallets, payments, and every debit."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from decimal import Decimal

from sandbox.calls import Json

WALLET_MOST = Decimal(500_000)  # contracts/mpesa.md 9
DAY_MOST = Decimal(500_000)
PAY_LEAST = Decimal(10)
PAY_MOST = Decimal(250_000)
# 1-100, 101-1500, 1501-5000 and 5001-15000 are published; the last band is ours.
FEES = ((100, 0), (1_500, 5), (5_000, 9), (15_000, 11), (250_000, 13))


@dataclass(slots=True)
class Shortcode:
    """An organisation: its app, its initiator and its accounts."""

    shortcode: str
    consumer_key: str
    consumer_secret: str
    initiator_name: str = "testapi"
    initiator_password: str = "Safaricom999!"
    utility: Decimal = Decimal(1_000_000)
    working: Decimal = Decimal(700_000)
    charges: Decimal = Decimal(0)
    b2c_enabled: bool = True  # off: 403.002.1001
    api_product: bool = True  # off: 401 no apiproduct match
    has_role: bool = True  # off: result 21
    has_product: bool = True  # off: result 2028
    name: str = "Sandbox Lender"
    wrong_credentials: int = 0
    locked: bool = False


@dataclass(slots=True)
class Wallet:
    """A customer's phone: the money on it and what it received today."""

    msisdn: str
    balance: Decimal = Decimal(0)
    received: Decimal = Decimal(0)
    registered: bool = True  # off: 2040
    exists: bool = True  # off: SFC_IC0003
    name: str = "JANE DOE"


@dataclass(slots=True)
class Payment:
    """One accepted B2C request and what became of it."""

    ocid: str
    conversation_id: str
    shortcode: str
    amount: Decimal
    msisdn: str
    version: str
    at: float
    result_url: str
    timeout_url: str
    password: str | None
    initiator: str
    remarks: str
    status: str = "Initiated"  # then Completed, Declined, Cancelled, Expired, Reversed
    indexed: bool = True  # off: never reached the core, a status query says 2033
    code: str = ""
    transaction_id: str = ""
    receipt: str = ""
    fee: Decimal = Decimal(0)
    finished_at: float | None = None


@dataclass(slots=True)
class Debit:
    """Money that left a Utility account. The oracle counts these."""

    seq: int
    at: float
    shortcode: str
    ocid: str
    conversation_id: str
    msisdn: str
    amount: Decimal
    fee: Decimal
    receipt: str
    version: str
    reversed: bool = False

    def as_json(self) -> Json:
        return {**asdict(self), "amount": f"{self.amount:.2f}", "fee": f"{self.fee:.2f}"}


@dataclass(slots=True)
class Ledger:
    """The money of the whole rail."""

    shortcodes: dict[str, Shortcode] = field(default_factory=dict)
    wallets: dict[str, Wallet] = field(default_factory=dict)
    payments: dict[str, Payment] = field(default_factory=dict)
    by_receipt: dict[str, Payment] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    debits: list[Debit] = field(default_factory=list)
    requests: list[Json] = field(default_factory=list)

    def wallet(self, msisdn: str) -> Wallet:
        if msisdn not in self.wallets:
            self.wallets[msisdn] = Wallet(msisdn)
        return self.wallets[msisdn]

    def refusal(self, payment: Payment) -> str:
        """Return the result code the money rules give, or an empty text when it can be paid."""
        shortcode = self.shortcodes[payment.shortcode]
        wallet = self.wallet(payment.msisdn)
        rules = (
            (payment.amount < PAY_LEAST, "2"),
            (payment.amount > PAY_MOST, "3"),
            (not wallet.exists, "SFC_IC0003"),
            (not wallet.registered, "2040"),
            (wallet.received + payment.amount > DAY_MOST, "4"),
            (wallet.balance + payment.amount > WALLET_MOST, "8"),
            (shortcode.utility < payment.amount, "1"),
        )
        return next((code for broken, code in rules if broken), "")

    def debit(self, payment: Payment, receipt: str, at: float) -> Debit:
        """Move the money of one payment and write it down."""
        shortcode = self.shortcodes[payment.shortcode]
        wallet = self.wallet(payment.msisdn)
        payment.fee = fee_for(payment.amount)
        payment.receipt = receipt
        shortcode.utility -= payment.amount
        shortcode.charges -= payment.fee
        wallet.balance += payment.amount
        wallet.received += payment.amount
        row = Debit(
            seq=len(self.debits) + 1,
            at=at,
            shortcode=payment.shortcode,
            ocid=payment.ocid,
            conversation_id=payment.conversation_id,
            msisdn=payment.msisdn,
            amount=payment.amount,
            fee=payment.fee,
            receipt=receipt,
            version=payment.version,
        )
        self.debits.append(row)
        self.by_receipt[receipt] = payment
        return row

    def reverse(self, receipt: str) -> Payment:
        """Give the money back, as a person at the lender does. Raises KeyError."""
        payment = self.by_receipt[receipt]
        row = next(row for row in self.debits if row.receipt == receipt)
        if row.reversed:
            raise KeyError(f"{receipt} is already reversed")
        row.reversed = True
        self.shortcodes[payment.shortcode].utility += payment.amount
        self.wallet(payment.msisdn).balance -= payment.amount
        payment.status = "Reversed"
        return payment


def fee_for(amount: Decimal) -> Decimal:
    return Decimal(next((fee for most, fee in FEES if amount <= most), 13))
