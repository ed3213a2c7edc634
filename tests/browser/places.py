"""Every page and state of the desk: how to get there. Screenshots and axe both walk this list."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.models import User
from django.template.loader import render_to_string
from django.utils import timezone
from django_otp.oath import totp
from django_otp.plugins.otp_totp.models import TOTPDevice
from playwright.sync_api import Page

from partners.pausing import pause_all, resume_all
from tests.browser.scene import PASSWORD, Scene

Walk = Callable[[Page, Scene], None]


@dataclass(frozen=True, kw_only=True)
class Place:
    """One page in one state. Without a `user` nobody is signed in."""

    name: str
    walk: Walk
    user: str = "jane.o"


def sign_in(page: Page, user: str) -> None:
    """Sign in, in a browser that nobody is signed in to."""
    page.goto("/accounts/login/")
    page.get_by_label("User name").fill(user)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/loan-tracking")


def at(address: str) -> Walk:
    """Return the way to an address. `{key}` is the number of the loan of that name."""

    def walk(page: Page, scene: Scene) -> None:
        numbers = {key: loan.pk for key, loan in scene.loans.items()}
        page.goto(address.format(**numbers))

    return walk


def _select(page: Page, scene: Scene) -> None:
    page.goto("/loan-tracking?status=failed")
    for box in page.get_by_role("checkbox", name="Select loan").all()[:2]:
        box.check()


def _statuses(page: Page, scene: Scene) -> None:
    page.goto("/loan-tracking?status=failed")
    page.locator("#status summary").click()


def _views(page: Page, scene: Scene) -> None:
    page.goto("/loan-tracking?status=pending&partner=umoja")
    page.get_by_text("Save or delete").click()


def _keys(page: Page, scene: Scene) -> None:
    page.goto("/loan-tracking?status=failed")
    page.keyboard.press("?")


def _stale(page: Page, scene: Scene) -> None:
    page.goto("/loan-tracking?status=failed")
    page.route("**/changes*", lambda route: route.fulfill(status=503))
    page.locator("#live").click()
    page.locator("#live").click()
    page.get_by_text("Could not refresh").first.wait_for()


def _whynot(page: Page, scene: Scene) -> None:
    at("/loan-tracking/{unknown}")(page, scene)
    page.get_by_text("What is not possible now, and why").click()


def _broken(page: Page, scene: Scene) -> None:
    body = render_to_string("500.html", {"reference": "7f3a91c204de"})
    page.route(
        "**/loan-tracking?broken",
        lambda route: route.fulfill(status=500, body=body, content_type="text/html"),
    )
    page.goto("/loan-tracking?broken")


def _exchanges(page: Page, scene: Scene) -> None:
    at("/loan-tracking/{unknown}")(page, scene)
    page.get_by_text("Exchanges with M-Pesa and Mifos X").click()


def _partner(page: Page, scene: Scene) -> None:
    page.goto(f"/admin/partners/partner/{scene.umoja.pk}/change/")


def _products(page: Page, scene: Scene) -> None:
    page.goto("/admin/partners/partner/")
    page.get_by_label("Select this object for an action - Umoja Sacco").check()
    page.get_by_label("Action:").select_option("read_products")
    with page.expect_navigation():
        page.locator(".actions button[type=submit], .actions [name=index]").first.click()


def _refused(page: Page, scene: Scene) -> None:
    at("/loan-tracking/{unknown}/resolve")(page, scene)
    page.get_by_label("paid", exact=True).check()
    page.get_by_label("Reason").fill("Line 214 of the statement")
    with page.expect_navigation():
        page.get_by_role("button", name="Propose").click()


def _bulk(page: Page, scene: Scene) -> None:
    keys = ("failed", "failed 2001", "unknown", "disbursed")
    chosen = "&".join(f"loan={scene.loans[key].pk}" for key in keys)
    page.goto(f"/loan-tracking/bulk/retry?{chosen}")


def _bulk_done(page: Page, scene: Scene) -> None:
    chosen = "&".join(f"loan={scene.loans[key].pk}" for key in ("unknown", "proposed"))
    page.goto(f"/loan-tracking/bulk/ask?{chosen}")
    page.get_by_label("Reason").fill("The clients phoned")
    page.get_by_role("button", name="Ask M-Pesa about 2 loans").click()
    page.get_by_role("heading", name="2 of 2 done").wait_for()


def _passes(page: Page, scene: Scene) -> None:
    page.goto("/partners")
    page.get_by_text("The last passes").first.click()


def _test(page: Page, scene: Scene) -> None:
    page.goto("/partners")
    with page.expect_navigation():
        page.get_by_role("button", name="Test connection of Umoja Sacco").click()


def _numbers(page: Page, scene: Scene) -> None:
    page.goto("/charts")
    page.get_by_text("The numbers").first.click()


def _wrong(page: Page, scene: Scene) -> None:
    page.goto("/accounts/login/")
    page.get_by_label("User name").fill("jane.o")
    page.get_by_label("Password").fill("not-it")
    with page.expect_navigation():
        page.get_by_role("button", name="Sign in").click()


def _locked(page: Page, scene: Scene) -> None:
    for _ in range(settings.AXES_FAILURE_LIMIT + 1):
        page.goto("/accounts/login/")
        page.get_by_label("User name").fill("nobody.here")
        page.get_by_label("Password").fill("not-it")
        with page.expect_navigation():
            page.get_by_role("button", name="Sign in").click()


def _all_paused(page: Page, scene: Scene) -> None:
    pause_all(by="P. Njoroge", reason="float audit", now=timezone.now())
    page.goto("/loan-tracking?status=pending")
    resume_all(by="P. Njoroge", reason="done", now=timezone.now())


def _codes(page: Page, scene: Scene) -> None:
    TOTPDevice.objects.filter(user__username="ann.k").delete()
    page.goto("/accounts/two-factor/")
    told = page.locator("code.secret").inner_text().replace(" ", "")
    secret = base64.b32decode(told + "=" * (-len(told) % 8))
    page.get_by_label("Enter the six digits").fill(f"{totp(secret):06}")
    page.get_by_role("button", name="Turn on").click()
    page.get_by_text("Keep these recovery codes").wait_for()


def _verify(page: Page, scene: Scene) -> None:
    owner = User.objects.get(username="ann.k")
    TOTPDevice.objects.get_or_create(user=owner, confirmed=True)
    page.goto("/accounts/login/")
    page.get_by_label("User name").fill("ann.k")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Enter your code").wait_for()


PLACES = (
    Place(name="list", walk=at("/loan-tracking")),
    Place(name="list-selected", walk=_select),
    Place(name="list-statuses", walk=_statuses),
    Place(name="list-views", walk=_views),
    Place(name="list-keys", walk=_keys),
    Place(name="list-stale", walk=_stale),
    Place(
        name="list-filtered",
        walk=at("/loan-tracking?status=failed&status=needs_review&q=amount:>5000"),
    ),
    Place(name="list-no-match", walk=at("/loan-tracking?q=nobody+of+this+name&when=today")),
    Place(name="list-not-understood", walk=at("/loan-tracking?status=paied&q=amount:lots")),
    Place(name="list-viewer", walk=at("/loan-tracking?status=failed"), user="vera.w"),
    Place(name="loan-unknown", walk=at("/loan-tracking/{unknown}")),
    Place(name="loan-why-not", walk=_whynot),
    Place(name="loan-proposed", walk=at("/loan-tracking/{proposed}")),
    Place(name="loan-not-recorded", walk=at("/loan-tracking/{not_recorded}")),
    Place(name="loan-double", walk=at("/loan-tracking/{double}")),
    Place(name="loan-undone", walk=at("/loan-tracking/{undone}")),
    Place(name="loan-approval", walk=at("/loan-tracking/{approval}")),
    Place(name="loan-held", walk=at("/loan-tracking/{held}")),
    Place(name="loan-failed", walk=at("/loan-tracking/{failed}")),
    Place(name="loan-disbursed", walk=at("/loan-tracking/{disbursed}")),
    Place(name="loan-cancelled", walk=at("/loan-tracking/{cancelled}")),
    Place(name="loan-viewer", walk=at("/loan-tracking/{failed}"), user="vera.w"),
    Place(name="ask-retry", walk=at("/loan-tracking/{failed}/retry")),
    Place(name="ask-approve", walk=at("/loan-tracking/{approval}/approve")),
    Place(name="ask-approve-own", walk=at("/loan-tracking/{mine}/approve")),
    Place(name="ask-resolve", walk=at("/loan-tracking/{unknown}/resolve")),
    Place(name="ask-resolve-refused", walk=_refused),
    Place(name="ask-confirm", walk=at("/loan-tracking/{proposed}/confirm")),
    Place(name="ask-hold", walk=at("/loan-tracking/{ready}/hold")),
    Place(name="bulk-retry", walk=_bulk),
    Place(name="bulk-nothing", walk=at("/loan-tracking/bulk/hold")),
    Place(name="bulk-done", walk=_bulk_done),
    Place(name="partners", walk=at("/partners"), user="ann.k"),
    Place(name="partners-passes", walk=_passes, user="ann.k"),
    Place(name="partner-test", walk=_test, user="ann.k"),
    Place(name="partner-pause", walk=at("/partners/umoja/pause"), user="ann.k"),
    Place(name="payouts-pause", walk=at("/payouts/pause"), user="ann.k"),
    Place(name="charts", walk=at("/charts")),
    Place(name="charts-numbers", walk=_numbers),
    Place(name="loan-exchanges", walk=_exchanges),
    Place(name="list-all-paused", walk=_all_paused),
    Place(name="list-float", walk=at("/loan-tracking?status=float_short")),
    Place(name="admin", walk=at("/admin/"), user="ann.k"),
    Place(name="admin-partners", walk=at("/admin/partners/partner/"), user="ann.k"),
    Place(name="admin-partner", walk=_partner, user="ann.k"),
    Place(name="admin-products-read", walk=_products, user="ann.k"),
    Place(name="admin-loan", walk=at("/admin/loans/loantracking/{failed}/change/"), user="ann.k"),
    Place(name="admin-users", walk=at("/admin/auth/user/"), user="ann.k"),
    Place(name="admin-history", walk=at("/admin/admin/logentry/"), user="ann.k"),
    Place(name="two-factor", walk=at("/accounts/two-factor/"), user="ann.k"),
    Place(name="two-factor-codes", walk=_codes, user="ann.k"),
    Place(name="two-factor-on", walk=at("/accounts/two-factor/"), user="ann.k"),
    Place(name="missing", walk=at("/loan-tracking/999999")),
    Place(name="broken", walk=_broken),
    Place(name="refused", walk=at("/partners/umoja/pause"), user="vera.w"),
    Place(name="sign-in", walk=at("/accounts/login/"), user=""),
    Place(name="sign-in-wrong", walk=_wrong, user=""),
    Place(name="two-factor-verify", walk=_verify, user=""),
    Place(name="sign-in-locked", walk=_locked, user=""),
)
# Before the scene is built: the first minutes of an installation.
EMPTY_PLACES = (
    Place(name="empty-list", walk=at("/loan-tracking")),
    Place(name="empty-partners", walk=at("/partners")),
    Place(name="empty-charts", walk=at("/charts")),
)
