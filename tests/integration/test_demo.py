"""The demo, on a phantom and on one's own folder."""

from __future__ import annotations

import json
from pathlib import Path

from command_line import Command

OPTIONS = ("--minutes", 0.1, "--image-size", 64)
PARTS = {".lexiseg-demo", "data", "run", "evaluation", "predictions"}


def test_phantom(cli: Command, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    outcome = cli("demo", "--out", out, *OPTIONS)
    assert outcome.code == 0, outcome.stderr
    assert {path.name for path in out.iterdir()} == PARTS
    assert "not for clinical use" in (out / "evaluation" / "report.html").read_text(encoding="utf-8")
    assert len(list((out / "predictions" / "overlays").iterdir())) == 12
    assert len(list((out / "predictions" / "cards").iterdir())) == 12
    assert (out / "run" / "calibration.json").is_file()
    places = ("evaluation/report.html", "predictions/overlays", "predictions/cards", "run")
    for place in (*places, "predictions/predictions.jsonl"):
        assert str(out / place) in outcome.stdout
    assert "not for clinical use" in outcome.stdout


def test_own_folder_twice(cli: Command, folders: Path, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    for _ in range(2):  # the second replaces the first
        outcome = cli("demo", folders, "--out", out, *OPTIONS)
        assert outcome.code == 0, outcome.stderr
        assert {path.name for path in out.iterdir()} == PARTS - {"data"}
        assert json.loads((out / "evaluation" / "metrics.json").read_text())["num_cases"] == 3
        assert (out / "evaluation" / "report.html").is_file()
    assert (folders / "images").is_dir()


def test_keeps_what_is_no_demo(cli: Command, folders: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "data").write_text("mine", encoding="utf-8")
    cli("demo", "--out", mine, *OPTIONS).refuses(
        2, f"{mine} contains files that the demo did not create", "--out"
    )
    assert (mine / "data").read_text(encoding="utf-8") == "mine"
    inside = cli("demo", folders, "--out", folders.parent, *OPTIONS)
    inside.refuses(2, f"The data folder {folders} lies in {folders.parent}", "--out")
    assert (folders / "images").is_dir()
