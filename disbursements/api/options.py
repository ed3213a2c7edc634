"""The optional body of the three endpoints. An unknown key is an error: `dryrun` must not pay."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied, ValidationError

from loans.models import LoanTracking
from partners.models import Partner

MAX_ID = 2**63 - 1
OTHER_PARTNER = "This key is bound to one partner and cannot act for another."


class PassOptions(serializers.Serializer[Any]):
    """Which partner. None named means all of them, or the one the key is bound to."""

    partner = serializers.SlugField(required=False, help_text="The partner's code.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        unknown = sorted(set(self.initial_data) - set(self.fields))
        if unknown:
            known = ", ".join(self.fields)
            raise ValidationError(dict.fromkeys(unknown, f"Not known here. Known: {known}."))
        return attrs

    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of the pass."""
        given = dict(self.validated_data)
        partners = self._partners(given.pop("partner", None))
        return {"partners": partners, **given}

    def _partners(self, slug: str | None) -> tuple[str, ...]:
        bound = self.context["caller"].partner
        if bound is not None:
            if slug not in (None, bound.slug):
                raise PermissionDenied(OTHER_PARTNER)
            return (bound.slug,)
        if slug is None:
            return ()
        if not Partner.objects.filter(slug=slug).exists():
            known = ", ".join(Partner.objects.order_by("slug").values_list("slug", flat=True)[:50])
            raise ValidationError({"partner": f"No partner has this code. Known: {known}."})
        return (slug,)


class FetchOptions(PassOptions):
    """Nothing more: a fetch pays nothing."""


class SyncOptions(PassOptions):
    dryRun = serializers.BooleanField(
        source="dry_run", required=False, help_text="Say what would be paid; write nothing."
    )


class ProcessOptions(SyncOptions):
    limit = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=10_000,
        help_text="Most loans to send for each partner.",
    )
    loanId = serializers.IntegerField(
        source="loan_id",
        required=False,
        min_value=1,
        max_value=MAX_ID,
        help_text="Only this loan of Mifos X.",
    )

    def arguments(self) -> dict[str, Any]:
        """As for every pass; a loan that is named narrows it to the partners who have one."""
        given = super().arguments()
        if loan_id := given.get("loan_id"):
            given["partners"] = self._partners_with(loan_id, given["partners"])
        return given

    def _partners_with(self, loan_id: int, slugs: tuple[str, ...]) -> tuple[str, ...]:
        loans = LoanTracking.objects.filter(loan_id=loan_id)
        known = loans.filter(partner__slug__in=slugs) if slugs else loans
        found = tuple(sorted(set(known.values_list("partner__slug", flat=True))))
        if not found:
            raise ValidationError({"loanId": "No fetch has found this loan of Mifos X yet."})
        return found
