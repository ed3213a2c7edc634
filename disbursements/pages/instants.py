"""Days and seconds as the database itself counts them.

On SQLite Django's own are Python functions, called for every row: seconds for a month of payouts.
"""

from __future__ import annotations

from typing import Any

from django.db.models import FloatField, Func
from django.db.models.functions import TruncDate
from django.utils import timezone

EPOCH_AS_JULIAN_DAY = 2440587.5


class LocalDay(TruncDate):
    """The day of an instant, where the staff are. Their clock knows no summer time."""

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        sql, params = compiler.compile(self.lhs)
        offset = timezone.localtime().utcoffset()
        minutes = int(offset.total_seconds() // 60) if offset else 0
        return f"date({sql}, '{minutes:+d} minutes')", list(params)


class Seconds(Func):
    """The seconds of an instant since 1970, with their fractions."""

    function = "EXTRACT"
    template = "EXTRACT(EPOCH FROM %(expressions)s)"
    output_field = FloatField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template = f"((julianday(%(expressions)s) - {EPOCH_AS_JULIAN_DAY}) * 86400.0)"
        return self.as_sql(compiler, connection, template=template, **context)
