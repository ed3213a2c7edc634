"""AUDIT 213: `after_restore` takes a lender for read who was read before the backup was made.

Who was not read since the restore is named (audit 204): whose last good poll is older than an hour.
That time stands in the backup, too. One made by the minute (WAL) and restored within the hour says
of every lender that it was read just now; the one whose Mifos X did not answer the fetch after the
restore is named nowhere, its new loans are held by nobody, and are paid twice.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from disbursements.tests.making import make_partner
from tests.audit.test_204_held_after_a_restore_for_whom_it_was_read import said

pytestmark = pytest.mark.django_db


def test_who_did_not_answer_after_the_restore_is_named() -> None:
    now = timezone.now()
    before = now - timedelta(minutes=20)  # in the backup
    make_partner(slug="silent", last_poll_succeeded_at=before, last_error_at=now)
    again = {"last_error_at": before, "last_poll_succeeded_at": now}
    make_partner(slug="answered", **again)

    text = said()

    assert "NOT READ: silent." in text
