"""The form of a partner: secrets go in and never come out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.utils import timezone

from partners.columns import CONTROL
from partners.credentials import make_credential, paste_credential
from partners.models import LoanProductAutoDisbursalConfig, Partner
from partners.validation import SECRET_COLUMNS

if TYPE_CHECKING:
    _SettingsForm = forms.ModelForm[Any]
else:
    _SettingsForm = forms.ModelForm

CHANGED = (
    "The settings of this partner were changed since this page was opened, and nothing was saved. "
    "Open it again, look at what is new, and enter your change anew."
)
KEEP = "Set. Leave empty to keep."
NOT_SET = "Not set."

SPELLINGS = {"mifos": "Mifos X", "mpesa": "M-Pesa", "url": "URL", "api": "API", "id": "id"}
# Where each value is found.
HELP_TEXTS = {
    "slug": "Short and stable: it is typed in commands and files, and cannot change later.",
    "is_active": "Off: not polled, not paid. Partners are never deleted, only switched off.",
    "is_mifos_configured": "Tick when everything of this block is filled in.",
    "mifos_auto_disbursement_enabled": "Off: loans are found and shown, and nothing is paid.",
    "mifos_host_url": "The address people open for Mifos X, without a path: "
    "https://mifos.example.co.ke",
    "mifos_api_endpoint": "Mostly /fineract-provider/api/v1. Ask the host of a hosted Mifos X.",
    "mifos_tenant_id": "The Fineract-Platform-TenantId: “default” unless your host says otherwise.",
    "mifos_username": "Mifos X > Admin > Users: a user of its own, with READ_LOAN, READ_CLIENT, "
    "READ_PAYMENTTYPE, READ_LOANPRODUCT and DISBURSE_LOAN.",
    "mifos_payment_type_id": "Mifos X > Admin > Organization > Payment types: the number of the "
    "M-Pesa type. Not a cash type.",
    "mifos_time_zone": "The zone of the tenant decides what it takes for “today”.",
    "mifos_concurrency": "Requests to this Mifos X at the same time.",
    "is_mpesa_configured": "Tick when everything of this block is filled in.",
    "mpesa_environment": "Production pays real money.",
    "mpesa_shortcode": "M-Pesa organisation portal: the B2C shortcode that pays, 5 to 7 digits.",
    "mpesa_initiator_name": "M-Pesa organisation portal > Operators: the API operator with the "
    "role ORG B2C API initiator.",
    "mpesa_payments_per_second": "Safaricom publishes no limit. Start low.",
    "daily_limit": "KES that may be paid on one day. Empty = no limit.",
    "client_daily_limit": "KES that one client may get on one day. Empty = no limit.",
    "loan_limit": "KES of principal of a single loan. Empty = no limit but M-Pesa's.",
    "approval_threshold": "A person approves loans with a principal above this. Empty = never "
    "for the amount.",
}
SECRET_HELP_TEXTS = {
    "mifos_password": "The password of that user.",
    "mpesa_consumer_key": "Daraja portal > My Apps > Consumer Key.",
    "mpesa_consumer_secret": "Daraja portal > My Apps > Consumer Secret.",
    "mpesa_security_credential": "Daraja portal > Test credentials, or made from the two fields "
    "below.",
}


class SecretField(forms.CharField):
    """A value that is typed, kept, and never shown again. Empty keeps what is there."""

    def __init__(self, **options: Any) -> None:
        widget = forms.PasswordInput(render_value=False, attrs={"autocomplete": "new-password"})
        super().__init__(required=False, strip=False, widget=widget, **options)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(data)

    def validate(self, value: str) -> None:
        super().validate(value)
        if value != value.strip() or CONTROL.search(value):
            raise forms.ValidationError("Begins or ends with a blank, or holds a line break.")


class SettingsForm(_SettingsForm):
    """Settings that an old page cannot put back: it says which ones it showed, by their date."""

    rules_shown = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is not None:
            self.initial["rules_shown"] = self.partner().rules_changed_at.isoformat()

    def partner(self) -> Partner:
        """Return whose settings they are."""
        raise NotImplementedError

    def clean(self) -> dict[str, Any]:
        super().clean()
        shown = self.cleaned_data.get("rules_shown")  # a program that posts shows nothing
        if shown and shown != self.initial.get("rules_shown"):
            self.add_error(None, CHANGED)
        return self.cleaned_data


class ProductForm(SettingsForm):
    class Meta:
        model = LoanProductAutoDisbursalConfig
        fields: ClassVar = "__all__"

    def partner(self) -> Partner:
        return Partner.objects.only("rules_changed_at").get(pk=self.instance.partner_id)


class PartnerForm(SettingsForm):
    mifos_password = SecretField(label="Mifos password")
    mpesa_consumer_key = SecretField(label="Mpesa consumer key")
    mpesa_consumer_secret = SecretField(label="Mpesa consumer secret")
    mpesa_security_credential = SecretField(label="Mpesa security credential")
    mpesa_initiator_password = SecretField(
        label="Mpesa initiator password",
        help_text="Of the API operator. With the certificate it makes the security credential; "
        "the password itself is not kept.",
    )
    mpesa_certificate = forms.FileField(
        label="Mpesa certificate",
        required=False,
        help_text="Daraja portal > Documentation > Security credentials: sandbox and production "
        "have one each.",
    )

    class Meta:
        model = Partner
        fields: ClassVar = "__all__"
        help_texts: ClassVar = HELP_TEXTS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.label = _spelled(str(field.label))
        for column in SECRET_COLUMNS:
            self.initial.pop(column, None)
            if column in self.fields:
                state = KEEP if getattr(self.instance, column) else NOT_SET
                self.fields[column].help_text = f"{SECRET_HELP_TEXTS[column]} {state}"

    def partner(self) -> Partner:
        partner: Partner = self.instance
        return partner

    def clean(self) -> dict[str, Any]:
        super().clean()
        pasted = self.cleaned_data.get("mpesa_security_credential")
        for column in SECRET_COLUMNS:
            if not self.cleaned_data.get(column):
                self.cleaned_data[column] = getattr(self.instance, column)
        if pasted:
            paste_credential(self.instance, pasted, now=timezone.now())
        self._make_credential(pasted)
        return self.cleaned_data

    def _make_credential(self, pasted: str | None) -> None:
        password = self.cleaned_data.get("mpesa_initiator_password")
        certificate = self.cleaned_data.get("mpesa_certificate")
        if not password and not certificate:
            return
        if pasted:
            self.add_error("mpesa_security_credential", "Either paste one or have one made.")
        elif not password:
            self.add_error("mpesa_initiator_password", "Is needed beside the certificate.")
        elif not certificate:
            self.add_error("mpesa_certificate", "Is needed beside the password.")
        else:
            self._encrypt(password, certificate.read())

    def _encrypt(self, password: str, certificate: bytes) -> None:
        try:
            make_credential(
                self.instance, password=password, certificate=certificate, now=timezone.now()
            )
        except ValueError as exc:
            self.add_error("mpesa_certificate", str(exc))
        self.cleaned_data["mpesa_security_credential"] = self.instance.mpesa_security_credential


def _spelled(label: str) -> str:
    """Return the name of a column as staff write it."""
    for ours, theirs in SPELLINGS.items():
        label = re.sub(rf"\b{ours}\b", theirs, label, flags=re.IGNORECASE)
    return label


class ReasonForm(forms.Form):
    """Why something is stopped or let go on."""

    reason = forms.CharField(max_length=300, widget=forms.TextInput(attrs={"size": 60}))
