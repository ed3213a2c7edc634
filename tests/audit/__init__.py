"""Schedules in which a promise does not hold (audit of 27 November 2026)."""
