"""Names and sentences that try to drive the terminal, the page or the spreadsheet are only shown."""

from __future__ import annotations

import csv
import html
import json
import re
from pathlib import Path

import pytest
import yaml
from command_line import Command, Outcome, Trained
from small_data import phantom_cases, write_folders

from html_page import Page

#: Clears the screen, rings, imitates a message, reverses the direction, is HTML, is markup of the console.
HOSTILE = "=a\x1b[2J\x07\nError: all files are gone [bold]\u202egnp<script>alert(1)<b>"
DRIVING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]")


def only_shown(outcome: Outcome) -> None:
    for text in (outcome.stdout, outcome.stderr):
        assert not DRIVING.search(text), repr(text)
        assert "\nError: all files" not in text
    assert "Traceback" not in outcome.stderr


def safe_page(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not DRIVING.search(text.replace("\t", ""))
    # The report has one script of its own, which its policy names.
    assert text.count("<script") <= text.count("script-src &#39;sha256-")
    assert "<script>alert" not in text
    assert "alert(1)<b>" in html.unescape(text)
    Page(text)


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """Return a data set whose images, classes, name, keyword and sentences are hostile."""
    folder = write_folders(tmp_path / "data", phantom_cases())
    splits = json.loads((folder / "splits.json").read_text())
    for number, split in enumerate(("train", "val", "test")):
        old, new = splits[split][0], f"{HOSTILE}{number}".replace("/", "")
        for kind in ("images", "masks"):
            (folder / kind / f"{old}.png").rename(folder / kind / f"{new}.png")
        splits[split][0] = new
        text = (folder / "reports.csv").read_text()
        (folder / "reports.csv").write_text(
            text.replace(f"{old}.png,", '"' + new.replace('"', "") + '.png",')
        )
    (folder / "splits.json").write_text(json.dumps(splits))
    stated = {"name": HOSTILE, "classes": {0: "background", 255: HOSTILE}, "keyword": HOSTILE}
    (folder / "dataset.yaml").write_text(yaml.safe_dump(stated), encoding="utf-8")
    return folder


def test_data_check(cli: Command, hostile: Path) -> None:
    (hostile / "images" / f"{HOSTILE}orphan.png").write_bytes(b"no image")
    only_shown(cli("data", "check", hostile))
    said = cli("data", "check", hostile, "--json")
    only_shown(said)
    assert json.loads(said.stdout)["name"] == HOSTILE


def test_predict(cli: Command, trained: Trained, hostile: Path, tmp_path: Path) -> None:
    (hostile / "images" / f"{HOSTILE}broken.png").write_bytes(b"no image")
    out = tmp_path / "out"
    done = cli("predict", trained.run, hostile / "images", "--out", out, "--explain", "--overlays")
    assert done.code == 1
    only_shown(done)
    lines = (out / "predictions.jsonl").read_text(encoding="utf-8")
    assert not DRIVING.search(lines)
    images = [json.loads(line)["image"] for line in lines.splitlines()]
    assert sum(HOSTILE in image for image in images) == 4
    cards = [card for card in (out / "cards").iterdir() if "script" in card.name]
    assert len(cards) == 3
    for card in cards:
        safe_page(card)


def test_evaluate_and_compare(cli: Command, trained: Trained, hostile: Path, tmp_path: Path) -> None:
    one = tmp_path / "one"
    done = cli("evaluate", trained.run, hostile, "--out", one)
    assert done.code == 0, done.stderr
    only_shown(done)
    safe_page(one / "report.html")
    table = (one / "cases.csv").read_text(encoding="utf-8")
    assert not DRIVING.search(table)
    cells = [entry for row in csv.reader(table.splitlines()) for entry in row]
    assert any(entry.startswith("'=a") for entry in cells)
    assert not any(re.match(r"\s*[=+@]", entry) for entry in cells)
    compared = cli("compare", one, one, "--out", tmp_path / "compared")
    only_shown(compared)


def test_describe(cli: Command, hostile: Path, tmp_path: Path) -> None:
    done = cli("data", "describe", hostile, "--out", tmp_path / "words.jsonl", "--vocabulary", "chest")
    assert done.code == 0, done.stderr
    only_shown(done)


def test_usage_errors(cli: Command, tmp_path: Path) -> None:
    for arguments in (("predict", "covid-xray", f"{HOSTILE}.png"), ("train", f"--{HOSTILE}"), (HOSTILE,)):
        done = cli(*arguments)
        assert done.code in (2, 3)
        only_shown(done)


def test_names_that_are_no_text(cli: Command, trained: Trained, hostile: Path, tmp_path: Path) -> None:
    """A name of bytes that are no UTF-8 is predicted, named and evaluated like any other."""
    source = next((hostile / "images").iterdir())
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a\udcff.png").write_bytes(source.read_bytes())
    done = cli("predict", trained.run, tmp_path / "in", "--out", tmp_path / "out", "--explain")
    assert done.code == 0, done.stderr
    only_shown(done)
    line = json.loads((tmp_path / "out" / "predictions.jsonl").read_text(encoding="utf-8"))
    assert line["image"].endswith("a\udcff.png")
    only_shown(cli("data", "check", tmp_path / "in"))
