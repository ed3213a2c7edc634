"""What every request gets first: an id, a look at its address, and its whole body."""

from __future__ import annotations

import io
import re
import uuid
from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import BadRequest
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse

from disbursements.api.problems import problem_response
from loanpoll_site.logs import current_request_id

HEADER = "X-Request-ID"
# What a proxy in front of us may hand in; anything else could forge log lines.
GIVEN = re.compile(r"[A-Za-z0-9-]{8,64}")


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


class NullCharacterMiddleware:
    """Refuses a query or a key with a NUL in it: PostgreSQL can look for no such text."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        said = (request.META["QUERY_STRING"], request.headers.get("Authorization", ""))
        if any("\0" in text or "%00" in text for text in said):
            raise BadRequest("A NUL character stands in the query or in the key.")
        return self.get_response(request)


class ChunkedBodyMiddleware:
    """Reads a body that names no length. Django takes it for empty: a callback would be lost."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if isinstance(request, WSGIRequest) and _is_chunked(request):
            if not request.environ.get("wsgi.input_terminated"):
                # This server does not say where the body ends, so reading could hang.
                return problem_response(request, status=411)
            most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
            body = request.environ["wsgi.input"].read(most + 1)
            if len(body) > most:
                return problem_response(request, status=413)
            request.META["CONTENT_LENGTH"] = str(len(body))
            request._stream = io.BytesIO(body)  # there is no public way in
        return self.get_response(request)


def _is_chunked(request: HttpRequest) -> bool:
    return "Transfer-Encoding" in request.headers and not request.META.get("CONTENT_LENGTH")
