"""Secrets at rest: one model field over cryptography's MultiFernet."""
