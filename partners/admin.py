"""Partners in the administration: settings, the switch, and a look whether all of it works."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import connection
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from mifos.client import MifosError
from mpesa.admin import ReadOnlyAdmin
from partners import stops
from partners.access import check_access
from partners.credentials import CREDENTIAL_COLUMNS
from partners.forms import PartnerForm, ProductForm, ReasonForm
from partners.gateways import NotConfigured
from partners.models import LoanProductAutoDisbursalConfig, MifosExchange, Partner
from partners.products import read_products
from partners.rules import touch_rules
from partners.validation import SECRET_COLUMNS
from partners.visibility import sees_shortcode

if TYPE_CHECKING:
    _PartnerAdmin = admin.ModelAdmin[Partner]
    _ProductAdmin = admin.ModelAdmin[LoanProductAutoDisbursalConfig]
    _ProductInline = admin.StackedInline[LoanProductAutoDisbursalConfig, Partner]
else:
    _PartnerAdmin = _ProductAdmin = admin.ModelAdmin
    _ProductInline = admin.StackedInline

MOST_TESTED_AT_ONCE = 5
WRITE_ONLY = (*SECRET_COLUMNS, "mpesa_initiator_password", "mpesa_certificate")

SHOWN = "rules_shown"  # hidden on the page
IDENTITY = ("name", "slug", "is_active", SHOWN)
MIFOS = (
    "is_mifos_configured",
    "mifos_auto_disbursement_enabled",
    "mifos_host_url",
    "mifos_api_endpoint",
    "mifos_tenant_id",
    "mifos_username",
    "mifos_password",
    "mifos_payment_type_id",
    "mifos_time_zone",
    "mifos_concurrency",
    "hook_address",
)
MPESA = (
    "is_mpesa_configured",
    "mpesa_environment",
    "mpesa_shortcode",
    "mpesa_initiator_name",
    "mpesa_consumer_key",
    "mpesa_consumer_secret",
    "mpesa_security_credential",
    "mpesa_initiator_password",
    "mpesa_certificate",
    "mpesa_credential_set_at",
    "mpesa_payments_per_second",
)
LIMITS = (
    "daily_limit",
    "client_daily_limit",
    "loan_limit",
    "approval_threshold",
    "resend_unknown",
)
PAUSE = ("is_paused", "paused_by", "paused_at", "pause_reason")
POLLS = ("last_polled_at", "last_poll_succeeded_at", "last_error", "last_error_at")
SECTIONS = {
    "Identity": IDENTITY,
    "Mifos X": MIFOS,
    "M-Pesa": MPESA,
    "Limits": LIMITS,
    "Pause": PAUSE,
    "Polls": POLLS,
}


class ProductInline(_ProductInline):
    model = LoanProductAutoDisbursalConfig
    fields = (
        ("product_id", "product_name"),
        ("min_amount", "max_amount"),
        ("enabled", "auto_approve"),
    )
    extra = 0
    can_delete = False  # disable it instead: what was paid under it stays explained


@admin.register(Partner)
class PartnerAdmin(_PartnerAdmin):
    partner_path = "pk"
    form = PartnerForm
    inlines = (ProductInline,)
    list_display = (
        "name",
        "mpesa_environment",
        "is_active",
        "mifos_auto_disbursement_enabled",
        "last_poll_succeeded_at",
        "last_error",
        "is_paused",
    )
    list_filter = (
        "is_active",
        "mpesa_environment",
        "mifos_auto_disbursement_enabled",
        "is_paused",
    )
    search_fields = ("name", "slug", "=mpesa_shortcode", "=mifos_tenant_id")
    actions = (
        "test_connection",
        "read_products",
        "pause_payouts",
        "resume_payouts",
        "let_shortcode_pay",
    )
    empty_value_display = "none"
    save_on_top = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Partner]:
        partners = super().get_queryset(request)
        if request.method == "POST" and connection.in_atomic_block:
            # A claim locks the same row, so no attempt begins between the check and the change.
            return partners.select_for_update()
        return partners

    def get_fieldsets(self, request: HttpRequest, obj: Partner | None = None) -> Any:
        # Whoever may only look gets the columns as plain text: no secret may be among them.
        hidden = () if self._may_change(request, obj) else (*WRITE_ONLY, SHOWN, "hook_address")
        return [
            (title, {"fields": [name for name in names if name not in hidden]})
            for title, names in SECTIONS.items()
            if obj is not None or title not in {"Pause", "Polls"}
        ]

    def _may_change(self, request: HttpRequest, obj: Partner | None) -> bool:
        if obj is None:
            return self.has_add_permission(request)
        return self.has_change_permission(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Partner | None = None) -> Any:
        fixed = ("slug",) if obj else ()
        return (*fixed, "hook_address", "mpesa_credential_set_at", *PAUSE, *POLLS)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    @admin.display(description="Hook address for Mifos X")
    def hook_address(self, partner: Partner) -> str:
        """Paste it into Mifos X > Admin > System > Hooks. It ends in a slash (mifos.md 8)."""
        if partner.pk is None:
            return "shown after saving"
        return (
            f"{settings.PUBLIC_BASE_URL}/api/mifos/webhook/loan-approval/{partner.webhook_token}/"
        )

    def save_model(self, request: HttpRequest, obj: Partner, form: Any, change: bool) -> None:
        obj.rules_changed_at = timezone.now()
        if not change:
            super().save_model(request, obj, form, change)
            return
        columns = {field.name for field in Partner._meta.concrete_fields}
        # Only what the form changed: a pass may be writing how its poll went at the same time.
        obj.save(
            update_fields={
                *columns.intersection(form.changed_data),
                *CREDENTIAL_COLUMNS,
                "rules_changed_at",
                "updated_at",
            }
        )

    @admin.action(description="Test connection (reads only)", permissions=["view"])
    def test_connection(
        self, request: HttpRequest, queryset: QuerySet[Partner]
    ) -> HttpResponse | None:
        chosen = list(queryset[: MOST_TESTED_AT_ONCE + 1])
        if len(chosen) > MOST_TESTED_AT_ONCE:
            self.message_user(
                request, f"Choose at most {MOST_TESTED_AT_ONCE} partners.", messages.WARNING
            )
            return None
        now = timezone.now()
        findings = [finding for partner in chosen for finding in check_access(partner, now=now)]
        context = {
            **self.admin_site.each_context(request),
            "title": "Test connection",
            "opts": self.opts,
            "findings": findings,
        }
        return TemplateResponse(request, "admin/partners/partner/access.html", context)

    @admin.action(description="Read products from Mifos X", permissions=["change"])
    def read_products(self, request: HttpRequest, queryset: QuerySet[Partner]) -> None:
        for partner in queryset[:MOST_TESTED_AT_ONCE]:
            try:
                told = str(read_products(partner, by=request.user.get_username()))
                level = messages.SUCCESS
            except (MifosError, NotConfigured) as exc:
                told, level = str(exc), messages.ERROR
            self.message_user(request, f"{partner.name}: {told}.", level)

    @admin.action(description="Pause payouts …", permissions=["change"])
    def pause_payouts(
        self, request: HttpRequest, queryset: QuerySet[Partner]
    ) -> HttpResponse | None:
        return self._with_reason(request, queryset, "pause_payouts", "Pause payouts", stops.pause)

    @admin.action(description="Resume payouts …", permissions=["change"])
    def resume_payouts(
        self, request: HttpRequest, queryset: QuerySet[Partner]
    ) -> HttpResponse | None:
        return self._with_reason(
            request, queryset, "resume_payouts", "Resume payouts", stops.resume, stops.pause_of
        )

    @admin.action(description="Let the shortcode pay again …", permissions=["change"])
    def let_shortcode_pay(
        self, request: HttpRequest, queryset: QuerySet[Partner]
    ) -> HttpResponse | None:
        seen = [one.pk for one in queryset if sees_shortcode(request.user, one)]
        if len(seen) < len(queryset):
            self.message_user(
                request,
                "Another lender pays from the same shortcode: ask somebody who sees both.",
                messages.WARNING,
            )
        return self._with_reason(
            request,
            queryset.filter(pk__in=seen),
            "let_shortcode_pay",
            "Let the shortcode pay again",
            stops.reset,
            stops.breaker_of,
        )

    def _with_reason(
        self,
        request: HttpRequest,
        queryset: QuerySet[Partner],
        action: str,
        title: str,
        switch: stops.Switch,
        stop_of: Callable[[Partner], stops.Stop] = stops.no_stop,
    ) -> HttpResponse | None:
        """Ask for the reason first; with one, switch each partner and say how many changed.

        The page carries the stop that it asks about: another one, by now, is not lifted.
        """
        form = ReasonForm(request.POST if "reason" in request.POST else None)
        chosen = list(queryset)
        if not form.is_valid():
            for partner in chosen:
                partner.stop = stop_of(partner)  # type: ignore[attr-defined]  # for the page
            return self._ask_reason(request, chosen, action, title, form)
        by, reason = request.user.get_username(), form.cleaned_data["reason"]
        changed = 0
        for one in chosen:
            shown = request.POST.get(f"stop-{one.pk}", "")
            doing = stops.Doing(by=by, reason=reason, now=timezone.now(), shown=shown)
            changed += switch(one, doing)
        rest = f"{len(chosen) - changed} were so, or changed since the page was opened"
        level = messages.SUCCESS if changed == len(chosen) else messages.WARNING
        self.message_user(request, f"{title}: {changed} changed, {rest}.", level)
        return None

    def _ask_reason(
        self,
        request: HttpRequest,
        chosen: Sequence[Partner],
        action: str,
        title: str,
        form: ReasonForm,
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "partners": chosen,
            "form": form,
            "action": action,
            "checkbox": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "admin/partners/partner/reason.html", context)


@admin.register(LoanProductAutoDisbursalConfig)
class ProductAdmin(_ProductAdmin):
    partner_path = "partner"
    form = ProductForm
    list_display = (
        "partner",
        "product_id",
        "product_name",
        "enabled",
        "min_amount",
        "max_amount",
        "auto_approve",
    )
    list_display_links = ("product_id",)
    list_filter = ("partner", "enabled", "auto_approve")
    list_select_related: ClassVar = ["partner"]
    search_fields = ("product_name", "=product_id")

    def get_fields(
        self, request: HttpRequest, obj: LoanProductAutoDisbursalConfig | None = None
    ) -> Any:
        names = super().get_fields(request, obj)
        if self.has_change_permission(request, obj):
            return names
        return [name for name in names if name != SHOWN]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return ("partner", "product_id") if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def save_model(
        self,
        request: HttpRequest,
        obj: LoanProductAutoDisbursalConfig,
        form: Any,
        change: bool,
    ) -> None:
        super().save_model(request, obj, form, change)
        touch_rules(obj.partner, timezone.now())


@admin.register(MifosExchange)
class MifosExchangeAdmin(ReadOnlyAdmin):
    partner_path = "partner"
    list_display = (
        "started_at",
        "partner",
        "method",
        "path",
        "ending",
        "http_status",
        "milliseconds",
    )
    list_filter = ("partner", "ending", "http_status", "method")
    list_select_related: ClassVar = ["partner"]
    search_fields = ("=loan_id",)
    date_hierarchy = "started_at"
