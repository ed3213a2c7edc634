"""The site itself, as an app: it brings the system checks, and readies what threads will share."""

from django.apps import AppConfig
from django.db import connection


class SiteConfig(AppConfig):
    name = "loanpoll_site"

    def ready(self) -> None:
        from loanpoll_site import checks, sessions  # noqa: F401 - importing them registers them

        if connection.vendor == "postgresql":
            from loanpoll_site.adapters import look_up_adapters

            look_up_adapters()
