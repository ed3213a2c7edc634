"""The sign-in page, in the look of the desk."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponseBase

from disbursements.pages.door import with_content_policy


class SignIn(LoginView):
    """Staff only: another account is told so, instead of being sent round in a circle."""

    template_name = "accounts/login.html"
    authentication_form = AdminAuthenticationForm
    next_page = "loans"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return with_content_policy(super().dispatch(request, *args, **kwargs))


class SignOut(LogoutView):
    """Only by POST, as Django asks."""

    next_page = "login"
