"""All mutants (reliability.md 4.9)."""

from __future__ import annotations

from campaigns.mutants.books import FOLLOWING_MUTANTS, PEOPLE_MUTANTS, RECORD_MUTANTS
from campaigns.mutants.evidence import EVIDENCE_MUTANTS
from campaigns.mutants.patching import Mutant
from campaigns.mutants.sending import SENDING_MUTANTS

MUTANTS: tuple[Mutant, ...] = (
    *SENDING_MUTANTS,
    *EVIDENCE_MUTANTS,
    *RECORD_MUTANTS,
    *FOLLOWING_MUTANTS,
    *PEOPLE_MUTANTS,
)
