"""Each partner gets clients of its own, made of its settings of this moment."""

from __future__ import annotations

import pytest

from partners import gateways
from partners.gateways import (
    NotConfigured,
    joined,
    mifos_client,
    mifos_config,
    mpesa_client,
    mpesa_config,
)
from partners.tests.samples import make_partner

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _empty_caches(monkeypatch):
    monkeypatch.setattr(gateways, "_mifos_clients", gateways.ClientCache())
    monkeypatch.setattr(gateways, "_mpesa_clients", gateways.ClientCache())


@pytest.mark.parametrize("host", ["https://m.example", "https://m.example/"])
@pytest.mark.parametrize("endpoint", ["/api/v1", "api/v1", "/api/v1/"])
def test_exactly_one_slash_joins_host_and_endpoint(host, endpoint):
    assert joined(host, endpoint) == "https://m.example/api/v1"


def test_the_mifos_client_speaks_for_its_tenant_and_zone(settings):
    settings.LOANPOLL_HTTP_READ_TIMEOUT = 7

    config = mifos_config(make_partner(mifos_time_zone="Asia/Kolkata"))

    assert config.base_url == "https://mifos.umoja.example/fineract-provider/api/v1"
    assert (config.tenant, config.time_zone, config.read_timeout) == ("default", "Asia/Kolkata", 7)


def test_the_environment_of_the_partner_decides_which_daraja(settings):
    settings.MPESA_SANDBOX_URL = "https://sandbox.safaricom.co.ke"
    settings.MPESA_PRODUCTION_URL = "https://api.safaricom.co.ke"
    test = make_partner()
    live = make_partner(slug="live", mifos_tenant_id="live", mpesa_environment="production")

    assert mpesa_config(test).base_url == "https://sandbox.safaricom.co.ke"
    assert mpesa_config(live).base_url == "https://api.safaricom.co.ke"


def test_a_sandbox_partner_never_reaches_the_production_host(settings):
    settings.MPESA_SANDBOX_URL = "https://api.safaricom.co.ke"

    with pytest.raises(NotConfigured, match="MPESA_SANDBOX_URL"):
        mpesa_client(make_partner())


def test_a_production_partner_never_reaches_the_sandbox_host(settings):
    settings.MPESA_PRODUCTION_URL = "https://sandbox.safaricom.co.ke"

    with pytest.raises(NotConfigured, match="MPESA_PRODUCTION_URL"):
        mpesa_client(make_partner(mpesa_environment="production"))


def test_what_is_missing_is_named_and_secrets_are_not_shown():
    partner = make_partner(mifos_username="", mifos_payment_type_id=None)

    with pytest.raises(NotConfigured) as missing:
        mifos_client(partner)

    assert str(missing.value) == (
        "The Mifos X settings of umoja are incomplete: mifos_username, mifos_payment_type_id."
    )


def test_one_client_serves_a_partner_until_its_settings_change():
    partner = make_partner()
    mifos, mpesa = mifos_client(partner), mpesa_client(partner)
    assert mifos_client(partner) is mifos
    assert mpesa_client(partner) is mpesa

    partner.mifos_password = "hush-another"
    partner.mpesa_security_credential = "hush-another"

    assert mifos_client(partner) is not mifos
    assert mpesa_client(partner) is not mpesa


def test_two_partners_with_equal_settings_share_nothing():
    first, second = make_partner(), make_partner(slug="copy", mifos_tenant_id="copy")
    second.mifos_tenant_id = first.mifos_tenant_id

    assert mifos_client(first) is not mifos_client(second)


def test_no_more_clients_are_kept_than_allowed(monkeypatch):
    monkeypatch.setattr(gateways, "MOST_CLIENTS", 1)
    first, second = make_partner(), make_partner(slug="copy", mifos_tenant_id="copy")
    client = mifos_client(first)
    mifos_client(second)

    assert mifos_client(first) is not client
