"""The check over real HTTP: it sees what is there, says what is wrong, and moves nothing."""

from __future__ import annotations

import time
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from mpesa.tokens import forget_warm_tokens
from partners.models import Partner
from sandbox.world import partner_file, small_world

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def umoja(sandbox: Any, settings: Any, tmp_path: Path) -> str:
    """Load the sandbox's lender; return its slug."""
    forget_warm_tokens()
    settings.LOANPOLL_ALLOW_PRIVATE_HOSTS = True
    settings.MPESA_SANDBOX_URL = sandbox.mpesa_url
    settings.LOANPOLL_HTTP_READ_TIMEOUT = 2
    sample = small_world()
    sandbox.load(sample.document)
    call_command(
        "load_partners", str(partner_file(sample, sandbox, tmp_path / "p.json")), stdout=StringIO()
    )
    return Partner.objects.get().slug


def check(slug: str) -> tuple[str, int]:
    out = StringIO()
    try:
        call_command("test_loan_polling_system", "--partner", slug, stdout=out)
    except CommandError as failed:
        return out.getvalue(), failed.returncode
    return out.getvalue(), 0


def test_a_partner_that_works_is_all_ticks_and_nothing_moves(umoja: str, sandbox: Any) -> None:
    text, exit_code = check(umoja)

    assert exit_code == 0
    assert "✗" not in text
    assert "loan list readable, 8 approved and waiting" in text
    assert "M-Pesa token obtained" in text
    assert sandbox.payments() == []
    assert sandbox.count("mpesa", "b2c") == 0


def test_a_changed_password_is_told_from_an_outage(umoja: str, sandbox: Any) -> None:
    Partner.objects.update(mifos_password="changed")
    changed, exit_code = check(umoja)
    assert exit_code == 1
    assert "Likely: the password was changed" in changed

    sandbox.outage("mifos")
    down, exit_code = check(umoja)

    assert exit_code == 1
    assert "Likely: the server is down" in down
    assert "✓ partner umoja  M-Pesa token obtained" in down


def test_a_payment_type_of_another_tenant_is_seen(umoja: str) -> None:
    Partner.objects.update(mifos_payment_type_id=999)

    text, exit_code = check(umoja)

    assert exit_code == 1
    assert "payment type 999 does not exist in Mifos X" in text


def test_a_silent_mifos_holds_the_check_no_longer_than_its_time_outs(
    umoja: str, sandbox: Any
) -> None:
    sandbox.options(mifos_latency=30)
    started = time.monotonic()

    text, exit_code = check(umoja)

    sandbox.options(mifos_latency=0)
    assert exit_code == 1
    assert "M-Pesa token obtained" in text
    assert time.monotonic() - started < 8
