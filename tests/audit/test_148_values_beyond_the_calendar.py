"""AUDIT 148: a day, a page key, a cursor or an id beyond what exists breaks the page or command.

"9999-12-31" is what date pickers offer for "no end": the list, its export and `reconcile` end in an
error that says nothing to do (reliability.md 4.6: no HTTP 500; design.md 5.2: wrong input is 2).
"""

from __future__ import annotations

import base64
import json

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from disbursements.models import ApiKey
from disbursements.pages.actions import RESOLVE, RETRY
from disbursements.pages.listing import VIEW_LOANS
from disbursements.tests.making import make_loan
from disbursements.tests.test_pages_actions import make_user

pytestmark = pytest.mark.django_db
NO_LOAN = "99999999999999999999"


def key(*values: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "query",
    [
        "when=custom&to=9999-12-31",
        "when=custom&from=0001-01-01",
        f"after={key(0, '0001-01-01T00:00:00', '1')}",
        f"sort=highest&after={key(0, 'NaN', '1')}",
        f"sort=newest&after={key(0, '2026-01-01T00:00:00+00:00', NO_LOAN)}",
    ],
)
@pytest.mark.parametrize("page", ["/loan-tracking", "/loan-tracking/export.csv"])
def test_the_list_and_its_file(client: Client, page: str, query: str) -> None:
    make_loan()
    client.force_login(make_user("ann.k", VIEW_LOANS))

    assert client.get(f"{page}?{query}").status_code == 200


@pytest.mark.parametrize("position", ["p=abc", f"p={NO_LOAN}"])
def test_a_cursor_of_the_api(client: Client, position: str) -> None:
    _, secret = ApiKey.objects.create_key(name="reader")
    cursor = base64.b64encode(position.encode()).decode()

    answer = client.get(
        "/api/loans", {"cursor": cursor}, headers={"Authorization": f"Bearer {secret}"}
    )

    assert answer.status_code == 404
    assert "cursor" in answer.json()["error"]


@pytest.mark.parametrize(
    "words",
    [
        f"retry_disbursement {NO_LOAN} --actor ann.k --reason x",
        f"resolve_review {NO_LOAN} --outcome not-paid --actor ann.k --second-actor otieno "
        "--reason x",
        "reconcile --from 2026-01-01 --to 9999-12-31",
        "reconcile --date 0001-01-01",
    ],
)
def test_the_commands(words: str) -> None:
    for name in ("ann.k", "otieno"):
        make_user(name, RETRY, RESOLVE)

    with pytest.raises(CommandError) as refused:
        call_command(*words.split())

    # What argparse refuses is a plain CommandError here, and exit code 2 on the command line.
    assert refused.value.returncode == 2 or "YYYY-MM-DD" in str(refused.value)
