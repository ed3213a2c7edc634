"""AUDIT 141: an old settings page puts back what a colleague changed since it was opened.

Otieno opens a lender's page; Achieng switches automatic disbursement off, or lowers the limit,
because something is wrong; Otieno saves another field, and loans are paid again under the old
settings. The history calls it his change, and nobody was asked.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from partners.models import LoanProductAutoDisbursalConfig, Partner
from partners.rules import touch_rules
from partners.tests.samples import NOW, make_partner

pytestmark = pytest.mark.django_db


@pytest.fixture
def partner() -> Partner:
    made = make_partner(daily_limit=Decimal(500_000))
    made.products.create(product_id=7, product_name="Emergency", enabled=True)
    return made


def shown(client: Client, page: str) -> dict[str, Any]:
    """What the browser would send of a page, rows and all, if nothing were changed."""
    context = client.get(page).context
    sets = [one.formset for one in context["inline_admin_formsets"]]
    forms = [context["adminform"].form, *(form for one in sets for form in one.initial_forms)]
    data = {
        form.add_prefix(name): form.get_initial_for_field(field, name)
        for form in [*forms, *(one.management_form for one in sets)]
        for name, field in form.fields.items()
    }
    return {name: value for name, value in data.items() if value not in (None, False)}


def test_what_nobody_changed_meanwhile_is_saved(admin_client: Client, partner: Partner) -> None:
    page = reverse("admin:partners_partner_change", args=[partner.pk])

    admin_client.post(page, shown(admin_client, page) | {"name": "Umoja Ltd"})

    assert Partner.objects.get().name == "Umoja Ltd"


def test_an_old_page_switches_nothing_on_again(admin_client: Client, partner: Partner) -> None:
    page = reverse("admin:partners_partner_change", args=[partner.pk])
    old, new = shown(admin_client, page), shown(admin_client, page)
    new.pop("mifos_auto_disbursement_enabled")
    admin_client.post(page, new | {"daily_limit": "1000"})

    answer = admin_client.post(page, old | {"name": "Umoja Ltd"})

    stored = Partner.objects.get()
    assert not stored.mifos_auto_disbursement_enabled
    assert stored.daily_limit == Decimal(1000)
    assert "changed since this page was opened" in answer.content.decode()


def test_an_old_page_of_a_product_enables_nothing(admin_client: Client, partner: Partner) -> None:
    product = LoanProductAutoDisbursalConfig.objects.get()
    page = reverse("admin:partners_loanproductautodisbursalconfig_change", args=[product.pk])
    old = shown(admin_client, page)
    LoanProductAutoDisbursalConfig.objects.update(enabled=False)
    touch_rules(partner, NOW)

    admin_client.post(page, old | {"product_name": "Emergency loan"})

    assert not LoanProductAutoDisbursalConfig.objects.get().enabled


def test_an_old_page_of_a_partner_enables_no_product(
    admin_client: Client, partner: Partner
) -> None:
    page = reverse("admin:partners_partner_change", args=[partner.pk])
    old = shown(admin_client, page)
    LoanProductAutoDisbursalConfig.objects.update(enabled=False)
    touch_rules(partner, NOW)

    admin_client.post(page, old | {"name": "Umoja Ltd"})

    assert not LoanProductAutoDisbursalConfig.objects.get().enabled
