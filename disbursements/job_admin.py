"""The queue's jobs in the admin, to look at: what they act on is decided elsewhere."""

from __future__ import annotations

from django.contrib import admin
from procrastinate.contrib.django.admin import ProcrastinateJobAdmin
from procrastinate.contrib.django.models import ProcrastinateJob


class JobAdmin(ProcrastinateJobAdmin):
    """Procrastinate's own page without its buttons: whoever may look could press them."""

    actions = ()  # type: ignore[assignment]  # typed as its list of buttons


admin.site.unregister(ProcrastinateJob)
admin.site.register(ProcrastinateJob, JobAdmin)
