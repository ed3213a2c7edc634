"""Reads a partner's loan products from Mifos X, so that nobody copies their ids by hand."""

from __future__ import annotations

from dataclasses import dataclass

from partners.gateways import mifos_client
from partners.history import write_down
from partners.models import LoanProductAutoDisbursalConfig, Partner


@dataclass(frozen=True, kw_only=True, slots=True)
class ProductsRead:
    """What a reading changed. A product that is new here is switched off."""

    added: int
    renamed: int

    def __str__(self) -> str:
        if not (self.added or self.renamed):
            return "nothing new"
        added = f"{self.added} product{'' if self.added == 1 else 's'} added, switched off"
        return f"{added}; {self.renamed} renamed"


def read_products(partner: Partner, *, by: str) -> ProductsRead:
    """Add the products that are new and correct the names. Raises MifosError, NotConfigured."""
    names = {one.product_id: one.name[:200] for one in mifos_client(partner).products()}
    known = {rule.product_id: rule for rule in partner.products.all()}
    added = LoanProductAutoDisbursalConfig.objects.bulk_create(
        [
            LoanProductAutoDisbursalConfig(partner=partner, product_id=number, product_name=name)
            for number, name in names.items()
            if number not in known
        ],
        ignore_conflicts=True,  # another person may be reading, too
    )
    renamed = sum(_rename(known[number], name) for number, name in names.items() if number in known)
    read = ProductsRead(added=len(added), renamed=renamed)
    if read.added or read.renamed:
        write_down(partner, by=by, text=f"Products read from Mifos X: {read}.")
    return read


def _rename(rule: LoanProductAutoDisbursalConfig, name: str) -> int:
    """Correct the name only: somebody may be changing the limits at this moment."""
    if rule.product_name == name:
        return 0
    return LoanProductAutoDisbursalConfig.objects.filter(pk=rule.pk).update(product_name=name)
