"""The demo keeps away from what is not its own, and says how to start it."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from demo import guard
from disbursements.tests.making import make_partner
from mpesa.models import MpesaEnvironment
from partners.models import Partner

pytestmark = pytest.mark.django_db


@pytest.fixture
def own_folder(settings, monkeypatch) -> Path:
    """Let the database of the test pass for the demo's own."""
    if connection.vendor != "sqlite":
        pytest.skip("the demo's database is SQLite")
    settings.DEBUG = settings.LOANPOLL_ALLOW_PRIVATE_HOSTS = True
    name = Path(connection.settings_dict["NAME"])
    monkeypatch.setattr(guard, "DATABASE", name.name)
    return name.parent


def test_the_database_of_an_installation_is_refused_and_left_as_it_is():
    make_partner(slug="umoja")

    with pytest.raises(CommandError, match="database of its own") as refused:
        call_command("demo", "--once", stdout=StringIO())

    assert refused.value.returncode == 2
    assert Partner.objects.filter(slug="umoja").exists()


def test_its_own_database_is_taken(own_folder):
    make_partner(slug="umoja")

    assert guard.refusal(own_folder) == ""


def test_a_partner_of_the_production_environment_stops_it(own_folder):
    make_partner(slug="real", mpesa_environment=MpesaEnvironment.PRODUCTION)

    assert "real" in guard.refusal(own_folder)


@pytest.mark.parametrize("name", ["DEBUG", "LOANPOLL_ALLOW_PRIVATE_HOSTS"])
def test_settings_that_are_not_the_demos_stop_it(own_folder, settings, name):
    setattr(settings, name, False)

    assert "not the demo's own settings" in guard.refusal(own_folder)
