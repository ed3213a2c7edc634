"""The database itself refuses to change or delete an event, on SQLite and on PostgreSQL."""

from django.db import migrations

SQLITE = [
    (
        "CREATE TRIGGER loan_events_no_update BEFORE UPDATE ON loan_events "
        "BEGIN SELECT RAISE(ABORT, 'loan_events is insert-only'); END"
    ),
    (
        "CREATE TRIGGER loan_events_no_delete BEFORE DELETE ON loan_events "
        "BEGIN SELECT RAISE(ABORT, 'loan_events is insert-only'); END"
    ),
]
POSTGRESQL = [
    (
        "CREATE FUNCTION loan_events_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'loan_events is insert-only'; END $$"
    ),
    (
        "CREATE TRIGGER loan_events_no_update BEFORE UPDATE ON loan_events "
        "FOR EACH ROW EXECUTE FUNCTION loan_events_refuse()"
    ),
    (
        "CREATE TRIGGER loan_events_no_delete BEFORE DELETE ON loan_events "
        "FOR EACH ROW EXECUTE FUNCTION loan_events_refuse()"
    ),
]


def add_triggers(apps, schema_editor):
    vendor = schema_editor.connection.vendor
    for statement in SQLITE if vendor == "sqlite" else POSTGRESQL:
        schema_editor.execute(statement, params=None)


def drop_triggers(apps, schema_editor):
    on_table = "" if schema_editor.connection.vendor == "sqlite" else " ON loan_events"
    for name in ("loan_events_no_update", "loan_events_no_delete"):
        schema_editor.execute(f"DROP TRIGGER {name}{on_table}", params=None)
    if on_table:
        schema_editor.execute("DROP FUNCTION loan_events_refuse()", params=None)


class Migration(migrations.Migration):
    dependencies = [("loans", "0001_initial")]
    operations = [migrations.RunPython(add_triggers, drop_triggers)]
