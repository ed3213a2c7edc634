"""The same stage as the journeys'."""

from __future__ import annotations

from tests.journeys.conftest import open_stage

__all__ = ["open_stage"]
