"""Over real sockets: which failures prove that nothing left, and which prove nothing."""

import datetime as dt
import gzip
import ipaddress
import json
import logging
import os
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
import responses
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from wire import NoAnswer, NotSent, Wire, WireConfig
from wire.connection import Call
from wire.tests.peer import drips, peer, read_request, resets, says, says_raw

DEADLINE = 0.4


@pytest.fixture
def wire():
    with_private = Wire(
        WireConfig(
            connect_timeout=0.3, read_timeout=DEADLINE, allow_private_hosts=True, pool_size=4
        )
    )
    yield with_private
    with_private.close()


def unused_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_an_answer_comes_back_whole(wire):
    with peer(says(b'{"id": 1}', headers="X-Served-From-Cache: true\r\n")) as here:
        answer = wire.send(
            "POST",
            here.url,
            params={"command": "disburse"},
            headers={"Idempotency-Key": "k-1"},
            body={"transactionAmount": 5},
            auth=("svc", "pässwörd€"),
        )

    assert (answer.status, answer.json()) == (200, {"id": 1})
    assert answer.headers["x-served-from-cache"] == "true"
    head, _, body = here.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /loans?command=disburse HTTP/1.1\r\n")
    assert b"\r\nContent-Type: application/json" in head
    assert b"\r\nIdempotency-Key: k-1" in head
    assert b"\r\nAuthorization: Basic c3ZjOnDDpHNzd8O2cmTigqw=" in head
    assert json.loads(body) == {"transactionAmount": 5}


@pytest.mark.parametrize("status", ["400 Bad", "401 No", "404 No", "409 Busy", "500 Oops", "503 X"])
def test_every_status_is_an_answer_and_is_asked_for_once(wire, status):
    with peer(says(b"{}", status=status, headers="Retry-After: 0\r\n")) as here:
        answer = wire.send("GET", here.url)

    assert answer.status == int(status[:3])
    assert len(here.requests) == 1


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 T", "308 P"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_redirect_is_not_followed(wire, status, method):
    with peer(says(b"elsewhere")) as other:
        location = f"Location: {other.url}\r\n"
        with peer(says(b"go away", status=status, headers=location)) as here:
            answer = wire.send(method, here.url, auth=("svc", "hunter2"))

    assert answer.status == int(status[:3])
    assert other.connections == 0
    assert len(here.requests) == 1


def test_a_refused_connection_is_not_sent(wire):
    with pytest.raises(NotSent) as caught:
        wire.send("POST", f"http://127.0.0.1:{unused_port()}/?key=hunter2", body={"a": "hunter2"})

    assert caught.value.__cause__ is not None
    assert "hunter2" not in str(caught.value)


def test_an_unknown_name_is_not_sent(wire, monkeypatch):
    def fail(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)

    with pytest.raises(NotSent, match=r"mifos\.example"):
        wire.send("POST", "http://mifos.example/", body={})


def test_a_connection_that_never_comes_up_is_not_sent(wire):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        # Fills the queue of a listener that nobody accepts from.
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        started = time.monotonic()

        with pytest.raises(NotSent):
            wire.send("POST", f"http://127.0.0.1:{port}/", body={})

        assert time.monotonic() - started < 1
        for filler in fillers:
            filler.close()


@pytest.mark.parametrize(
    ("method", "headers"),
    [("POST", {"Idempotency-Key": "a\r\nX: hunter2"}), ("POST", {"Tenant": "hunter2\u20ac\n"})],
)
def test_a_request_that_cannot_be_written_is_not_sent(wire, method, headers):
    with peer(says(b"{}")) as here, pytest.raises(NotSent) as caught:
        wire.send(method, here.url, headers=headers)

    assert "hunter2" not in str(caught.value)
    assert here.requests == []


def test_a_header_beyond_latin_1_is_never_half_sent(wire):
    with peer(says(b"{}")) as here, pytest.raises(NotSent):
        wire.send("POST", here.url, headers={"Fineract-Platform-TenantId": "\u20ac"})

    assert here.requests == []


def test_a_body_that_is_not_json_is_not_sent(wire):
    with peer(says(b"{}")) as here, pytest.raises(NotSent):
        wire.send("POST", here.url, body={"amount": float("nan")})

    assert here.connections == 0


OK = b"HTTP/1.1 200 OK\r\n"
BOMB = gzip.compress(b"0" * 64 * 1024 * 1024)


@pytest.mark.parametrize(
    "behave",
    [
        resets,
        says_raw(b""),
        says_raw(b"SSH-2.0-OpenSSH_9.0\r\n"),
        says_raw(OK + b"Content-Length: 100\r\n\r\n{}"),
        says_raw(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{}"),
        says_raw(OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"),
        says_raw(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n"),
        says_raw(OK + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd"),
        says(b"0" * (1024 * 1024 + 1)),
        says(BOMB, headers="Content-Encoding: gzip\r\n"),
        says(BOMB, status="302 Found", headers="Location: /\r\nContent-Encoding: gzip\r\n"),
        says_raw(OK + b"X-Long: " + b"a" * 70000 + b"\r\n\r\n"),
        drips(OK + b"X: ", b"a"),
        drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        drips(OK + b"Content-Length: 5000\r\n\r\n", b"a"),
        drips(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
        drips(OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n"),
        drips(OK + b"\r\n", b"a"),
        lambda connection, request: time.sleep(1.2),
    ],
    ids=[
        "reset",
        "hang-up",
        "other protocol",
        "body cut",
        "chunk cut",
        "last chunk missing",
        "chunk garbled",
        "gzip garbled",
        "too large",
        "gzip bomb",
        "gzip bomb in a redirect",
        "endless header",
        "slow headers",
        "endless 100",
        "slow body",
        "slow chunks",
        "slow trailers",
        "slow body without length",
        "silence",
    ],
)
def test_without_a_whole_answer_in_time_nothing_is_proven(wire, behave):
    with peer(behave) as here:
        started = time.monotonic()
        with pytest.raises(NoAnswer) as caught:
            wire.send("POST", here.url, body={"pin": "hunter2"}, auth=("svc", "hunter2"))

    assert time.monotonic() - started < DEADLINE + 0.4
    assert len(here.requests) == 1
    assert "hunter2" not in str(caught.value)


def test_a_long_list_may_be_larger_than_other_answers(wire):
    with peer(says(b" " * (2 * 1024 * 1024) + b"[]")) as here:
        assert wire.send("GET", here.url).json() == []


def test_a_list_beyond_eight_mebibytes_is_dropped(wire):
    with peer(says(b" " * (8 * 1024 * 1024 + 1))) as here, pytest.raises(NoAnswer):
        wire.send("GET", here.url)


def test_gzip_is_read(wire):
    with peer(says(gzip.compress(b"[1]"), headers="Content-Encoding: gzip\r\n")) as here:
        assert wire.send("GET", here.url).json() == [1]


def test_an_open_connection_is_used_again(wire):
    with peer(says(b"{}")) as here:
        for _ in range(3):
            wire.send("POST", here.url, body={})

    assert here.connections == 1


def test_after_its_time_to_begin_no_byte_leaves_however_the_connection_came(wire):
    with peer(says(b"{}")) as here:
        wire.send("POST", here.url, body={})
        with pytest.raises(NotSent, match="time to begin"):
            wire.send("POST", here.url, body={"a": "late"}, begin_by=time.monotonic() - 0.001)
        wire.send("POST", here.url, body={}, begin_by=time.monotonic() + 60)

    assert len(here.requests) == 2


def test_a_connection_that_was_idle_for_long_is_not_trusted(wire, monkeypatch):
    monkeypatch.setattr("wire.connection.LONGEST_IDLE_SECONDS", 0.01)
    with peer(says(b"{}")) as here:
        wire.send("POST", here.url, body={})
        time.sleep(0.03)
        wire.send("POST", here.url, body={})

    assert here.connections == 2


def test_a_connection_the_peer_closed_is_not_used_for_the_next_request(wire):
    with peer(says_raw(OK + b"Content-Length: 2\r\n\r\n{}")) as here:
        wire.send("POST", here.url, body={})
        time.sleep(0.05)
        answer = wire.send("POST", here.url, body={})

    assert answer.status == 200
    assert here.connections == 2


def test_an_answer_nobody_asked_for_is_not_given_to_the_next_request(wire):
    twice = OK + b'Content-Length: 7\r\n\r\n"first"' + OK + b'Content-Length: 7\r\n\r\n"stray"'
    seen = []

    def behave(connection, request):
        seen.append(request)
        connection.sendall(twice if len(seen) == 1 else OK + b'Content-Length: 8\r\n\r\n"second"')

    with peer(behave) as here:
        first = wire.send("POST", here.url).json()
        second = wire.send("POST", here.url).json()

    assert (first, second) == ("first", "second")


def test_no_cookie_is_kept(wire):
    with peer(says(b"{}", headers="Set-Cookie: JSESSIONID=1; Path=/\r\n")) as here:
        wire.send("GET", here.url)
        wire.send("GET", here.url)

    assert b"cookie" not in here.requests[1].lower()


def test_the_environment_names_no_proxy(wire, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused_port()}")
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{unused_port()}")
    with peer(says(b"{}")) as here:
        assert wire.send("GET", here.url).status == 200


def test_many_threads_get_their_own_answers(wire):
    def echo(connection, request):
        number = request.split(b"n=")[1].split(b" ")[0]
        says(number)(connection, request)

    with peer(echo) as here, ThreadPoolExecutor(16) as pool:
        answers = list(
            pool.map(lambda n: wire.send("GET", here.url, params={"n": n}).json(), range(200))
        )

    assert answers == list(range(200))


def test_the_checked_address_is_the_one_that_is_dialled(wire, monkeypatch):
    """A resolver that changes its mind (DNS rebinding) is asked once per connection."""
    asked = []
    real = socket.getaddrinfo

    def resolve(host, port, *args, **kwargs):
        if host != "mifos.example":
            return real(host, port, *args, **kwargs)
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "169.254.169.254"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    with peer(says(b"{}")) as here:
        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        for _ in range(3):
            wire.send("GET", f"http://mifos.example:{here.port}/")

    assert asked == ["mifos.example"]
    assert f"Host: mifos.example:{here.port}".encode() in here.requests[0]


def test_the_next_address_is_tried_when_the_first_is_dead(wire, monkeypatch):
    real = socket.getaddrinfo

    def resolve(host, port, *args, **kwargs):
        if host != "mifos.example":
            return real(host, port, *args, **kwargs)
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in ("127.0.0.2", "127.0.0.1")
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with peer(says(b"{}")) as here:
        assert wire.send("GET", f"http://mifos.example:{here.port}/").status == 200


def test_a_call_whose_time_is_up_waits_for_nothing():
    call = Call(allow_private_hosts=True, connect_by=time.monotonic() + 5, answer_by=0)

    with pytest.raises(TimeoutError):
        call.seconds_left_to_connect()


def test_logs_hold_no_secret(wire, caplog):
    caplog.set_level(logging.INFO)
    with peer(resets) as here, pytest.raises(NoAnswer):
        wire.send("POST", here.url, body={"p": "hunter2"}, auth=("svc", "hunter2"))

    assert "hunter2" not in caplog.text


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Return the paths of a key and a certificate for the name mifos.example."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mifos.example")])
    now = dt.datetime.now(dt.UTC)
    names: list[x509.GeneralName] = [x509.DNSName("mifos.example")]
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return os.fspath(folder / "cert.pem"), os.fspath(folder / "key.pem")


class SecurePeer:
    """Answers over TLS; `requests` holds what came through the handshake."""

    def __init__(self, certificate):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*certificate)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.requests = []
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        connection, _ = self.listener.accept()
        try:
            with connection, self.context.wrap_socket(connection, server_side=True) as secure:
                request = read_request(secure)
                self.requests.append(request)
                says(b'"safe"')(secure, request)
        except OSError:
            pass
        finally:
            self.listener.close()


@pytest.fixture
def named_hosts(monkeypatch):
    assert ipaddress.ip_address("127.0.0.1").is_loopback
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *args, **kwargs: real(
            "127.0.0.1" if host.endswith(".example") else host, *args, **kwargs
        ),
    )


@pytest.mark.usefixtures("named_hosts")
def test_a_certificate_nobody_vouches_for_is_not_sent(wire, certificate):
    secure = SecurePeer(certificate)

    with pytest.raises(NotSent, match="TLS"):
        wire.send("POST", f"https://mifos.example:{secure.port}/", body={})

    secure.thread.join(2)
    assert secure.requests == []


@pytest.mark.usefixtures("named_hosts")
def test_a_certificate_for_another_name_is_not_sent(wire, certificate, monkeypatch):
    secure = SecurePeer(certificate)
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", certificate[0])

    with pytest.raises(NotSent, match="TLS"):
        wire.send("POST", f"https://other.example:{secure.port}/", body={})

    secure.thread.join(2)
    assert secure.requests == []


@pytest.mark.usefixtures("named_hosts")
def test_tls_is_verified_by_name_while_the_address_is_pinned(wire, certificate, monkeypatch):
    secure = SecurePeer(certificate)
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", certificate[0])

    assert wire.send("POST", f"https://mifos.example:{secure.port}/", body={}).json() == "safe"


def test_a_tls_handshake_that_stalls_is_not_sent(wire):
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(NotSent):
        wire.send("POST", f"https://127.0.0.1:{silent.getsockname()[1]}/", body={})


def test_https_is_never_downgraded_for_a_peer_that_speaks_http(wire):
    with peer(says(b"{}")) as here, pytest.raises(NotSent):
        wire.send("POST", here.url.replace("http:", "https:"), body={"pin": "hunter2"})

    assert b"hunter2" not in b"".join(here.requests)


@responses.activate
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (requests.ConnectTimeout(), NotSent),
        (requests.ReadTimeout(), NoAnswer),
        (requests.ConnectionError(), NoAnswer),
        (requests.exceptions.SSLError(), NoAnswer),
        (requests.exceptions.ChunkedEncodingError(), NoAnswer),
    ],
)
def test_a_fault_of_unknown_phase_proves_nothing(wire, fault, error):
    responses.post("http://mifos.example/", body=fault)

    with pytest.raises(error):
        wire.send("POST", "http://mifos.example/", body={})
