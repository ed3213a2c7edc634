"""AUDIT 151: an old page of a user gives back the rights that were taken away since it was opened.

Somebody leaves: an administrator switches the account off and takes the role of approver away.
Another one, whose page of that user was open, corrects the e-mail address: the account works again,
with its role, and he never knew.
"""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

pytestmark = pytest.mark.django_db


@pytest.fixture
def leaver() -> User:
    made = User.objects.create_user("otieno", password="a-good-long-password", is_staff=True)
    made.groups.set(Group.objects.filter(name__icontains="approver"))
    assert made.groups.exists()
    return made


def shown(client: Client, page: str) -> dict[str, object]:
    """What the browser would send of the page if nothing were changed."""
    context = client.get(page).context
    forms = [context["adminform"].form]
    forms += [one.formset.management_form for one in context["inline_admin_formsets"]]
    data = {
        form.add_prefix(name): form.get_initial_for_field(field, name)
        for form in forms
        for name, field in form.fields.items()
        if name != "password"
    }
    data["groups"] = [group.pk for group in data["groups"]]
    return {name: value for name, value in data.items() if value is not None and value is not False}


def test_what_nobody_changed_meanwhile_is_saved(admin_client: Client, leaver: User) -> None:
    page = f"/admin/auth/user/{leaver.pk}/change/"

    admin_client.post(page, shown(admin_client, page) | {"email": "otieno@example.co.ke"})

    assert User.objects.get(pk=leaver.pk).email == "otieno@example.co.ke"


def test_an_old_page_gives_no_right_back(admin_client: Client, leaver: User) -> None:
    page = f"/admin/auth/user/{leaver.pk}/change/"
    old = shown(admin_client, page)
    User.objects.filter(pk=leaver.pk).update(is_active=False)
    leaver.groups.clear()

    answer = admin_client.post(page, old | {"email": "otieno@example.co.ke"})

    stored = User.objects.get(pk=leaver.pk)
    assert not stored.is_active
    assert not stored.groups.exists()
    assert "changed since this page was opened" in answer.content.decode()
