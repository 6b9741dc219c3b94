"""Models follow their run folders, and stay where a folder cannot be read."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from lexiseg.runs.run import Run
from lexiseg.serving.model_files import folder_state
from lexiseg.serving.service import Service
from refusals import refuses


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "chest"
    shutil.copytree(Run.open("covid-xray").path, folder)
    return folder


@pytest.fixture
def client(serving: Callable[..., TestClient], run: Path) -> TestClient:
    return serving(runs=(run, "covid-xray"), watch_seconds=0)


def look(client: TestClient, times: int = 2) -> None:
    service: Service = client.app.state.service  # type: ignore[attr-defined]
    assert client.portal is not None
    for _ in range(times):
        client.portal.call(service.watch.look)


def states(client: TestClient) -> dict[str, Any]:
    return {model["name"]: model for model in client.get("/readyz").json()["models"]}


def change(run: Path, **values: object) -> None:
    manifest = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**manifest, **values}))


def test_a_changed_run_is_replaced_and_the_others_stay(client: TestClient, run: Path) -> None:
    before = states(client)
    look(client, 3)
    assert states(client) == before
    change(run, review_below=0.123)
    look(client, 1)
    assert states(client) == before  # it could still be written
    look(client, 1)
    after = states(client)
    assert after["covid-xray"] == before["covid-xray"]
    assert after["chest"]["version"] != before["chest"]["version"]
    assert after["chest"]["problem"] is None
    assert client.get("/v1/models").json()["models"][0]["version"] == after["chest"]["version"]
    text = client.get("/metrics").text
    assert 'lexiseg_model_loads_total{model="chest",result="done"} 2.0' in text
    assert 'lexiseg_model_problem{model="chest"} 0.0' in text


def test_a_broken_run_keeps_the_model_and_says_so(
    client: TestClient, run: Path, picture: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    before = states(client)["chest"]
    manifest = (run / "run.json").read_text()
    (run / "run.json").write_text("{}")
    with caplog.at_level(logging.ERROR, logger="lexiseg.serving"):
        look(client, 5)
    said = [record for record in caplog.records if record.getMessage() == "a model is not replaced"]
    assert [(record.model, record.code) for record in said] == [("chest", "LEX-RUN-003")]  # type: ignore[attr-defined]
    found = states(client)["chest"]
    assert found["version"] == before["version"]
    assert found["problem"]["code"] == "LEX-RUN-003"
    assert str(run) not in found["problem"]["message"]
    assert client.get("/readyz").status_code == 200
    text = client.get("/metrics").text
    assert 'lexiseg_model_problem{model="chest"} 1.0' in text
    assert 'lexiseg_model_problem{model="covid-xray"} 0.0' in text
    assert 'lexiseg_model_loads_total{model="chest",result="failed"} 1.0' in text
    answer = client.post("/v1/predict", files={"image": ("a.png", picture)}, data={"model": "chest"})
    assert answer.json()["model"]["version"] == before["version"]
    (run / "run.json").write_text(manifest)
    look(client)
    assert states(client)["chest"]["problem"] is None


def test_a_run_that_is_gone_keeps_the_model(client: TestClient, run: Path) -> None:
    elsewhere = run.rename(run.with_name("elsewhere"))
    look(client)
    assert states(client)["chest"]["problem"]["code"] == "LEX-RUN-1450"
    elsewhere.rename(run)
    look(client)
    assert states(client)["chest"]["problem"] is None


def test_files_without_effect_do_not_count(run: Path) -> None:
    before = folder_state(run)
    (run / "history.csv").write_text("x")
    (run / ".hidden").write_text("x")
    assert folder_state(run) == before
    os.utime(run / "run.json", (1, 1))
    assert folder_state(run) != before


def test_a_run_whose_files_change_while_they_are_read_is_read_again(
    client: TestClient, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service: Service = client.app.state.service  # type: ignore[attr-defined]
    before = states(client)["chest"]["version"]
    loaded = service.models._load

    def load_slowly(*arguments: Any) -> Any:
        model = loaded(*arguments)
        change(run, review_below=0.2)
        return model

    change(run, review_below=0.1)
    monkeypatch.setattr(service.models, "_load", load_slowly)
    look(client)
    assert states(client)["chest"]["version"] == before
    monkeypatch.setattr(service.models, "_load", loaded)
    look(client)
    first = states(client)["chest"]["version"]
    assert first != before
    assert json.loads((run / "run.json").read_text())["review_below"] == 0.2


def test_a_file_that_is_replaced_after_it_was_read_is_noticed(
    client: TestClient, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service: Service = client.app.state.service  # type: ignore[attr-defined]
    before = states(client)
    opened, changes = Run.open, iter(range(10, 99))

    def open_and_change(path: str | Path) -> Run:
        found = opened(path)
        if found.path == run:
            change(run, review_below=next(changes) / 100)
        return found

    change(run, review_below=0.1)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "open", open_and_change)
        look(client)
        assert states(client)["chest"]["version"] == before["chest"]["version"]
        assert client.portal is not None
        with refuses("LEX-RUN-1592", "changed while they were read"):
            client.portal.call(service.models.load)
    found = states(client)
    assert {name: model["version"] for name, model in found.items()} == {
        name: model["version"] for name, model in before.items()
    }
    assert found["chest"]["problem"]["code"] == "LEX-RUN-1592"
    client.portal.call(service.models.load)
    assert states(client)["chest"]["problem"] is None
    manifest = service.models.get("chest").predictor.run.manifest
    assert manifest.review_below == json.loads((run / "run.json").read_text())["review_below"]


def test_the_watch_looks_by_itself(serving: Callable[..., TestClient], run: Path) -> None:
    client = serving(runs=(run,), watch_seconds=0.05)
    before = states(client)["chest"]["version"]
    change(run, review_below=0.123)

    async def replaced() -> None:
        for _ in range(600):
            if states_of(service) != before:
                return
            await asyncio.sleep(0.05)
        raise AssertionError

    def states_of(service: Service) -> str:
        return service.models.get(None).record.version

    service: Service = client.app.state.service  # type: ignore[attr-defined]
    assert client.portal is not None
    client.portal.call(replaced)
