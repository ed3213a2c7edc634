"""M-Pesa in the administration: result codes can be amended, everything else only read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import HttpRequest

from mpesa.models import MpesaCallback, MpesaRequest, ResultCode, Shortcode
from mpesa.near_count import NearPaginator
from mpesa.result_codes import refusal_of

if TYPE_CHECKING:
    _ResultCodeForm = forms.ModelForm[ResultCode]
    _ResultCodeAdmin = admin.ModelAdmin[ResultCode]
    _ReadOnly = admin.ModelAdmin[Any]
else:
    _ResultCodeForm = forms.ModelForm
    _ResultCodeAdmin = _ReadOnly = admin.ModelAdmin


class ResultCodeForm(_ResultCodeForm):
    class Meta:
        model = ResultCode
        fields: ClassVar = [
            "code",
            "meaning",
            "money_moved",
            "new_attempt",
            "who_acts",
            "stops_shortcode",
        ]

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]  # ModelForm's own hook, missing in the stubs
        refusal = refusal_of(self.instance)
        if refusal and not self.errors:
            self.add_error(None, ValidationError(refusal))


@admin.register(ResultCode)
class ResultCodeAdmin(_ResultCodeAdmin):
    form = ResultCodeForm
    list_display = ("code", "meaning", "money_moved", "new_attempt", "who_acts", "stops_shortcode")
    list_filter = ("money_moved", "new_attempt", "stops_shortcode")
    search_fields = ("code", "meaning")

    def get_readonly_fields(
        self, request: HttpRequest, obj: ResultCode | None = None
    ) -> tuple[str, ...]:
        return ("code",) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class ReadOnlyAdmin(_ReadOnly):
    """Rows that only the product writes: nobody adds, changes or deletes them here."""

    show_full_result_count = False
    paginator = NearPaginator

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(MpesaCallback)
class MpesaCallbackAdmin(ReadOnlyAdmin):
    list_display = ("id", "kind", "received_at", "applied_at", "is_quarantined", "outcome")
    list_filter = ("kind", "is_quarantined")
    date_hierarchy = "received_at"
    raw_id_fields = ("request",)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """The bodies hold names and phone numbers: no other right stands in for this one."""
        return bool(request.user.has_perm("mpesa.view_mpesacallback"))


@admin.register(MpesaRequest)
class MpesaRequestAdmin(ReadOnlyAdmin):
    list_display = (
        "id",
        "kind",
        "shortcode",
        "originator_conversation_id",
        "sent_at",
        "answered_at",
        "outcome",
    )
    list_filter = ("kind", "environment")
    search_fields = ("=originator_conversation_id", "=conversation_id")
    exclude = ("token_digest",)


@admin.register(Shortcode)
class ShortcodeAdmin(ReadOnlyAdmin):
    list_display = (
        "shortcode",
        "environment",
        "breaker_cause",
        "utility_balance",
        "utility_balance_at",
        "float_short_since",
    )
    list_filter = ("environment",)
