"""A partner's address cannot point the wire at this house's own insides."""

import socket

import pytest

from wire import NotSent, Wire, WireConfig
from wire.guard import check_url, checked_addresses


def resolve_to(monkeypatch, *addresses):
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, port, **kwargs: [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses
        ],
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://mifos.example/",
        "https://mifos.example:80/",
        "https://mifos.example:22/",
        "https://mifos.example:0/",
        "https://mifos.example:99999/",
        "https://user:hunter2@mifos.example/",
        "https://@mifos.example/",
        "https://mifos.example\\@127.0.0.1/",
        "https://mifos.example/a b",
        "https://mifos.example/\r\nX: y",
        "https://[::1",
        "https:///loans",
        "https:mifos.example",
        "ftp://mifos.example/",
        "file:///etc/passwd",
        "gopher://mifos.example/",
        "unix:///var/run/docker.sock",
        "//mifos.example/",
        "mifos.example",
        "",
    ],
)
def test_a_forbidden_address_is_refused_by_its_form(url):
    with pytest.raises(NotSent) as caught:
        check_url(url, allow_private_hosts=False)

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["https://mifos.example/x?y=1", "https://mifos.example:8443/"])
def test_https_on_its_two_ports_is_allowed(url):
    assert check_url(url, allow_private_hosts=False).hostname == "mifos.example"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8100/", "http://sandbox:80/", "https://localhost:9000/"]
)
def test_private_hosts_may_use_http_and_any_port_when_allowed(url):
    assert check_url(url, allow_private_hosts=True)


@pytest.mark.parametrize("url", ["http://a:b@127.0.0.1/", "ftp://127.0.0.1/", "file:///etc/passwd"])
def test_allowing_private_hosts_allows_no_other_form(url):
    with pytest.raises(NotSent):
        check_url(url, allow_private_hosts=True)


INWARD = [
    "127.0.0.1",
    "127.9.9.9",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.parametrize("address", INWARD)
def test_an_inward_address_is_refused_wherever_it_stands_in_the_answer(monkeypatch, address):
    for addresses in ([address], ["41.90.0.1", address], [address, "41.90.0.1"]):
        resolve_to(monkeypatch, *addresses)

        with pytest.raises(NotSent, match="not allowed"):
            checked_addresses("mifos.example", 443, allow_private_hosts=False)


@pytest.mark.parametrize("address", ["41.90.0.1", "2a00:1450:4001::1", "64:ff9b::295a:1"])
def test_a_public_address_is_allowed(monkeypatch, address):
    resolve_to(monkeypatch, address, address)

    assert checked_addresses("mifos.example", 443, allow_private_hosts=False) == [address]


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1", "224.0.0.1", "0.0.0.0"])
def test_metadata_and_multicast_stay_forbidden_when_private_hosts_are_allowed(monkeypatch, address):
    resolve_to(monkeypatch, address)

    with pytest.raises(NotSent):
        checked_addresses("sandbox", 8100, allow_private_hosts=True)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "[::1]", "localhost"]
)
def test_loopback_in_any_spelling_is_not_dialled(monkeypatch, host):
    def dial(*args, **kwargs):
        pytest.fail("a socket was opened")

    monkeypatch.setattr("wire.connection.create_connection", dial)
    wire = Wire(
        WireConfig(connect_timeout=1, read_timeout=2, allow_private_hosts=False, pool_size=1)
    )

    with pytest.raises(NotSent):
        wire.send("POST", f"https://{host}/fineract-provider/api/v1/loans", body={})


def test_an_empty_resolver_answer_is_not_sent(monkeypatch):
    resolve_to(monkeypatch)

    with pytest.raises(NotSent):
        checked_addresses("mifos.example", 443, allow_private_hosts=False)
