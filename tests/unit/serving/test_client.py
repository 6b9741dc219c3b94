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
