"""What we must remember of M-Pesa: every return address, every callback, each shortcode."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from encryption.fields import EncryptedTextField


class MpesaEnvironment(models.TextChoices):
    SANDBOX = "sandbox", "Sandbox"
    PRODUCTION = "production", "Production"


class RequestKind(models.TextChoices):
    PAYMENT = "payment", "B2C payment"
    STATUS = "status", "Status query"
    BALANCE = "balance", "Balance query"


class CallbackKind(models.TextChoices):
    PAYMENT_RESULT = "payment_result", "B2C result"
    PAYMENT_TIMEOUT = "payment_timeout", "B2C queue time-out"
    STATUS_RESULT = "status_result", "Status query result"
    STATUS_TIMEOUT = "status_timeout", "Status query time-out"
    BALANCE_RESULT = "balance_result", "Balance query result"
    BALANCE_TIMEOUT = "balance_timeout", "Balance query time-out"


class Shortcode(models.Model):
    """One shortcode at Safaricom: its breaker, its float and its pace, for all partners on it."""

    environment = models.CharField(max_length=10, choices=MpesaEnvironment)
    shortcode = models.CharField(max_length=12)
    breaker_cause = models.CharField(max_length=300, blank=True)
    breaker_opened_at = models.DateTimeField(null=True, blank=True)
    is_credential_refused = models.BooleanField(
        default=False, help_text="The breaker opened on our credential: ask nothing either."
    )
    utility_balance = models.DecimalField(
        "utility account (KES)", max_digits=16, decimal_places=2, null=True, blank=True
    )
    utility_balance_at = models.DateTimeField(null=True, blank=True)
    float_short_since = models.DateTimeField(null=True, blank=True)
    balance_asked_at = models.DateTimeField(null=True, blank=True)
    next_slot_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "mpesa_shortcodes"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["environment", "shortcode"], name="one_row_per_shortcode"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.shortcode} ({self.environment})"


class MpesaToken(models.Model):
    """The one OAuth token of a Daraja app. Asking for another kills it, so all share it."""

    app_digest = models.CharField(max_length=64, unique=True)
    access_token = EncryptedTextField(blank=True)
    refresh_at = models.DateTimeField(null=True, blank=True)
    fetching_since = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "mpesa_tokens"

    def __str__(self) -> str:
        return f"token of app {self.app_digest[:8]}"


class MpesaRequest(models.Model):
    """One question or order to Daraja whose answer comes later, and its return address's secret.

    `originator_conversation_id` is the payment's, also on a status query; empty on a balance query.
    `conversation_id` is the one Daraja gave to this very request.
    """

    kind = models.CharField(max_length=10, choices=RequestKind)
    environment = models.CharField(max_length=10, choices=MpesaEnvironment)
    shortcode = models.CharField(max_length=12)
    originator_conversation_id = models.CharField(max_length=60, blank=True, db_index=True)
    conversation_id = models.CharField(max_length=100, blank=True, db_index=True)
    token_digest = models.CharField(max_length=64, unique=True)
    sent_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=300, blank=True)

    class Meta:
        db_table = "mpesa_requests"

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class MpesaCallback(models.Model):
    """One callback body exactly as it came, kept before anything reads it."""

    kind = models.CharField(max_length=20, choices=CallbackKind)
    request = models.ForeignKey(
        MpesaRequest, on_delete=models.PROTECT, null=True, blank=True, related_name="callbacks"
    )
    body = EncryptedTextField()
    source_address = models.GenericIPAddressField(null=True, blank=True)
    is_quarantined = models.BooleanField(default=False)
    received_at = models.DateTimeField()
    applied_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=300, blank=True)

    class Meta:
        db_table = "mpesa_callbacks"
        indexes: ClassVar = [
            models.Index(
                fields=["id"], condition=models.Q(applied_at=None), name="callbacks_unread"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class MoneyMoved(models.TextChoices):
    NO = "no", "No"
    YES = "yes", "Yes"
    MAYBE = "maybe", "Maybe"


class NewAttempt(models.TextChoices):
    """When a new attempt may follow, once the failure is proven."""

    NEVER = "never", "Never"
    PERSON = "person", "When a person asks"
    FLOAT = "float", "By itself, when the float covers it"
    NEXT_DAY = "next_day", "By itself, once, on the next day"


class ResultCode(models.Model):
    """What one M-Pesa result code means for us. Administrators may amend it; unlisted = maybe."""

    code = models.CharField(max_length=20, unique=True)
    meaning = models.CharField(max_length=200)
    money_moved = models.CharField(max_length=5, choices=MoneyMoved, default=MoneyMoved.MAYBE)
    new_attempt = models.CharField(max_length=10, choices=NewAttempt, default=NewAttempt.NEVER)
    who_acts = models.CharField(max_length=100, blank=True)
    stops_shortcode = models.BooleanField(default=False)

    class Meta:
        db_table = "mpesa_result_codes"
        ordering: ClassVar = ["code"]

    def __str__(self) -> str:
        return f"{self.code}: {self.meaning}"
