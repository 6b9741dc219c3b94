"""What `lexiseg predict` and `lexiseg refine` say about left and right."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from dicom_files import dicom_file
from lexiseg.cli.app import app
from lexiseg.cli.commands.predict.summary import PredictOutcome, _say_sides, say_outcome
from lexiseg.cli.terminal.side_lines import unknown_side_line, whose_side
from lexiseg.inference.batches.batch_summary import BatchSummary
from lexiseg.words.vocabulary import load_vocabulary

STORED = "Left and right in all words are those of the image as the file stores it"
DISPLAYED = "Left and right in all words are those of the image as it is usually displayed"


@pytest.mark.parametrize(
    ("side", "done", "dicom", "unknown", "said"),
    [
        ("image", 3, 0, 0, f"{STORED}."),
        ("image", 3, 3, 0, f"{DISPLAYED}."),
        (
            "image",
            3,
            2,
            0,
            "Left and right in all words are those of the image (DICOM: as it is usually displayed; others: "
            "as the file stores it).",
        ),
        (
            "patient",
            3,
            3,
            1,
            "Left and right in all words are the patient's, except in the 1 image whose side is unknown.",
        ),
        (
            "image",
            3,
            3,
            2,
            f"{DISPLAYED}, except in the 2 images whose side is unknown.",
        ),
        ("image", 3, 2, 2, f"{STORED}, except in the 2 images whose side is unknown."),
        ("image", 3, 3, 3, ""),
        ("image", 0, 0, 0, ""),
    ],
)
def test_the_side_of_the_words_is_true_for_each_image(
    side: str, done: int, dicom: int, unknown: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = BatchSummary(
        done=done, flagged=0, failed=(), results=Path("p.jsonl"), dicom=dicom, sides_unknown=unknown
    )
    _say_sides(side, summary)  # type: ignore[arg-type]
    assert " ".join(capsys.readouterr().out.split()) == said


def test_a_word_says_whose_left_it_means() -> None:
    chest, polyp = load_vocabulary("chest"), load_vocabulary("polyp")
    assert whose_side("Left lung", "lower left lung", chest, "image") == " (left of the image)"
    assert whose_side("Left lung", "lower left lung", chest, "patient") == " (left of the patient)"
    assert whose_side("Location", "upper right", polyp, "image") == " (right of the image)"
    assert whose_side("Location", "center", polyp, "image") == ""


def test_words_on_an_image_of_unknown_side_say_how_they_are_taken() -> None:
    assert unknown_side_line("image").endswith("those of the image as it is usually displayed.")
    assert unknown_side_line("patient").endswith("if the patient's left is on the right of the image.")


def picture(path: Path, orientation: int) -> None:
    """Write a picture with an EXIF orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.random.default_rng(0).integers(0, 255, (60, 90), np.uint8)
    Image.fromarray(pixels).save(path, exif=exif)


def test_an_exif_orientation_changes_nothing_of_what_is_said_about_the_side(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg", 6)
    out = str(tmp_path / "out")
    done = CliRunner().invoke(app, ["predict", "covid-xray", str(tmp_path / "a.jpg"), "--out", out])
    assert done.exit_code == 0, done.output
    assert f"{STORED}." in done.output
    assert done.output.lower().count("left and right") == 1
    assert "masks and sizes are those of the image as the file stores it" in done.output


@pytest.mark.parametrize("name", ["a.jpg", "a.dcm", "unknown.dcm"])
def test_refine_says_whose_left_is_meant_before_the_result(name: str, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (60, 90), np.uint8)
    if name == "a.jpg":
        picture(tmp_path / name, 1)
    else:
        orientation = ["L", "F"] if name == "a.dcm" else None
        dicom_file(tmp_path / name, pixels, PatientOrientation=orientation)
    arguments = ["refine", "covid-xray", str(tmp_path / name), "--say", "left: upper left lung"]
    done = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    said = {"a.jpg": f"{STORED}.", "a.dcm": f"{DISPLAYED}.", "unknown.dcm": unknown_side_line("image")}[name]
    word = "Left lung (left of the image): 'upper left lung' (said by you;"
    assert -1 < done.output.index(said) < done.output.index(word) < done.output.index("The mask has")


def test_sentences_have_no_side_unless_the_data_state_one(capsys: pytest.CaptureFixture[str]) -> None:
    summary = BatchSummary(done=1, flagged=0, failed=(), results=Path("p.jsonl"), dicom=1, sides_unknown=1)
    _say_sides("unknown", summary)
    said = " ".join(capsys.readouterr().out.split())
    assert said.endswith("whose left and right they mean is not known.")


@pytest.mark.parametrize("side", ["unknown", "image", None])
def test_volumes_alone_are_said_to_have_words_of_unknown_side(
    side: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = PredictOutcome(
        images=None, named_images=0, results=None, volumes=None, volume_results=None, named=str
    )
    predictor: Any = SimpleNamespace(
        run=SimpleNamespace(spoken_side=side), engine=SimpleNamespace(description="torch")
    )
    say_outcome(outcome, predictor, tmp_path)
    said = " ".join(capsys.readouterr().out.split())
    assert said.endswith("whose left and right they mean is not known.") == (side == "unknown")
