"""The loan tables in the admin: evidence to read, for superusers too. Nothing is changed here."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest

from loans.models import LoanApproval, LoanEvent, LoanTracking
from loans.phones import mask_msisdn
from mpesa.near_count import NearPaginator

admin.site.disable_action("delete_selected")
FULL_PHONES = "loans.view_full_msisdn"
PHONES = {"phone_number", "msisdn"}


class ReadOnly:
    """No add, no change, no delete. Money is moved by the steps, which write their events."""

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


class ReadOnlyAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]  # generic only in the stubs
    """A table to read. A count of a million rows is not worth its time."""

    show_full_result_count = False
    paginator = NearPaginator
    list_per_page = 50
    empty_value_display = "none"
    actions = None

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Whole phone numbers are for those who may see them, here as on the pages."""
        fields = super().get_fields(request, obj)
        if request.user.has_perm(FULL_PHONES):
            return fields
        return ["phone" if name in PHONES else name for name in fields]

    @admin.display(description="Phone number")
    def phone(self, row: Any) -> str:
        return mask_msisdn(getattr(row, "phone_number", "") or getattr(row, "msisdn", ""))


class Rows(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]  # generic only in the stubs
    """Rows of a loan, to read."""

    template = "admin/edit_inline/rows.html"
    extra = 0
    can_delete = False


class EventInline(Rows):
    model = LoanEvent
    fields = ("at", "actor", "from_status", "to_status", "reason", "details")
    readonly_fields = fields
    ordering = ("id",)


class ApprovalInline(Rows):
    model = LoanApproval
    fields = (
        "state",
        "amount",
        "requested_by",
        "requested_at",
        "decided_by",
        "decided_at",
        "reason",
    )
    readonly_fields = fields


@admin.register(LoanTracking)
class LoanTrackingAdmin(ReadOnlyAdmin):
    partner_path = "partner"
    list_display = (
        "loan_id",
        "client_name",
        "partner",
        "loan_amount",
        "status",
        "review_reason",
        "mpesa_receipt_number",
        "created_at",
    )
    list_filter = ("status", "review_reason", "partner", "created_at")
    # Exact and indexed: a word search of a million rows would hold the site up.
    search_fields = ("=loan_id", "=mpesa_receipt_number", "=phone_number")
    search_help_text = "Loan id, M-Pesa receipt, or phone number as 2547…"
    list_select_related = ("partner",)
    ordering = ("-created_at", "-id")
    inlines: ClassVar = [ApprovalInline, EventInline]


@admin.register(LoanEvent)
class LoanEventAdmin(ReadOnlyAdmin):
    partner_path = "loan_tracking__partner"
    list_display = ("id", "at", "actor", "loan_tracking", "from_status", "to_status", "reason")
    list_filter = ("to_status", "at")
    search_fields = ("=loan_tracking__loan_id", "=disbursement_request_id")
    search_help_text = "Loan id, or the number of a disbursement request"
    list_select_related = ("loan_tracking__partner",)
    ordering = ("-id",)


@admin.register(LoanApproval)
class LoanApprovalAdmin(ReadOnlyAdmin):
    partner_path = "loan_tracking__partner"
    list_display = (
        "loan_tracking",
        "state",
        "amount",
        "requested_by",
        "requested_at",
        "decided_by",
        "decided_at",
    )
    list_filter = ("state", "requested_at")
    search_fields = ("=loan_tracking__loan_id",)
    list_select_related = ("loan_tracking__partner", "decided_by")
    ordering = ("-id",)
