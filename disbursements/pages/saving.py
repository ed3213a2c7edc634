"""Saved views: addresses of the list that a user gave a name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast
from urllib.parse import parse_qs

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponseBase, QueryDict
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from disbursements.models import SavedView
from disbursements.pages.door import staff_page
from disbursements.pages.filtering import Filters, read_filters
from disbursements.pages.scope import User as Viewer

VIEW_LOANS = "loans.view_loantracking"
MOST_VIEWS = 20
# What every user has from the first day.
SHIPPED: dict[str, Filters] = {
    "Needs me": Filters(statuses=("needs_review", "needs_approval")),
    "Failed": Filters(statuses=("failed",)),
    "Large, above 50,000": Filters(q="amount:>50000", sort="highest"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """One view as the list links to it. Without a `pk` it is shipped, and stays."""

    name: str
    url: str
    is_chosen: bool
    pk: int | None = None


class NameForm(forms.Form):
    name = forms.CharField(max_length=40)
    query = forms.CharField(max_length=1000, required=False)


def views_of(user: Viewer, filters: Filters) -> list[View]:
    """Return the shipped views, then the user's own."""
    here = parse_qs(filters.address().lstrip("?"))
    shipped = [(None, name, wanted.address()) for name, wanted in SHIPPED.items()]
    own = SavedView.objects.filter(user=cast(User, user))
    return [
        View(pk=pk, name=name, url=url, is_chosen=parse_qs(url.lstrip("?")) == here)
        for pk, name, url in [*shipped, *((one.pk, one.name, one.query) for one in own)]
    ]


@require_POST
@staff_page(VIEW_LOANS)
def save_view(request: HttpRequest) -> HttpResponseBase:
    """Keep the filters under a name; the same name again replaces them."""
    form = NameForm(request.POST)
    filters = read_filters(QueryDict(request.POST.get("query", "")[:1000].lstrip("?")))
    back = reverse("loans") + filters.address()
    if not form.is_valid():
        messages.warning(request, "Give the view a name of at most 40 letters.")
    elif not filters.narrows:
        messages.warning(request, "Nothing is filtered here, so there is nothing to save.")
    elif not _keep(cast(User, request.user), form.cleaned_data["name"], filters.address()):
        messages.warning(request, f"At most {MOST_VIEWS} views are kept. Delete one first.")
    else:
        messages.success(request, f"The view “{form.cleaned_data['name']}” is saved.")
    return redirect(back)


@require_POST
@staff_page(VIEW_LOANS)
def delete_view(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Forget one of the user's own views."""
    view = get_object_or_404(SavedView, pk=pk, user_id=request.user.pk)
    view.delete()
    messages.success(request, f"The view “{view.name}” is deleted.")
    return redirect("loans")


def _keep(user: User, name: str, query: str) -> bool:
    kept = SavedView.objects.filter(user=user)
    if kept.exclude(name=name).count() >= MOST_VIEWS:
        return False
    kept.update_or_create(name=name, defaults={"query": query, "user": user})
    return True
