"""The roles in the database are the roles in the reference, and hold what they must not mix."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.contrib.auth.models import Group, Permission

pytestmark = pytest.mark.django_db

REFERENCE = Path(__file__).resolve().parents[2] / "docs/reference/roles.md"
ROLES = ("Viewer", "Operator", "Approver", "Administrator")
LINE = re.compile(r"^\| `([a-z_]+\.[a-z_]+)` \|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|$", re.MULTILINE)


def held() -> dict[str, set[str]]:
    """Return the permissions of each role as the database has them."""
    return {
        name: {
            f"{one.content_type.app_label}.{one.codename}"
            for one in Permission.objects.filter(group__name=name).select_related("content_type")
        }
        for name in ROLES
    }


def documented() -> dict[str, set[str]]:
    """Return them as docs/reference/roles.md has them."""
    found: dict[str, set[str]] = {name: set() for name in ROLES}
    for permission, *cells in LINE.findall(REFERENCE.read_text()):
        for name, cell in zip(ROLES, cells, strict=True):
            if cell.strip() == "✓":
                found[name].add(permission)
    return found


def test_the_migration_makes_four_roles():
    assert set(Group.objects.values_list("name", flat=True)) == set(ROLES)


@pytest.mark.parametrize("role", ROLES)
def test_the_reference_says_what_the_role_may_do(role):
    assert documented()[role] == held()[role]


def test_a_viewer_changes_nothing():
    assert {one.partition(".")[2].partition("_")[0] for one in held()["Viewer"]} == {"view"}


def test_every_other_role_sees_what_a_viewer_sees():
    roles = held()

    assert all(roles["Viewer"] <= roles[name] for name in ROLES)


def test_who_asks_does_not_approve_and_who_configures_does_neither():
    roles = held()
    asks = {"disbursements.retry_disbursementrequest"}
    decides = {"loans.approve_loantracking", "disbursements.resolve_disbursementrequest"}

    assert asks <= roles["Operator"]
    assert not decides & roles["Operator"]
    assert decides <= roles["Approver"]
    assert not asks & roles["Approver"]
    assert not (asks | decides) & roles["Administrator"]


def test_no_role_adds_changes_or_deletes_evidence():
    evidence = (
        "loantracking",
        "loanevent",
        "loanapproval",
        "disbursementrequest",
        "reviewresolution",
        "syncrun",
        "mpesacallback",
        "mpesarequest",
        "mifosexchange",
        "logentry",
        "alert",
    )
    touching = {
        one
        for permissions in held().values()
        for one in permissions
        if re.search(rf"\.(add|change|delete)_({'|'.join(evidence)})$", one)
    }

    assert touching == set()
