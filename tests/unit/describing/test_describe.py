"""Describing whole data sets without a model: measured words, and those of the sheet."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from rich.console import Console

import lexiseg
from lexiseg.data import open_dataset
from lexiseg.data.phantom import write_phantom
from lexiseg.data.readers import read_pair
from lexiseg.describing.description_file import read_descriptions
from lexiseg.describing.regions_of_interest import roi_file, roi_folder
from lexiseg.errors import DataError, UsageError
from lexiseg.words.measure import measure
from lexiseg.words.vocabulary import load_vocabulary
from refusals import refuses


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    made: dict[int, Path] = {}

    def make(classes: int) -> Path:
        if classes not in made:
            made[classes] = tmp_path_factory.mktemp("data") / f"phantom{classes}"
            write_phantom(made[classes], num_train=6, num_val=2, num_test=2, size=64, seed=3, classes=classes)
        return made[classes]

    return make


def copy_of(folder: Path, to: Path) -> Path:
    import shutil

    return Path(shutil.copytree(folder, to))


def test_measured_lines_say_what_is_measured(phantom: Callable[[int], Path], tmp_path: Path) -> None:
    counted: list[int] = []
    described = lexiseg.describe(
        phantom(1), tmp_path / "d.jsonl", progress=lambda tally: counted.append(tally.done)
    )
    assert read_descriptions(tmp_path / "d.jsonl").lines == described.lines
    index = open_dataset(phantom(1))
    assert [line.id for line in described.lines] == [sample.id for sample in index.samples]
    assert counted == list(range(1, 11))
    for sample, line in zip(index.samples, described.lines, strict=True):
        image, labels = read_pair(sample, index.coding)
        words = measure(labels, load_vocabulary("chest"), image=image)
        assert (line.factors, line.sentence) == (words.phrases, words.sentence)
        assert (line.class_name, line.side, line.provenance.source) == ("opacity", "image", "concepts")
        assert line.check is not None
        assert line.check.how == "measured"


def test_one_line_per_image_and_class(phantom: Callable[[int], Path], tmp_path: Path) -> None:
    described = lexiseg.describe(phantom(2), tmp_path / "d.jsonl", splits=["train"], rois=tmp_path / "rois")
    index = open_dataset(phantom(2))
    pairs = [(sample.id, name) for sample in index.split("train") for name in ("opacity", "nodule")]
    assert [(line.id, line.class_name) for line in described.lines] == pairs
    absent = [line for line in described.lines if line.problems == ("There is no lesion in the mask.",)]
    assert absent
    assert {line.factors["count"] for line in absent} == {None}
    sample = index.split("train")[0]
    image, labels = read_pair(sample, index.coding)
    for label in (1, 2):
        roi = np.array(Image.open(tmp_path / "rois" / f"{sample.id}_class{label}.png"))
        assert np.array_equal(roi, np.where(labels[..., None] == label, image, 0))
    assert len(list((tmp_path / "rois").glob("*.png"))) == len(pairs)


def test_regions_never_replace_the_images(phantom: Callable[[int], Path], tmp_path: Path) -> None:
    root = phantom(1)
    for path in {path.parent for s in open_dataset(root).samples for path in (s.image, s.mask) if path}:
        before = {file: file.read_bytes() for file in path.iterdir() if file.is_file()}
        with refuses("LEX-USE-051", "holds images or"):
            lexiseg.describe(root, tmp_path / "d.jsonl", rois=path / ".." / path.name)
        assert {file: file.read_bytes() for file in path.iterdir() if file.is_file()} == before


def test_regions_replace_earlier_regions_and_nothing_else(
    phantom: Callable[[int], Path], tmp_path: Path
) -> None:
    rois = tmp_path / "rois"
    for file in ("a.jsonl", "b.jsonl"):
        lexiseg.describe(phantom(1), tmp_path / file, splits=["train"], rois=rois)
    (first, *_) = sorted(rois.glob("*.png"))
    first.write_bytes(b"changed by a person")
    with refuses("LEX-DATA-741", first.name):
        lexiseg.describe(phantom(1), tmp_path / "c.jsonl", splits=["train"], rois=rois)
    assert first.read_bytes() == b"changed by a person"
    assert not (tmp_path / "c.jsonl").exists()


def test_two_images_never_share_a_region(tmp_path: Path) -> None:
    with refuses("LEX-DATA-745", "a__b.png"), roi_folder(tmp_path / "rois", ["a/b", "c", "a__b"]):
        pytest.fail("one would replace the other")
    assert len(roi_file(tmp_path, "x" * 300).name) == 255


def test_each_class_is_called_by_its_name(phantom: Callable[[int], Path], tmp_path: Path) -> None:
    described = lexiseg.describe(phantom(2), tmp_path / "d.jsonl", vocabulary="polyp")
    spoken = [line for line in described.lines if line.sentence]
    assert {line.class_name for line in spoken} == {"opacity", "nodule"}
    for line in spoken:
        assert f" {line.class_name}" in line.sentence
    assert {line.vocabulary for line in described.lines} == {"polyp"}


def test_each_class_has_its_keyword(phantom: Callable[[int], Path], tmp_path: Path) -> None:
    folder = copy_of(phantom(2), tmp_path / "copy")
    with (folder / "dataset.yaml").open("a") as file:
        file.write("keyword: {opacity: dull spot}\n")
    described = lexiseg.describe(folder, tmp_path / "d.jsonl", vocabulary="polyp")
    words = {"opacity": " dull spot", "nodule": " nodule"}  # a class without keyword is called by its name
    lines = [line for line in described.lines if line.sentence]
    assert {line.class_name for line in lines} == set(words)
    for line in lines:
        others = {word for name, word in words.items() if name != line.class_name}
        assert words[str(line.class_name)] in line.sentence
        assert not any(word in line.sentence for word in others)


@pytest.mark.parametrize(
    ("classes", "added", "options", "is_said"),
    [
        (1, "", {"vocabulary": "polyp"}, True),
        (1, "keyword: spot\n", {"vocabulary": "polyp"}, False),
        (1, "keyword: {opacity: spot}\n", {"vocabulary": "polyp"}, False),
        (1, "", {}, False),  # sentences of the vocabulary chest hold no keyword
        (1, "", {"source": "reports"}, False),  # sentences are the sheet's
        (2, "", {"vocabulary": "polyp"}, False),  # each class is called by its name
    ],
)
def test_the_vocabularys_own_keyword_is_said(
    phantom: Callable[[int], Path],
    tmp_path: Path,
    classes: int,
    added: str,
    options: dict[str, Any],
    is_said: bool,
) -> None:
    folder = copy_of(phantom(classes), tmp_path / "copy")
    with (folder / "dataset.yaml").open("a") as file:
        file.write(added)
    said = io.StringIO()
    console = Console(file=said, width=500)
    described = lexiseg.describe(folder, tmp_path / "d.jsonl", console=console, **options)
    note = "Sentences use the word 'polyp area'. If something else is segmented, state `keyword`"
    assert (note in said.getvalue()) == is_said
    if "spot" in added:
        assert any(line.sentence for line in described.lines)
        assert all(" spot" in line.sentence for line in described.lines if line.sentence)


def test_a_class_without_keyword_is_refused(phantom: Callable[[int], Path], tmp_path: Path) -> None:
    folder = copy_of(phantom(2), tmp_path / "copy")
    (folder / "dataset.yaml").unlink()
    with refuses("LEX-DATA-104", "dataset.yaml"):
        lexiseg.describe(folder, tmp_path / "d.jsonl")
    assert not (tmp_path / "d.jsonl").exists()


def test_reports_keep_their_row_and_what_the_mask_says_otherwise(
    phantom: Callable[[int], Path], tmp_path: Path
) -> None:
    folder = copy_of(phantom(2), tmp_path / "copy")
    sheet = pd.read_csv(folder / "reports.csv")
    column = sheet.columns[1]
    first = sheet[column][0]
    sheet.loc[0, column] = (
        "Bilaterl pulmonary infection, two infected areas, all left lung and all right lung."
    )
    sheet.to_csv(folder / "reports.csv", index=False)
    described = lexiseg.describe(folder, tmp_path / "d.jsonl", source="reports")
    assert {line.class_name for line in described.lines} == {None}  # the sheet speaks of the whole image
    name = Path(sheet.iloc[0, 0]).stem
    (line,) = (line for line in described.lines if line.id == name)
    assert line.provenance.model_dump() == {
        "source": "reports",
        "row": sheet[column][0],
        "repairs": {"Bilaterl": "bilateral"},
    }
    assert line.factors["left"] == "upper middle lower left lung"
    assert line.check is not None
    assert (line.check.how, line.check.corrected) == ("compared", ())
    assert "left" in {difference.factor for difference in line.check.differs}, first


def test_reports_of_one_class_speak_of_it(phantom: Callable[[int], Path], tmp_path: Path) -> None:
    described = lexiseg.describe(phantom(1), tmp_path / "d.jsonl", source="reports")
    assert {line.class_name for line in described.lines} == {"opacity"}
    assert all(line.check is not None and not line.check.differs for line in described.lines)


def test_the_wrong_side_is_refused(phantom: Callable[[int], Path], tmp_path: Path) -> None:
    folder = tmp_path / "many"
    write_phantom(folder, num_train=40, num_val=2, num_test=2, size=64, seed=3)
    yaml = folder / "dataset.yaml"
    yaml.write_text(yaml.read_text().replace("side: image", "side: patient"))
    with refuses("LEX-DATA-094", "the patient's"):
        lexiseg.describe(folder, tmp_path / "d.jsonl", source="reports")
    assert not (tmp_path / "d.jsonl").exists()


def test_reports_that_are_not_there(phantom: Callable[[int], Path], tmp_path: Path) -> None:
    folder = copy_of(phantom(1), tmp_path / "copy")
    next((folder / "Val_Folder").glob("*.xlsx")).unlink()
    with refuses("LEX-DATA-115", "--source concepts"):
        lexiseg.describe(folder, tmp_path / "d.jsonl", source="reports")
    described = lexiseg.describe(folder, tmp_path / "d.jsonl", source="reports", splits=["train"])
    assert len(described.lines) == 6


@pytest.fixture
def gaps(phantom: Callable[[int], Path], tmp_path: Path) -> tuple[Path, list[str]]:
    """A data set in which two training images have no mask, and their names."""
    folder = copy_of(phantom(1), tmp_path / "gaps")
    missing = open_dataset(folder).split("train")[1:3]
    for sample in missing:
        assert sample.mask is not None
        sample.mask.unlink()
    return folder, [sample.id for sample in missing]


def test_images_without_mask_cannot_be_measured(gaps: tuple[Path, list[str]], tmp_path: Path) -> None:
    folder, missing = gaps
    said = io.StringIO()
    described = lexiseg.describe(
        folder, tmp_path / "d.jsonl", rois=tmp_path / "rois", console=Console(file=said, width=500)
    )
    samples = open_dataset(folder, allow_missing_masks=True).samples
    assert [line.id for line in described.lines] == [s.id for s in samples if s.id not in missing]
    assert described.left_out == tuple(missing)
    names = ", ".join(missing)
    assert f"No mask for 2 of 10 images ({names}): left out, as words are measured" in said.getvalue()
    assert len(list((tmp_path / "rois").glob("*.png"))) == 8


def test_the_sheet_speaks_of_images_without_mask_too(gaps: tuple[Path, list[str]], tmp_path: Path) -> None:
    folder, missing = gaps
    said = io.StringIO()
    described = lexiseg.describe(
        folder, tmp_path / "d.jsonl", source="reports", console=Console(file=said, width=500)
    )
    assert (len(described.lines), described.left_out) == (10, ())
    assert [line.id for line in described.lines if line.check is None] == missing
    assert read_descriptions(tmp_path / "d.jsonl").lines == described.lines
    assert f"No mask for 2 of 10 images ({', '.join(missing)}): their reports are not" in said.getvalue()


def test_where_no_image_has_a_mask_nothing_is_measured(
    phantom: Callable[[int], Path], tmp_path: Path
) -> None:
    folder = copy_of(phantom(1), tmp_path / "copy")
    for mask in (folder / "Val_Folder" / "labelcol").iterdir():
        mask.unlink()
    with refuses("LEX-DATA-103", "--split"):
        lexiseg.describe(folder, tmp_path / "d.jsonl", splits=["val"])
    assert not (tmp_path / "d.jsonl").exists()


def test_an_unreadable_image_leaves_no_file(phantom: Callable[[int], Path], tmp_path: Path) -> None:
    folder = copy_of(phantom(1), tmp_path / "copy")
    image = sorted((folder / "Train_Folder" / "img").iterdir())[3]
    image.write_bytes(image.read_bytes()[:100])
    with pytest.raises(DataError, match=image.name):
        lexiseg.describe(folder, tmp_path / "out" / "d.jsonl")
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": "poems"}, "No source 'poems': expected lmm, reports, concepts"),
        ({"source": "lmm"}, "The source lmm needs a model"),
        ({"lmm": lexiseg.LmmOptions(model="m")}, "need the source lmm; got 'concepts'"),
        ({"out": "d.json"}, r"ending in \.jsonl"),
        ({"out": "there.jsonl"}, "already exists"),
    ],
)
def test_impossible_options(
    phantom: Callable[[int], Path], tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    (tmp_path / "there.jsonl").write_text("kept")
    out = tmp_path / options.pop("out", "d.jsonl")
    with pytest.raises(UsageError, match=message):
        lexiseg.describe(phantom(1), out, **options)
    assert (tmp_path / "there.jsonl").read_text() == "kept"
