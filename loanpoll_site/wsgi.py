"""WSGI entry point: `gunicorn loanpoll_site.wsgi`. Vercel's Python runtime looks for `app`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "loanpoll_site.settings")

application = get_wsgi_application()
app = application
