"""A file of partners is applied whole or not at all, and says everything that is wrong with it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.core.management import CommandError, call_command
from django.utils import timezone

from partners.loading import PlannedAction, WrongFile, load_partners
from partners.models import Partner

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
UMOJA: dict[str, Any] = {
    "slug": "umoja",
    "name": "Umoja Sacco",
    "mifos_host_url": "https://mifos.umoja.example",
    "mifos_tenant_id": "default",
    "mifos_username": "loanpoll",
    "mifos_password": "s3cret-of-mifos",
    "mifos_payment_type_id": 3,
    "mpesa_shortcode": "600123",
    "mpesa_initiator_name": "testapi",
    "mpesa_consumer_key": "k3y-of-daraja",
    "mpesa_consumer_secret": "s3cret-of-daraja",
    "mpesa_security_credential": "cr3dential",
    "daily_limit": 500000,
    "products": [{"product_id": 1, "product_name": "Emergency", "enabled": True}],
}


@pytest.fixture(autouse=True)
def _public_hosts_only(settings):
    settings.LOANPOLL_ALLOW_PRIVATE_HOSTS = False


@pytest.fixture
def write(tmp_path):
    def write_file(*partners: object, name: str = "partners.json") -> Path:
        path: Path = tmp_path / name
        path.write_text(json.dumps(partners))
        return path

    return write_file


@pytest.fixture
def load(write):
    def load_file(*partners: object, **options: Any):
        return load_partners(write(*partners), **{"now": NOW, **options})

    return load_file


def umoja(**changes: Any) -> dict[str, Any]:
    return {**UMOJA, **changes}


def problems_of(load, *partners: object) -> list[str]:
    with pytest.raises(WrongFile) as wrong:
        load(*partners)
    return [str(problem) for problem in wrong.value.problems]


def test_a_new_partner_is_created_ready_to_work(load):
    [plan] = load(umoja())

    partner = Partner.objects.get(slug="umoja")
    assert plan.action == PlannedAction.CREATED
    assert partner.is_mifos_configured
    assert partner.is_mpesa_configured
    assert partner.mifos_api_endpoint == "/fineract-provider/api/v1"
    assert partner.daily_limit == Decimal(500_000)
    assert partner.mpesa_credential_set_at == NOW
    assert partner.products.get().product_name == "Emergency"


def test_loading_twice_changes_nothing(load):
    load(umoja())
    before = Partner.objects.values().get()

    [plan] = load(umoja(), now=NOW + timedelta(days=1))

    assert plan.action == PlannedAction.UNCHANGED
    assert Partner.objects.values().get() == before


def test_a_changed_value_is_named_and_the_rules_are_touched(load):
    load(umoja())
    later = NOW + timedelta(days=1)
    products = [{"product_id": 1, "max_amount": "9000.50"}, {"product_id": 2}]

    [plan] = load(umoja(mifos_password="another", products=products), now=later)

    assert plan.action == PlannedAction.CHANGED
    assert plan.changed == ("mifos_password", "product 1 (max_amount)", "product 2")
    partner = Partner.objects.get()
    assert partner.rules_changed_at >= later
    assert partner.mifos_password == "another"
    assert partner.products.get(product_id=1).enabled


def test_how_the_last_poll_went_is_not_written_over(load):
    load(umoja())
    Partner.objects.update(last_error="HTTP 401")

    load(umoja(name="Umoja Sacco Ltd"))

    assert Partner.objects.get().last_error == "HTTP 401"


def test_one_wrong_partner_keeps_all_others_out(load):
    texts = problems_of(
        load,
        umoja(),
        umoja(slug="tumaini", mifos_tenant_id="tumaini", mifos_payment_type_id="three"),
    )

    assert texts == ["tumaini: mifos_payment_type_id: must be a whole number. Example: 3"]
    assert not Partner.objects.exists()


def test_every_problem_of_the_whole_file_is_listed_at_once(load):
    texts = problems_of(
        load,
        umoja(
            is_active="yes", daily_limit=-1, products=[{"product_id": 1, "max_amount": 3000000000}]
        ),
        {"slug": "tumaini"},
        "jijenge",
        {"name": "no slug", "mifos_hosturl": "https://mifos.example"},
    )

    assert texts == [
        "umoja: is_active: must be true or false, without quotes",
        "umoja: daily_limit: -1 is below 0. Example: 50000",
        "umoja: products[1].max_amount: 3000000000 is more than 1,000,000,000. Example: 50000",
        "tumaini: name: This field cannot be blank. Example: Umoja Sacco",
        "partner no. 3: must be a block of keys and values, beginning with slug: umoja",
        "partner no. 4: slug: is missing; it is the partner's short name. Example: umoja",
        "partner no. 4: mifos_hosturl: is not a known key. Did you mean mifos_host_url?",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mifos_host_url": "http://mifos.umoja.example"}, "must begin with https://"),
        ({"mifos_host_url": "https://127.0.0.1"}, "private or local"),
        ({"mifos_host_url": "https://2130706433"}, "private or local"),
        ({"mifos_host_url": "https://0x7f.1"}, "private or local"),
        ({"mifos_host_url": "https://[::ffff:10.0.0.1]"}, "private or local"),
        ({"mifos_host_url": "https://169.254.169.254"}, "private or local"),
        ({"mifos_host_url": "https://mifos.internal"}, "private or local"),
        ({"mifos_host_url": "https://u:p@mifos.example"}, "user name or password"),
        ({"mifos_host_url": "https://mifos.example/api"}, "is the host only"),
        ({"mifos_host_url": "https://mifos.example?x=1"}, "may not hold ? or #"),
        ({"mifos_host_url": "https://mifos.example:22"}, "port 22 is not allowed"),
        ({"mifos_host_url": "https://mifos.example:x"}, "is not an address"),
        ({"mifos_host_url": "ftp://mifos.example"}, "begins with https://"),
        ({"mifos_api_endpoint": "/../admin?x"}, "cannot be used"),
        ({"mifos_tenant_id": "a\r\nX-Evil: 1"}, "control character"),
        ({"mifos_time_zone": "Nairobi"}, "is not a time zone"),
        ({"mifos_time_zone": "../etc/passwd"}, "is not a time zone"),
        ({"mpesa_shortcode": "12"}, "cannot be used"),
        ({"mpesa_shortcode": "٦٠٠١٢٣"}, "cannot be used"),
        ({"mpesa_environment": "live"}, "not a valid choice"),
        ({"mpesa_environment": "production"}, "one of Safaricom's test shortcodes"),
        (
            {"mpesa_environment": "production", "mpesa_shortcode": "712345"},
            "is Safaricom's test initiator",
        ),
        ({"daily_limit": 1e12}, "more than 1,000,000,000"),
        ({"daily_limit": "1e3"}, "must be a number"),
        ({"daily_limit": "1,000"}, "must be a number"),
        ({"daily_limit": True}, "must be a number"),
        ({"daily_limit": 10.005}, "at most 2 decimals"),
        ({"daily_limit": float("nan")}, "a finite one"),
        ({"daily_limit": float("inf")}, "a finite one"),
        ({"daily_limit": int("9" * 40)}, "too many digits"),
        ({"mpesa_payments_per_second": 0}, "greater than or equal to 0.001"),
        ({"mifos_concurrency": 65}, "less than or equal to 64"),
        ({"mifos_payment_type_id": 3.0}, "must be a whole number"),
        ({"resend_unknown": 1}, "must be true or false"),
        ({"mifos_password": " blank"}, "begins or ends with a blank"),
        ({"mifos_password": None}, "is empty"),
        ({"mifos_password": "env:LOANPOLL_NO_SUCH"}, "LOANPOLL_NO_SUCH, which is not set"),
        ({"is_mifos_configured": True, "mifos_password": ""}, "are empty: mifos_password"),
        ({"webhook_token": "short"}, "needs 32 to 64"),
        ({"products": {"product_id": 1}}, "must be a list"),
        ({"products": [{"enabled": True}]}, "products[1].product_id: is missing"),
        ({"products": [{"product_id": 1}, {"product_id": 1}]}, "stands twice"),
        ({"products": [{"product_id": 1, "min_amount": 9, "max_amount": 8}]}, "above max_amount"),
        ({"products": [{"product_id": 1, "min_amount": -5}]}, "is below 0"),
        ({"mpesa_initiator_password": "x"}, "cannot stand beside mpesa_security_credential"),
    ],
)
def test_a_wrong_value_is_refused_in_plain_words(load, changes, message):
    texts = problems_of(load, umoja(**changes))

    assert any(message in text for text in texts), texts
    assert not Partner.objects.exists()


def test_a_private_host_is_allowed_where_the_sandbox_runs(load, settings):
    settings.LOANPOLL_ALLOW_PRIVATE_HOSTS = True

    load(umoja(mifos_host_url="HTTP://Localhost:8443/"))

    assert Partner.objects.get().mifos_host_url == "http://localhost:8443"


def test_the_same_tenant_twice_is_refused(load):
    texts = problems_of(load, umoja(), umoja(slug="copy"))

    assert texts == ["copy: Another partner already uses this Mifos X tenant"]


def test_no_secret_is_ever_repeated(load, write):
    broken = umoja(
        mifos_password="hush-1\n",
        mpesa_consumer_key=["hush-2"],
        mpesa_consumer_secret=" hush-3",
        mpesa_security_credential="hush-4\x00",
        daily_limit=-1,
    )

    with pytest.raises(CommandError) as refused:
        call_command("load_partners", str(write(broken)))

    assert "hush" not in str(refused.value)
    assert refused.value.returncode == 2


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.json", '[{"slug": "umoja", "mifos_password": hush}]'),
        ("p.json", '{"slug": "umoja"}'),
        ("p.json", '[{"slug": "a", "slug": "b"}]'),
        ("p.json", "[" * 100_000),
        ("p.yaml", "- slug: umoja\n  mifos_password: *hush\n"),
        ("p.yaml", "- slug: a\n  slug: b\n"),
        ("p.yaml", "- !!python/object/apply:os.system [hush]\n"),
        ("p.yaml", ""),
    ],
)
def test_an_unreadable_file_is_refused_without_quoting_it(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)

    with pytest.raises(WrongFile) as wrong:
        load_partners(path, now=NOW)

    assert "hush" not in str(wrong.value)


def test_a_file_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(WrongFile, match="cannot be read: No such file"):
        load_partners(tmp_path / "none.yaml", now=NOW)


def test_yaml_is_read_without_its_guesses(tmp_path, monkeypatch):
    monkeypatch.setenv("UMOJA_PASSWORD", "from outside\n")
    monkeypatch.setenv("UMOJA_ACTIVE", "false")
    path = tmp_path / "partners.yml"
    path.write_text(
        "- slug: umoja\n  name: 2026-11-23\n  mpesa_shortcode: 0712345\n"
        "  daily_limit: 1000.10\n  mifos_password: env:UMOJA_PASSWORD\n"
        "  is_active: env:UMOJA_ACTIVE\n"
    )

    load_partners(path, now=NOW)

    partner = Partner.objects.get()
    assert partner.name == "2026-11-23"
    assert partner.mpesa_shortcode == "0712345"
    assert partner.daily_limit == Decimal("1000.10")
    assert partner.mifos_password == "from outside"
    assert not partner.is_active
    assert not partner.is_mifos_configured


def test_products_left_out_stay_unless_pruned_and_then_are_only_disabled(load):
    load(umoja())

    assert load(umoja(products=[]))[0].action == PlannedAction.UNCHANGED
    [plan] = load(umoja(products=[]), prune=True)

    assert plan.changed == ("product 1 (enabled)",)
    assert not Partner.objects.get().products.get().enabled


def test_a_dry_run_tells_and_changes_nothing(load):
    [plan] = load(umoja(), dry_run=True)

    assert plan.action == PlannedAction.CREATED
    assert not Partner.objects.exists()


def test_a_flag_that_somebody_switched_off_stays_off(load):
    load(umoja())
    Partner.objects.update(is_mpesa_configured=False)

    load(umoja(name="Umoja Sacco Ltd"))

    assert not Partner.objects.get().is_mpesa_configured


def test_a_file_may_pause_but_lifts_only_its_own_pause(load):
    load(umoja(is_paused=True, pause_reason="float audit"))
    assert Partner.objects.get().pause_reason == "float audit"
    load(umoja(is_paused=False))
    assert not Partner.objects.get().is_paused
    Partner.objects.update(is_paused=True, paused_by="p.njoroge", paused_at=timezone.now())

    [text] = problems_of(load, umoja(is_paused=False))

    assert "p.njoroge paused it" in text
    assert Partner.objects.get().is_paused


def test_a_product_may_lend_more_than_mpesa_pays_at_once(load):
    load(umoja(products=[{"product_id": 1, "max_amount": 1_000_000}]))

    assert Partner.objects.get().products.get().max_amount == 1_000_000


@pytest.fixture
def certificate() -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "M-Pesa")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=2))
        .not_valid_after(NOW - timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def test_the_credential_is_made_once_from_password_and_certificate(load, tmp_path, certificate):
    (tmp_path / "mpesa.cer").write_bytes(certificate)
    made = umoja(mpesa_initiator_password="initiator#1", mpesa_certificate="mpesa.cer")
    del made["mpesa_security_credential"]
    load(made)
    first = Partner.objects.get()

    [same] = load(made, now=NOW + timedelta(days=80))
    [other] = load(
        {**made, "mpesa_initiator_password": "initiator#2"}, now=NOW + timedelta(days=81)
    )

    assert len(first.mpesa_security_credential) == 344
    assert first.is_mpesa_configured
    assert same.action == PlannedAction.UNCHANGED
    assert other.changed == ("mpesa_security_credential",)
    assert Partner.objects.get().mpesa_credential_set_at == NOW + timedelta(days=81)


def test_a_missing_certificate_is_named(load):
    made = umoja(mpesa_initiator_password="initiator#1", mpesa_certificate="none.cer")
    del made["mpesa_security_credential"]

    [text] = problems_of(load, made)

    assert "mpesa_certificate: cannot be used: No such file" in text
    assert "initiator#1" not in text


def test_the_command_prints_the_plan(write):
    out = StringIO()
    path = str(write(umoja()))

    call_command("load_partners", path, stdout=out)
    call_command("load_partners", path, stdout=out)
    call_command("load_partners", str(write(umoja(mifos_username="x", daily_limit=1))), stdout=out)

    lines = out.getvalue().splitlines()
    assert lines[0] == "+ umoja  created"
    assert lines[2] == "= umoja  unchanged"
    assert lines[4] == "~ umoja  changed: mifos_username, daily_limit"


def test_the_command_speaks_json_also_of_problems(write):
    out = StringIO()
    call_command("load_partners", str(write(umoja())), "--json", "--dry-run", stdout=out)
    plan = json.loads(out.getvalue())
    assert plan["partners"] == [{"slug": "umoja", "action": "created", "changed": []}]
    assert plan["dryRun"] is True

    out = StringIO()
    with pytest.raises(CommandError):
        call_command("load_partners", str(write({"slug": "x"})), "--json", stdout=out)

    assert json.loads(out.getvalue())["problems"][0]["key"] == "name"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "names no partner"),
        ([{"name": "Umoja"}], "slug: is missing"),
    ],
)
def test_a_file_that_names_nobody_is_refused(load, rows, said):
    with pytest.raises(WrongFile, match=said):
        load(*rows)
