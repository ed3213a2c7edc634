"""Figures over a month of loans, reckoned once a minute for everybody who may see the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from django.conf import settings
from django.core.cache import cache

from disbursements.pages.scope import User
from partners.visibility import bound_partners

Value = TypeVar("Value")


def kept(name: str, user: User, reckon: Callable[[], Value]) -> Value:
    """Return `reckon()`, or what it gave less than LOANPOLL_FIGURES_SECONDS ago.

    `name` says everything that the figures depend on, but for the partners that `user` may see.
    """
    bound = bound_partners(user)
    sight = "all" if bound is None else ",".join(map(str, sorted(bound)))
    key = f"figures:{name}:{sight}"
    return cast(Value, cache.get_or_set(key, reckon, settings.LOANPOLL_FIGURES_SECONDS))
