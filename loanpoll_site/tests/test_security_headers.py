"""Every answer carries the strict headers, and no page of ours needs an exception from them."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import pytest
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

from disbursements.tests.making import make_loan
from loanpoll_site import urls

pytestmark = pytest.mark.django_db

POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
}
PAGES = [
    "/loan-tracking",
    "/loan-tracking/{loan}",
    "/partners",
    "/accounts/login/",
    "/accounts/two-factor/",
    "/admin/",
    "/admin/login/",
    "/admin/partners/partner/",
    "/admin/partners/partner/add/",
    "/admin/partners/partner/{partner}/change/",
    "/admin/loans/loantracking/",
    "/admin/auth/user/",
    "/admin/auth/user/add/",
    "/admin/admin/logentry/",
    "/admin/password_change/",
    "/api/docs",
    "/api/docs/?script=",
    "/api/schema",
    "/api/loans",
    "/api/nothing",
    "/nothing",
    "/healthz",
]


def fail(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("boom")


class Broken:
    """The site, and one page that breaks."""

    urlpatterns: ClassVar[list[Any]] = [path("broken", fail), *urls.urlpatterns]
    handler403 = urls.handler403
    handler404 = urls.handler404
    handler500 = urls.handler500


@pytest.mark.parametrize("page", PAGES)
def test_every_answer_carries_the_headers_and_nothing_inline(admin_client: Client, page: str):
    loan = make_loan()
    answer = admin_client.get(page.format(loan=loan.pk, partner=loan.partner_id))
    html = answer.content.decode()

    assert set(answer["Content-Security-Policy"].split("; ")) == POLICY
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in answer["Permissions-Policy"]
    if answer["Content-Type"].startswith("text/html"):
        assert not re.search(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)", html)
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", html)


def test_the_missing_page_names_its_reference(admin_client: Client):
    answer = admin_client.get("/nothing")

    assert answer.status_code == 404
    assert answer["X-Request-ID"] in answer.content.decode()
    assert b"desk.css" in answer.content


def test_the_refused_page_names_its_reference(client: Client, django_user_model):
    client.force_login(django_user_model.objects.create_user("new", is_staff=True))

    answer = client.get("/loan-tracking")

    assert answer.status_code == 403
    assert answer["X-Request-ID"] in answer.content.decode()


def test_the_broken_page_names_its_reference_and_shows_no_more(settings):
    settings.ROOT_URLCONF = Broken
    answer = Client(raise_request_exception=False).get("/broken")
    html = answer.content.decode()

    assert answer.status_code == 500
    assert answer["X-Request-ID"] in html
    assert "boom" not in html
    assert "desk.css" in html


def test_an_unreadable_request_gets_a_page_too(client: Client):
    answer = client.get("/loan-tracking", headers={"Host": "elsewhere.example"})

    assert answer.status_code == 400
    assert b"We could not read that" in answer.content


def test_a_form_without_its_secret_is_explained():
    answer = Client(enforce_csrf_checks=True).post("/accounts/login/", {"username": "x"})

    assert answer.status_code == 403
    assert "This form is too old" in answer.content.decode()
    assert answer["X-Request-ID"] in answer.content.decode()


def test_plain_http_is_not_hardened_by_half():
    assert settings.SECURE_HSTS_SECONDS == 0
    assert not settings.SESSION_COOKIE_SECURE
