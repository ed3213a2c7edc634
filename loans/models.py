"""The loans we track, and the append-only trail of everything that happened to them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Coalesce

from partners.models import Partner, kes
from prepared.statements import insert


class LoanStatus(models.TextChoices):
    PENDING = "pending_disbursement", "Pending"
    PROCESSING = "processing_disbursement", "Processing"
    DISBURSED = "disbursed", "Disbursed"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


class HoldReason(models.TextChoices):
    """Why a pending loan waits. The label is what staff read."""

    PARTNER_INACTIVE = "partner_inactive", "The partner is not active"
    AUTO_OFF = "auto_off", "Automatic disbursement is off for this partner"
    NOT_CONFIGURED = "not_configured", "The partner's Mifos X or M-Pesa settings are incomplete"
    PRODUCT_NOT_ENABLED = "product_not_enabled", "The loan product is not enabled for payout"
    BELOW_MINIMUM = "below_minimum", "The amount is below the product's minimum"
    ABOVE_MAXIMUM = "above_maximum", "The amount is above the product's maximum"
    ABOVE_LOAN_LIMIT = "above_loan_limit", "The amount is above the partner's limit per loan"
    OUTSIDE_MPESA_LIMITS = "outside_mpesa_limits", "M-Pesa pays KES 10 to 250,000 at a time"
    DAILY_LIMIT = "daily_limit", "The partner's daily limit is used up"
    CLIENT_DAILY_LIMIT = "client_daily_limit", "The client's daily limit is used up"
    NEEDS_APPROVAL = "needs_approval", "A person must approve this payout"
    PHONE_MISSING = "phone_missing", "The client has no phone number in Mifos X"
    PHONE_INVALID = "phone_invalid", "The phone number is not a Kenyan mobile number"
    PHONE_SHARED = "phone_shared", "Another client has the same phone number"
    PHONE_CHANGED = "phone_changed", "The phone number changed after approval; confirm and approve"
    NET_UNKNOWN = "net_unknown", "Mifos X does not say what the borrower should get"
    CENTS = "cents", "The amount has cents; M-Pesa pays whole shillings"
    FOREIGN_CURRENCY = "foreign_currency", "The loan is not in KES"
    GROUP_LOAN = "group_loan", "Group loans are paid by a person"
    TRANCHE_LOAN = "tranche_loan", "Loans in tranches are paid by a person"
    TOP_UP = "top_up", "Top-up loans are paid by a person"
    DOWN_PAYMENT = "down_payment", "Loans with a down payment are paid by a person"
    LINKED_SAVINGS = "linked_savings", "The loan is linked to a savings account"
    CHARGED_OFF = "charged_off", "The loan is charged off or marked as fraud in Mifos X"
    CLIENT_NOT_ACTIVE = "client_not_active", "The client is not active in Mifos X"
    NOT_DUE = "not_due", "The expected disbursement date is in the future"
    APPROVED_IN_FUTURE = "approved_in_future", "The approval date is after Mifos X's business date"
    REPAYMENT_DATE_PASSED = (
        "repayment_date_passed",
        "The first repayment date has passed; Mifos X would refuse the disbursement",
    )
    NON_WORKING_DAY = "non_working_day", "Mifos X does not disburse on this day"
    HOLIDAY = "holiday", "Mifos X has a holiday on this day"
    NO_DISBURSE_PERMISSION = (
        "no_disburse_permission",
        "The Mifos X user may not disburse loans",
    )
    PAYMENT_TYPE_INVALID = "payment_type_invalid", "The payment type is not known in Mifos X"
    ALL_PAUSED = "all_paused", "All payouts are paused"
    PARTNER_PAUSED = "partner_paused", "Payouts of this partner are paused"
    BREAKER_OPEN = "breaker_open", "Payouts of this shortcode are stopped until a person acts"
    FLOAT_SHORT = "float_short", "The utility account does not cover the next payout"
    REOPENED = "reopened", "The loan came back after it was disbursed; confirm and approve"
    HELD_BY_STAFF = "held_by_staff", "Held by staff"


class ReviewReason(models.TextChoices):
    """Why a person is needed. The label is what staff read."""

    OUTCOME_UNKNOWN = "outcome_unknown", "Outcome unknown: M-Pesa has not said what happened"
    RESULT_MISMATCH = "result_mismatch", "M-Pesa's answer does not match what we asked"
    CONTRADICTION = "contradiction", "M-Pesa's answers contradict each other"
    FAILURE_UNCONFIRMED = "failure_unconfirmed", "M-Pesa reported a failure that is not confirmed"
    DOUBLE_PAYMENT = "double_payment", "Possible double payment"
    PAID_NOT_RECORDED = "paid_not_recorded", "Paid, and Mifos X refuses to record it"
    CHECKER_REJECTED = "checker_rejected", "Paid, and the checker in Mifos X rejected the record"
    UNDONE_AFTER_PAYMENT = "undone_after_payment", "The disbursement was undone after we paid"
    MIFOS_CHANGED = "mifos_changed", "The loan changed in Mifos X while the payment was open"
    BOOKS_DIFFER = "books_differ", "The books differ"


class LoanTracking(models.Model):
    """One payout duty: a loan of a partner, in one cycle (one approval, to be paid once)."""

    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, related_name="loans")
    loan_id = models.BigIntegerField(help_text="The loan's id in Mifos X.")
    cycle = models.PositiveIntegerField(default=1)
    account_number = models.CharField(max_length=50, blank=True)
    client_id = models.BigIntegerField(null=True, blank=True)
    client_name = models.CharField(max_length=200, blank=True)
    phone_number = models.CharField(
        max_length=50, blank=True, help_text="2547… or 2541… when valid, else as Mifos X has it."
    )
    phone_changed_at = models.DateTimeField(null=True, blank=True)
    product_id = models.BigIntegerField()
    product_name = models.CharField(max_length=200, blank=True)
    loan_amount = kes("principal (KES)")
    net_disbursal_amount = kes("net disbursal amount (KES)", null=True, blank=True)
    currency = models.CharField(max_length=3)
    approved_on = models.DateField(null=True, blank=True)
    expected_disbursement_date = models.DateField(null=True, blank=True)
    mifos_obstacle = models.CharField(
        max_length=30,
        choices=HoldReason,
        blank=True,
        help_text="A hold reason that lies in the loan's own nature in Mifos X.",
    )

    status = models.CharField(max_length=30, choices=LoanStatus, default=LoanStatus.PENDING)
    hold_reason = models.CharField(max_length=30, choices=HoldReason, blank=True)
    review_reason = models.CharField(max_length=30, choices=ReviewReason, blank=True)
    review_since = models.DateTimeField(null=True, blank=True)
    error_message = models.CharField(max_length=500, blank=True)
    approval_cause = models.CharField(
        max_length=30,
        choices=HoldReason,
        blank=True,
        help_text="Set when this loan needs an approval whatever its product says.",
    )
    staff_hold = models.CharField(max_length=300, blank=True, help_text="Who holds it, and why.")

    disbursement_status = models.CharField(max_length=20, blank=True)
    mpesa_receipt_number = models.CharField(max_length=20, blank=True, db_index=True)

    decided_at = models.DateTimeField(null=True, blank=True)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    disbursed_at = models.DateTimeField(null=True, blank=True)
    audit_head = models.CharField(max_length=64, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "loan_tracking"
        verbose_name = "loan"
        permissions: ClassVar = [
            ("hold_loantracking", "Can hold and release a loan"),
            ("approve_loantracking", "Can approve a payout that somebody else asked for"),
            ("view_full_msisdn", "Can see whole phone numbers"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["partner", "loan_id", "cycle"], name="one_row_per_loan_cycle"
            ),
            models.CheckConstraint(
                condition=Q(status__in=LoanStatus.values), name="loan_status_known"
            ),
            models.CheckConstraint(condition=Q(loan_amount__gt=0), name="loan_amount_above_zero"),
            models.CheckConstraint(
                condition=~Q(status="disbursed") | ~Q(mpesa_receipt_number=""),
                name="disbursed_has_receipt",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["partner", "status", "next_attempt_at"], name="loans_due"),
            models.Index(fields=["-created_at", "-id"], name="loans_newest"),
            models.Index(fields=["status", "-created_at"], name="loans_by_status"),
            models.Index(fields=["phone_number"], name="loans_by_phone"),
            models.Index(fields=["loan_id"], name="loans_by_loan_id"),
            models.Index(
                fields=["partner", "client_id", "-created_at", "-id"], name="loans_by_client"
            ),
            models.Index(fields=["partner", "-created_at", "-id"], name="loans_of_partner"),
            models.Index(
                fields=["created_at", "id"],
                condition=~Q(review_reason=""),
                name="loans_in_review_oldest",
            ),
            models.Index(
                Coalesce("net_disbursal_amount", "loan_amount"), F("id"), name="loans_by_payout"
            ),
            models.Index(fields=["account_number"], name="loans_by_account"),
            models.Index(
                fields=["disbursed_at"],
                condition=Q(disbursed_at__isnull=False),
                name="loans_by_day_paid",
            ),
            models.Index(
                fields=["review_since"], condition=~Q(review_reason=""), name="loans_in_review"
            ),
        ]

    def __str__(self) -> str:
        return f"loan {self.loan_id} of {self.partner.slug}"


EVENTS_OF_A_MOVE = 4  # at most; more are a page of new loans


class EventManager(models.Manager["LoanEvent"]):
    def bulk_create(self, objs: Iterable[LoanEvent], *args: Any, **options: Any) -> list[LoanEvent]:
        """The few events of one move are written by a statement that is compiled once."""
        events = list(objs)
        are_new = all(event.pk is None for event in events)
        if args or options or not are_new or not 0 < len(events) <= EVENTS_OF_A_MOVE:
            return super().bulk_create(events, *args, **options)
        insert(events)
        return events


class LoanEvent(models.Model):
    """One change of a loan or of an attempt. Insert-only: a database trigger refuses the rest.

    Each event's `digest` covers its content and the digest before it on the same loan, so a changed
    or missing event shows (`manage.py verify_audit`).
    """

    loan_tracking = models.ForeignKey(LoanTracking, on_delete=models.PROTECT, related_name="events")
    # A plain number: the attempts live one floor above this room.
    disbursement_request_id = models.BigIntegerField(null=True, blank=True, db_index=True)
    from_status = models.CharField(max_length=30, blank=True)
    to_status = models.CharField(max_length=30)
    actor = models.CharField(max_length=150)
    reason = models.CharField(max_length=500, blank=True)
    at = models.DateTimeField()
    details = models.JSONField(default=dict)
    previous_digest = models.CharField(max_length=64, blank=True)
    digest = models.CharField(max_length=64)

    objects = EventManager()

    class Meta:
        db_table = "loan_events"
        verbose_name = "event"
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return f"{self.from_status} → {self.to_status}"


class ApprovalState(models.TextChoices):
    REQUESTED = "requested", "Requested"
    APPROVED = "approved", "Approved"
    DECLINED = "declined", "Declined"
    EXPIRED = "expired", "Expired"


class LoanApproval(models.Model):
    """One request that a person approve one amount to one phone number, and the answer.

    It is worth nothing once the amount or the phone number is another, and it lifts no graver hold
    than the one it was asked for (`cause`). `requested_by` is a user
    name, or `system` when the product or the threshold asks for it.
    """

    loan_tracking = models.ForeignKey(
        LoanTracking, on_delete=models.PROTECT, related_name="approvals"
    )
    amount = kes()
    phone_number = models.CharField(max_length=50)
    cause = models.CharField(
        max_length=30, choices=HoldReason, blank=True, help_text="The hold that it was asked for."
    )
    state = models.CharField(max_length=10, choices=ApprovalState, default=ApprovalState.REQUESTED)
    requested_by = models.CharField(max_length=150)
    requested_at = models.DateTimeField()
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=500, blank=True)

    class Meta:
        db_table = "loan_approvals"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["loan_tracking"],
                condition=Q(state="requested"),
                name="one_open_approval_per_loan",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.state} KES {self.amount}"
