"""People for tests, in the roles that the migration made."""

from __future__ import annotations

from django.contrib.auth.models import Group, User
from django.test import Client

from partners.models import Partner, PartnerMembership

PASSWORD = "a-good-long-password"


def make_person(name: str, *roles: str, partner: Partner | None = None) -> User:
    """Return a member of staff in these roles, bound to `partner` if one is given."""
    user = User.objects.create_user(name, password=PASSWORD, is_staff=True)
    user.groups.set(Group.objects.filter(name__in=roles))
    if partner is not None:
        PartnerMembership.objects.create(user=user, partner=partner)
    return user


def browser_of(user: User) -> Client:
    """Return a browser in which `user` is signed in."""
    client = Client()
    client.force_login(user)
    return client
