"""Puts our own admin site in the place of Django's."""

from __future__ import annotations

from django.contrib.admin.apps import AdminConfig


class DeskAdminConfig(AdminConfig):
    default_site = "loanpoll_site.admin_site.DeskSite"
