"""Lenders, the products they pay automatically, and the switch that stops all payouts."""

from __future__ import annotations

import secrets
from decimal import Decimal
from typing import ClassVar

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils import timezone

from encryption.fields import EncryptedTextField
from mifos.exchange import LONGEST_EXCERPT, Ending
from mpesa.models import MpesaEnvironment
from partners.validation import check_partner, check_product, normal_host, valid_time_zone

ENDINGS = [
    (Ending.ANSWERED.value, "Answered"),
    (Ending.NOT_SENT.value, "Did not leave"),
    (Ending.NO_ANSWER.value, "No answer"),
]


def new_webhook_token() -> str:
    """Return the secret part of a partner's hook address (256 bits)."""
    return secrets.token_urlsafe(32)


def kes(label: str = "", **options: object) -> models.DecimalField[Decimal, Decimal]:
    """Return a column for an amount in KES."""
    return models.DecimalField(label or None, max_digits=16, decimal_places=2, **options)  # type: ignore[arg-type]


class Partner(models.Model):
    """A lender: its Mifos X tenant, its M-Pesa shortcode, its limits, how its last poll went."""

    slug = models.SlugField(unique=True, help_text="Stable short name, used in files and commands.")
    name = models.CharField(max_length=200)
    is_active = models.BooleanField(default=True)

    is_mifos_configured = models.BooleanField(default=False)
    mifos_auto_disbursement_enabled = models.BooleanField(
        default=False, help_text="Off: loans are found and shown, and nothing is paid."
    )
    mifos_host_url = models.CharField(max_length=300, blank=True)
    mifos_api_endpoint = models.CharField(max_length=200, default="/fineract-provider/api/v1")
    mifos_tenant_id = models.CharField(max_length=100, blank=True)
    mifos_username = models.CharField(max_length=100, blank=True)
    mifos_password = EncryptedTextField(blank=True)
    mifos_payment_type_id = models.PositiveIntegerField(null=True, blank=True)
    # Fineract's "today" is the tenant's (contracts/mifos.md 9).
    mifos_time_zone = models.CharField(
        max_length=64, default="Africa/Nairobi", validators=[valid_time_zone]
    )
    mifos_concurrency = models.PositiveSmallIntegerField(
        default=4, validators=[MinValueValidator(1), MaxValueValidator(64)]
    )

    is_mpesa_configured = models.BooleanField(default=False)
    mpesa_environment = models.CharField(
        max_length=10, choices=MpesaEnvironment, default=MpesaEnvironment.SANDBOX
    )
    mpesa_shortcode = models.CharField(max_length=12, blank=True)
    mpesa_initiator_name = models.CharField(max_length=100, blank=True)
    mpesa_consumer_key = EncryptedTextField(blank=True)
    mpesa_consumer_secret = EncryptedTextField(blank=True)
    mpesa_security_credential = EncryptedTextField(blank=True)
    mpesa_credential_set_at = models.DateTimeField(null=True, blank=True)
    # A keyed digest of the initiator password and certificate the credential was made from:
    # encrypting them again gives another text, and only this shows that nothing changed.
    mpesa_credential_source = models.CharField(max_length=64, blank=True, editable=False)
    mpesa_payments_per_second = models.DecimalField(
        max_digits=7,
        decimal_places=3,
        default=Decimal(5),
        validators=[MinValueValidator(Decimal("0.001"))],
    )

    daily_limit = kes("daily limit (KES)", null=True, blank=True)
    client_daily_limit = kes("daily limit per client (KES)", null=True, blank=True)
    loan_limit = kes("limit per loan (KES)", null=True, blank=True)
    approval_threshold = kes("approval needed above (KES)", null=True, blank=True)
    resend_unknown = models.BooleanField(
        default=True, help_text="May the same id be sent again after M-Pesa said twice: not found?"
    )

    is_paused = models.BooleanField(default=False)
    paused_by = models.CharField(max_length=150, blank=True)
    paused_at = models.DateTimeField(null=True, blank=True)
    pause_reason = models.CharField(max_length=300, blank=True)

    webhook_token = models.CharField(max_length=64, unique=True, default=new_webhook_token)
    rules_changed_at = models.DateTimeField(default=timezone.now, editable=False)
    last_polled_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_poll_succeeded_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_error = models.CharField(max_length=500, blank=True, editable=False)
    last_error_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "partners"
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            # Not the endpoint: one server is reached over several, and pays each loan once.
            models.UniqueConstraint(
                "mifos_host_url",
                Lower("mifos_tenant_id"),
                condition=~Q(mifos_host_url=""),
                name="one_partner_per_tenant",
                violation_error_message="Another partner already uses this Mifos X tenant.",
            ),
            models.CheckConstraint(
                condition=Q(mpesa_payments_per_second__gt=0), name="partner_pace_above_zero"
            ),
            models.CheckConstraint(
                condition=Q(mifos_concurrency__gte=1), name="partner_concurrency_above_zero"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        self.mifos_host_url = normal_host(self.mifos_host_url)
        check_partner(self)


class LoanProductAutoDisbursalConfig(models.Model):
    """The rule of one loan product: paid by itself, between which amounts, with approval or not."""

    partner = models.ForeignKey(Partner, on_delete=models.CASCADE, related_name="products")
    product_id = models.PositiveIntegerField(help_text="The product's id in Mifos X.")
    product_name = models.CharField(max_length=200, blank=True)
    enabled = models.BooleanField(default=False)
    min_amount = kes("minimum (KES)", default=Decimal(10))
    max_amount = kes("maximum (KES)", default=Decimal(250_000))
    auto_approve = models.BooleanField(
        default=True, help_text="Off: a person approves each loan before it is paid."
    )

    class Meta:
        db_table = "loan_product_auto_disbursal_configs"
        verbose_name = "product auto-disbursal config"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["partner", "product_id"], name="one_config_per_product"
            ),
            models.CheckConstraint(
                condition=Q(min_amount__lte=F("max_amount")), name="product_min_below_max"
            ),
        ]

    def __str__(self) -> str:
        return self.product_name or f"Product {self.product_id}"

    def clean(self) -> None:
        check_product(self)


class PayoutSwitch(models.Model):
    """One row: the switch that stops every partner's payouts. Missing row = payouts on."""

    is_paused = models.BooleanField(default=False)
    paused_by = models.CharField(max_length=150, blank=True)
    paused_at = models.DateTimeField(null=True, blank=True)
    pause_reason = models.CharField(max_length=300, blank=True)

    class Meta:
        db_table = "payout_switch"
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(id=1), name="one_payout_switch"),
        ]

    def __str__(self) -> str:
        return "payouts paused" if self.is_paused else "payouts on"


class PartnerMembership(models.Model):
    """Binds a user to a partner: he sees only those he is bound to, and all if to none."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="partner_memberships"
    )
    # PROTECT: losing his last partner would let a bound user see all of them.
    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, related_name="memberships")

    class Meta:
        db_table = "partner_memberships"
        verbose_name = "partner this user is bound to"
        verbose_name_plural = "partners this user is bound to (none = all)"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "partner"], name="one_membership_per_partner"),
        ]

    def __str__(self) -> str:
        return str(self.partner)


class MifosExchange(models.Model):
    """One HTTP exchange with a partner's Mifos X: every order, and every question that went wrong.

    Never updated; `manage.py prune` removes old ones. Holds no credential and no whole number.
    """

    partner = models.ForeignKey(Partner, on_delete=models.CASCADE, related_name="+")
    loan_id = models.BigIntegerField(
        "loan in Mifos X", null=True, blank=True, help_text="The loan that the path names."
    )
    method = models.CharField(max_length=8)
    path = models.CharField(max_length=300)
    started_at = models.DateTimeField()
    milliseconds = models.PositiveIntegerField()
    ending = models.CharField(max_length=10, choices=ENDINGS)
    http_status = models.PositiveSmallIntegerField("HTTP status", null=True, blank=True)
    body_digest = models.CharField("SHA-256 of the answer", max_length=64, blank=True)
    excerpt = models.CharField("start of the answer", max_length=LONGEST_EXCERPT, blank=True)

    class Meta:
        db_table = "mifos_exchanges"
        verbose_name = "exchange with Mifos X"
        verbose_name_plural = "exchanges with Mifos X"
        indexes: ClassVar = [
            models.Index(fields=["partner", "loan_id"], name="exchanges_of_a_loan"),
            models.Index(fields=["started_at"], name="exchanges_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"
