"""The site itself, as an app: it brings the system checks."""

from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "loanpoll_site"

    def ready(self) -> None:
        from loanpoll_site import checks, sessions  # noqa: F401 - importing them registers them
