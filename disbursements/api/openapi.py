"""Finishing touches on the OpenAPI document: one spelling per path, every error everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from drf_spectacular.utils import extend_schema

from disbursements.api.problems import CODES, CONTENT_TYPE, DETAILS

Handler = TypeVar("Handler", bound=Callable[..., Any])

# The package has no types of its own.
describe: Callable[..., Callable[[Handler], Handler]] = extend_schema

COMPONENT = "#/components/schemas/Problem"
WITH_BODY_ONLY = {415}


def drop_slashed(endpoints: list[tuple[str, ...]], **_: Any) -> list[tuple[str, ...]]:
    """Keep the guide's spelling of each path; the one with a slash answers the same."""
    return [endpoint for endpoint in endpoints if not endpoint[0].endswith("/")]


def add_problems(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Write every error answer on every operation, and close the bodies against unknown keys."""
    schemas = result["components"]["schemas"]
    for name in ("FetchOptions", "ProcessOptions", "SyncOptions"):
        for variant in (name, f"{name}Request"):
            if variant in schemas:
                schemas[variant]["additionalProperties"] = False
    for path, operations in result["paths"].items():
        for method, operation in operations.items():
            if method in {"get", "post"}:
                _add(operation, path=path)
    return result


def _add(operation: dict[str, Any], *, path: str) -> None:
    has_body = "requestBody" in operation
    for status in CODES:
        is_for_bodies = status in WITH_BODY_ONLY
        if (is_for_bodies and not has_body) or (status == 404 and not _can_be_missing(path)):
            continue
        operation["responses"].setdefault(str(status), _problem(status))


def _can_be_missing(path: str) -> bool:
    return path.startswith("/api/loans")


def _problem(status: int) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": DETAILS.get(status, CODES[status].replace("_", " ")),
        "content": {CONTENT_TYPE: {"schema": {"$ref": COMPONENT}}},
    }
    header = {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}.get(status)
    if header:
        answer["headers"] = {header: {"schema": {"type": "string"}}}
    return answer
