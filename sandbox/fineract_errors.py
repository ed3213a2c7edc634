"""Fineract's error envelopes (contracts/mifos.md 5.2)."""

from __future__ import annotations

from typing import Any

from sandbox.calls import Answer, Json, answer

VALIDATION = (
    "The request was invalid. This typically will happen due to validation errors "
    "which are provided."
)
DOMAIN = "Request was understood but caused a domain rule violation."
NOT_FOUND = "The requested resource is not available."
NO_PRIVILEGE = (
    "The user associated with credentials passed on this request does not have sufficient "
    "privileges to perform this action."
)
CONFLICT = (
    "The server is currently unable to handle the request due to concurrent modification , "
    "please try again"
)


class FineractError(Exception):
    """A refusal, with the answer it becomes."""

    def __init__(self, reply: Answer) -> None:
        super().__init__(reply.status)
        self.reply = reply


def error_row(code: str, message: str, parameter: str = "id", args: tuple[Any, ...] = ()) -> Json:
    return {
        "developerMessage": message,
        "defaultUserMessage": message,
        "userMessageGlobalisationCode": code,
        "parameterName": parameter,
        "args": [{"value": value} for value in args],
    }


def envelope(
    status: int, developer: str, user: str, code: str, errors: list[Json] | None = None
) -> FineractError:
    body: Json = {
        "developerMessage": developer,
        "httpStatusCode": str(status),
        "defaultUserMessage": user,
        "userMessageGlobalisationCode": code,
    }
    if errors is not None:
        body["errors"] = errors
    return FineractError(answer(body, status))


def invalid(rows: list[Json]) -> FineractError:
    return envelope(
        400,
        VALIDATION,
        "Validation errors exist.",
        "validation.msg.validation.errors.exist",
        rows,
    )


def domain(code: str, message: str, *args: Any, parameter: str = "id") -> FineractError:
    return envelope(
        403,
        DOMAIN,
        "Errors contain reason for domain rule violation.",
        "validation.msg.domain.rule.violation",
        [error_row(code, message, parameter, args)],
    )


def not_found(code: str, message: str, *args: Any) -> FineractError:
    return envelope(
        404,
        NOT_FOUND,
        NOT_FOUND,
        "error.msg.resource.not.found",
        [error_row(code, message, "id", args)],
    )


def no_authority(task: str) -> FineractError:
    message = f"User has no authority to: {task}"
    return envelope(
        403,
        NO_PRIVILEGE,
        "Insufficient privileges to perform this action.",
        "error.msg.not.authorized",
        [error_row("error.msg.not.authorized", message)],
    )


def conflict() -> FineractError:
    code = "error.msg.platform.service.unknown.conflict"
    return _without_errors(409, CONFLICT, code)


def locked_by_cob(loan_id: int) -> FineractError:
    message = f"Loan is locked by the COB job. Loan ID: {loan_id}"
    return _without_errors(409, message, "error.msg.loan.locked")


def _without_errors(status: int, message: str, code: str) -> FineractError:
    return FineractError(
        answer(
            {
                "developerMessage": message,
                "httpStatusCode": str(status),
                "defaultUserMessage": message,
                "userMessageGlobalisationCode": code,
                "errors": None,
            },
            status,
        )
    )


def unauthenticated(path: str) -> FineractError:
    """Spring's own entry point: not the envelope (contracts/mifos.md 1)."""
    return FineractError(
        answer(
            {"status": 401, "error": "Unauthorized", "path": path},
            401,
            **{"WWW-Authenticate": 'Basic realm="Fineract Platform API"'},
        )
    )


def container_page(status: int, title: str, **headers: str) -> FineractError:
    """An error page of the servlet container, HTML and not JSON."""
    page = (
        f'<!doctype html><html lang="en"><head><title>HTTP Status {status} – {title}</title>'
        f"</head><body><h1>HTTP Status {status} – {title}</h1></body></html>"
    )
    return FineractError(
        Answer(status=status, body=page.encode(), headers=headers, content_type="text/html")
    )


def unknown_tenant() -> FineractError:
    return container_page(
        400, "Bad Request", **{"WWW-Authenticate": 'Basic realm="Fineract Platform API"'}
    )


def server_error(message: str) -> FineractError:
    """The default exception mapper: 500 without the envelope (contracts/mifos.md 10)."""
    return FineractError(answer({"Exception": message}, 500))
