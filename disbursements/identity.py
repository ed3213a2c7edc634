"""Names an attempt, the same way on every machine and after every restore (design.md 4, rule 1)."""

from __future__ import annotations

import hashlib
from urllib.parse import urlsplit

from loans.models import LoanTracking
from partners.models import Partner

DIGEST_LENGTH = (
    24  # hex digits: with a shortcode and a dash at most 36, all that M-Pesa is known to take
)


def attempt_digest(*, partner: Partner, loan: LoanTracking, attempt_no: int) -> str:
    """Return the digest of (shortcode, Mifos host, tenant, loan, cycle, attempt number).

    Host and tenant without regard to case: a second installation may spell them otherwise, and must
    make the same id. The table of partners takes two such spellings for one tenant, too.
    """
    parts = (
        partner.mpesa_shortcode,
        (urlsplit(partner.mifos_host_url).hostname or "").lower(),
        partner.mifos_tenant_id.lower(),
        str(loan.loan_id),
        str(loan.cycle),
        str(attempt_no),
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:DIGEST_LENGTH]


def originator_conversation_id(*, partner: Partner, digest: str) -> str:
    """Return the id M-Pesa knows the attempt by: it refuses to pay the same one twice."""
    return f"{partner.mpesa_shortcode}-{digest}"


def mifos_external_id(digest: str) -> str:
    """Return the external id of the disbursement transaction in Mifos X, unique in its database."""
    return f"loanpoll-{digest}"


def record_idempotency_key(*, tenant: str, loan_id: int, external_id: str, key_no: int) -> str:
    """Return the Idempotency-Key of one try to record, of one loan (contracts/mifos.md 6)."""
    return f"lp:{tenant}:{loan_id}:{external_id}:{key_no}"
