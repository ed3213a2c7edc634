"""Keys are rotated: every value, none lost, none of the site's own writes undone."""

from __future__ import annotations

import io

import pytest
from cryptography.fernet import Fernet
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import connection

from encryption import rotation
from encryption.rotation import Unreadable, encrypted_columns, rotate_all

MpesaToken = apps.get_model("mpesa", "MpesaToken")
OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()

pytestmark = pytest.mark.django_db


@pytest.fixture
def with_old_key(settings):
    settings.FIELD_ENCRYPTION_KEYS = [OLD]
    for number in range(3):
        MpesaToken.objects.create(app_digest=f"app {number}", access_token=f"token {number}")
    MpesaToken.objects.create(app_digest="empty", access_token="")
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]
    return settings


def stored():
    with connection.cursor() as cursor:
        cursor.execute("SELECT access_token FROM mpesa_tokens ORDER BY id")
        return [row[0] for row in cursor.fetchall()]


def tokens():
    return list(MpesaToken.objects.order_by("id").values_list("access_token", flat=True))


def counted(counts):
    [count] = [each for each in counts if str(each.column) == "mpesa_tokens.access_token"]
    return (count.rotated, count.current, count.left)


def test_every_encrypted_column_of_every_model_is_found():
    found = {str(column) for column in encrypted_columns()}

    assert {"partners.mifos_password", "mpesa_callbacks.body", "mpesa_tokens.access_token"} <= found


def test_after_a_rotation_the_old_key_can_be_dropped(with_old_key):
    assert counted(rotate_all()) == (3, 0, 0)

    with_old_key.FIELD_ENCRYPTION_KEYS = [NEW]
    assert tokens() == ["token 0", "token 1", "token 2", ""]


def test_without_a_rotation_the_old_key_cannot_be_dropped(with_old_key):
    with_old_key.FIELD_ENCRYPTION_KEYS = [NEW]

    with pytest.raises(ImproperlyConfigured):
        tokens()


def test_a_second_rotation_writes_nothing(with_old_key):
    rotate_all()
    before = stored()

    assert counted(rotate_all()) == (0, 3, 0)
    assert stored() == before


def test_more_rows_than_a_batch_are_all_rotated(with_old_key, monkeypatch):
    monkeypatch.setattr(rotation, "CHUNK", 2)

    assert counted(rotate_all()) == (3, 0, 0)


def test_a_dry_run_counts_and_changes_nothing(with_old_key):
    before = stored()
    out = io.StringIO()

    call_command("rotate_keys", "--dry-run", stdout=out)

    assert "mpesa_tokens.access_token: 3 to rotate, 0 current" in out.getvalue()
    assert stored() == before


def test_one_lost_value_keeps_every_other_as_it_is(with_old_key):
    lost = MpesaToken.objects.get(app_digest="app 2")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE mpesa_tokens SET access_token = 'gAAA' WHERE id = %s", [lost.pk])
    before = stored()

    with pytest.raises(Unreadable) as caught:
        rotate_all()

    assert [str(value) for value in caught.value.values] == [
        f"mpesa_tokens.access_token, id {lost.pk}"
    ]
    assert stored() == before


def test_the_command_refuses_with_exit_code_2_and_names_the_row(with_old_key):
    with_old_key.FIELD_ENCRYPTION_KEYS = [NEW]

    with pytest.raises(CommandError, match=r"mpesa_tokens\.access_token, id") as caught:
        call_command("rotate_keys")

    assert caught.value.returncode == 2


def test_a_value_the_site_writes_meanwhile_is_kept(with_old_key, monkeypatch):
    """The site stores a new token between our read and our write: ours must not win."""
    read = rotation._stored

    def and_then_the_site_writes(column):
        for pk, text in read(column):
            if str(column) == "mpesa_tokens.access_token":
                MpesaToken.objects.filter(pk=pk).update(access_token=f"newer {pk}")
            yield pk, text

    lost = [value for column in encrypted_columns() for value in rotation._unreadable(column)]
    assert lost == []
    monkeypatch.setattr(rotation, "_unreadable", lambda column: iter(()))
    monkeypatch.setattr(rotation, "_stored", and_then_the_site_writes)

    assert counted(rotate_all()) == (3, 0, 0)

    with_old_key.FIELD_ENCRYPTION_KEYS = [NEW]
    assert all(token.startswith("newer") for token in tokens() if token)


def test_a_site_that_goes_on_with_the_old_key_is_told_apart(with_old_key, monkeypatch):
    monkeypatch.setattr(rotation, "_rotate_one", lambda *_: False)

    with pytest.raises(CommandError, match="Restart the site") as caught:
        call_command("rotate_keys", stdout=io.StringIO())

    assert caught.value.returncode == 1
