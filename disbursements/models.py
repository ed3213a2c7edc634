"""Attempts to pay, what two people decided about them, the passes, and the keys of API clients."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from rest_framework_api_key.models import AbstractAPIKey

from loans.models import LoanTracking
from mpesa.models import MpesaEnvironment
from partners.models import Partner, kes


class AttemptStatus(models.TextChoices):
    SUBMITTING = "submitting", "Submitting"
    ACCEPTED = "accepted", "Accepted by M-Pesa"
    UNKNOWN = "unknown", "Outcome unknown"
    PAID = "paid", "Paid, not yet in Mifos X"
    COMPLETED = "completed", "Completed"
    FAILED = "failed", "Failed, no money moved"


OPEN_STATES = frozenset({AttemptStatus.SUBMITTING, AttemptStatus.ACCEPTED, AttemptStatus.UNKNOWN})
# Open, and not being sent at this moment: people may settle it.
SETTLEABLE = frozenset({AttemptStatus.ACCEPTED, AttemptStatus.UNKNOWN})
MONEY_MOVED = frozenset({AttemptStatus.PAID, AttemptStatus.COMPLETED})
CLOSED_STATES = MONEY_MOVED | {AttemptStatus.FAILED}


class Origin(models.TextChoices):
    UI = "ui", "Loan Poll"


class TriggeredBy(models.TextChoices):
    SCHEDULE = "schedule", "Schedule"
    API = "api", "API"
    HOOK = "hook", "Mifos X hook"
    STAFF = "staff", "Staff"


# Every move that exists. Nothing leaves `completed` or `failed`.
ALLOWED_MOVES: dict[AttemptStatus, frozenset[AttemptStatus]] = {
    AttemptStatus.SUBMITTING: frozenset(
        {
            AttemptStatus.ACCEPTED,
            AttemptStatus.UNKNOWN,
            AttemptStatus.PAID,
            AttemptStatus.FAILED,
        }
    ),
    AttemptStatus.ACCEPTED: frozenset(
        {AttemptStatus.UNKNOWN, AttemptStatus.PAID, AttemptStatus.FAILED}
    ),
    AttemptStatus.UNKNOWN: frozenset(
        {AttemptStatus.SUBMITTING, AttemptStatus.PAID, AttemptStatus.FAILED}
    ),
    AttemptStatus.PAID: frozenset({AttemptStatus.COMPLETED}),
    AttemptStatus.COMPLETED: frozenset(),
    AttemptStatus.FAILED: frozenset(),
}


class DisbursementRequest(models.Model):
    """One attempt to pay one loan: one originator conversation id, one amount, one phone number.

    `sends_in_doubt` counts the sends that are not proven to have stayed here or been refused. Only
    an attempt with none in doubt may fail without M-Pesa's own word.
    """

    loan_tracking = models.ForeignKey(
        LoanTracking, on_delete=models.PROTECT, related_name="attempts"
    )
    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, related_name="attempts")
    attempt_no = models.PositiveIntegerField()
    origin = models.CharField(max_length=10, choices=Origin, default=Origin.UI)
    triggered_by = models.CharField(max_length=10, choices=TriggeredBy)

    # What was promised when the row was written. Every send of this attempt says exactly this.
    amount = kes("amount paid to the borrower (KES)")
    principal = kes("principal told to Mifos X (KES)")
    msisdn = models.CharField(max_length=12)
    currency = models.CharField(max_length=3, default="KES")
    mpesa_environment = models.CharField(max_length=10, choices=MpesaEnvironment)
    mpesa_shortcode = models.CharField(max_length=12)
    approved_on = models.DateField(null=True, blank=True)
    originator_conversation_id = models.CharField(max_length=60, unique=True)
    mifos_external_id = models.CharField(max_length=100, unique=True)

    status = models.CharField(
        max_length=20, choices=AttemptStatus, default=AttemptStatus.SUBMITTING
    )
    conversation_id = models.CharField(max_length=100, blank=True, db_index=True)
    send_count = models.PositiveIntegerField(default=0)
    sends_in_doubt = models.PositiveIntegerField(default=0)
    resend_at = models.DateTimeField(
        null=True, blank=True, help_text="The same id may be sent again from then on."
    )
    result_code = models.CharField(max_length=20, blank=True)
    result_description = models.CharField(max_length=500, blank=True)
    transaction_receipt = models.CharField(max_length=20, blank=True)
    failure_reported_at = models.DateTimeField(null=True, blank=True)

    next_query_at = models.DateTimeField(null=True, blank=True)
    query_count = models.PositiveIntegerField(default=0)
    first_not_found_at = models.DateTimeField(null=True, blank=True)
    last_not_found_at = models.DateTimeField(null=True, blank=True)

    next_record_at = models.DateTimeField(null=True, blank=True)
    record_tries = models.PositiveIntegerField(default=0)
    record_key_no = models.PositiveIntegerField(default=1)
    record_date = models.DateField(null=True, blank=True)
    mifos_command_id = models.BigIntegerField(null=True, blank=True)

    first_sent_at = models.DateTimeField(null=True, blank=True)
    last_sent_at = models.DateTimeField(null=True, blank=True)
    accepted_at = models.DateTimeField(null=True, blank=True)
    unknown_at = models.DateTimeField(null=True, blank=True)
    paid_at = models.DateTimeField(null=True, blank=True)
    transaction_completed_at = models.DateTimeField(
        null=True, blank=True, help_text="When M-Pesa says the money moved."
    )
    completed_at = models.DateTimeField(null=True, blank=True)
    failed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "disbursement_requests"
        permissions: ClassVar = [
            ("retry_disbursementrequest", "Can ask for a new attempt of a failed loan"),
            ("query_disbursementrequest", "Can ask M-Pesa about a payment"),
            ("record_disbursementrequest", "Can tell Mifos X again"),
            ("resolve_disbursementrequest", "Can settle an unknown outcome with a second person"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["loan_tracking", "attempt_no"], name="one_row_per_attempt"
            ),
            models.UniqueConstraint(
                fields=["loan_tracking"],
                condition=~Q(status="failed"),
                name="one_live_attempt_per_loan",
            ),
            models.UniqueConstraint(
                fields=["partner", "transaction_receipt"],
                condition=~Q(transaction_receipt=""),
                name="one_attempt_per_receipt",
            ),
            models.CheckConstraint(
                condition=Q(status__in=AttemptStatus.values), name="attempt_status_known"
            ),
            models.CheckConstraint(condition=Q(amount__gt=0), name="attempt_amount_above_zero"),
            models.CheckConstraint(
                condition=Q(principal__gt=0), name="attempt_principal_above_zero"
            ),
            models.CheckConstraint(
                condition=~Q(status__in=["paid", "completed"]) | ~Q(transaction_receipt=""),
                name="paid_has_a_receipt",
            ),
            models.CheckConstraint(
                condition=Q(sends_in_doubt__lte=models.F("send_count")),
                name="doubt_within_sends",
            ),
            models.CheckConstraint(
                condition=Q(msisdn__regex=r"^254[17][0-9]{8}$"), name="attempt_msisdn_kenyan"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["partner", "status", "next_query_at"], name="attempts_to_ask"),
            models.Index(fields=["partner", "status", "next_record_at"], name="attempts_to_record"),
            models.Index(fields=["partner", "created_at"], name="attempts_of_day"),
            models.Index(fields=["partner", "paid_at"], name="attempts_paid_of_day"),
            models.Index(fields=["-created_at", "-id"], name="attempts_newest"),
            models.Index(fields=["result_code"], name="attempts_by_code"),
        ]

    def __str__(self) -> str:
        return self.originator_conversation_id

    @property
    def money_moved_at(self) -> datetime | None:
        """When M-Pesa says that the money moved. Where it did not say (two people settled it, and
        our own time stands there), when it was sent: money leaves then, or within minutes."""
        told = self.transaction_completed_at
        if self.paid_at is None or told not in {None, self.paid_at}:
            return told
        return self.last_sent_at or self.paid_at


class ResolutionOutcome(models.TextChoices):
    PAID = "paid", "Paid"
    NOT_PAID = "not-paid", "Not paid"


class ReviewResolution(models.Model):
    """What one person says the truth is, with the evidence, and who confirms it."""

    disbursement_request = models.ForeignKey(
        DisbursementRequest, on_delete=models.PROTECT, related_name="resolutions"
    )
    outcome = models.CharField(max_length=10, choices=ResolutionOutcome)
    receipt = models.CharField(max_length=20, blank=True)
    reason = models.CharField(max_length=500)
    proposed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    proposed_at = models.DateTimeField()
    confirmed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    confirmed_at = models.DateTimeField(null=True, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "review_resolutions"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["disbursement_request"],
                condition=Q(confirmed_at=None, withdrawn_at=None),
                name="one_open_resolution",
            ),
            models.CheckConstraint(
                condition=Q(confirmed_by=None) | ~Q(confirmed_by=models.F("proposed_by")),
                name="two_different_people",
            ),
            models.CheckConstraint(
                condition=~Q(outcome="paid") | ~Q(receipt=""), name="resolved_paid_has_receipt"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.outcome} ({self.disbursement_request})"


class SyncRun(models.Model):
    """One pass, for the pages and the API: who started it, what it did, per partner."""

    command = models.CharField(max_length=40)
    triggered_by = models.CharField(max_length=10, choices=TriggeredBy)
    started_at = models.DateTimeField(db_index=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    success = models.BooleanField(null=True)
    summary = models.JSONField(default=dict)

    class Meta:
        db_table = "sync_runs"

    def __str__(self) -> str:
        return f"{self.command} {self.pk}"


class StaffAction(models.Model):
    """One press of a button at the desk. Its token is used once, so a second press does nothing.

    `results` says per loan (or partner) what came of it: {"id", "text", "done"}.
    """

    token = models.CharField(max_length=40, unique=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=30)
    reason = models.CharField(max_length=500, blank=True)
    results = models.JSONField(default=list)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "staff_actions"

    def __str__(self) -> str:
        return f"{self.name} {self.pk}"


class SavedView(models.Model):
    """A named address of the loan list, for the user who keeps it."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=40)
    query = models.CharField(max_length=1000)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "saved_views"
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "name"], name="one_view_per_name"),
        ]

    def __str__(self) -> str:
        return self.name


class AlertChannel(models.TextChoices):
    MAIL = "mail", "E-mail"
    WEBHOOK = "webhook", "Webhook"


class AlertKind(models.TextChoices):
    """What staff are told of, the gravest first. The label is what subjects of mails say."""

    ALL_PAUSED = "all_paused", "all payouts stopped by the check of our own book"
    BREAKER_OPEN = "breaker_open", "payouts of a shortcode stopped"
    LOAN_REVIEW = "loan_review", "loans need a person"
    FLOAT_SHORT = "float_short", "float short"
    LOGIN_REFUSED = "login_refused", "Mifos X refuses our login"
    PARTNER_LATE = "partner_late", "partner not polled in time"
    CREDENTIAL_AGES = "credential_ages", "credential expires"


class Alert(models.Model):
    """One thing that one channel was told of: when it began, and when it was over.

    While it lasts it is the only open row of its key. `mark` changes when it must be said anew;
    `said_mark` is the one that was said. A claim keeps two passes from saying the same.
    """

    channel = models.CharField(max_length=10, choices=AlertChannel)
    kind = models.CharField(max_length=20, choices=AlertKind)
    key = models.CharField(max_length=100)
    about = models.CharField(max_length=250)
    text = models.CharField(max_length=600)
    loan_id = models.BigIntegerField(null=True, blank=True, help_text="The loan's id in Mifos X.")
    mark = models.CharField(max_length=60, blank=True)
    opened_at = models.DateTimeField()
    said_mark = models.CharField(max_length=60, blank=True)
    said_at = models.DateTimeField(null=True, blank=True)
    cleared_at = models.DateTimeField(null=True, blank=True)
    clear_said_at = models.DateTimeField(null=True, blank=True)
    claim = models.CharField(max_length=32, blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "alerts"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["channel", "key"],
                condition=Q(cleared_at=None),
                name="one_open_alert_per_key",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["channel"], condition=Q(clear_said_at=None), name="alerts_unfinished"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.about}: {self.text}"


class ApiKey(AbstractAPIKey):
    """A revocable key of an API client; only its hash is kept. Bound to one partner, or to none."""

    partner = models.ForeignKey(
        Partner, on_delete=models.CASCADE, null=True, blank=True, related_name="api_keys"
    )

    class Meta(AbstractAPIKey.Meta):
        db_table = "api_keys"
        verbose_name = "API key"
        verbose_name_plural = "API keys"
