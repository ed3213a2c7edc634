"""The users of the demo, one for each thing a person may do."""

from __future__ import annotations

import secrets

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Permission, User

VIEW = ("view_loantracking", "view_disbursementrequest", "view_partner")
OPERATE = (
    *VIEW,
    "hold_loantracking",
    "retry_disbursementrequest",
    "query_disbursementrequest",
    "record_disbursementrequest",
    "view_full_msisdn",
)
APPROVE = (*VIEW, "approve_loantracking", "resolve_disbursementrequest", "view_full_msisdn")
# Two operators, because nobody may approve what they asked for.
ROLES: dict[str, tuple[str, ...]] = {
    "viewer": VIEW,
    "operator": OPERATE,
    "operator2": OPERATE,
    "approver": APPROVE,
}
WORDS = (
    *("acacia", "baobab", "cedar", "heron", "ibis", "kanga", "lake", "maize", "mango", "matatu"),
    *(
        "ocean",
        "papaya",
        "river",
        "savanna",
        "sisal",
        "summit",
        "tembo",
        "valley",
        "weaver",
        "zebra",
    ),
)


def new_password() -> str:
    """Return a password that can be typed from a screen. It opens a sandbox, on this machine."""
    words = "-".join(secrets.choice(WORDS) for _ in range(3))
    return f"{words}-{secrets.randbelow(90) + 10}"


def make_people(password: str) -> dict[str, User]:
    """Create the users, all with this password; `admin` may do everything."""
    hashed = make_password(password)
    people = {
        name: User.objects.create(username=name, password=hashed, is_staff=True)
        for name in ("admin", *ROLES)
    }
    people["admin"].is_superuser = True
    people["admin"].save(update_fields=["is_superuser"])
    for name, codenames in ROLES.items():
        people[name].user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return people
