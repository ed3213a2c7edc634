"""The second factor: who needs one, the door that asks for it, and the pages that set it up."""

from __future__ import annotations

import base64
import io
import logging
from collections.abc import Callable
from typing import Any

import django_otp
import qrcode
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods
from django_otp.plugins.otp_totp.models import TOTPDevice
from qrcode.image.svg import SvgPathImage

from disbursements.api.problems import problem_response
from loanpoll_site.second_factors import (
    Refused,
    check_code,
    codes_left,
    confirm_app,
    has_second_factor,
    new_app,
    new_recovery_codes,
    pending_app,
    turn_off,
)

logger = logging.getLogger(__name__)

# Whoever holds one of these moves money, or decides who and what may.
POWERS = (
    "loans.approve_loantracking",
    "disbursements.resolve_disbursementrequest",
    "partners.change_partner",
    "auth.change_user",
)
# The way in and out, and doors that machines come through, which no session opens.
OPEN_PATHS = (
    "/accounts/",
    "/admin/login/",
    "/admin/logout/",
    "/static/",
    "/healthz",
    "/readyz",
    "/health/",
    "/metrics",
    "/api/mifos/",
    "/api/cron/",
    "/api/callbacks/",
)
FIRST_SIGN_IN = "Finish signing in: this account needs its second factor."


class TwoFactorMiddleware:
    """Lets nobody past the sign-in pages who still owes the second factor."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        has_session = settings.SESSION_COOKIE_NAME in request.COOKIES
        if has_session and not request.path_info.startswith(OPEN_PATHS):
            owed = owed_page(request.user)
            if owed:
                return _send_to(request, owed)
        return self.get_response(request)


def must_use_two_factor(user: Any) -> bool:
    """Return whether this installation asks `user` for a second factor."""
    return settings.LOANPOLL_REQUIRE_TWO_FACTOR and any(user.has_perm(one) for one in POWERS)


def owed_page(user: Any) -> str:
    """Return the name of the page that `user` must pass first; empty when none."""
    if not user.is_authenticated or user.is_verified():
        return ""
    if has_second_factor(user):
        return "two_factor_verify"
    return "two_factor" if must_use_two_factor(user) else ""


def _send_to(request: HttpRequest, page: str) -> HttpResponse:
    if request.path_info.startswith("/api/") or request.headers.get("Accept") == "application/json":
        return problem_response(request, status=403, detail=FIRST_SIGN_IN)
    back = request.get_full_path() if request.method == "GET" else ""
    return redirect_to_login(back, login_url=reverse(page))


def _signed_in(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    @never_cache
    @sensitive_post_parameters("code")
    @require_http_methods(["GET", "HEAD", "POST"])
    def door(request: HttpRequest) -> HttpResponseBase:
        if not (request.user.is_authenticated and request.user.is_staff):
            return redirect_to_login(request.get_full_path(), login_url=reverse("login"))
        return view(request)

    return door


@_signed_in
def two_factor(request: HttpRequest) -> HttpResponseBase:
    """Set it up, or see how it stands."""
    user: Any = request.user
    if not has_second_factor(user):
        return _set_up(request, user)
    if not user.is_verified():
        return redirect_to_login(request.get_full_path(), login_url=reverse("two_factor_verify"))
    return _standing(request, user)


@_signed_in
def verify(request: HttpRequest) -> HttpResponseBase:
    """The second half of signing in."""
    user: Any = request.user
    if user.is_verified() or not has_second_factor(user):
        return redirect(_next(request))
    error = ""
    if request.method == "POST":
        try:
            device = check_code(user, request.POST.get("code", ""))
        except Refused as refused:
            error = str(refused)
        else:
            _remember(request, device)
            if not isinstance(device, TOTPDevice):
                messages.warning(request, f"Recovery code used. {codes_left(user)} are left.")
            return redirect(_next(request))
    context = {"error": error, "next": _next(request)}
    return render(request, "accounts/two_factor_verify.html", context)


def _set_up(request: HttpRequest, user: User) -> HttpResponse:
    error = ""
    # A new secret for each look: a page that was left open on a screen is then worth nothing.
    app = pending_app(user) if request.method == "POST" else None
    if app is not None:
        try:
            confirm_app(app, request.POST.get("code", ""))
        except Refused as refused:
            error = str(refused)
        else:
            _remember(request, app)
            return _show_codes(request, user)
    app = app or new_app(user)
    context = {
        "error": error,
        "next": _next(request),
        "picture": qr_picture(app.config_url),
        "secret": _in_fours(base64.b32encode(app.bin_key).decode()),
        "required": must_use_two_factor(user),
    }
    return render(request, "accounts/two_factor_setup.html", context)


def _standing(request: HttpRequest, user: User) -> HttpResponse:
    error = ""
    if request.method == "POST":
        try:
            return _change(request, user)
        except Refused as refused:
            error = str(refused)
    context = {"error": error, "left": codes_left(user), "required": must_use_two_factor(user)}
    return render(request, "accounts/two_factor.html", context)


def _change(request: HttpRequest, user: User) -> HttpResponse:
    """New recovery codes, or the end of the second factor; both ask for a code once more."""
    wanted = request.POST.get("do", "")
    if wanted == "off" and must_use_two_factor(user):
        raise Refused("Your role needs two-factor sign-in, so it cannot be turned off.")
    if wanted not in {"codes", "off"}:
        raise Refused("Choose what to do.")
    check_code(user, request.POST.get("code", ""))
    if wanted == "codes":
        return _show_codes(request, user)
    turn_off(user)
    messages.success(request, "Two-factor sign-in is off.")
    return redirect("two_factor")


def _show_codes(request: HttpRequest, user: User) -> HttpResponse:
    """The only time they are shown: what is kept cannot be turned back into them."""
    codes = [_in_fours(code, "-") for code in new_recovery_codes(user)]
    context = {"codes": codes, "next": _next(request)}
    return render(request, "accounts/two_factor_codes.html", context)


def _remember(request: HttpRequest, device: Any) -> None:
    django_otp.login(request, device)
    # Whoever knew the session before may not share in what it has become.
    request.session.cycle_key()
    logger.info("user %s passed the second factor", request.user.pk)


def _next(request: HttpRequest) -> str:
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    safe = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if safe else reverse("loans")


def qr_picture(text: str) -> str:
    """Return a QR code as a data address: no inline SVG, so the content policy stays strict."""
    picture = io.BytesIO()
    qrcode.make(text, image_factory=SvgPathImage, border=2).save(picture)
    return f"data:image/svg+xml;base64,{base64.b64encode(picture.getvalue()).decode()}"


def _in_fours(text: str, between: str = " ") -> str:
    return between.join(text[start : start + 4] for start in range(0, len(text), 4))
