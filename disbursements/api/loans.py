"""The loans, to read: a list with filters and cursor pages, and one loan with its whole trail."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from disbursements.api.base import ApiView
from disbursements.api.callers import Caller, KeyAuthentication
from disbursements.api.openapi import describe
from disbursements.api.options import MAX_ID
from disbursements.models import AttemptStatus, DisbursementRequest
from disbursements.pages import scope
from disbursements.pages.scope import User
from loans.models import LoanEvent, LoanStatus, LoanTracking
from loans.phones import mask_msisdn, normalise_msisdn

# In one piece, or with gaps as people write it.
FULL_NUMBER = re.compile(r"(?<![0-9])(?:\+?254|0)[ -]?[17](?:[ -]?[0-9]){8}(?![0-9])")


def without_numbers(text: str) -> str:
    """Return a sentence with the phone numbers in it masked."""
    return FULL_NUMBER.sub(lambda found: mask_msisdn(re.sub("[ -]", "", found.group())), text)


class Moment(serializers.DateTimeField):
    """A time in UTC, with its Z."""

    def __init__(self, **options: Any) -> None:
        super().__init__(default_timezone=UTC, **options)


class MaskedPhone(serializers.CharField):
    def to_representation(self, value: str) -> str:
        return mask_msisdn(value) if value else ""


class Sentence(serializers.CharField):
    def to_representation(self, value: str) -> str:
        return without_numbers(value)


class Kes(serializers.DecimalField):
    """An amount in KES, as text with two decimals."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_digits=16, decimal_places=2, **options)


class LoanDocument(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    partner = serializers.CharField(source="partner.slug")
    partnerName = serializers.CharField(source="partner.name")
    loanId = serializers.IntegerField(source="loan_id")
    cycle = serializers.IntegerField()
    accountNumber = serializers.CharField(source="account_number")
    clientId = serializers.IntegerField(source="client_id", allow_null=True)
    clientName = serializers.CharField(source="client_name")
    phoneNumber = MaskedPhone(source="phone_number", help_text="Masked: 2547****646.")
    productId = serializers.IntegerField(source="product_id")
    productName = serializers.CharField(source="product_name")
    loanAmount = Kes(source="loan_amount", help_text="The principal.")
    netDisbursalAmount = Kes(
        source="net_disbursal_amount", allow_null=True, help_text="What the borrower gets."
    )
    currency = serializers.CharField()
    status = serializers.ChoiceField(choices=LoanStatus.choices)
    holdReason = serializers.CharField(source="hold_reason", help_text="Empty = next pass pays it.")
    holdReasonText = serializers.CharField(source="get_hold_reason_display")
    reviewReason = serializers.CharField(source="review_reason", help_text="Empty = none.")
    reviewReasonText = serializers.CharField(source="get_review_reason_display")
    reviewSince = Moment(source="review_since", allow_null=True)
    errorMessage = Sentence(source="error_message")
    disbursementStatus = serializers.CharField(source="disbursement_status")
    mpesaReceiptNumber = serializers.CharField(source="mpesa_receipt_number")
    approvedOn = serializers.DateField(source="approved_on", allow_null=True)
    expectedDisbursementDate = serializers.DateField(
        source="expected_disbursement_date", allow_null=True
    )
    nextAttemptAt = Moment(source="next_attempt_at", allow_null=True)
    disbursedAt = Moment(source="disbursed_at", allow_null=True)
    createdAt = Moment(source="created_at")
    updatedAt = Moment(source="updated_at")


class AttemptDocument(serializers.Serializer[DisbursementRequest]):
    id = serializers.IntegerField()
    attemptNo = serializers.IntegerField(source="attempt_no")
    status = serializers.ChoiceField(choices=AttemptStatus.choices)
    origin = serializers.CharField()
    triggeredBy = serializers.CharField(source="triggered_by")
    amount = Kes()
    currency = serializers.CharField()
    phoneNumber = MaskedPhone(source="msisdn")
    originatorConversationId = serializers.CharField(source="originator_conversation_id")
    conversationId = serializers.CharField(source="conversation_id")
    mifosExternalId = serializers.CharField(source="mifos_external_id")
    sendCount = serializers.IntegerField(source="send_count")
    resultCode = serializers.CharField(source="result_code")
    resultDescription = Sentence(source="result_description")
    transactionReceipt = serializers.CharField(source="transaction_receipt")
    firstSentAt = Moment(source="first_sent_at", allow_null=True)
    acceptedAt = Moment(source="accepted_at", allow_null=True)
    paidAt = Moment(source="paid_at", allow_null=True)
    completedAt = Moment(source="completed_at", allow_null=True)
    failedAt = Moment(source="failed_at", allow_null=True)
    createdAt = Moment(source="created_at")


class EventDocument(serializers.Serializer[LoanEvent]):
    id = serializers.IntegerField()
    disbursementId = serializers.IntegerField(source="disbursement_request_id", allow_null=True)
    fromStatus = serializers.CharField(source="from_status")
    toStatus = serializers.CharField(source="to_status")
    actor = serializers.CharField()
    reason = Sentence()
    at = Moment()


class LoanDetail(LoanDocument):
    attempts = AttemptDocument(many=True)
    events = EventDocument(many=True)


class LoanPage(serializers.Serializer[Any]):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = LoanDocument(many=True)


class LoanFilters(serializers.Serializer[Any]):
    """The query string of the list. A filter nobody knows is an error, never ignored."""

    status = serializers.ChoiceField(choices=LoanStatus.choices, required=False)
    partner = serializers.SlugField(required=False)
    loanId = serializers.IntegerField(
        source="loan_id", required=False, min_value=1, max_value=MAX_ID
    )
    phone = serializers.CharField(required=False, max_length=50, help_text="Any way it is written.")
    receipt = serializers.CharField(source="mpesa_receipt_number", required=False, max_length=20)
    createdAfter = serializers.DateTimeField(source="created_at__gte", required=False)
    createdBefore = serializers.DateTimeField(source="created_at__lt", required=False)
    needsReview = serializers.BooleanField(required=False, allow_null=True, default=None)
    cursor = serializers.CharField(required=False, help_text="As in `next` and `previous`.")
    pageSize = serializers.IntegerField(required=False, min_value=1, max_value=200)

    def validate_createdAfter(self, value: datetime) -> datetime:
        return _this_century(value)

    def validate_createdBefore(self, value: datetime) -> datetime:
        return _this_century(value)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        unknown = sorted(set(self.initial_data) - set(self.fields))
        if unknown:
            known = ", ".join(self.fields)
            raise ValidationError(dict.fromkeys(unknown, f"Not a filter. Filters: {known}."))
        return attrs

    def narrow(self, loans: QuerySet[LoanTracking]) -> QuerySet[LoanTracking]:
        """Return the loans these filters leave."""
        wanted = dict(self.validated_data)
        for paging in ("cursor", "pageSize"):
            wanted.pop(paging, None)
        needs_review = wanted.pop("needsReview")
        phone = wanted.pop("phone", None)
        if "partner" in wanted:
            wanted["partner__slug"] = wanted.pop("partner")
        if phone is not None:
            wanted["phone_number__in"] = [phone, normalise_msisdn(phone) or phone]
        if needs_review is not None:
            loans = (
                loans.exclude(review_reason="") if needs_review else loans.filter(review_reason="")
            )
        return loans.filter(**wanted)


class NewestFirst(CursorPagination):
    page_size = 50
    max_page_size = 200
    page_size_query_param = "pageSize"
    ordering = "-id"

    def decode_cursor(self, request: Request) -> Cursor | None:
        found = super().decode_cursor(request)
        at = str(found.position or "") if found else ""
        if at and not (at.isdecimal() and int(at) <= MAX_ID):
            raise NotFound(self.invalid_cursor_message)
        return found


class MayReadLoans(BasePermission):
    """A key, or a signed-in member of staff who may see loans."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if isinstance(request.user, Caller):
            return True
        return bool(request.user.is_staff and request.user.has_perm("loans.view_loantracking"))


class LoanView(ApiView):
    authentication_classes = (KeyAuthentication, SessionAuthentication)
    permission_classes = (MayReadLoans,)
    http_method_names = ("get",)


class LoanList(LoanView):
    """A filter that is not known is a 400. Follow `next` for older loans."""

    @describe(
        operation_id="listLoans",
        summary="Loans, newest first",
        tags=["loans"],
        parameters=[LoanFilters],
        responses=LoanPage,
    )
    def get(self, request: Request) -> Response:
        filters = LoanFilters(data=request.query_params.dict())
        filters.is_valid(raise_exception=True)
        pages = NewestFirst()
        page = pages.paginate_queryset(filters.narrow(visible_loans(request)), request, view=self)
        return pages.get_paginated_response(LoanDocument(page or [], many=True).data)


class LoanItem(LoanView):
    """The id is that of loan_tracking; an event with `disbursementId` is one of that attempt."""

    @describe(
        operation_id="readLoan",
        summary="One loan with its attempts and events",
        tags=["loans"],
        parameters=[OpenApiParameter("id", int, OpenApiParameter.PATH)],
        responses=LoanDetail,
    )
    def get(self, request: Request, id: int) -> Response:
        loans = visible_loans(request).prefetch_related("attempts", "events")
        loan = loans.filter(pk=id).first() if id <= MAX_ID else None
        if loan is None:
            raise Http404
        return Response(LoanDetail(loan).data)


def visible_loans(request: Request) -> QuerySet[LoanTracking]:
    """Return the loans this caller may see: all, or those of the one partner he is bound to."""
    caller: Caller | User = request.user
    if not isinstance(caller, Caller):
        return scope.visible_loans(caller).select_related("partner")
    loans = LoanTracking.objects.select_related("partner")
    return loans.filter(partner=caller.partner) if caller.partner else loans


def _this_century(value: datetime) -> datetime:
    if not 2000 <= value.year < 2100:
        raise ValidationError("Give a year from 2000 to 2099.")
    return value
