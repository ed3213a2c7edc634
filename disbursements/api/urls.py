"""The addresses under /api/, each with and without its slash: a redirect would lose a body."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from disbursements.api.base import NoSuchAddress
from disbursements.api.loans import LoanItem, LoanList
from disbursements.api.passes import FetchPendingLoans, ProcessPendingLoans, ScheduledLoanSync
from disbursements.callbacks import receive_callback
from disbursements.hooks import receive_approval

View = Callable[..., HttpResponseBase]


def both(route: str, view: View, **options: Any) -> list[URLPattern]:
    """Return `route` with and without a trailing slash, both answering, none redirecting."""
    return [path(route, view, **options), path(f"{route}/", view)]


urlpatterns = [
    *both("mifos/fetch-pending-loans", FetchPendingLoans.as_view(), name="api-fetch"),
    *both("mifos/process-pending-loans", ProcessPendingLoans.as_view(), name="api-process"),
    *both("mifos/scheduled-loan-sync", ScheduledLoanSync.as_view(), name="api-sync"),
    *both("cron/loan-polling", ScheduledLoanSync.as_view(schema=None), name="api-cron"),
    *both("loans", LoanList.as_view(), name="api-loans"),
    *both("loans/<int:id>", LoanItem.as_view(), name="api-loan"),
    re_path(
        r"^mifos/webhook/loan-approval/(?P<token>[A-Za-z0-9_-]{1,128})/?$",
        receive_approval,
        name="mifos-hook",
    ),
    re_path(
        r"^callbacks/(?P<slug>[a-z-]{1,30})/(?P<token>[A-Za-z0-9_-]{1,200})/?$",
        receive_callback,
        name="mpesa-callback",
    ),
    *both("schema", SpectacularAPIView.as_view(schema=None), name="schema"),
    *both("docs", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="api-docs"),
    re_path(r"^.*$", NoSuchAddress.as_view(schema=None)),
]
