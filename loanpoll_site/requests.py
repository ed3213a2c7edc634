"""One id per request: in the answer's header, in every error, in every log line."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse

HEADER = "X-Request-ID"
# What a proxy in front of us may hand in; anything else could forge log lines.
GIVEN = re.compile(r"[A-Za-z0-9-]{8,64}")

current_request_id: ContextVar[str] = ContextVar("current_request_id", default="")


class RequestIdMiddleware:
    """Names each request. Stands first, so that every other layer can use the name."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get(HEADER, "")
        name = given if GIVEN.fullmatch(given) else uuid.uuid4().hex[:12]
        request.request_id = name  # type: ignore[attr-defined]  # for the views; Django has no place
        # Never reset: Django logs a failed answer after the last middleware, and the next request
        # of this thread sets its own.
        current_request_id.set(name)
        response = self.get_response(request)
        response.headers.setdefault(HEADER, name)
        return response
