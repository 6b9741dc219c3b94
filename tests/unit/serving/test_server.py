from __future__ import annotations

import socket
from pathlib import Path

import pytest

from lexiseg.serving.options import ServeOptions
from lexiseg.serving.server import serve
from refusals import refuses


def _serve(**options: object) -> None:
    serve(ServeOptions(runs=("covid-xray",), port=0, **options), on_start=lambda _: None)  # type: ignore[arg-type]


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_certificate_that_cannot_be_used_is_named(tmp_path: Path, content: bytes | None) -> None:
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    if content is not None:
        certificate.write_bytes(content)
        key.write_bytes(content)
    with refuses("LEX-USE-1114", "server.pem", "server.key", "no password"):
        _serve(tls_certificate=certificate, tls_key=key)


def test_an_address_that_cannot_be_listened_on_says_which_option_to_change() -> None:
    with refuses("LEX-USE-1112", "port 0: cannot assign requested address. Choose another --host"):
        # An address of documentation (RFC 5737): no machine has it.
        _serve(host="192.0.2.1", behind_proxy=True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with refuses("LEX-USE-1112", f"port {port}: another program uses this port. Choose another --port"):
            serve(ServeOptions(runs=("covid-xray",), port=port), on_start=lambda _: None)


def test_a_server_may_open_more_files_than_a_shell_allows() -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        with refuses("LEX-USE-1112"):
            _serve(host="192.0.2.1", behind_proxy=True)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 1024 or hard <= 1024
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
