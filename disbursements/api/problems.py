"""Errors in both tongues: problem details (RFC 9457) and the guide's `success` and `error`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler as drf_exception_handler

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
BUSY_SECONDS = "30"

CODES = {
    400: "invalid_request",
    401: "not_authenticated",
    403: "permission_denied",
    404: "not_found",
    405: "method_not_allowed",
    411: "length_required",
    413: "body_too_large",
    415: "unsupported_media_type",
    429: "throttled",
    500: "server_error",
    503: "unavailable",
}
DETAILS = {
    400: "The request cannot be understood.",
    403: "This is not allowed.",
    404: "There is nothing at this address.",
    405: "This address does not take that method.",
    411: "Send a Content-Length.",
    413: "The body is too large.",
    500: "Something went wrong here. Give us the requestId.",
    503: "The database is not reachable. Try again soon.",
}


class BodyTooLarge(exceptions.APIException):
    status_code = 413
    default_detail = "The body is larger than 64 KiB."
    default_code = "body_too_large"


class Unavailable(exceptions.APIException):
    status_code = 503
    default_detail = DETAILS[503]
    default_code = "unavailable"


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response:
    """Return every error of a DRF view as problem details; the unforeseen becomes a 500."""
    request = context["request"]
    answer = drf_exception_handler(_known(exc), context)
    if answer is None:
        logger.error("%s failed", request.path, exc_info=exc)
        body = problem(request, status=500)
        return Response(body, status=500, content_type=CONTENT_TYPE)
    body = problem(
        request,
        status=answer.status_code,
        detail=_sentence(answer.data),
        errors=list(_field_errors(answer.data)),
    )
    headers = {name: answer[name] for name in ("WWW-Authenticate", "Retry-After") if name in answer}
    if answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = BUSY_SECONDS
    return Response(body, status=answer.status_code, headers=headers, content_type=CONTENT_TYPE)


def problem(
    request: Any, *, status: int, detail: str = "", errors: list[dict[str, str]] | None = None
) -> dict[str, Any]:
    """Return the body of one error."""
    said = detail or DETAILS.get(status, HTTPStatus(status).phrase)
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": said,
        "instance": request.path,
        "success": False,
        "error": said,
        "code": CODES.get(status, "error"),
        "requestId": getattr(request, "request_id", ""),
    }
    return {**body, "errors": errors} if errors else body


def problem_response(
    request: HttpRequest, *, status: int, detail: str = "", headers: Mapping[str, str] | None = None
) -> JsonResponse:
    """Return one error of a view that is not a DRF view."""
    body = problem(request, status=status, detail=detail)
    return JsonResponse(body, status=status, content_type=CONTENT_TYPE, headers=headers)


def _known(exc: Exception) -> Exception:
    match exc:
        case OperationalError() | InterfaceError():
            logger.error("the database is away", exc_info=exc)
            return Unavailable()
        case RequestDataTooBig():
            return BodyTooLarge()
        case _:
            return exc


def _sentence(data: Any) -> str:
    match data:
        case {"detail": detail}:
            return str(detail)
        case _:
            return " ".join(
                f"{error['field']}: {error['message']}" for error in _field_errors(data)
            )


def _field_errors(data: Any) -> Iterator[dict[str, str]]:
    if isinstance(data, dict) and "detail" not in data:
        for field, messages in data.items():
            for message in messages if isinstance(messages, list) else [messages]:
                name = "body" if field == "non_field_errors" else str(field)
                code = str(getattr(message, "code", "invalid"))
                yield {"field": name, "code": code, "message": str(message)}
