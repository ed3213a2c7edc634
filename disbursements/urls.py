"""The addresses of the pages. Each is served with and without its slash, never with a redirect."""

from __future__ import annotations

from django.urls import URLPattern, path
from django.views.generic import RedirectView

from disbursements.pages.acting import action_page
from disbursements.pages.actions import BULK, KINDS
from disbursements.pages.bulk import bulk_done, bulk_page
from disbursements.pages.charts import charts
from disbursements.pages.detail import loan_detail
from disbursements.pages.door import View
from disbursements.pages.exporting import loan_export
from disbursements.pages.listing import loan_changes, loan_list
from disbursements.pages.partner_acting import (
    ASKING,
    partner_page,
    poll_partner,
    test_partner,
)
from disbursements.pages.partners import partner_list
from disbursements.pages.saving import delete_view, save_view
from disbursements.pages.sheet import loan_workbook
from disbursements.pages.signing_in import SignIn, SignOut
from disbursements.pages.switching import KINDS as TURNS
from disbursements.pages.switching import switch_page


def both(route: str, view: View, name: str) -> list[URLPattern]:
    """Return the page at `route` and at `route/`; links are made without the slash."""
    return [path(f"{route}/", view), path(route, view, name=name)]


urlpatterns = [
    path("", RedirectView.as_view(pattern_name="loans"), name="home"),
    *both("loan-tracking", loan_list, "loans"),
    *both("loan-tracking/changes", loan_changes, "loan_changes"),
    path("loan-tracking/export.csv", loan_export, name="loan_export"),
    path("loan-tracking/export.xlsx", loan_workbook, name="loan_export_xlsx"),
    *both("loan-tracking/<int:pk>", loan_detail, "loan"),
    *(
        pattern
        for kind in KINDS.values()
        for pattern in both(
            f"loan-tracking/<int:pk>/{kind.name}", action_page(kind), f"loan_{kind.name}"
        )
    ),
    *(
        pattern
        for kind in BULK.values()
        for pattern in both(f"loan-tracking/bulk/{kind.name}", bulk_page(kind), f"bulk_{kind.name}")
    ),
    *both("loan-tracking/bulk/done/<int:pk>", bulk_done, "bulk_done"),
    *both("loan-tracking/views", save_view, "save_view"),
    *both("loan-tracking/views/<int:pk>/delete", delete_view, "delete_view"),
    *both("charts", charts, "charts"),
    *both("partners", partner_list, "partners"),
    *both("partners/<slug:slug>/test", test_partner, "partner_test"),
    *both("partners/<slug:slug>/poll", poll_partner, "partner_poll"),
    *(
        pattern
        for kind in ASKING.values()
        for pattern in both(
            f"partners/<slug:slug>/{kind.name}", partner_page(kind), f"partner_{kind.name}"
        )
    ),
    *(
        pattern
        for turn in TURNS.values()
        for pattern in both(f"payouts/{turn.name}", switch_page(turn), f"payouts_{turn.name}")
    ),
    path("accounts/login/", SignIn.as_view(), name="login"),
    path("accounts/logout/", SignOut.as_view(), name="logout"),
]
