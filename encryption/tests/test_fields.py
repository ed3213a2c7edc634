"""Secrets at rest: unreadable in the database, readable with any key in force."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from encryption.fields import decrypt, encrypt

# A room above, so it is not imported; any model with an encrypted column would do.
MpesaToken = apps.get_model("mpesa", "MpesaToken")
OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def stored_text() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT access_token FROM mpesa_tokens")
        return str(cursor.fetchone()[0])


@hypothesis_settings(deadline=None)
@given(st.text(st.characters(codec="utf-8")))
def test_what_goes_in_comes_out(text):
    assert decrypt(encrypt(text)) == text


def test_the_empty_text_stays_empty():
    assert encrypt("") == ""
    assert decrypt("") == ""


def test_the_same_secret_never_looks_the_same_twice():
    assert encrypt("secret") != encrypt("secret")


@pytest.mark.django_db
def test_a_column_is_clear_on_the_model_and_encrypted_in_the_table():
    MpesaToken.objects.create(app_digest="a", access_token="the token")

    assert "the token" not in stored_text()
    assert MpesaToken.objects.get().access_token == "the token"


@pytest.mark.django_db
def test_an_update_is_encrypted_too():
    MpesaToken.objects.create(app_digest="a", access_token="the token")
    MpesaToken.objects.update(access_token="another")

    assert "another" not in stored_text()
    assert MpesaToken.objects.values_list("access_token", flat=True).get() == "another"


def test_a_new_first_key_writes_and_the_old_one_still_reads(settings):
    settings.FIELD_ENCRYPTION_KEYS = [OLD]
    before = encrypt("secret")

    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]
    after = encrypt("secret")

    assert decrypt(before) == decrypt(after) == "secret"
    settings.FIELD_ENCRYPTION_KEYS = [NEW]
    assert decrypt(after) == "secret"


@pytest.mark.django_db
def test_a_lost_key_raises_and_never_hands_out_ciphertext(settings):
    settings.FIELD_ENCRYPTION_KEYS = [OLD]
    MpesaToken.objects.create(app_digest="a", access_token="the token")

    settings.FIELD_ENCRYPTION_KEYS = [NEW]

    with pytest.raises(ImproperlyConfigured, match="FIELD_ENCRYPTION_KEYS"):
        MpesaToken.objects.get()


@pytest.mark.parametrize(
    "tampered",
    ["the token", "gAAAAAB", encrypt("x")[:-4] + "AAAA"],
    ids=["clear", "short", "changed"],  # fixed, so that parallel workers collect the same names
)
def test_text_that_was_never_encrypted_here_is_refused(tampered):
    with pytest.raises(ImproperlyConfigured):
        decrypt(tampered)
