"""The demo as a Django app, so that `manage.py demo` is found. It has no models."""

from __future__ import annotations

from django.apps import AppConfig


class DemoConfig(AppConfig):
    name = "demo"
    verbose_name = "Demo"
