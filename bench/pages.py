"""Reads one partner's list pages and nothing else: `python -m bench.pages`."""

from __future__ import annotations

import os
import time
from pathlib import Path

import django

if __name__ == "__main__":
    django.setup()
    from partners.gateways import mifos_client
    from partners.models import Partner

    client = mifos_client(Partner.objects.get())
    began = time.monotonic()
    read = sum(len(page) for page in client.approved_loans())
    seconds = time.monotonic() - began
    Path(os.environ["BENCH_PAGES"]).write_text(f"{seconds}")
