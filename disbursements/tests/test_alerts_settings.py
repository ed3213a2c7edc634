"""The settings of alerts: a wrong one stops the start, and no secret address is ever shown."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from loanpoll_site.environment import Environment

EXAMPLE = "https://alerts.example.co.ke/loanpoll"
LOCAL = "smtp://localhost:25"


@pytest.fixture
def read(monkeypatch, tmp_path):
    """Return an Environment that sees A_NAME as given."""

    def environment(value: str) -> Environment:
        monkeypatch.delenv("LOANPOLL_ENV_FILE", raising=False)
        monkeypatch.setenv("A_NAME", value)
        return Environment(tmp_path)

    return environment


@pytest.mark.parametrize(
    "value",
    [
        "http://hooks.example.co.ke/s3cret",
        "https://user:s3cret@hooks.example.co.ke/",
        "https://hooks.example.co.ke:9000/s3cret",
        "s3cret",
        "https://[s3cret",
    ],
)
def test_a_forbidden_address_stops_the_start_and_is_not_shown(read, value):
    with pytest.raises(ImproperlyConfigured, match="A_NAME") as raised:
        read(value).hidden_url("A_NAME", example=EXAMPLE, allow_private_hosts=False)

    assert "s3cret" not in str(raised.value)
    assert EXAMPLE in str(raised.value)


def test_an_address_with_a_query_is_kept_as_it_is(read):
    value = "https://hooks.example.co.ke/run?sig=abc%2F1"

    assert read(value).hidden_url("A_NAME", example=EXAMPLE, allow_private_hosts=False) == value


@pytest.mark.parametrize(
    "value",
    [
        "smtps://user:s3cret@mail.example.co.ke",
        "smtp+tls://user:s3cret@",
        "smtp://user:s3cret@mail.example.co.ke:mail",
        "smtp://[s3cret",
        "user:s3cret@mail.example.co.ke",
    ],
)
def test_a_wrong_mail_server_stops_the_start_and_is_not_shown(read, value):
    with pytest.raises(ImproperlyConfigured, match="A_NAME") as raised:
        read(value).mail("A_NAME", LOCAL)

    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("value", "port", "tls", "ssl"),
    [
        ("", 25, False, False),
        ("smtp+tls://mail.example.co.ke", 587, True, False),
        ("smtp+ssl://mail.example.co.ke", 465, False, True),
        ("smtp+tls://mail.example.co.ke:2525", 2525, True, False),
    ],
)
def test_the_way_of_a_mail_server_decides_its_port_and_its_tls(read, value, port, tls, ssl):
    found = read(value).mail("A_NAME", LOCAL)

    assert found["EMAIL_PORT"] == port
    assert found.get("EMAIL_USE_TLS", False) is tls
    assert found.get("EMAIL_USE_SSL", False) is ssl


def test_a_password_with_signs_of_an_address_is_read_when_it_is_written_with_percent(read):
    found = read("smtp+tls://loanpoll%40example.co.ke:p%40ss%2Fw@mail.example.co.ke").mail(
        "A_NAME", LOCAL
    )

    assert found["EMAIL_HOST_USER"] == "loanpoll@example.co.ke"
    assert found["EMAIL_HOST_PASSWORD"] == "p@ss/w"
