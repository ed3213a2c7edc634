"""AUDIT 58: a process dies while it fetches a token, on a machine whose clock is a day ahead.

Its lease is dated tomorrow. Once the clock is right, nobody may fetch a token until then, so no
partner of this app is paid for a day, and nobody is called (reliability.md 2.5 Y1). The pace knows
a slot from a clock that was set back (FURTHEST_SLOT); the lease does not, nor the balance question,
without which a short float is never seen again.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from mpesa import tokens
from mpesa.client import FreshToken
from mpesa.models import MpesaToken, Shortcode
from mpesa.shortcodes import claim_balance_question
from mpesa.tokens import DatabaseTokenStore, forget_warm_tokens

pytestmark = pytest.mark.django_db
TOMORROW = timedelta(days=1)


def test_a_lease_from_tomorrow_keeps_nobody_from_fetching(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_warm_tokens()
    monkeypatch.setattr(tokens, "WAIT_SECONDS", 0.2)
    store = DatabaseTokenStore("https://daraja.test", "a-consumer-key")
    MpesaToken.objects.create(app_digest=store._app, fetching_since=timezone.now() + TOMORROW)

    assert store.token(lambda: FreshToken(access_token="fresh", lifetime=3600)) == "fresh"


def test_a_balance_question_from_tomorrow_keeps_nobody_from_asking() -> None:
    now = timezone.now()
    Shortcode.objects.create(
        environment="sandbox", shortcode="600000", balance_asked_at=now + TOMORROW
    )

    assert claim_balance_question(
        "sandbox", "600000", now=now, not_since=now - timedelta(minutes=1)
    )
