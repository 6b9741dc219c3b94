"""Names and versions of the models that come with Lexiseg."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lexiseg.evaluation.provenance import describe_run
from lexiseg.runs import shipped
from lexiseg.runs.run import Run
from lexiseg.runs.shipped import known_versions, model_folder, model_names, model_versions, shown_folder
from refusals import refuses


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three versions of a model, 0.10 being newer than 0.9, and one of another."""
    for name in ("lung", "lung@0.9", "lung@0.10", "skin"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text("{}")
    (tmp_path / "versions.json").write_text('{"lung": "1.0", "skin": "0.1"}')
    monkeypatch.setattr(shipped, "_HERE", tmp_path)
    return tmp_path


def test_a_name_is_the_newest_version_and_older_ones_have_names_too(zoo: Path) -> None:
    assert model_names() == ("lung", "skin")
    assert model_versions("lung") == ("1.0", "0.10", "0.9")
    assert model_folder("lung") == model_folder("lung@1.0") == zoo / "lung"
    assert model_folder("lung@0.10") == zoo / "lung@0.10"
    assert model_folder("skin@0.1") == zoo / "skin"
    assert [model_folder(name) for name in ("lung@0.1", "lung@", "hair", "hair@1.0", "@1.0")] == [None] * 5


def test_a_run_is_called_by_the_name_that_opens_it(zoo: Path) -> None:
    assert shown_folder(zoo / "lung") == "lung"
    assert shown_folder(zoo / "lung@0.9") == "lung@0.9"


def test_an_unknown_version_names_the_known_ones(zoo: Path) -> None:
    assert known_versions("lung@2") == ("lung@1.0", "lung@0.10", "lung@0.9")
    assert known_versions("lung") == known_versions("lung@0.9") == known_versions("hair@2") == ()


def test_the_model_in_the_box_has_a_version() -> None:
    assert json.loads((Path(shipped.__file__).parent / "versions.json").read_text()).keys() == set(
        model_names()
    )
    assert Run.open("covid-xray@0.1").path in (
        Run.open("covid-xray").path,
        Run.open("covid-xray").path.parent / "covid-xray@0.1",
    )
    assert Run.open("covid-xray@0.1").finished_training.steps == 3823
    with refuses("LEX-RUN-1560", "covid-xray@9; the versions it comes with are: covid-xray@"):
        Run.open("covid-xray@9")
    with refuses("LEX-RUN-001", "Lexiseg comes with: covid-xray"):
        Run.open("covid-xrays@0.1")


def test_a_run_that_was_opened_by_its_version_is_called_by_it() -> None:
    """A later release of the newest version does not change what a command means."""
    versioned, newest = Run.open("covid-xray@0.1"), Run.open("covid-xray")
    assert (versioned.shown, versioned.name) == ("covid-xray@0.1", "covid-xray@0.1")
    assert (newest.shown, newest.name) == ("covid-xray", "covid-xray")
    assert describe_run(versioned, "0").folder == "covid-xray@0.1"
    assert versioned == newest


def test_a_folder_with_the_name_of_a_version_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "covid-xray@9").mkdir()
    monkeypatch.chdir(tmp_path)
    with refuses("LEX-RUN-002", "covid-xray@9 is not a run folder"):
        Run.open("covid-xray@9")
