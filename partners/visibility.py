"""Which partners a user may see. Pages, exports, answers and the admin ask here, and only here."""

from __future__ import annotations

from typing import Any, TypeVar

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db.models import Model, QuerySet

from partners.models import Partner, PartnerMembership

User = AbstractBaseUser | AnonymousUser
Row = TypeVar("Row", bound=Model)

KEPT_AS = "_bound_partners"


def bound_partners(user: User) -> frozenset[int] | None:
    """Return the partners that `user` is bound to; None = to none, so that he may see them all.

    Read once per user object, as Django does with permissions: one statement per request.
    """
    if not user.is_authenticated:
        return frozenset()
    if not hasattr(user, KEPT_AS):
        bound = PartnerMembership.objects.filter(user_id=user.pk)
        ids = frozenset(bound.values_list("partner_id", flat=True))
        setattr(user, KEPT_AS, ids or None)
    kept: frozenset[int] | None = getattr(user, KEPT_AS)
    return kept


def is_bound(user: User) -> bool:
    """Return whether `user` may see some partners only."""
    return bound_partners(user) is not None


def may_see(user: User, partner_id: int) -> bool:
    """Return whether `user` may see this partner."""
    bound = bound_partners(user)
    return bound is None or partner_id in bound


def sees_shortcode(user: User, partner: Partner) -> bool:
    """Return whether `user` may see every active partner that pays from this partner's shortcode:
    what is done to a shortcode is done to all of them."""
    sharing = Partner.objects.filter(
        is_active=True,
        mpesa_environment=partner.mpesa_environment,
        mpesa_shortcode=partner.mpesa_shortcode,
    )
    return all(may_see(user, pk) for pk in sharing.values_list("pk", flat=True))


def within_sight(rows: QuerySet[Row], user: User, *, path: str = "partner") -> QuerySet[Row]:
    """Return those of `rows` that belong to a partner `user` may see; `path` leads to it."""
    bound = bound_partners(user)
    if bound is None:
        return rows
    wanted: dict[str, Any] = {f"{path}__in": sorted(bound)}
    return rows.filter(**wanted)


def visible_partners(user: User) -> QuerySet[Partner]:
    """Return the partners that `user` may see."""
    return within_sight(Partner.objects.all(), user, path="pk")
