"""AUDIT 164: an old page of a user binds him again to the lender that he was taken away from.

Otieno changes sides: an administrator binds him to another lender. A second one, whose page of that
user was open, corrects the e-mail address: Otieno sees the first lender's borrowers again, may pay
its failed loans, and no longer sees those of his own. (Audit 151, of what a user may see.)
"""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from disbursements.tests.making import make_partner
from partners.models import PartnerMembership
from tests.audit.test_151_an_old_page_lets_a_leaver_in import shown

pytestmark = pytest.mark.django_db


def all_shown(client: Client, page: str) -> dict[str, object]:
    """What the browser would send, with the rows of the lenders that he is bound to."""
    data = shown(client, page)
    [inline] = client.get(page).context["inline_admin_formsets"]
    for form in inline.formset.initial_forms:
        for name in ("id", "user", "partner"):
            data[form.add_prefix(name)] = form[name].value()
    return data


def test_he_stays_where_he_was_bound_to(admin_client: Client) -> None:
    user = User.objects.create_user("otieno", password="a-good-long-password", is_staff=True)
    umoja, tumaini = make_partner(slug="umoja"), make_partner(slug="tumaini")
    PartnerMembership.objects.create(user=user, partner=umoja)
    page = f"/admin/auth/user/{user.pk}/change/"
    old = all_shown(admin_client, page)
    PartnerMembership.objects.filter(user=user).update(partner=tumaini)

    answer = admin_client.post(page, old | {"email": "otieno@example.co.ke"})

    assert PartnerMembership.objects.get(user=user).partner == tumaini
    assert "changed since this page was opened" in answer.content.decode()


def test_what_nobody_changed_meanwhile_is_saved(admin_client: Client) -> None:
    user = User.objects.create_user("otieno", password="a-good-long-password", is_staff=True)
    PartnerMembership.objects.create(user=user, partner=make_partner())
    page = f"/admin/auth/user/{user.pk}/change/"

    admin_client.post(page, all_shown(admin_client, page) | {"email": "otieno@example.co.ke"})

    assert User.objects.get(pk=user.pk).email == "otieno@example.co.ke"
