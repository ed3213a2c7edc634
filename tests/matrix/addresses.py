"""Every address of the site, from its URL configuration, with an example for each parameter."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import get_resolver
from django.urls.resolvers import URLResolver

ADMIN_TABLE = re.compile(r"admin/(?P<label>[a-z]+)/(?P<model>[a-z]+)/(?P<rest>.*)")


@dataclass(frozen=True, kw_only=True)
class Address:
    """One entry of the URL configuration."""

    route: str
    callback: Any

    @property
    def rule(self) -> str:
        """Its name among the rules: both spellings of a page are one rule."""
        return self.route if self.route.startswith("admin/") else self.route.removesuffix("/")

    @property
    def is_second_spelling(self) -> bool:
        """Is it the same page as another address, with a slash at its end?"""
        return self.route.endswith("/") and not self.route.startswith(("admin/", "accounts/"))

    @property
    def is_csrf_exempt(self) -> bool:
        return bool(getattr(self.callback, "csrf_exempt", False))

    @property
    def table(self) -> tuple[str, str] | None:
        """The admin's table and the address below it; None outside of the tables."""
        found = ADMIN_TABLE.fullmatch(self.route)
        if found is None or found["label"] == "r":
            return None
        return f"{found['label']}.{found['model']}", found["rest"]


def addresses() -> list[Address]:
    """Return every address there is."""
    return list(_walk(get_resolver().url_patterns))


def _walk(patterns: Any, before: str = "") -> Iterator[Address]:
    for pattern in patterns:
        route = f"{before}{pattern.pattern}"
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, route)
        else:
            yield Address(route=route, callback=pattern.callback)


def filled(route: str, values: dict[str, str]) -> str:
    """Return the path of `route` with `values` for its parameters."""
    plain = re.sub(r"\(\?P<(\w+)>[^)]*\)", r"<\1>", route)
    for sign, meant in (("^", ""), ("/?$", ""), ("$", ""), (".*", "nowhere")):
        plain = plain.replace(sign, meant)
    return "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda found: values[found[1]], plain)
