"""Close the ways around the triggers: SQLite's REPLACE and PostgreSQL's TRUNCATE fire neither."""

from django.db import migrations

SQLITE = (
    "CREATE TRIGGER loan_events_no_replace BEFORE INSERT ON loan_events "
    "WHEN EXISTS (SELECT 1 FROM loan_events WHERE id = NEW.id) "
    "BEGIN SELECT RAISE(ABORT, 'loan_events is insert-only'); END"
)
POSTGRESQL = (
    "CREATE TRIGGER loan_events_no_truncate BEFORE TRUNCATE ON loan_events "
    "FOR EACH STATEMENT EXECUTE FUNCTION loan_events_refuse()"
)


def add_trigger(apps, schema_editor):
    is_sqlite = schema_editor.connection.vendor == "sqlite"
    schema_editor.execute(SQLITE if is_sqlite else POSTGRESQL, params=None)


def drop_trigger(apps, schema_editor):
    is_sqlite = schema_editor.connection.vendor == "sqlite"
    name = "loan_events_no_replace" if is_sqlite else "loan_events_no_truncate ON loan_events"
    schema_editor.execute(f"DROP TRIGGER {name}", params=None)


class Migration(migrations.Migration):
    dependencies = [("loans", "0006_approvals_name_their_cause")]
    operations = [migrations.RunPython(add_trigger, drop_trigger)]
