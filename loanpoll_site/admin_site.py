"""The admin: our sign-in, our history, and nothing of a partner the user is not bound to.

Every table that is registered goes through here. One whose admin does not say by `partner_path` how
its rows belong to a partner is of the whole house: users who are bound to a partner do not see it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.filters import RelatedFieldListFilter
from django.db.models import ForeignKey, Model, QuerySet
from django.http import HttpRequest
from django.shortcuts import redirect

from disbursements.pages.signing_in import SignIn, SignOut
from partners.history import said_changes
from partners.models import Partner
from partners.visibility import is_bound, visible_partners, within_sight

if TYPE_CHECKING:
    _Admin = admin.ModelAdmin[Any]
else:
    _Admin = object

ITSELF = "pk"  # the partner_path of the partners' own table
# The sections of the first page, in the order staff need them. What is not here comes last.
SECTIONS = {
    "partners": "Partners and products",
    "auth": "People and roles",
    "disbursements": "Payouts and API keys",
    "loans": "Loans",
    "mpesa": "M-Pesa",
    "admin": "History of changes",
    "axes": "Sign-ins",
}


class VisiblePartnerFilter(RelatedFieldListFilter):
    """Offers the partners that the user may see."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> Any:
        return [(str(one.pk), one.name) for one in visible_partners(request.user)]


class PartnerScope(_Admin):
    """Goes in front of every admin: only the user's partners; changes said from → to."""

    partner_path = ""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        if not self.partner_path:
            return rows.none() if is_bound(request.user) else rows
        return within_sight(rows, request.user, path=self.partner_path)

    def _hidden(self, request: HttpRequest) -> bool:
        return not self.partner_path and is_bound(request.user)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return not self._hidden(request) and super().has_module_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return not self._hidden(request) and super().has_view_permission(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        if self._hidden(request) or (self.partner_path == ITSELF and is_bound(request.user)):
            return False
        return super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return not self._hidden(request) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return not self._hidden(request) and super().has_delete_permission(request, obj)

    def get_list_filter(self, request: HttpRequest) -> Any:
        return [
            (one, VisiblePartnerFilter) if _leads_to_partner(self.model, one) else one
            for one in super().get_list_filter(request)
        ]

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.remote_field.model is Partner and is_bound(request.user):
            # Empty may mean "all partners", which a bound user cannot give away.
            kwargs |= {"queryset": visible_partners(request.user), "required": True}
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> Any:
        return said_changes(form, formsets or [], add=add)


class DeskSite(admin.AdminSite):
    """Django's admin with one way in and one rule of sight."""

    enable_nav_sidebar = False  # the first page is the menu; tables need the width

    def register(
        self,
        model_or_iterable: Any,
        admin_class: type[admin.ModelAdmin[Any]] | None = None,
        **options: Any,
    ) -> None:
        super().register(model_or_iterable, scoped(admin_class or admin.ModelAdmin), **options)

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        apps = super().get_app_list(request, app_label)
        for app in apps:
            app["name"] = SECTIONS.get(app["app_label"], app["name"])
        order = list(SECTIONS)
        return sorted(apps, key=lambda app: (*order, app["app_label"]).index(app["app_label"]))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """The desk's own sign-in page: there is one way in, throttled and watched."""
        if request.method == "GET" and self.has_permission(request):
            return redirect(f"{self.name}:index")
        return SignIn.as_view()(request)

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return SignOut.as_view()(request)


def scoped(admin_class: type[admin.ModelAdmin[Any]]) -> type[admin.ModelAdmin[Any]]:
    """Return `admin_class` behind the rule of sight."""
    if issubclass(admin_class, PartnerScope):
        return admin_class
    known = {"__module__": admin_class.__module__, "__doc__": admin_class.__doc__}
    if path := getattr(admin_class, "partner_path", ""):
        known["partner_path"] = path
    return type(admin_class.__name__, (PartnerScope, admin_class), known)


def _leads_to_partner(model: type[Model], name: object) -> bool:
    if not isinstance(name, str) or "__" in name:
        return False
    fields: Iterable[Any] = model._meta.get_fields()
    found = next((one for one in fields if one.name == name), None)
    return isinstance(found, ForeignKey) and found.remote_field.model is Partner
