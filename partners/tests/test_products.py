"""Products come from Mifos X switched off, and never change a rule but its name."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry

from mifos.answers import Product
from mifos.client import MifosUnreachable
from partners import products
from partners.models import Partner
from partners.tests.fakes import FakeMifos
from partners.tests.samples import make_partner

pytestmark = pytest.mark.django_db

OFFERED = [Product(product_id=7, name="Emergency"), Product(product_id=9, name="School fees")]


@pytest.fixture(autouse=True)
def _plain_http(settings):
    settings.SECURE_SSL_REDIRECT = False


@pytest.fixture
def partner() -> Partner:
    made = make_partner()
    made.products.create(product_id=7, product_name="Old name", enabled=True, max_amount=900)
    return made


@pytest.fixture
def press(admin_client, partner, monkeypatch):
    def read(**answers: Any) -> str:
        monkeypatch.setattr(products, "mifos_client", lambda _: FakeMifos(**answers))
        data = {"action": "read_products", "_selected_action": [partner.pk]}
        return admin_client.post("/admin/partners/partner/", data, follow=True).content.decode()

    return read


def test_new_products_are_added_switched_off_and_known_ones_renamed(press, partner):
    said = press(offered=OFFERED)

    assert "1 product added, switched off; 1 renamed." in said
    rows = partner.products.order_by("product_id")
    assert list(rows.values_list("product_id", "product_name", "enabled", "max_amount")) == [
        (7, "Emergency", True, 900),
        (9, "School fees", False, 250_000),
    ]
    assert LogEntry.objects.get().change_message.startswith("Products read from Mifos X: 1 product")


def test_a_second_reading_changes_nothing_and_is_not_written_down(press):
    press(offered=OFFERED)

    assert "nothing new." in press(offered=OFFERED)
    assert LogEntry.objects.count() == 1


def test_a_mifos_that_cannot_be_reached_is_told_in_words(press, partner):
    assert "no answer in 30 s" in press(offered=MifosUnreachable("no answer in 30 s"))
    assert partner.products.count() == 1
