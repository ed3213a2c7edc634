"""The shapes of the answers, for the OpenAPI document; a test compares them with live answers."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.fields import (
    BooleanField,
    CharField,
    ChoiceField,
    DateTimeField,
    IntegerField,
)

from disbursements.api.answers import GUIDE_STATUS

PASS_STATUSES = [(status, status) for status in GUIDE_STATUS.values()]

Shape = serializers.Serializer[Any]


class FailedPartner(Shape):
    partner = CharField()
    partnerSlug = CharField()
    error = CharField()


class WaitingPartner(Shape):
    partner = CharField()
    partnerSlug = CharField()
    reason = CharField()


class PassAnswer(Shape):
    """Keys of every pass. `success` is false when a partner could not be served."""

    success = BooleanField()
    partial = BooleanField(  # type: ignore[assignment]  # DRF lifts the fields off the class
        required=False, help_text="Some partners were served, some were not."
    )
    error = CharField(required=False)
    failedPartners = FailedPartner(many=True, required=False)
    resultsTruncated = BooleanField(required=False)


class FetchedPartner(Shape):
    """Either the counters or `error`."""

    partner = CharField()
    partnerSlug = CharField()
    pendingLoans = IntegerField(required=False, help_text="Approved, waiting in Mifos X.")
    processedLoans = IntegerField(required=False, help_text="Of these, seen for the first time.")
    cancelledLoans = IntegerField(required=False)
    durationMs = IntegerField(required=False)
    error = CharField(required=False)


class FetchAnswer(PassAnswer):
    message = CharField()
    totalProcessedLoans = IntegerField(help_text="Loans seen for the first time.")
    processedLoans = IntegerField(required=False, help_text="Only when there is no partner.")
    results = FetchedPartner(many=True)
    hasMore = BooleanField(
        required=False, help_text="The time ended before Mifos X's list did. Not without partners."
    )


class ProcessedLoan(Shape):
    loanId = IntegerField()
    status = ChoiceField(
        choices=PASS_STATUSES,
        help_text="success = M-Pesa confirmed it; processing = asked for, no verdict yet; "
        "failed = proven that no money moved; error = outcome unknown, M-Pesa is being asked; "
        "held = not sent, see reason; would_pay = dry run.",
    )
    disbursementId = IntegerField(required=False)
    mpesaReceipt = CharField(required=False)
    error = CharField(required=False)
    reason = CharField(required=False)
    resultCode = CharField(required=False)
    conversationId = CharField(required=False)
    partner = CharField()
    trackingId = IntegerField()
    amount = CharField(required=False)


class ProcessSummary(Shape):
    paid = IntegerField()
    processing = IntegerField()
    unknown = IntegerField()
    failed = IntegerField()
    held = IntegerField()
    wouldPay = IntegerField()
    recorded = IntegerField(help_text="Recorded and verified in Mifos X in this pass.")
    amount = CharField(help_text="KES confirmed in this pass.")
    currency = CharField()


class ProcessAnswer(PassAnswer):
    processedLoans = IntegerField(help_text="Payouts that M-Pesa confirmed in this pass.")
    totalLoans = IntegerField()
    message = CharField()
    results = ProcessedLoan(many=True)
    summary = ProcessSummary()
    hasMore = BooleanField(help_text="The time budget ended before the work did.")
    waitingPartners = WaitingPartner(many=True, required=False)


class SyncSummary(Shape):
    success = BooleanField()
    timestamp = DateTimeField()
    fetchSuccess = BooleanField()
    processSuccess = BooleanField()
    totalFetched = IntegerField()
    totalProcessed = IntegerField()
    message = CharField()


class SyncDetails(Shape):
    fetchResults = FetchAnswer()
    processResults = ProcessAnswer()
    timestamp = DateTimeField()


class SyncAnswer(PassAnswer):
    summary = SyncSummary()
    details = SyncDetails()
    runId = CharField(allow_null=True)
    hasMore = BooleanField(help_text="As in either of its two parts.")


class FieldError(Shape):
    field = CharField()
    code = CharField()
    message = CharField()


class Problem(Shape):
    """RFC 9457 problem details, with the guide's `success` and `error`."""

    type = CharField()
    title = CharField()
    status = IntegerField()
    detail = CharField()
    instance = CharField()
    success = BooleanField()
    error = CharField()
    code = CharField()
    requestId = CharField()
    errors = FieldError(many=True, required=False)  # type: ignore[assignment]  # as above
