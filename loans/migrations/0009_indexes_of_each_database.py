from django.db import DatabaseError, migrations, transaction

BY_NAME = (
    "CREATE INDEX IF NOT EXISTS loans_by_name ON loan_tracking "
    "USING gin (UPPER(client_name::text) gin_trgm_ops)"
)
# Django writes the expression of an index with one cast more than that of a query, and SQLite
# takes the two for different ones.
BY_PAYOUT = (
    "CREATE INDEX loans_by_payout ON loan_tracking "
    "(CAST(COALESCE(net_disbursal_amount, loan_amount) AS NUMERIC), id)"
)


def make_indexes(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        index_names(schema_editor)
    else:
        schema_editor.execute("DROP INDEX loans_by_payout")
        schema_editor.execute(BY_PAYOUT)


def index_names(schema_editor):
    """Let a part of a name be found by an index, where PostgreSQL has the extension for it."""
    try:
        with transaction.atomic(using=schema_editor.connection.alias):
            schema_editor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
            schema_editor.execute(BY_NAME)
    except DatabaseError as exc:
        # The search then reads every name: slower with a million loans, and right all the same.
        print(f"  names are searched without an index: {exc}".rstrip())


def drop_indexes(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX IF EXISTS loans_by_name")


class Migration(migrations.Migration):

    dependencies = [
        ('loans', '0008_desk_at_a_million'),
    ]

    operations = [
        migrations.RunPython(make_indexes, drop_indexes),
    ]
