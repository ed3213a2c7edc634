"""Turns our rows into the plain facts that eligibility reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from loans.eligibility import LoanFacts, PartnerRules, ProductRule
from loans.models import ApprovalState, HoldReason, LoanApproval, LoanTracking
from loans.phones import KENYAN_MOBILE
from partners.models import LoanProductAutoDisbursalConfig, Partner
from prepared.statements import Rows, Slot, Tuples

APPROVED_COLUMNS = ("loan_tracking_id", "amount", "phone_number", "cause")
_products = Rows(lambda: LoanProductAutoDisbursalConfig.objects.filter(partner=Slot("partner")))
_approvals = Tuples(
    lambda: LoanApproval.objects.filter(
        loan_tracking=Slot("loan"), state=ApprovalState.APPROVED
    ).values_list(*APPROVED_COLUMNS)
)
_clients = Tuples(
    lambda: (
        LoanTracking.objects.filter(phone_number=Slot("phone"), partner=Slot("partner"))
        .values_list("phone_number", "client_id")
        .distinct()
    )
)


def rules_of(
    partner: Partner, products: Iterable[LoanProductAutoDisbursalConfig] | None = None
) -> PartnerRules:
    """Return the partner's rules as they stand in the database now."""
    return PartnerRules(
        is_active=partner.is_active,
        is_configured=partner.is_mifos_configured and partner.is_mpesa_configured,
        is_auto=partner.mifos_auto_disbursement_enabled,
        products={
            config.product_id: ProductRule(
                enabled=config.enabled,
                minimum=config.min_amount,
                maximum=config.max_amount,
                auto_approve=config.auto_approve,
            )
            for config in (partner.products.all() if products is None else products)
        },
        loan_limit=partner.loan_limit,
        approval_threshold=partner.approval_threshold,
    )


def products_of(partner: Partner) -> list[LoanProductAutoDisbursalConfig]:
    """Read the rules of the partner's products afresh."""
    return _products.all(partner=partner.pk)


def facts_of(loans: Sequence[LoanTracking]) -> list[LoanFacts]:
    """Return the facts of each loan (all of one partner, saved or not), in two statements."""
    approved = _approved(loans)
    shared = _shared_phones(loans)
    return [
        LoanFacts(
            product_id=loan.product_id,
            principal=loan.loan_amount,
            net=loan.net_disbursal_amount,
            currency=loan.currency,
            phone=loan.phone_number,
            is_phone_shared=loan.phone_number in shared,
            approved_on=loan.approved_on,
            expected_on=loan.expected_disbursement_date,
            obstacle=loan.mifos_obstacle,
            approval_cause=loan.approval_cause,
            approved_causes=approved.get(
                (loan.pk, loan.net_disbursal_amount, loan.phone_number), frozenset()
            ),
            is_held_by_staff=bool(loan.staff_hold),
        )
        for loan in loans
    ]


def _approved(loans: Sequence[LoanTracking]) -> dict[tuple[int, object, str], frozenset[str]]:
    """An approval is bound to the amount and the phone number that the approver saw."""
    found: dict[tuple[int, object, str], frozenset[str]] = {}
    for pk, amount, phone, cause in _approvals_of([loan.pk for loan in loans if loan.pk]):
        seen = (pk, amount, phone)
        found[seen] = found.get(seen, frozenset()) | {cause or HoldReason.NEEDS_APPROVAL.value}
    return found


def _approvals_of(pks: Sequence[int]) -> Iterable[Sequence[Any]]:
    if len(pks) == 1:  # a payment
        return _approvals.all(loan=pks[0])
    approvals = LoanApproval.objects.filter(loan_tracking__in=pks, state=ApprovalState.APPROVED)
    return approvals.values_list(*APPROVED_COLUMNS)


def _shared_phones(loans: Sequence[LoanTracking]) -> set[str]:
    """Return the phone numbers that more than one client of the partner has among our loans."""
    phones = {loan.phone_number for loan in loans if KENYAN_MOBILE.fullmatch(loan.phone_number)}
    owners: dict[str, set[int | None]] = {}
    for loan in loans:
        owners.setdefault(loan.phone_number, set()).add(loan.client_id)
    for phone, client_id in _clients_with(phones, {loan.partner_id for loan in loans}):
        owners.setdefault(phone, set()).add(client_id)
    return {phone for phone in phones if len(owners[phone]) > 1}


def _clients_with(phones: set[str], partners: set[int]) -> Iterable[Sequence[Any]]:
    if len(phones) == len(partners) == 1:  # a payment
        return _clients.all(phone=min(phones), partner=min(partners))
    rows = LoanTracking.objects.filter(phone_number__in=phones, partner_id__in=partners)
    return rows.values_list("phone_number", "client_id").distinct()
