"""All addresses of the site. None redirects to add a slash."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from disbursements.api.urls import both
from loanpoll_site import health, metrics, two_factor

urlpatterns = [
    path("api/", include("disbursements.api.urls")),
    *both("healthz", health.healthz, name="healthz"),
    *both("readyz", health.readyz, name="readyz"),
    *both("health/polling", health.polling, name="health-polling"),
    *both("metrics", metrics.metrics, name="metrics"),
    path("admin/", admin.site.urls),
    path("accounts/two-factor/", two_factor.two_factor, name="two_factor"),
    path("accounts/two-factor/verify/", two_factor.verify, name="two_factor_verify"),
    # Pages for staff: their addresses stand in disbursements/urls.py, from the root of the site.
    path("", include("disbursements.urls")),
]

handler400 = "loanpoll_site.errors.handle_400"
handler403 = "loanpoll_site.errors.handle_403"
handler404 = "loanpoll_site.errors.handle_404"
handler500 = "loanpoll_site.errors.handle_500"
