"""The payout tables in the admin: evidence to read; only API keys are made and revoked here."""

from __future__ import annotations

from contextlib import suppress

from django.apps import apps
from django.contrib import admin
from django.contrib.admin.exceptions import NotRegistered
from django.db.models import QuerySet
from django.http import HttpRequest
from rest_framework_api_key.admin import APIKeyModelAdmin
from rest_framework_api_key.models import APIKey

from disbursements.models import Alert, ApiKey, DisbursementRequest, ReviewResolution, SyncRun
from loans.admin import LoanTrackingAdmin, ReadOnlyAdmin, Rows
from partners.history import write_down

admin.site.site_header = "Loan Poll"
admin.site.site_title = "Loan Poll"
admin.site.index_title = "Settings and evidence"
admin.site.site_url = "/loan-tracking"

with suppress(NotRegistered):
    # The package's own keys open nothing here: ours carry a partner.
    admin.site.unregister(APIKey)


class AttemptInline(Rows):
    model = DisbursementRequest
    fields = (
        "attempt_no",
        "status",
        "amount",
        "result_code",
        "result_description",
        "transaction_receipt",
        "originator_conversation_id",
        "created_at",
    )
    readonly_fields = fields
    ordering = ("attempt_no",)
    show_change_link = True


# The attempts live one floor above the loans, so the loan's page is completed from here.
LoanTrackingAdmin.inlines = [AttemptInline, *LoanTrackingAdmin.inlines]


@admin.register(DisbursementRequest)
class DisbursementRequestAdmin(ReadOnlyAdmin):
    partner_path = "partner"
    list_display = (
        "originator_conversation_id",
        "loan_tracking",
        "attempt_no",
        "amount",
        "status",
        "result_code",
        "transaction_receipt",
        "triggered_by",
        "created_at",
    )
    list_filter = ("status", "triggered_by", "partner", "mpesa_environment", "created_at")
    search_fields = (
        "=originator_conversation_id",
        "=conversation_id",
        "=mifos_external_id",
        "=loan_tracking__loan_id",
        "=loan_tracking__mpesa_receipt_number",
    )
    search_help_text = "Originator or M-Pesa conversation id, Mifos external id, loan id, receipt"
    list_select_related = ("loan_tracking__partner",)
    ordering = ("-created_at", "-id")


@admin.register(ReviewResolution)
class ReviewResolutionAdmin(ReadOnlyAdmin):
    partner_path = "disbursement_request__partner"
    list_display = (
        "disbursement_request",
        "outcome",
        "receipt",
        "proposed_by",
        "proposed_at",
        "confirmed_by",
        "confirmed_at",
        "withdrawn_at",
    )
    list_filter = ("outcome", "proposed_at")
    search_fields = ("=receipt", "=disbursement_request__originator_conversation_id")
    list_select_related = ("disbursement_request", "proposed_by", "confirmed_by")
    ordering = ("-id",)


@admin.register(SyncRun)
class SyncRunAdmin(ReadOnlyAdmin):
    list_display = ("id", "command", "triggered_by", "started_at", "finished_at", "success")
    list_filter = ("success", "command", "triggered_by", "started_at")
    ordering = ("-id",)


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    """What staff were told of. It has no partner_path: alerts are for those who see the house."""

    list_display = ("opened_at", "kind", "about", "text", "channel", "said_at", "cleared_at")
    list_filter = (("cleared_at", admin.EmptyFieldListFilter), "kind", "channel", "opened_at")
    search_fields = ("=loan_id",)
    search_help_text = "Loan id"
    ordering = ("-id",)
    fields = (
        "kind",
        "about",
        "text",
        "loan_id",
        "channel",
        "opened_at",
        "said_at",
        "cleared_at",
        "clear_said_at",
    )
    readonly_fields = fields


@admin.register(ApiKey)
class ApiKeyAdmin(APIKeyModelAdmin):
    """The key is shown once, when it is made; only its hash is kept. Revoked, never deleted."""

    partner_path = "partner"
    list_display = ("prefix", "name", "partner", "created", "expiry_date", "revoked")
    list_filter = ("created", "revoked", "partner")  # type: ignore[assignment]  # typed as a 1-tuple
    search_fields = ("name", "prefix")
    list_select_related = ("partner",)
    fields = ("name", "partner", "expiry_date", "revoked", "prefix")
    actions = ("revoke",)

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    @admin.action(description="Revoke the chosen keys", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        live = list(queryset.filter(revoked=False))
        for key in live:
            ApiKey.objects.filter(pk=key.pk).update(revoked=True)
            write_down(key, by=request.user.get_username(), text="Revoked.")
        self.message_user(request, f"{len(live)} revoked. They open nothing from now on.")


if apps.is_installed("procrastinate.contrib.django"):
    import disbursements.job_admin  # noqa: F401 - it registers; its models exist only then
