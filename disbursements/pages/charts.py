"""`/charts`: volume, money, success, time to the phone, backlog and causes, each with its table."""

from __future__ import annotations

from urllib.parse import quote

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from disbursements.models import DisbursementRequest
from disbursements.pages.desk import frame
from disbursements.pages.door import staff_page
from disbursements.pages.figures import Period, figures_of
from disbursements.pages.keeping import kept
from disbursements.pages.listing import VIEW_LOANS
from disbursements.pages.scope import visible_loans, visible_partners
from disbursements.pages.standing import standings

PERIODS = (7, 30, 90)


@require_safe
@staff_page(VIEW_LOANS)
def charts(request: HttpRequest) -> HttpResponseBase:
    """The figures of the partners that the user may see, or of one of them."""
    now = timezone.now()
    found = standings(request.user, now=now)
    asked = request.GET.get("days", "")
    period = Period(days=int(asked) if asked in {str(one) for one in PERIODS} else 30, now=now)
    partner = request.GET.get("partner", "")
    loans = visible_loans(request.user)
    partners = visible_partners(request.user)
    if partner:
        partners = partners.filter(slug=partner)
        loans = loans.filter(partner__in=partners)
    attempts = DisbursementRequest.objects.filter(partner__in=partners)
    context = {
        **frame(found, now=now, room="charts"),
        "figures": kept(
            f"charts:{period.days}:{quote(partner[:50])}",
            request.user,
            lambda: figures_of(loans, attempts, period),
        ),
        "period": period,
        "periods": PERIODS,
        "partner": partner,
        "partners": [one.partner for one in found],
    }
    return render(request, "charts.html", context)
