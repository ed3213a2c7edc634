"""The users of the demo, one or two for each role."""

from __future__ import annotations

import secrets

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, User

# Two operators, because nobody may approve what they asked for.
ROLES = {
    "viewer": "Viewer",
    "operator": "Operator",
    "operator2": "Operator",
    "approver": "Approver",
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
    for name, role in ROLES.items():
        people[name].groups.add(Group.objects.get(name=role))
    return people
