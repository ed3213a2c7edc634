"""A session ends after eight hours without a page asked for. A live list alone keeps none open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

KEPT_AS = "seen_at"
WRITE_EVERY_SECONDS = 300


@receiver(user_logged_in)
def begin(request: HttpRequest, **_: Any) -> None:
    """Signing in writes the session anyway, so the first page need not."""
    request.session[KEPT_AS] = int(timezone.now().timestamp())


class IdleSessionMiddleware:
    """Moves the end of a session on, at most once in five minutes: a page should cost no write."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.SESSION_COOKIE_NAME in request.COOKIES and not _is_by_script(request):
            self._touch(request)
        return self.get_response(request)

    def _touch(self, request: HttpRequest) -> None:
        if not request.user.is_authenticated:
            return
        now = int(timezone.now().timestamp())
        if now - request.session.get(KEPT_AS, 0) >= WRITE_EVERY_SECONDS:
            request.session[KEPT_AS] = now


def _is_by_script(request: HttpRequest) -> bool:
    """Is it the page itself that asks, to stay fresh? It asks for JSON and nothing else."""
    return request.headers.get("Accept") == "application/json"
