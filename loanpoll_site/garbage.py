"""How often Python looks for cyclic garbage. Django's default rhythm cost a quarter of a pass."""

from __future__ import annotations

import gc

# Nearly everything is freed by its reference count. A search per 700 new objects, Python's rhythm,
# walks over Django's hundreds of thousands of lasting ones again and again.
NEW_OBJECTS_BEFORE_A_SEARCH = 50_000


def look_seldom() -> None:
    """Let this process look for cyclic garbage seldom. Call it before Django is imported."""
    gc.set_threshold(NEW_OBJECTS_BEFORE_A_SEARCH, 20, 20)
