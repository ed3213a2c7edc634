"""Every role at every address with every method gets what the table of rules says, and no more."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.template.response import SimpleTemplateResponse
from django.test import Client
from django.utils import timezone

from disbursements.models import Alert, ApiKey, ReviewResolution, StaffAction, SyncRun
from disbursements.tests.machines import key_for, stand_in
from disbursements.tests.making import (
    make_attempt,
    make_event,
    make_loan,
    make_partner,
    make_product,
)
from loans.models import LoanApproval
from mpesa.models import MpesaCallback, MpesaRequest, ResultCode, Shortcode
from partners.models import MifosExchange, Partner, PartnerMembership
from tests.matrix.addresses import Address, addresses, filled
from tests.matrix.rules import (
    ADMIN_PAGES,
    BOUND,
    LOOKS,
    METHODS,
    OWNED,
    RULES,
    STAFF,
    TABLES,
    WAYS,
    Actor,
    AdminPage,
    Api,
    Open,
    Outcome,
    Page,
    Table,
)

pytestmark = pytest.mark.django_db

SECRET = "a-cron-secret-of-the-tests"
ROLES = {
    Actor.VIEWER: ["Viewer"],
    Actor.OPERATOR: ["Operator"],
    Actor.APPROVER: ["Approver"],
    Actor.ADMINISTRATOR: ["Administrator"],
    BOUND: ["Viewer", "Operator", "Approver", "Administrator"],
}
ACTION_LABELS = r"admin/^(?P<app_label>"


@dataclass
class Stage:
    """One partner with one of everything, and another partner with nothing."""

    partner: Partner
    other: Partner
    rows: dict[str, str] = field(default_factory=dict)
    loan: str = ""

    def path(self, address: Address) -> str:
        table = address.table
        row = self.rows.get(table[0], "1") if table else "1"
        values = {
            "pk": self.loan,
            "id": row if table else self.loan,
            "object_id": row,
            "content_type_id": "1",
            "slug": "payout-result" if "callbacks" in address.route else self.partner.slug,
            "token": "not-a-token",
            "url": "nowhere",
            "app_label": "partners",
        }
        return filled(address.route, values)


@pytest.fixture
def stage(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Stage:
    settings.CRON_SECRET = SECRET
    settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"] = {"sync": None, "read": None}
    monkeypatch.setattr(
        "rest_framework.throttling.SimpleRateThrottle.THROTTLE_RATES", {"sync": None, "read": None}
    )
    stand_in(monkeypatch)
    partner = make_partner(is_mifos_configured=False, is_mpesa_configured=False)
    made = Stage(partner=partner, other=make_partner())
    made.rows = _one_of_everything(partner)
    made.loan = made.rows["loans.loantracking"]
    return made


def _one_of_everything(partner: Partner) -> dict[str, str]:
    now = timezone.now()
    person = User.objects.create_user("somebody", is_staff=True)
    loan = make_loan(partner)
    attempt = make_attempt(loan)
    request = MpesaRequest.objects.create(
        kind="payment", environment="sandbox", shortcode="600000", token_digest="x", sent_at=now
    )
    key, _ = ApiKey.objects.create_key(name="one", partner=partner)
    rows = [
        partner,
        make_product(partner),
        loan,
        attempt,
        make_event(loan),
        LoanApproval.objects.create(
            loan_tracking=loan, amount=Decimal(1), requested_by="system", requested_at=now
        ),
        ReviewResolution.objects.create(
            disbursement_request=attempt,
            outcome="not-paid",
            proposed_by=person,
            proposed_at=now,
        ),
        SyncRun.objects.create(command="scheduled_loan_sync", triggered_by="api", started_at=now),
        key,
        Alert.objects.create(
            channel="mail", kind="loan_review", key="k", about="a", text="t", opened_at=now
        ),
        request,
        MpesaCallback.objects.create(
            kind="payment_result", request=request, body="{}", received_at=now
        ),
        MifosExchange.objects.create(
            partner=partner, method="POST", path="/loans/1", started_at=now, milliseconds=1
        ),
        Shortcode.objects.create(environment="sandbox", shortcode="600999"),
        ResultCode.objects.all()[0],
        person,
        Group.objects.get(name="Viewer"),
        LogEntry.objects.create(
            user=person,
            content_type=ContentType.objects.get_for_model(Partner),
            object_id=str(partner.pk),
            object_repr="one",
            action_flag=CHANGE,
        ),
        *(_axes_row(name) for name in ("accessattempt", "accesslog", "accessfailurelog")),
    ]
    known = {row._meta.label_lower: str(quote(row.pk)) for row in rows}
    return known | {"procrastinate.procrastinatejob": _queued_job()}


def _axes_row(name: str) -> Any:
    model: Any = apps.get_model("axes", name)
    more = {"failures_since_start": 1} if name == "accessattempt" else {}
    return model.objects.create(username="x", ip_address="127.0.0.1", user_agent="x", **more)


def _queued_job() -> str:
    if not apps.is_installed("procrastinate.contrib.django"):
        return ""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, args) "
            "VALUES ('matrix', 'nothing', '{}') RETURNING id"
        )
        return str(cursor.fetchone()[0])


class Caller:
    """One actor with his browser or his key."""

    def __init__(self, actor: Actor, stage: Stage) -> None:
        self.actor = actor
        self.client = Client(raise_request_exception=False)
        self.headers: dict[str, str] = {}
        self.user = _user_of(actor, stage)
        if actor == Actor.CRON:
            self.headers = {"Authorization": f"Bearer {SECRET}"}
        elif actor in {Actor.KEY, Actor.BOUND_KEY}:
            bound_to = stage.other if actor == Actor.BOUND_KEY else None
            self.headers = {"Authorization": f"Bearer {key_for(bound_to)}"}
        self.sign_in()

    def sign_in(self) -> None:
        if self.user is not None:
            self.client.force_login(self.user)

    def knock(self, method: str, path: str) -> Outcome:
        answer = self.client.generic(
            method, path, b"", "application/x-www-form-urlencoded", headers=self.headers
        )
        if path.rstrip("/").endswith(("logout", "pause")):
            self.sign_in()
        return outcome_of(answer)


def _user_of(actor: Actor, stage: Stage) -> User | None:
    if actor == Actor.SUPERUSER:
        return User.objects.create_superuser("root")
    if actor == Actor.NO_STAFF:
        return User.objects.create_user("no-staff")
    if actor not in ROLES:
        return None
    user = User.objects.create_user(str(actor)[:30], is_staff=True)
    user.groups.set(Group.objects.filter(name__in=ROLES[actor]))
    if actor == BOUND:
        PartnerMembership.objects.create(user=user, partner=stage.other)
    return user


def outcome_of(answer: Any) -> Outcome:
    place = answer.get("Location", "")
    match answer.status_code:
        case 302 if "/login/" in place:
            return Outcome.SIGN_IN
        case 302 if place == "/admin/":
            return Outcome.MISSING  # how the admin says it
        case 401:
            return Outcome.SIGN_IN
        case 403:
            return Outcome.REFUSED
        case 404:
            return Outcome.MISSING
        case 405:
            return Outcome.NO_METHOD
        case status if status >= 500:
            return Outcome.BROKEN
        case _:
            return Outcome.LET_IN


def expected(address: Address, actor: Actor, method: str) -> set[Outcome]:
    """Return what may happen; more than one only where nothing is given away either way."""
    if address.table:
        return _expected_in_table(*address.table, actor, method)
    if address.rule in WAYS:
        return set(Outcome) - {Outcome.BROKEN}
    if address.rule in ADMIN_PAGES or address.route.startswith(ACTION_LABELS):
        return _expected_on_admin_page(ADMIN_PAGES.get(address.rule, AdminPage()), actor, method)
    rule = OWNED.get(address.rule) or RULES[address.rule]
    match rule:
        case Open():
            return {rule.outcome if method in rule.methods else Outcome.NO_METHOD}
        case Page():
            return {_expected_on_page(rule, actor, method, owned=address.rule in OWNED)}
        case Api():
            return {_expected_of_api(rule, actor, method)}


def _expected_on_admin_page(rule: AdminPage, actor: Actor, method: str) -> set[Outcome]:
    if actor not in STAFF:
        return {Outcome.SIGN_IN}
    if method in rule.methods:
        return {rule.outcome}
    # Django answers OPTIONS for some of its views; it says nothing but which methods there are.
    return {Outcome.NO_METHOD, Outcome.LET_IN} if method == "OPTIONS" else {Outcome.NO_METHOD}


def _expected_on_page(rule: Page, actor: Actor, method: str, *, owned: bool) -> Outcome:
    if method not in rule.methods:
        return Outcome.NO_METHOD
    if actor not in STAFF:
        return Outcome.SIGN_IN
    if owned:
        return Outcome.MISSING
    if actor not in rule.who:
        return Outcome.REFUSED
    return Outcome.MISSING if rule.of_partner and actor == BOUND else Outcome.LET_IN


def _expected_of_api(rule: Api, actor: Actor, method: str) -> Outcome:
    if actor not in rule.known:
        return Outcome.SIGN_IN
    if actor == Actor.NO_STAFF:
        return Outcome.REFUSED
    if method not in rule.methods:
        return Outcome.NO_METHOD
    if actor not in rule.methods[method]:
        return Outcome.REFUSED
    is_elsewhere = rule.of_partner and actor in {BOUND, Actor.BOUND_KEY}
    return Outcome.MISSING if is_elsewhere else Outcome.LET_IN


def _expected_in_table(name: str, rest: str, actor: Actor, method: str) -> set[Outcome]:
    if actor not in STAFF:
        return {Outcome.SIGN_IN}
    if rest == "<path:object_id>/":
        return {Outcome.LET_IN}  # only the way to …/change/
    table = TABLES[name]
    if actor == BOUND and table.is_house_wide:
        return {Outcome.REFUSED, Outcome.MISSING}
    who = _who(table, rest, method)
    if actor not in who:
        return {Outcome.REFUSED, Outcome.MISSING} if actor == BOUND else {Outcome.REFUSED}
    of_row = rest not in {"", "add/"}
    return {Outcome.MISSING} if actor == BOUND and of_row else {Outcome.LET_IN}


def _who(table: Table, rest: str, method: str) -> frozenset[Actor]:
    what = rest.rstrip("/").rpartition("/")[2]
    match what:
        case "add":
            return table.add
        case "delete":
            return table.delete
        case "password":
            return table.change
        case "change" if method == "POST":
            return table.change
        case _:
            return table.view | table.change


def rule_exists(address: Address) -> bool:
    if address.table:
        return address.table[0] in TABLES
    known = (RULES, OWNED, ADMIN_PAGES, WAYS)
    return address.route.startswith(ACTION_LABELS) or any(address.rule in one for one in known)


def _app_of(table: str) -> str:
    label = table.partition(".")[0]
    return {
        "procrastinate": "procrastinate.contrib.django",
        "auth": "django.contrib.auth",
        "admin": "django.contrib.admin",
    }.get(label, label)


def test_every_address_has_a_rule_and_every_rule_an_address():
    every = addresses()
    without = sorted({address.route for address in every if not rule_exists(address)})
    named = {address.rule for address in every} | {
        address.table[0] for address in every if address.table
    }
    here = {name for name in TABLES if apps.is_installed(_app_of(name))}
    idle = {*RULES, *OWNED, *ADMIN_PAGES, *WAYS, *here} - named

    assert without == [], "add who may do what there to tests/matrix/rules.py"
    assert sorted(idle) == []


@pytest.mark.parametrize("actor", Actor)
def test_everybody_gets_what_the_rules_say_and_no_more(
    actor: Actor, stage: Stage, monkeypatch: pytest.MonkeyPatch
):
    _draw_less(monkeypatch)
    caller = Caller(actor, stage)
    wrong, asked = [], 0
    for address in addresses():
        if not rule_exists(address):
            continue
        for method in methods_for(actor, address):
            path, asked = stage.path(address), asked + 1
            found = caller.knock(method, path)
            wanted = expected(address, actor, method)
            if found not in wanted:
                wrong.append(f"{method} {path}: {found}, not {' or '.join(sorted(wanted))}")

    if wrong:
        pytest.fail("\n".join([f"{len(wrong)} of {asked} are wrong:", *wrong]), pytrace=False)


def methods_for(actor: Actor, address: Address) -> tuple[str, ...]:
    """Return the methods to try. LOANPOLL_WHOLE_MATRIX=1 tries all of them everywhere.

    Without it the admin, which asks only whether a method is POST, is tried with every method by
    three actors, and the second spelling of a page by one method.
    """
    if os.environ.get("LOANPOLL_WHOLE_MATRIX") == "1":
        return METHODS
    if address.table:
        return METHODS if actor in {Actor.ANONYMOUS, Actor.VIEWER, BOUND} else ("GET", "POST")
    return METHODS[:1] if address.is_second_spelling else METHODS


def _draw_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lay out the admin's pages for GET and POST only: the rules do not depend on it."""
    draw = SimpleTemplateResponse.rendered_content.fget  # type: ignore[attr-defined]  # a property

    def drawn(self: Any) -> str:
        is_look_alike = self._request is not None and self._request.method not in {"GET", "POST"}
        return "" if is_look_alike else str(draw(self))

    monkeypatch.setattr(SimpleTemplateResponse, "rendered_content", property(drawn))


def test_only_doors_for_machines_take_a_post_without_a_form_secret():
    exempt = {address.route for address in addresses() if address.is_csrf_exempt}

    assert {route for route in exempt if not route.startswith("api/")} == set()


def test_no_session_page_takes_an_unsafe_request_without_the_form_secret(stage: Stage):
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("root"))
    let_in = [
        f"{method} {stage.path(address)}"
        for address in addresses()
        if not address.is_csrf_exempt
        for method in METHODS
        if method not in LOOKS | {"OPTIONS"}
        if b"This form is too old" not in client.generic(method, stage.path(address)).content
    ]

    assert let_in == []


def test_a_session_cannot_post_to_the_api(stage: Stage):
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("root"))

    for address in addresses():
        if address.route.startswith("api/mifos/") and "webhook" not in address.route:
            assert client.post(stage.path(address)).status_code == 401


def test_another_persons_saved_view_and_finished_action_are_not_there(client: Client):
    action = StaffAction.objects.create(
        user=User.objects.create_user("first"), token="t", name="hold", started_at=timezone.now()
    )
    client.force_login(User.objects.create_superuser("second"))

    assert client.get(f"/loan-tracking/bulk/done/{action.pk}").status_code == 404
