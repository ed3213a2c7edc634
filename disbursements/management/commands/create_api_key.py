"""`manage.py create_api_key NAME`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from disbursements import presenting
from disbursements.models import ApiKey
from partners.models import Partner


class Command(BaseCommand):
    help = "Make a key for an API client. It is shown once; only its hash is kept."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "name", type=presenting.short_name, help="whose key it is, at most 50 characters"
        )
        parser.add_argument("--partner", metavar="SLUG", help="bind the key to this partner only")
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, name: str, partner: str | None, **options: Any) -> None:
        presenting.check_partners([partner] if partner else [])
        bound = Partner.objects.get(slug=partner) if partner else None
        _, key = ApiKey.objects.create_key(name=name, partner=bound)
        presenting.show_key(self, key, name=name, partner=partner, as_json=options["json"])
