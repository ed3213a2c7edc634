from django.db import migrations

from mpesa.shipped_codes import ship_result_codes


def ship(apps, schema_editor):
    ship_result_codes(apps.get_model("mpesa", "ResultCode"), schema_editor.connection.alias)


class Migration(migrations.Migration):

    dependencies = [
        ("mpesa", "0001_initial"),
    ]

    operations = [
        migrations.RunPython(ship, migrations.RunPython.noop, elidable=False),
    ]
