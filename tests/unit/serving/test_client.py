from __future__ import annotations

import pytest

import lexiseg
from refusals import refuses


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:8000", "localhost", "ftp://127.0.0.1", "http://", "http:///v1"]
)
def test_an_address_without_a_host_or_scheme_is_refused(url: str) -> None:
    with refuses("LEX-USE-1115", "http://127.0.0.1:8000", repr(url)):
        lexiseg.Client(url)


@pytest.mark.parametrize("token", ["", "lxs_secret\n", "lxs secret", "lxs_s\u00e9cret"])
def test_a_token_that_no_header_can_hold_is_refused_and_not_shown(token: str) -> None:
    with refuses("LEX-USE-1116", "lexiseg token new") as caught:
        lexiseg.Client("http://127.0.0.1:8000", token=token)
    assert "cret" not in str(caught.value)


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
        lexiseg.Client("http://me:secret@server.example")
    assert "secret" not in str(caught.value)
    lexiseg.Client("https://me:secret@server.example").close()
