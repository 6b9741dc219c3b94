from __future__ import annotations

import ssl
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

import lexiseg
from certificates import Certificate, make_certificate
from lexiseg.errors import RequestError
from refusals import refuses


class NoJobs(BaseHTTPRequestHandler):
    """Says that there are no jobs."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"jobs": []}')

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def encrypted(tmp_path: Path) -> Iterator[tuple[str, Certificate]]:
    """Return the address of a server with a certificate that no system knows, and the certificate."""
    made = make_certificate(tmp_path, "hospital")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)
    server = HTTPServer(("127.0.0.1", 0), NoJobs)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}", made
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8000",
        "localhost",
        "ftp://127.0.0.1",
        "http://",
        "http:///v1",
        "http://[broken",
        "http://a:b",
        "http://a:0",
    ],
)
def test_an_address_without_a_host_or_scheme_is_refused(url: str) -> None:
    with refuses("LEX-USE-1115", "http://127.0.0.1:8000", repr(url)):
        lexiseg.Client(url)


@pytest.mark.parametrize("token", ["", "lxs_secret\n", "lxs secret", "lxs_s\u00e9cret"])
def test_a_token_that_no_header_can_hold_is_refused_and_not_shown(token: str) -> None:
    with refuses("LEX-USE-1116", "lexiseg token new") as caught:
        lexiseg.Client("http://127.0.0.1:8000", token=token)
    assert "cret" not in str(caught.value)


OWNER = "me:secret"  # of an address


def test_usual_addresses_and_tokens_are_taken() -> None:
    for url in ("http://127.0.0.1:8000", "HTTPS://[::1]:8000/", "https://example.org/lexiseg"):
        lexiseg.Client(url, token="lxs_JqaXY-3n7SI").close()


@pytest.mark.parametrize("url", ["http://server.example:8000", "http://10.0.0.5:8000"])
def test_a_token_is_not_sent_to_another_machine_without_encryption(url: str) -> None:
    with refuses("LEX-USE-1670", "https://", "unencrypted=True") as caught:
        lexiseg.Client(url, token="lxs_JqaXY-3n7SI")
    assert "JqaXY" not in str(caught.value)
    lexiseg.Client(url, token="lxs_JqaXY-3n7SI", unencrypted=True).close()
    lexiseg.Client(url).close()
    lexiseg.Client("http://127.0.0.1:8000", token="lxs_JqaXY-3n7SI").close()


def test_a_password_in_an_address_is_not_sent_without_encryption() -> None:
    with refuses("LEX-USE-1670") as caught:
        lexiseg.Client(f"http://{OWNER}@server.example")
    assert "secret" not in str(caught.value)
    lexiseg.Client(f"https://{OWNER}@server.example").close()


def test_a_password_in_an_address_is_not_shown() -> None:
    with lexiseg.Client(f"http://{OWNER}@127.0.0.1:9") as client, refuses("LEX-REQ-1141") as caught:
        client.models()
    assert "The server at http://127.0.0.1:9 does not answer" in str(caught.value)
    for url in (f"{OWNER}@127.0.0.1", f"http://{OWNER}@[broken", f"http://{OWNER}@host:99999"):
        with refuses("LEX-USE-1115", f"'...@{url.rpartition('@')[2]}'") as caught:
            lexiseg.Client(url)
        assert "secret" not in str(caught.value)


def test_a_password_does_not_replace_a_token_unseen() -> None:
    with refuses("LEX-USE-1790", "Leave one out") as caught:
        lexiseg.Client(f"https://{OWNER}@server.example", token="lxs_JqaXY-3n7SI")
    assert "secret" not in str(caught.value)


def test_a_certificate_of_another_authority_is_accepted_where_it_is_named(
    encrypted: tuple[str, Certificate], tmp_path: Path
) -> None:
    address, made = encrypted
    with lexiseg.Client(address) as client, refuses("LEX-REQ-1141", "certificate_authority=FILE"):
        client.jobs()
    with lexiseg.Client(address, certificate_authority=made.certificate) as client:
        assert client.jobs() == ()
    other = make_certificate(tmp_path, "other")
    with (
        lexiseg.Client(address, certificate_authority=other.certificate) as client,
        refuses("LEX-REQ-1141", "certificate_authority=FILE"),
    ):
        client.jobs()


def test_a_file_without_certificates_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    for name in ("empty.pem", "missing.pem"):
        with refuses("LEX-USE-1791", str(tmp_path / name), "PEM file"):
            lexiseg.Client("https://server.example", certificate_authority=tmp_path / name)


@pytest.mark.parametrize(
    ("status", "headers", "remedy"),
    [
        (413, {}, "its limit raised"),
        (401, {"WWW-Authenticate": "Basic"}, "its user and password into the address"),
        (403, {}, "does not let you in"),
        (429, {}, "send the request again later"),
        (502, {}, "check that the server runs"),
        (503, {"Retry-After": "7"}, "send the request again later"),
        (301, {"Location": "https://server.example/v1/jobs"}, "leads to https://server.example/v1/jobs"),
        (404, {}, "Check the address"),
    ],
)
def test_what_a_proxy_refuses_is_not_taken_for_another_version(
    status: int, headers: dict[str, str], remedy: str
) -> None:
    class Proxy(NoJobs):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"<html>no</html>")

    server = HTTPServer(("127.0.0.1", 0), Proxy)
    Thread(target=server.serve_forever, daemon=True).start()
    with (
        lexiseg.Client(f"http://127.0.0.1:{server.server_port}") as client,
        refuses("LEX-REQ-2080", str(status), remedy) as caught,
    ):
        client.jobs()
    server.shutdown()
    server.server_close()
    refused = caught.value
    assert isinstance(refused, RequestError)
    assert (refused.status, refused.retry_after) == (status, 7 if "Retry-After" in headers else None)
