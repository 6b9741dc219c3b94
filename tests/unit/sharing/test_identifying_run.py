"""What is shared of a run is checked for identifying data."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest
from typer.testing import CliRunner

from lexiseg.cli.app import app
from lexiseg.inference.reliability.calibration import load_calibration
from lexiseg.printable import markdown_text
from lexiseg.runs.data_sentence import data_sentence
from lexiseg.runs.run import Run
from lexiseg.runs.shipped import model_folder
from lexiseg.sharing.identifying_data import check_run
from lexiseg.sharing.pack import unpack
from lexiseg.words.reading.sentence_groups import group_sentences
from refusals import refuses


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The model that comes with Lexiseg, with images of a name each."""
    source = model_folder("covid-xray")
    assert source is not None
    copied = tmp_path / "chest"
    shutil.copytree(source, copied)
    (copied / "splits.json").write_text(json.dumps({"train": ["a", "b"], "val": ["c"]}))
    return copied


def _signs(folder: Path, *, image_names: bool = True) -> list[tuple[str, tuple[str, ...]]]:
    report = check_run(Run.open(folder), image_names=image_names)
    return [(sign.detail, sign.files) for sign in report.signs]


def _command(folder: Path, command: str) -> None:
    manifest = json.loads((folder / "run.json").read_text())
    manifest["training"]["command"] = command
    (folder / "run.json").write_text(json.dumps(manifest))


def test_the_shipped_model_shows_no_sign(folder: Path) -> None:
    assert _signs(folder) == []
    assert check_run(Run.open(folder), image_names=True, strict=True).others == 6


@pytest.mark.parametrize(
    ("command", "details"),
    [
        ("lexiseg train /data/chest --out run", []),
        ("lexiseg train /home/jane/chest --out run", ["the home folder of a user"]),
        ("lexiseg train /data/chest --out '/Users/jane doe/run'", ["the home folder of a user"]),
        (r"lexiseg train 'C:\Users\jane\chest' --out run", ["the home folder of a user"]),
        ("lexiseg train /data/2023-04-17 --out run", ["a date"]),
        ("lexiseg train /data/DOE^JANE --out run", ["a name with ^ or a comma"]),
        ("lexiseg train /data/12345678 --out run", ["a number of 7 digits or more"]),
    ],
)
def test_the_command_of_the_training(folder: Path, command: str, details: list[str]) -> None:
    _command(folder, command)
    assert _signs(folder) == [(detail, ("run.json",)) for detail in details]


def test_names_of_images_are_counted(folder: Path) -> None:
    (folder / "splits.json").write_text(json.dumps({"train": ["x-20230417", "b"], "val": ["c-20230418"]}))
    (folder / "masks.json").write_text(json.dumps({"with_mask": ["x-20230417"]}))
    assert _signs(folder) == [
        ("a date in 1 of 1 names of images", ("masks.json",)),
        ("a date in 2 of 3 names of images", ("splits.json",)),
    ]
    assert _signs(folder, image_names=False) == []


def test_report_sentences_that_the_vocabulary_quotes(folder: Path) -> None:
    sentences = [
        "Seen on 2023-04-17, both lungs.",
        "As on 17/04/2023: left lung.",
        "Upper lobe, unlike 04/17/2023.",
        "Number 12345678: left lung.",
        "Right lung, as in 2023.",
    ]

    def unused(texts: Sequence[str]) -> NoReturn:
        raise AssertionError(texts)

    manifest = json.loads((folder / "run.json").read_text())
    manifest["vocabulary"] = group_sentences(4 * sentences, unused).to_dict()
    (folder / "run.json").write_text(json.dumps(manifest))
    for image_names in (True, False):
        assert _signs(folder, image_names=image_names) == [
            ("a date in 3 of 5 report sentences", ("run.json",)),
            ("a number of 7 digits or more in 1 of 5 report sentences", ("run.json",)),
        ]
    with refuses("LEX-DATA-1350", "or train with --text concepts, which quotes no report sentence"):
        check_run(Run.open(folder), image_names=False, strict=True)


def test_settings_card_and_name(folder: Path) -> None:
    named = folder.rename(folder.with_name("chest 1980-01-31"))
    (named / "config.yaml").write_text("text: /home/jane/words.jsonl\n")
    card = named / "model_card.md"
    card.write_text(card.read_text() + "Ask jane@hospital.example; see https://home/Users/1234567\n")
    assert _signs(named) == [
        ("a date", ("bundle.json",)),
        ("an e-mail address", ("model_card.md",)),
        ("the home folder of a user", ("config.yaml",)),
    ]


def test_pack_warns_and_refuses_with_strict(folder: Path, tmp_path: Path) -> None:
    _command(folder, "lexiseg train /home/jane/chest --out run")
    line = ["pack", str(folder), "--out", str(tmp_path / "chest.zip")]
    done = CliRunner().invoke(app, [*line, "--strict"])
    assert getattr(done.exception, "code", None) == "LEX-DATA-1350"
    assert not (tmp_path / "chest.zip").exists()
    done = CliRunner().invoke(app, line)
    assert "Sign of identifying data: path: the home folder of a user (1 file: run.json)" in done.stderr
    assert "jane" not in done.stderr
    assert (tmp_path / "chest.zip").is_file()


def test_push_refuses_with_strict_before_anything_is_sent(folder: Path) -> None:
    _command(folder, "lexiseg train /home/jane/chest --out run")
    done = CliRunner().invoke(app, ["push", str(folder), "hf://jane/chest", "--strict"])
    assert getattr(done.exception, "code", None) == "LEX-DATA-1350"


def test_the_message_says_what_to_do(folder: Path) -> None:
    _command(folder, "lexiseg train /data/2023-04-17 --out run")
    with refuses("LEX-DATA-1350", "run.json"):
        check_run(Run.open(folder), image_names=False, strict=True)


LEAKS = [
    "Images that are in more than one split (1): images/a.png = /home/jane/b.png.",
    "Patients with images in more than one split (1): Smith^John (train, test).",
]


def _with_names(folder: Path) -> None:
    """Write the sentences of a run whose splits share images into all its files."""
    manifest = json.loads((folder / "run.json").read_text())
    manifest["data"]["leaks"] = LEAKS
    (folder / "run.json").write_text(json.dumps(manifest))
    calibration = json.loads((folder / "calibration.json").read_text())
    for part in filter(None, (calibration.get("plain"), calibration.get("flip_average"))):
        part["data"] |= {"leaks": LEAKS, "left_out": ["Masks that belong to no image (1): Smith^John.png."]}
    (folder / "calibration.json").write_text(json.dumps(calibration))
    said = f"**The splits are not independent. {' '.join(LEAKS)}**"
    data = markdown_text(str(Run.open(folder).manifest.data.model_dump()))
    (folder / "model_card.md").write_text(f"# chest\n\n{said}\n\n- Data: {data}.\n- Selected: step 3.\n")


def test_sentences_with_names_are_looked_at(folder: Path) -> None:
    _with_names(folder)
    found = dict(_signs(folder))
    assert found["a name with ^ or a comma"] == ("run.json", "calibration.json", "model_card.md")
    assert found["the home folder of a user"] == ("run.json", "calibration.json", "model_card.md")
    assert _signs(folder, image_names=False) == []


def test_names_in_sentences_stay_out_with_the_names_of_images(folder: Path, tmp_path: Path) -> None:
    _with_names(folder)
    line = ["pack", str(folder), "--out", str(tmp_path / "a.zip"), "--without-image-names", "--strict"]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 0, done.stderr
    assert "Shared without names: run.json: data.leaks, calibration.json: plain.data.leaks" in done.output
    made = unpack(tmp_path / "a.zip", tmp_path / "made")
    for file in made.path.iterdir():
        assert not any(word in file.read_bytes() for word in (b"Smith", b"jane", b"a.png")), file.name
    # That the splits share something stays said.
    assert f"- Data: {markdown_text(data_sentence(made.manifest.data))}." in (
        made.path / "model_card.md"
    ).read_text("utf-8")
    assert made.manifest.data.leaks[1] == "Patients with images in more than one split (1), names left out."
    assert (
        "The splits are not independent. Images that are in more than one"
        in (made.path / "model_card.md").read_text()
    )
    assert load_calibration(made, flip_average=False) is not None
    record = json.loads((made.path / "bundle.json").read_text())
    assert "run.json: data.leaks" in record["left_out"]


def test_the_path_of_the_descriptions_is_looked_at(folder: Path) -> None:
    manifest = json.loads((folder / "run.json").read_text())
    manifest["data"]["descriptions"] = {"file": "/home/jane/words.jsonl", "sha256": "0" * 64, "lines": 1}
    (folder / "run.json").write_text(json.dumps(manifest))
    assert _signs(folder) == [("the home folder of a user", ("run.json",))]


def test_a_damaged_calibration_is_named(folder: Path) -> None:
    (folder / "calibration.json").write_text("{")
    with refuses("LEX-RUN-1894", "calibration.json"):
        check_run(Run.open(folder), image_names=False)
