"""AUDIT 19: a refused credential hides behind the breaker's first, lighter cause."""

from __future__ import annotations

import pytest
from django.utils import timezone

from mpesa.shortcodes import open_breaker, shortcode_of

pytestmark = pytest.mark.django_db
PLACE = ("sandbox", "600000")


def test_the_person_who_resets_a_breaker_reads_that_the_credential_is_refused():
    now = timezone.now()
    cause = "M-Pesa contradicts itself on 600000-abc"
    open_breaker(*PLACE, cause=cause, now=now, is_credential_refused=False)

    # Payments and questions already under way are answered 2001.
    open_breaker(*PLACE, cause="2001: The initiator or its credential is invalid", now=now)

    # Resetting "a contradiction that was looked into" sends the refused credential again (S20).
    assert "2001" in shortcode_of(*PLACE).breaker_cause
