"""Whoever is bound to a partner sees that partner only, wherever he looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.admin import site
from django.contrib.auth.models import AnonymousUser, Group, User
from django.core.management import CommandError, call_command
from django.db.models import ProtectedError
from django.test import Client
from django.utils import timezone

from disbursements.models import ApiKey, ReviewResolution
from disbursements.pages import scope
from disbursements.tests.making import (
    make_attempt,
    make_event,
    make_loan,
    make_partner,
    make_product,
)
from loanpoll_site.admin import rights_of
from loanpoll_site.admin_site import PartnerScope
from loanpoll_site.tests.people import browser_of, make_person
from loans.models import LoanApproval, LoanTracking
from partners.models import MifosExchange, Partner, PartnerMembership
from partners.visibility import bound_partners, may_see, visible_partners

pytestmark = pytest.mark.django_db

ALL_ROLES = ("Viewer", "Operator", "Approver", "Administrator")
HOUSE_WIDE = [
    "/admin/disbursements/syncrun/",
    "/admin/disbursements/alert/",
    "/admin/mpesa/mpesacallback/",
    "/admin/mpesa/mpesarequest/",
    "/admin/mpesa/resultcode/",
    "/admin/mpesa/shortcode/",
    "/admin/auth/user/",
    "/admin/auth/group/",
    "/admin/admin/logentry/",
    "/admin/axes/accessattempt/",
    "/admin/axes/accesslog/",
]


@dataclass
class House:
    """Two partners with the same things, and a user of the first who holds every role."""

    ours: Partner
    theirs: Partner
    loan: LoanTracking
    their_loan: LoanTracking
    user: User
    client: Client


@pytest.fixture
def house() -> House:
    ours = make_partner(slug="umoja", name="Umoja Sacco")
    theirs = make_partner(slug="tumaini", name="Tumaini MFI")
    loan, their_loan = _furnish(ours, "Ours Achieng"), _furnish(theirs, "Theirs Kamau")
    user = make_person("bound.b", *ALL_ROLES, partner=ours)
    return House(ours, theirs, loan, their_loan, user, browser_of(user))


def _furnish(partner: Partner, client_name: str) -> LoanTracking:
    make_product(partner, product_name=f"Loan of {partner.slug}")
    loan = make_loan(partner, client_name=client_name)
    make_event(loan, reason=f"event of {partner.slug}")
    attempt = make_attempt(loan, originator_conversation_id=f"LP-{partner.slug}")
    LoanApproval.objects.create(
        loan_tracking=loan,
        amount=loan.loan_amount,
        requested_by=f"asked at {partner.slug}",
        requested_at=timezone.now(),
    )
    ReviewResolution.objects.create(
        disbursement_request=attempt,
        outcome="not-paid",
        reason="none",
        proposed_by=make_person(f"proposed.{partner.slug}"),
        proposed_at=timezone.now(),
    )
    ApiKey.objects.create_key(name=f"key of {partner.slug}", partner=partner)
    MifosExchange.objects.create(
        partner=partner, method="POST", path="/loans/1", started_at=timezone.now(), milliseconds=1
    )
    return loan


def text(client: Client, path: str, **query: str) -> str:
    answer: Any = client.get(path, query, follow=True)
    assert answer.status_code == 200, path
    body = answer.getvalue() if answer.streaming else answer.content
    return str(body.decode())


def test_one_function_says_who_sees_what(house: House):
    free = make_person("free.f", "Viewer")
    both = make_person("both.b", "Viewer", partner=house.ours)
    PartnerMembership.objects.create(user=both, partner=house.theirs)

    assert bound_partners(free) is None
    assert set(visible_partners(both)) == {house.ours, house.theirs}
    assert list(scope.visible_partners(house.user)) == [house.ours]
    assert list(scope.visible_loans(house.user)) == [house.loan]
    assert may_see(house.user, house.ours.pk)
    assert not may_see(house.user, house.theirs.pk)
    assert not visible_partners(AnonymousUser()).exists()


@pytest.mark.parametrize("page", ["/loan-tracking", "/partners", "/loan-tracking/export.csv"])
def test_pages_and_exports_show_his_partner_only(house: House, page: str):
    shown = text(house.client, page)

    assert "Umoja" in shown
    assert "Tumaini" not in shown
    assert "Kamau" not in shown


def test_another_partners_loan_is_not_there(house: House):
    assert house.client.get(f"/loan-tracking/{house.their_loan.pk}").status_code == 404
    assert house.client.get(f"/loan-tracking/{house.loan.pk}").status_code == 200


@pytest.mark.parametrize("wanted", ["loan_id", "phone_number", "account_number", "client_name"])
def test_search_does_not_find_another_partners_loan(house: House, wanted: str):
    shown = text(house.client, "/loan-tracking", q=str(getattr(house.their_loan, wanted)))

    assert f"/loan-tracking/{house.their_loan.pk}" not in shown
    assert "Tumaini" not in shown


def test_search_by_conversation_does_not_either(house: House):
    assert "Tumaini" not in text(house.client, "/loan-tracking", q="LP-tumaini")


def test_a_filter_by_another_partner_shows_nothing(house: House):
    for path in ("/loan-tracking", "/loan-tracking/export.csv"):
        assert "Kamau" not in text(house.client, path, partner="tumaini")
    assert house.client.get("/api/loans", {"partner": "tumaini"}).json()["results"] == []


def test_the_api_answers_a_session_with_his_partner_only(house: House):
    answer = house.client.get("/api/loans").json()

    assert [loan["partner"] for loan in answer["results"]] == ["umoja"]
    assert house.client.get(f"/api/loans/{house.their_loan.pk}").status_code == 404


def test_actions_on_another_partners_loan_are_not_there(house: House):
    for action in ("hold", "approve", "resolve", "retry", "ask", "record"):
        path = f"/loan-tracking/{house.their_loan.pk}/{action}"
        assert house.client.post(path, {"reason": "x"}).status_code == 404
    for action in ("pause", "poll", "test", "reset"):
        assert house.client.post(f"/partners/tumaini/{action}").status_code == 404


def test_actions_on_many_loans_leave_another_partners_out(house: House):
    shown = text(house.client, "/loan-tracking/bulk/hold", loan=str(house.their_loan.pk))

    assert "Kamau" not in shown
    assert not LoanTracking.objects.exclude(staff_hold="").exists()


def scoped_tables() -> list[Any]:
    return [
        one for one in site._registry.values() if isinstance(one, PartnerScope) and one.partner_path
    ]


def test_every_table_of_the_admin_is_behind_the_rule_of_sight():
    assert all(isinstance(one, PartnerScope) for one in site._registry.values())
    assert len(scoped_tables()) == 9


def test_admin_lists_and_filters_show_his_partner_only(house: House):
    for table in scoped_tables():
        name = f"{table.opts.app_label}/{table.opts.model_name}"
        shown = text(house.client, f"/admin/{name}/")
        assert "1 " in shown, name
        for foreign in ("umaini", "Kamau"):
            assert foreign not in shown, name


def test_admin_pages_of_another_partner_are_not_there(house: House):
    for table in scoped_tables():
        rows = table.model._default_manager.all()
        own = table.get_queryset(_request_of(house))
        [foreign] = rows.exclude(pk__in=own.values("pk"))
        name = f"{table.opts.app_label}/{table.opts.model_name}"
        for page in ("change", "history", "delete"):
            answer = house.client.get(f"/admin/{name}/{foreign.pk}/{page}/")
            assert answer.status_code in {302, 403}, (name, page)
        assert house.client.post(f"/admin/{name}/{foreign.pk}/change/").status_code in {302, 403}


def _request_of(house: House) -> Any:
    return type("Request", (), {"user": house.user, "method": "GET"})()


def test_admin_actions_leave_another_partner_alone(house: House):
    house.client.post(
        "/admin/partners/partner/",
        {
            "action": "pause_payouts",
            "_selected_action": [house.theirs.pk, house.ours.pk],
            "reason": "mischief",
        },
    )

    house.theirs.refresh_from_db()
    assert not house.theirs.is_paused


@pytest.mark.parametrize("page", HOUSE_WIDE)
def test_tables_of_the_whole_house_are_closed_to_him(house: House, page: str):
    assert house.client.get(page).status_code == 403
    free = browser_of(make_person("free.f", *ALL_ROLES))
    assert free.get(page).status_code == 200


def test_he_makes_no_partner_and_keys_for_his_own_only(house: House):
    made = {"name": "mine", "partner": house.theirs.pk, "expiry_date_0": "", "expiry_date_1": ""}
    assert house.client.get("/admin/partners/partner/add/").status_code == 403

    for partner in (house.theirs.pk, ""):
        house.client.post("/admin/disbursements/apikey/add/", {**made, "partner": partner})
    assert not ApiKey.objects.filter(name="mine").exists()

    house.client.post("/admin/disbursements/apikey/add/", {**made, "partner": house.ours.pk})
    assert ApiKey.objects.get(name="mine").partner == house.ours


def test_he_configures_products_of_his_own_partner_only(house: House):
    product = {
        "product_id": "99",
        "product_name": "x",
        "min_amount": "10",
        "max_amount": "100",
        "partner": str(house.theirs.pk),
    }

    house.client.post("/admin/partners/loanproductautodisbursalconfig/add/", product)

    assert not house.theirs.products.filter(product_id=99).exists()


def test_a_command_in_his_name_is_refused_for_another_partner(house: House):
    for loan, why in ((house.their_loan, "bound to other partners"), (house.loan, "cannot be")):
        with pytest.raises(CommandError, match=why):
            call_command("retry_disbursement", loan.pk, actor="bound.b", reason="again")


def test_a_binding_cannot_be_lost_with_its_partner(house: House):
    with pytest.raises(ProtectedError):
        house.ours.delete()


def user_form(user: User, **changes: Any) -> dict[str, Any]:
    """Return what the user page posts."""
    joined = timezone.localtime(user.date_joined)
    return {
        "username": user.username,
        "is_active": "on",
        "is_staff": "on",
        "date_joined_0": f"{joined:%Y-%m-%d}",
        "date_joined_1": f"{joined:%H:%M:%S}",
        "partner_memberships-TOTAL_FORMS": "0",
        "partner_memberships-INITIAL_FORMS": "0",
        "rights_shown": rights_of(user),
        **changes,
    }


def bound_to(partner: Partner) -> dict[str, Any]:
    return {
        "partner_memberships-TOTAL_FORMS": "1",
        "partner_memberships-INITIAL_FORMS": "0",
        "partner_memberships-0-partner": partner.pk,
    }


def test_an_administrator_gives_roles_and_binds_to_a_partner(house: House):
    admin = browser_of(make_person("admin.a", "Administrator"))
    jane = make_person("jane.o")
    role = Group.objects.get(name="Operator")

    answer = admin.post(
        f"/admin/auth/user/{jane.pk}/change/",
        user_form(jane, groups=[role.pk], **bound_to(house.ours)),
    )

    assert answer.status_code == 302, answer.context["errors"]
    assert list(jane.groups.all()) == [role]
    assert bound_partners(User.objects.get(pk=jane.pk)) == frozenset({house.ours.pk})


def test_a_superuser_cannot_be_bound(house: House, admin_client: Client):
    jane = make_person("jane.o")
    form = user_form(jane, is_superuser="on", **bound_to(house.ours))

    answer = admin_client.post(f"/admin/auth/user/{jane.pk}/change/", form)

    assert "A superuser cannot be bound" in answer.content.decode()
    assert not PartnerMembership.objects.filter(user=jane).exists()


def test_nobody_widens_his_own_rights(house: House):
    user = make_person("admin.a", "Administrator")
    everything = [group.pk for group in Group.objects.all()]
    form = user_form(user, groups=everything, is_superuser="on", **bound_to(house.ours))

    browser_of(user).post(f"/admin/auth/user/{user.pk}/change/", form)

    user = User.objects.get(pk=user.pk)
    assert [group.name for group in user.groups.all()] == ["Administrator"]
    assert not user.is_superuser
    assert bound_partners(user) is None


def test_an_administrator_makes_no_superuser_and_touches_none(house: House):
    root = User.objects.create_superuser("root", password="something-quite-long")
    jane = make_person("jane.o")
    admin = browser_of(make_person("admin.a", "Administrator"))
    change = f"/admin/auth/user/{root.pk}/change/"
    password = {"password1": "another-long-one", "password2": "another-long-one"}

    admin.post(f"/admin/auth/user/{jane.pk}/change/", user_form(jane, is_superuser="on"))

    assert not User.objects.get(pk=jane.pk).is_superuser
    assert admin.post(change, user_form(root)).status_code == 403
    page = f"/admin/auth/user/{root.pk}/password/"
    assert admin.post(page, password | {"usable_password": "true"}).status_code == 403
    assert User.objects.get(pk=root.pk).check_password("something-quite-long")


def test_nobody_deletes_a_user(admin_client: Client):
    jane = make_person("jane.o")

    assert admin_client.post(f"/admin/auth/user/{jane.pk}/delete/").status_code == 403
