"""WSGI entry point: `gunicorn loanpoll_site.wsgi`. Vercel's Python runtime looks for `app`."""

import os

from loanpoll_site.garbage import look_seldom

look_seldom()

from django.core.wsgi import get_wsgi_application  # noqa: E402 - its import is what costs

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "loanpoll_site.settings")

application = get_wsgi_application()
app = application
