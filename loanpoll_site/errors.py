"""What people and machines read when something is refused, missing or broken."""

from __future__ import annotations

import logging

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from disbursements.api import problems

logger = logging.getLogger(__name__)


def handle_400(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, 400)


def handle_403(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, 403)


def handle_404(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, 404)


def handle_500(request: HttpRequest) -> HttpResponse:
    return _answer(request, 500)


def form_refused(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form that does not carry this browser's secret: too old, or from another site."""
    logger.warning("a form for %s was refused: %s", request.path, reason)
    if _is_api(request):
        return problems.problem_response(request, status=403)
    return render(request, "form_refused.html", _context(request), status=403)


def _answer(request: HttpRequest, status: int) -> HttpResponse:
    if _is_api(request):
        return problems.problem_response(request, status=status)
    if status in {400, 500}:
        # Nothing that could fail again: no user, no database, no context processor.
        return HttpResponse(render_to_string(f"{status}.html", _context(request)), status=status)
    return render(request, f"{status}.html", _context(request), status=status)


def _context(request: HttpRequest) -> dict[str, str]:
    return {"reference": getattr(request, "request_id", "")}


def _is_api(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")
