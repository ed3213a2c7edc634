"""The door of every page: staff only, with the right to see it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.urls import reverse
from django.views.decorators.cache import never_cache

View = Callable[..., HttpResponseBase]


def staff_page(permission: str) -> Callable[[View], View]:
    """Return a decorator that lets staff with `permission` in, and asks others to sign in."""

    def guard(view: View) -> View:
        @wraps(view)
        def door(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_staff:
                return sign_in_first(request)
            if not request.user.has_perm(permission):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        return never_cache(door)

    return guard


def sign_in_first(request: HttpRequest) -> HttpResponse:
    """Send a browser to the sign-in page, and tell a script that it is signed out."""
    if request.headers.get("Accept") == "application/json":
        return JsonResponse({"error": "You are signed out."}, status=401)
    return redirect_to_login(request.get_full_path(), login_url=reverse("login"))
