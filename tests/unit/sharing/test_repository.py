"""Addresses of repositories; what is sent and fetched is in tests/integration/test_sharing.py."""

import errno
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError, RemoteEntryNotFoundError

from lexiseg.sharing import repository
from lexiseg.sharing.repository import Address, pull
from refusals import refuses


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("hf://jane/chest", Address("jane/chest")),
        ("hf://jane/chest@v1", Address("jane/chest", "v1")),
        ("hf://a.b/c-d_e@refs/pr/3", Address("a.b/c-d_e", "refs/pr/3")),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert Address.parse(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    ["jane/chest", "hf://chest", "hf://jane/chest/x", "https://huggingface.co/jane/chest", "hf://a/b@", ""],
)
def test_other_addresses_are_refused(text: str) -> None:
    with refuses("LEX-USE-1050", "hf://OWNER/NAME"):
        Address.parse(text)


ANSWER = SimpleNamespace(status_code=404, headers={}, request=None)


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (RemoteEntryNotFoundError("no file", response=ANSWER), "LEX-DATA-1055", ["holds no bundle.json"]),
        (LocalEntryNotFoundError("no network."), "LEX-USE-1824", ["cannot be reached", "(no network)."]),
        (OSError(errno.ENOSPC, "No space left on device"), "LEX-DISK-001", ["No space left", "run"]),
        (ValueError("Wrong.\n- license\n\n"), "LEX-USE-1053", ["failed: Wrong. license."]),
        (ValueError("long " * 9000), "LEX-USE-1053", ["long long ..."]),
        (OSError(errno.ECONNRESET, "reset by peer"), "LEX-USE-1053", ["Fetching from", "reset by peer"]),
    ],
)
def test_what_stops_a_pull_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, code: str, words: list[str]
) -> None:
    def fails(*_: object, **__: object) -> str:
        raise error

    monkeypatch.setattr(repository, "hub_is_reachable", lambda: True)
    monkeypatch.setattr(repository, "hf_hub_download", fails)
    with refuses(code, *words):
        pull("hf://jane/chest", tmp_path / "run")
    assert not (tmp_path / "run").exists()
