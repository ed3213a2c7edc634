"""The ground the tests stand on: data that survives a flush, and a network that ends here."""

from __future__ import annotations

import socket
import subprocess
import sys
import urllib.request
from decimal import Decimal
from pathlib import Path

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import DatabaseError, connection
from django.test import Client
from django.utils import timezone

from loans.models import LoanEvent, LoanTracking
from partners.models import Partner

PROJECT = Path(__file__).resolve().parent.parent


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("turn", ["first", "second"])
def test_a_flush_keeps_what_the_migrations_shipped(turn):
    assert Permission.objects.filter(codename="view_partner").exists()
    assert not Group.objects.filter(name="left over").exists()
    Group.objects.create(name="left over")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("turn", ["first", "second"])
def test_a_flush_empties_the_audit_trail_and_leaves_its_triggers(turn):
    assert not LoanEvent.objects.exists()
    partner = Partner.objects.create(slug="umoja", name="Umoja")
    loan = LoanTracking.objects.create(
        partner=partner, loan_id=1, product_id=1, loan_amount=Decimal(1000), currency="KES"
    )
    event = LoanEvent.objects.create(
        loan_tracking=loan, to_status="pending_disbursement", actor="test", at=timezone.now()
    )

    with pytest.raises(DatabaseError, match="insert-only"):
        event.delete()
    with pytest.raises(DatabaseError, match="insert-only"):
        LoanEvent.objects.update(actor="another")


@pytest.mark.django_db(transaction=True)
def test_the_database_is_shared_with_a_child_process(child_environment):
    Group.objects.create(name="seen by the child")

    child = subprocess.run(
        [
            sys.executable,
            str(PROJECT / "manage.py"),
            "shell",
            "--no-imports",
            "-c",
            "from django.contrib.auth.models import Group; print(Group.objects.last().name)",
        ],
        env=child_environment,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )

    assert child.stdout.strip().endswith("seen by the child"), child.stderr


def test_no_test_reaches_another_machine():
    with socket.socket() as way_out, pytest.raises(pytest.fail.Exception, match="192"):
        way_out.connect(("192.0.2.1", 443))
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("api.safaricom.co.ke", 443)


def test_the_live_site_answers_over_http_at_the_public_address(live_site, settings):
    assert live_site == settings.PUBLIC_BASE_URL
    assert urllib.request.urlopen(f"{live_site}/admin/login/", timeout=10).status == 200


@pytest.mark.django_db
def test_the_test_database_is_not_the_developers():
    assert Path(str(connection.settings_dict["NAME"])).name != "loanpoll.sqlite3"
    assert Client().get("/admin/login/").status_code == 200
