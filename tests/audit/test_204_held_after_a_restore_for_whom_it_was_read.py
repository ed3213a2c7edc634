"""AUDIT 204: a restored backup pays twice for the lender whose Mifos X was away.

`after_restore` holds what is known, so the loans approved since the backup are fetched first
(docs/runbook/restore.md). One lender's Mifos X does not answer at that moment. Its new loans come
an hour later, held by nobody: the attempt that never left gets its id again, and the next one had
paid. `after_restore` says how many loans it held, and not whose were missing.
"""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.utils import timezone

from disbursements.tests.making import make_partner

pytestmark = pytest.mark.django_db


def said() -> str:
    User.objects.create(username="jane")
    out = StringIO()
    call_command("after_restore", "--actor", "jane", stdout=out)
    return out.getvalue()


def test_who_was_not_read_is_named() -> None:
    now = timezone.now()
    make_partner(slug="read", last_poll_succeeded_at=now - timedelta(minutes=5))
    make_partner(slug="silent", last_poll_succeeded_at=now - timedelta(days=1))
    make_partner(slug="never", last_poll_succeeded_at=None)
    make_partner(slug="gone", last_poll_succeeded_at=None, is_active=False)

    text = said()

    assert "never, silent" in text
    assert "fetch_pending_loans" in text
    assert "gone" not in text


def test_nobody_is_named_if_all_were_read() -> None:
    make_partner(last_poll_succeeded_at=timezone.now())

    assert "fetch_pending_loans" not in said()
