"""The real house over a simulated world: real models, steps, doors and database; no socket."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, TypeVar
from unittest import mock
from urllib.parse import urlsplit

from django.contrib.auth.models import User
from django.db import connection
from django.test import RequestFactory

from campaigns.statemachine_mifos import PAYMENT_TYPE, BookClient, BookLoan, Tenant, TenantClient
from campaigns.statemachine_rail import Letter, Rail, RailWire
from campaigns.statemachine_time import Clock, Crash, Fuse
from disbursements import passes
from disbursements.callbacks import receive_callback
from disbursements.models import TriggeredBy
from mpesa import tokens
from mpesa.client import MpesaClient, MpesaConfig
from mpesa.models import MpesaEnvironment, Shortcode
from partners.models import LoanProductAutoDisbursalConfig, Partner

T = TypeVar("T")
SAFARICOM, STRANGER = "196.201.214.200", "203.0.113.9"
# The rooms whose clock is moved by hand; `timezone.now` is moved for all of them at once.
TIMED_ROOMS = (
    "disbursements.reread",
    "disbursements.shop",
    "disbursements.ask",
    "disbursements.serve",
    "disbursements.passes",
    "loans.fetch",
    "mpesa.client",
    "mpesa.tokens",
    "partners.overlap",
)
PHONES = {  # what a clerk typed → what M-Pesa must be told; None = nobody may be paid
    "0722123646": "254722123646",
    "+254 711 000 222": "254711000222",
    "254 110 555 777": "254110555777",
    "0733-444-555": "254733444555",
    "020 2345678": None,
    "0722123646 or 0733444555": None,
    "": None,
}
_numbers = itertools.count(1)


@dataclass(eq=False)
class House:
    """One lender, or two, with a Mifos X and an M-Pesa of their own making."""

    clock: Clock = field(default_factory=Clock)
    fuse: Fuse = field(default_factory=Fuse)
    lenders: list[Lender] = field(default_factory=list)
    swallowed: list[str] = field(default_factory=list)
    crashes: int = 0

    def __post_init__(self) -> None:
        self.rail = Rail(self.clock, self.fuse, deliver=self.deliver)

    @property
    def lender(self) -> Lender:
        return self.lenders[0]

    def open_lender(self, **columns: Any) -> Lender:
        """Add a lender that pays its one product by itself."""
        lender = Lender(self, Tenant(self.clock, self.fuse), make_partner(**columns))
        partner = lender.partner
        self.rail.floats[partner.mpesa_shortcode] = Decimal(1_000_000)
        self.rail.keys[partner.mpesa_shortcode] = partner.mpesa_consumer_key
        self.lenders.append(lender)
        return lender

    def lender_of(self, partner: Partner) -> Lender:
        return next(each for each in self.lenders if each.partner.pk == partner.pk)

    def survive(self, work: Callable[[], T], *, crash_at: int | None = None) -> T | None:
        """Do something that may die half-way, as a process would; None when it died."""
        self.fuse.light(crash_at)
        try:
            return work()
        except Crash:
            self.crashes += 1
            # Its connection dies with it, and what was not committed.
            connection.close()
            return None
        finally:
            self.fuse.light(None)

    def sync(self, *, crash_at: int | None = None) -> None:
        """Run one whole pass for every lender, as cron does."""
        slugs = [each.partner.slug for each in self.lenders]
        self.survive(
            lambda: passes.run_sync(triggered_by=TriggeredBy.SCHEDULE, partners=slugs),
            crash_at=crash_at,
        )

    def hook(self, lender: Lender, loan_id: int) -> None:
        """Let Mifos X say: look at this loan now."""
        self.survive(lambda: passes.run_hook(partner_id=lender.partner.pk, loan_id=loan_id))

    def deliver(self, letter: Letter, *, source: str = SAFARICOM) -> int:
        """Bring one letter to the door for Safaricom; return the HTTP status of the answer."""
        return self.deliver_body(letter.url, letter.body.encode(), source=source)

    def deliver_body(self, url: str, body: bytes, *, source: str = SAFARICOM) -> int:
        slug, token = urlsplit(url).path.split("/")[-2:]
        request = RequestFactory().post(
            urlsplit(url).path, body, content_type="application/json", REMOTE_ADDR=source
        )
        return receive_callback(request, slug=slug, token=token).status_code

    def deliver_all(self) -> None:
        """Bring every letter that is on its way."""
        while self.rail.letters:
            self.deliver(self.rail.letters.pop(0))

    def answer_all(self) -> None:
        """Answer every open query truthfully."""
        while self.rail.questions:
            question = self.rail.questions.pop(0)
            self.deliver(self.rail.answer_question(question))


@dataclass(eq=False)
class Lender:
    """A partner of ours and its Mifos X."""

    house: House
    tenant: Tenant
    partner: Partner
    new_cycles: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.mifos = TenantClient(self.tenant)
        self.mpesa = MpesaClient(
            mpesa_config(self.partner),
            tokens.DatabaseTokenStore("https://rail", self.partner.mpesa_consumer_key),
            wire=RailWire(self.house.rail),  # same methods, no sockets
        )

    def approve(
        self,
        principal: int | Decimal = 5_000,
        *,
        net: Decimal | int | None = 4_800,
        mobile: str | None = None,
        **facts: Any,
    ) -> BookLoan:
        """Approve a new loan of a new client in Mifos X."""
        number = 100 + self.tenant.number()
        phone = f"0722{next(_numbers) % 10**6:06d}" if mobile is None else mobile
        self.tenant.clients[number] = BookClient(number, phone)
        loan = BookLoan(
            loan_id=10_000 + number,
            client_id=number,
            principal=Decimal(principal),
            net=None if net is None else Decimal(net),
            **facts,
        )
        self.tenant.approve(loan)
        return loan

    def refresh(self) -> Partner:
        """Read the partner's row again."""
        self.partner = Partner.objects.prefetch_related("products").get(pk=self.partner.pk)
        return self.partner


def make_partner(**columns: Any) -> Partner:
    """Add a partner with one enabled product; its shortcode is its own."""
    number = 600_000 + next(_numbers)
    facts = {
        "slug": f"lender-{number}",
        "name": f"Lender {number}",
        "is_mifos_configured": True,
        "is_mpesa_configured": True,
        "mifos_auto_disbursement_enabled": True,
        "mifos_host_url": f"https://mifos-{number}.example.co.ke",
        "mifos_tenant_id": "default",
        "mifos_username": "loanpoll",
        "mifos_password": "p",
        "mifos_payment_type_id": PAYMENT_TYPE,
        "mpesa_environment": MpesaEnvironment.SANDBOX,
        "mpesa_shortcode": str(number),
        "mpesa_initiator_name": f"initiator-{number}",
        "mpesa_consumer_key": f"key-{number}",
        "mpesa_consumer_secret": "s",
        "mpesa_security_credential": f"credential-{number}",
    }
    partner = Partner.objects.create(**{**facts, **columns})
    LoanProductAutoDisbursalConfig.objects.create(
        partner=partner, product_id=1, product_name="Biashara", enabled=True
    )
    return partner


def mpesa_config(partner: Partner) -> MpesaConfig:
    return MpesaConfig(
        base_url="https://rail",
        consumer_key=partner.mpesa_consumer_key,
        consumer_secret=partner.mpesa_consumer_secret,
        shortcode=partner.mpesa_shortcode,
        initiator_name=partner.mpesa_initiator_name,
        security_credential=partner.mpesa_security_credential,
    )


def staff() -> list[User]:
    """Return three people; the same ones for every example."""
    names = ("asha", "brian", "cate")
    return [User.objects.get_or_create(username=name)[0] for name in names]


def shortcode_row(partner: Partner) -> Shortcode | None:
    return Shortcode.objects.filter(shortcode=partner.mpesa_shortcode).first()


class InlineExecutor:
    """Runs each piece of work at once, in this thread: one order of things for one seed."""

    def __init__(self, **_: Any) -> None:
        """Take and forget what a pool of threads would be told."""

    def __enter__(self) -> InlineExecutor:
        return self

    def __exit__(self, *_: object) -> None:
        """There is nothing to wait for."""

    def submit(self, work: Callable[..., T], *args: Any) -> Future[T]:
        """Do it now. A Crash goes straight through, as a death does."""
        future: Future[T] = Future()
        try:
            future.set_result(work(*args))
        except Exception as exc:
            future.set_exception(exc)
        return future


class KeptConnection:
    """The connection as the threads of a pass see it; the only thread does not close it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(connection, name)

    def close(self) -> None:
        """Stay open for the next piece of work."""


class Listener(logging.Handler):
    """Hears of every error that the product caught and only logged."""

    def __init__(self, heard: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self._heard.append(self.format(record))


@contextmanager
def open_house() -> Iterator[House]:
    """Give a house whose clock, wire, threads and commits are in the caller's hands."""
    house = House()
    with ExitStack() as stack:
        for target, stand_in in stand_ins(house):
            stack.enter_context(mock.patch(target, stand_in))
        stack.enter_context(listening(house))
        stack.enter_context(fused_commits(house.fuse))
        tokens.forget_warm_tokens()
        yield house


def stand_ins(house: House) -> Iterator[tuple[str, Any]]:
    """Name each seam of the product, and what stands there instead."""
    clock = house.clock
    by_hand = SimpleNamespace(monotonic=clock.monotonic, sleep=clock.sleep, time=time.time)
    yield "django.utils.timezone.now", clock.now
    for room in TIMED_ROOMS:
        yield f"{room}.time", by_hand
    yield "partners.overlap.ThreadPoolExecutor", InlineExecutor
    yield "partners.overlap.connection", KeptConnection()

    def mifos(partner: Partner) -> TenantClient:
        return house.lender_of(partner).mifos

    def mpesa(partner: Partner) -> MpesaClient:
        return house.lender_of(partner).mpesa

    yield "disbursements.serve.mifos_client", mifos
    yield "disbursements.serve.mpesa_client", mpesa
    yield "disbursements.passes.mifos_client", mifos


@contextmanager
def listening(house: House) -> Iterator[None]:
    """Collect what the product's rooms log as exceptions, and keep the rest of their talk out."""
    listener = Listener(house.swallowed)
    rooms = [logging.getLogger(name) for name in ("disbursements", "loans", "partners", "mpesa")]
    kept = [(room, room.propagate, room.level) for room in rooms]
    for room in rooms:
        room.addHandler(listener)
        room.propagate, room.level = False, logging.ERROR
    try:
        yield
    finally:
        for room, propagate, level in kept:
            room.removeHandler(listener)
            room.propagate, room.level = propagate, level


@contextmanager
def fused_commits(fuse: Fuse) -> Iterator[None]:
    """Let the process die right before or right after each commit."""
    commit, rollback = connection.commit, connection.rollback

    def fused() -> None:
        try:
            fuse.pass_by("before a commit")
        except Crash:
            rollback()
            raise
        commit()
        fuse.pass_by("after a commit")

    with mock.patch.object(connection, "commit", fused):
        yield
