"""Who may do what at every address. An address that is not named here fails the matrix test.

Written by hand, from the roles (docs/reference/roles.md) and design.md 5.3 and 5.4, so that neither
the views nor the permissions in the database are their own judges.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Actor(StrEnum):
    ANONYMOUS = "nobody signed in"
    NO_STAFF = "a user who is not staff"
    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"
    ADMINISTRATOR = "administrator"
    SUPERUSER = "superuser"
    BOUND = "all four roles, bound to another partner"
    KEY = "API key"
    BOUND_KEY = "API key of another partner"
    CRON = "CRON_SECRET"


class Outcome(StrEnum):
    LET_IN = "let in"
    SIGN_IN = "sign in first"
    REFUSED = "refused"
    MISSING = "nothing there"
    NO_METHOD = "no such method"
    BROKEN = "broken"


METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
LOOKS = frozenset({"GET", "HEAD"})

V, O, P, A = Actor.VIEWER, Actor.OPERATOR, Actor.APPROVER, Actor.ADMINISTRATOR  # noqa: E741 - a table
SUPER, BOUND = Actor.SUPERUSER, Actor.BOUND
STAFF = frozenset({V, O, P, A, SUPER, BOUND})
MACHINES = frozenset({Actor.KEY, Actor.BOUND_KEY, Actor.CRON})
EVERY = frozenset({V, O, P, A, SUPER})
NOBODY: frozenset[Actor] = frozenset()


def only(*actors: Actor) -> frozenset[Actor]:
    """Return these roles and who holds all of them."""
    return frozenset({*actors, SUPER, BOUND})


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page of the desk. `of_partner`: it is about a thing of one partner."""

    who: frozenset[Actor]
    methods: frozenset[str] = LOOKS
    of_partner: bool = False
    path: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class AdminPage:
    """A page of the admin that every member of staff may open, and what he finds there."""

    methods: frozenset[str] = frozenset(METHODS)
    outcome: Outcome = Outcome.LET_IN


@dataclass(frozen=True, kw_only=True)
class Open:
    """An address that asks for no session: a door for machines, or one on the way in."""

    methods: frozenset[str]
    outcome: Outcome = Outcome.LET_IN


@dataclass(frozen=True, kw_only=True)
class Api:
    """An address of the API. DRF asks who calls before it looks at the method."""

    methods: dict[str, frozenset[Actor]]
    known: frozenset[Actor]
    of_partner: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table in the admin: who may look, add, change, delete. `is_house_wide`: not for BOUND."""

    view: frozenset[Actor] = only(V, O, P, A)
    add: frozenset[Actor] = NOBODY
    change: frozenset[Actor] = NOBODY
    delete: frozenset[Actor] = NOBODY
    is_house_wide: bool = False


HOLDERS = only(O, P)  # loans.hold_loantracking
OPERATORS = only(O)
APPROVERS = only(P)
ADMINISTRATORS = only(A)
ASKED = frozenset({"GET", "HEAD", "POST"})

RULES: dict[str, Page | Open | Api] = {
    "": Open(methods=frozenset(METHODS)),  # only the way to the list
    "loan-tracking": Page(who=STAFF),
    "loan-tracking/changes": Page(who=STAFF),
    "loan-tracking/export.csv": Page(who=STAFF),
    "loan-tracking/export.xlsx": Page(who=STAFF),
    "loan-tracking/<int:pk>": Page(who=STAFF, of_partner=True),
    **{
        f"loan-tracking/<int:pk>/{name}": Page(who=who, methods=ASKED, of_partner=True)
        for name, who in {
            "hold": HOLDERS,
            "release": HOLDERS,
            "reread": HOLDERS,
            "ask": OPERATORS,
            "retry": OPERATORS,
            "record": OPERATORS,
            "cycle": OPERATORS,
            "approve": APPROVERS,
            "decline": APPROVERS,
            "resolve": APPROVERS,
            "confirm": APPROVERS,
            "withdraw": APPROVERS,
        }.items()
    },
    **{
        f"loan-tracking/bulk/{name}": Page(who=who, methods=ASKED)
        for name, who in {
            "hold": HOLDERS,
            "release": HOLDERS,
            "ask": OPERATORS,
            "retry": OPERATORS,
            "approve": APPROVERS,
        }.items()
    },
    "loan-tracking/views": Page(who=STAFF, methods=frozenset({"POST"})),
    "charts": Page(who=STAFF),
    "partners": Page(who=STAFF),
    **{
        f"partners/<slug:slug>/{name}": Page(
            who=only(O, P, A), methods=frozenset({"POST"}), of_partner=True
        )
        for name in ("test", "poll")
    },
    **{
        f"partners/<slug:slug>/{name}": Page(who=ADMINISTRATORS, methods=ASKED, of_partner=True)
        for name in ("pause", "resume", "reset")
    },
    # Never for who is bound: it reaches lenders that he may not see.
    **{
        f"payouts/{name}": Page(who=frozenset({A, SUPER}), methods=ASKED)
        for name in ("pause", "resume")
    },
    "accounts/login": Open(methods=frozenset(METHODS) - {"PATCH", "DELETE"}),
    "accounts/two-factor": Page(who=STAFF, methods=ASKED),
    "accounts/two-factor/verify": Page(who=STAFF, methods=ASKED),
    "api/mifos/fetch-pending-loans": Api(methods={"POST": MACHINES}, known=MACHINES),
    "api/mifos/process-pending-loans": Api(methods={"POST": MACHINES}, known=MACHINES),
    **{
        route: Api(methods={"POST": MACHINES, "GET": frozenset({Actor.CRON})}, known=MACHINES)
        for route in ("api/mifos/scheduled-loan-sync", "api/cron/loan-polling")
    },
    **{
        route: Api(
            methods={"GET": STAFF | {Actor.KEY, Actor.BOUND_KEY}},
            known=STAFF | {Actor.NO_STAFF, Actor.KEY, Actor.BOUND_KEY},
            of_partner=route != "api/loans",
        )
        for route in ("api/loans", "api/loans/<int:id>")
    },
    "api/^mifos/webhook/loan-approval/(?P<token>[A-Za-z0-9_-]{1,128})/?$": Open(
        methods=frozenset({"POST"}), outcome=Outcome.MISSING
    ),
    "api/^callbacks/(?P<slug>[a-z-]{1,30})/(?P<token>[A-Za-z0-9_-]{1,200})/?$": Open(
        methods=frozenset({"POST"}), outcome=Outcome.MISSING
    ),
    "api/schema": Open(methods=frozenset({"GET", "HEAD", "OPTIONS"})),
    "api/docs": Open(methods=frozenset({"GET", "HEAD", "OPTIONS"})),
    "api/^.*$": Open(methods=frozenset(METHODS), outcome=Outcome.MISSING),
    "healthz": Open(methods=LOOKS),
    "readyz": Open(methods=LOOKS),
    "health/polling": Open(methods=LOOKS),
    "metrics": Open(methods=LOOKS, outcome=Outcome.MISSING),  # shut without METRICS_TOKEN
}
# Not scoped by the row's partner but by its owner; tested with the page itself.
OWNED = {
    "loan-tracking/bulk/done/<int:pk>": Page(who=NOBODY),
    "loan-tracking/views/<int:pk>/delete": Page(who=NOBODY, methods=frozenset({"POST"})),
}

# In the admin everybody who is staff comes in; what he finds there is the tables' matter.
SHOWN = frozenset({"GET", "HEAD", "OPTIONS"})
ADMIN_PAGES: dict[str, AdminPage] = {
    "admin/": AdminPage(),
    "admin/password_change/": AdminPage(methods=SHOWN | {"POST", "PUT"}),
    "admin/password_change/done/": AdminPage(methods=SHOWN),
    "admin/jsi18n/": AdminPage(methods=SHOWN),
    # Without naming a field it serves nobody.
    "admin/autocomplete/": AdminPage(methods=LOOKS, outcome=Outcome.REFUSED),
    "admin/r/<path:content_type_id>/<path:object_id>/": AdminPage(outcome=Outcome.MISSING),
    "admin/(?P<url>.*)$": AdminPage(outcome=Outcome.MISSING),
}
# The way in and out: whoever is in, or is not, is sent on.
WAYS = {"admin/login/", "admin/logout/", "accounts/logout"}

TABLES: dict[str, Table] = {
    "partners.partner": Table(add=only(A) - {BOUND}, change=ADMINISTRATORS),
    "partners.loanproductautodisbursalconfig": Table(add=ADMINISTRATORS, change=ADMINISTRATORS),
    "partners.mifosexchange": Table(view=only(O, P, A)),
    "loans.loantracking": Table(),
    "loans.loanevent": Table(),
    "loans.loanapproval": Table(),
    "disbursements.disbursementrequest": Table(),
    "disbursements.reviewresolution": Table(),
    "disbursements.syncrun": Table(is_house_wide=True),
    "disbursements.alert": Table(is_house_wide=True),
    "disbursements.apikey": Table(view=ADMINISTRATORS, add=ADMINISTRATORS, change=ADMINISTRATORS),
    "mpesa.resultcode": Table(add=ADMINISTRATORS, change=ADMINISTRATORS, is_house_wide=True),
    "mpesa.shortcode": Table(is_house_wide=True),
    "mpesa.mpesarequest": Table(view=only(O, P, A), is_house_wide=True),
    "mpesa.mpesacallback": Table(view=only(P), is_house_wide=True),
    "auth.user": Table(
        view=ADMINISTRATORS, add=ADMINISTRATORS, change=ADMINISTRATORS, is_house_wide=True
    ),
    "auth.group": Table(view=ADMINISTRATORS, add=only(), change=only(), is_house_wide=True),
    "admin.logentry": Table(view=ADMINISTRATORS, is_house_wide=True),
    # Only where the queue is installed; its jobs name loans by number, and nothing is acted on.
    "procrastinate.procrastinatejob": Table(view=only(), is_house_wide=True),
    "axes.accessattempt": Table(
        view=ADMINISTRATORS, change=only(), delete=only(), is_house_wide=True
    ),
    "axes.accesslog": Table(view=ADMINISTRATORS, change=only(), delete=only(), is_house_wide=True),
    "axes.accessfailurelog": Table(view=only(), change=only(), delete=only(), is_house_wide=True),
}
