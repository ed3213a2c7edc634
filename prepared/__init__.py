"""Statements that are compiled once, for the few places that every payment passes."""
