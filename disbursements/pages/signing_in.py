"""The sign-in page, in the look of the desk. The admin uses it, too."""

from __future__ import annotations

from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView


class SignIn(LoginView):
    """Staff only: another account is told so, instead of being sent round in a circle."""

    template_name = "accounts/login.html"
    authentication_form = AdminAuthenticationForm
    next_page = "loans"


class SignOut(LogoutView):
    """Only by POST, as Django asks."""

    next_page = "login"
