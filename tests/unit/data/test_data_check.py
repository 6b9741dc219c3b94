import io
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from data_files import Tree, save_image, save_mask
from PIL import Image
from rich.console import Console

from lexiseg.data import open_dataset
from lexiseg.data.check.dataset_check import check_dataset
from lexiseg.data.check.picture_hash import difference_hash
from lexiseg.data.check.report import MAX_FILES, CheckReport, FileNote, make_finding, render
from lexiseg.data.phantom import write_phantom
from refusals import refuses

EXPECTED_LEVELS = {"error", "warning", "info"}


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom") / "data"
    write_phantom(folder, num_train=24, num_val=8, num_test=8, size=96, seed=1)
    return folder


@pytest.fixture
def phantom(clean: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(clean, tmp_path / "data"))


def images(folder: Path, split: str = "Train") -> list[Path]:
    return sorted((folder / f"{split}_Folder" / "img").iterdir())


def masks(folder: Path, split: str = "Train") -> list[Path]:
    return sorted((folder / f"{split}_Folder" / "labelcol").iterdir())


def edit_sheet(folder: Path, change: dict[int, str], split: str = "Train") -> list[str]:
    """Replace the sentences of some rows; return their keys."""
    path = folder / f"{split}_Folder" / f"{split}_text.xlsx"
    table = pd.read_excel(path)
    for row, sentence in change.items():
        table.loc[row, "Description"] = sentence
    table.to_excel(path, index=False)
    return [str(table.loc[row, "Image"]) for row in change]


def codes(report: CheckReport) -> set[str]:
    return {found.code for found in report.findings}


def test_a_clean_data_set_has_nothing_to_find(clean: Path) -> None:
    report = check_dataset(clean)
    assert not report.has_errors
    assert codes(report) == {"assumed"}
    assert report.samples == {"train": 24, "val": 8, "test": 8}
    assert (report.vocabulary, report.side, report.reports_read) == ("chest", "image", 1.0)
    assert set(report.agreement.values()) == {1.0}
    assert report.side_evidence is not None
    assert "as dataset.yaml states; 100.0% of" in report.side_evidence


def test_one_unreadable_file_never_stops_the_check(phantom: Path) -> None:
    broken, lost = images(phantom)[:2]
    broken.write_bytes(broken.read_bytes()[:500])
    lost.write_bytes(b"")
    mask = masks(phantom, "Val")[0]
    mask.write_bytes(b"not an image")
    report = check_dataset(phantom)
    found = report.of("unreadable-image")
    assert found is not None
    assert (found.severity, found.count) == ("error", 2)
    assert [note.file for note in found.files] == [str(path.relative_to(phantom)) for path in (broken, lost)]
    assert "damaged or truncated" in found.files[0].detail
    assert "an empty file" in found.files[1].detail
    unreadable = report.of("unreadable-mask")
    assert unreadable is not None
    assert unreadable.files[0].file == str(mask.relative_to(phantom))
    assert report.has_errors


def test_unmatched_names_both_ways(phantom: Path) -> None:
    images(phantom, "Val")[0].unlink()
    masks(phantom)[0].unlink()
    report = check_dataset(phantom)
    for code, severity in (
        ("missing-mask", "error"),
        ("orphan-mask", "warning"),
        ("orphan-report", "warning"),
    ):
        found = report.of(code)
        assert found is not None, code
        assert (found.severity, found.count) == (severity, 1)


def missing_masks(report: CheckReport) -> list[tuple[str, int]]:
    return [(found.severity, found.count) for found in report.findings if found.code == "missing-mask"]


def test_training_images_may_lack_a_mask(phantom: Path) -> None:
    for mask in masks(phantom)[:3]:
        mask.unlink()
    report = check_dataset(phantom)
    assert missing_masks(report) == [("warning", 3)]
    assert not report.has_errors
    found = report.of("missing-mask")
    assert found is not None
    assert "docs/few_masks.md" in found.message
    for split in ("Val", "Test"):
        masks(phantom, split)[0].unlink()
    assert missing_masks(check_dataset(phantom)) == [("error", 2), ("warning", 3)]
    for mask in masks(phantom):
        mask.unlink()
    report = check_dataset(phantom)
    assert missing_masks(report) == [("error", 2), ("error", 24)]
    assert any("No training image has a mask" in found.message for found in report.findings)


def test_without_reports_images_without_a_mask_stop_a_training(tmp_path: Path) -> None:
    for seed, split in enumerate(("train", "train", "train", "train", "val", "test")):
        save_image(tmp_path / split / "images" / f"{seed}.png", seed)
        if seed:
            save_mask(tmp_path / split / "masks" / f"{seed}.png")
    report = check_dataset(tmp_path)
    assert missing_masks(report) == [("error", 1)]
    found = report.of("missing-mask")
    assert found is not None
    assert "--unmasked leave_out" in found.message
    rows = "".join(f"{seed}.png,One infected area. Upper left lung.\n" for seed in range(6))
    (tmp_path / "reports.csv").write_text(f"image,report\n{rows}")
    assert missing_masks(check_dataset(tmp_path)) == [("warning", 1)]
    (tmp_path / "train" / "masks" / "1.png").unlink()
    report = check_dataset(tmp_path)
    assert missing_masks(report) == [("error", 2)]
    assert "fewer than 3 patients" in report.of("missing-mask").message  # type: ignore[union-attr]


def test_the_vocabulary_is_the_one_that_a_training_chooses(tmp_path: Path) -> None:
    rows = []
    for seed, split in enumerate(("train", "train", "val", "test", "test")):
        save_image(tmp_path / split / "images" / f"{seed}.png", seed)
        save_mask(tmp_path / split / "masks" / f"{seed}.png")
        read = '"Unilateral pulmonary infection, one infected area, upper left lung."'
        rows.append(f"{seed}.png,{'Something else.' if split == 'test' else read}\n")
    (tmp_path / "reports.csv").write_text("image,report\n" + "".join(rows))
    report = check_dataset(tmp_path)
    assert report.vocabulary == "chest"
    assert report.of("reports-grammar") is None


@pytest.mark.parametrize(
    ("stated", "code"), [(None, "reports-grammar"), ("vocabulary: polyp\n", "report-unreadable")]
)
def test_a_split_without_a_readable_report_stops_a_training(
    tmp_path: Path, stated: str | None, code: str
) -> None:
    rows = []
    for seed, split in enumerate(("train", "train", "val", "test")):
        save_image(tmp_path / split / "images" / f"{seed}.png", seed)
        save_mask(tmp_path / split / "masks" / f"{seed}.png")
        rows.append(f"{seed}.png,Thing of kind {'abcd'[seed] * 5}.\n")
    if stated is not None:
        (tmp_path / "dataset.yaml").write_text(stated)
    sheet = tmp_path / "reports.csv"
    sheet.write_text("image,report\n" + "".join(rows))
    found = check_dataset(tmp_path).of(code)
    assert found is not None
    assert found.severity == "error"
    assert "training stops here" in found.message
    if stated is None:
        sheet.write_text(sheet.read_text().replace("ccccc", "bbbbb"))
        found = check_dataset(tmp_path).of(code)
        assert found is not None
        assert found.severity == "warning"


def test_images_the_sheet_leaves_out(phantom: Path) -> None:
    edit_sheet(phantom, {0: "", 1: ""})
    found = check_dataset(phantom).of("missing-report")
    assert found is not None
    assert (found.severity, found.count) == ("error", 2)
    assert "training stops here, except with --text concepts" in found.message


def test_images_that_have_neither_mask_nor_report_stop_no_training(phantom: Path) -> None:
    """They can be left out: --unmasked leave_out."""
    edit_sheet(phantom, {0: "", 1: ""})
    silent = [sample for sample in open_dataset(phantom).split("train") if not sample.report]
    for sample in silent:
        assert sample.mask is not None
        sample.mask.unlink()
    found = check_dataset(phantom).of("missing-report")
    assert found is not None
    assert (found.severity, found.count) == ("warning", 2)


def test_test_images_without_a_report_stop_no_training(phantom: Path) -> None:
    edit_sheet(phantom, {0: "", 1: ""}, "Test")
    report = check_dataset(phantom)
    found = report.of("missing-report")
    assert found is not None
    assert (found.severity, found.count) == ("warning", 2)
    assert not report.has_errors


def test_reports_for_test_images_alone_stop_no_training(phantom: Path) -> None:
    for split, rows in (("Train", 24), ("Val", 8)):
        edit_sheet(phantom, dict.fromkeys(range(rows), ""), split)
    found = check_dataset(phantom).of("missing-report")
    assert found is not None
    assert (found.severity, found.count) == ("warning", 32)


def test_sizes_empty_masks_and_strange_values(phantom: Path) -> None:
    first, second, third = masks(phantom)[:3]
    Image.fromarray(np.full((50, 60), 255, np.uint8)).save(first)
    Image.fromarray(np.zeros((96, 96), np.uint8)).save(second)
    strange = np.zeros((96, 96), np.uint8)
    strange[:9] = 77
    Image.fromarray(strange).save(third)
    report = check_dataset(phantom)
    size, empty, values = (report.of(code) for code in ("size-mismatch", "empty-mask", "mask-values"))
    assert size is not None
    assert "Export both at one size, or remove them" in size.message
    assert size.files[0].detail == "image 96 x 96, mask 50 x 60 (rows x columns)"
    assert empty is not None
    assert (empty.severity, empty.count) == ("info", 1)
    assert values is not None
    assert values.files[0].detail == "it holds 77; known are 0, 255"


def test_all_masks_empty(plain_folder: Tree) -> None:
    root = plain_folder("a", "b", "c", value=0)
    assert check_dataset(root).of("all-empty") is not None


def test_a_coding_that_cannot_be_told_is_an_error_and_the_rest_goes_on(plain_folder: Tree) -> None:
    root = plain_folder("a", "b", "c")
    for stem in "abc":
        ramp = np.arange(32 * 40, dtype=np.uint16).reshape(32, 40) % 150
        Image.fromarray(ramp.astype(np.uint8)).save(root / "masks" / f"{stem}.png")
    (root / "images" / "a.png").write_bytes(b"x")
    report = check_dataset(root)
    assert {"mask-coding", "unreadable-image"} <= codes(report)
    assert report.classes == ()


def test_copies_and_near_copies_across_splits(phantom: Path) -> None:
    source = images(phantom)[0]
    shutil.copy(source, images(phantom, "Test")[0])
    with Image.open(images(phantom)[2]) as image:
        near = image.resize((120, 120)).point(lambda value: value * 0.8 + 10)
    target = images(phantom, "Val")[1]
    near.save(target)
    report = check_dataset(phantom)
    exact, close = report.of("duplicate-image"), report.of("near-duplicate")
    assert exact is not None
    assert (exact.severity, exact.count) == ("error", 1)
    assert source.name in exact.files[0].file
    assert close is not None
    assert (close.severity, close.count) == ("warning", 1)
    assert str(target.relative_to(phantom)) in close.files[0].file
    assert close.files[0].detail.startswith("correlation 0.9")


def test_copies_within_a_split_are_no_leak(phantom: Path) -> None:
    shutil.copy(images(phantom)[0], images(phantom)[1])
    assert not {"duplicate-image", "near-duplicate"} & codes(check_dataset(phantom))


def test_difference_hash_by_hand() -> None:
    falling = Image.fromarray(np.tile(np.arange(9, dtype=np.uint8)[::-1] * 20, (8, 1)))
    assert difference_hash(falling) == 2**64 - 1
    rising = Image.fromarray(np.tile(np.arange(9, dtype=np.uint8) * 20, (8, 1)))
    assert difference_hash(rising) == 0
    first_only = np.zeros((8, 9), np.uint8)
    first_only[0, 0] = 9
    assert difference_hash(Image.fromarray(first_only)) == 1 << 63


def test_patients_and_sources_across_splits(tmp_path: Path) -> None:
    names = {
        "train": ["cxr_s1-e1-r1", "cxr_s2-e1-r1", "covid_1"],
        "val": ["cxr_s3-e1-r1"],
        "test": ["cxr_s1-e2-r1"],
    }
    for split, stems in names.items():
        for seed, stem in enumerate(stems):
            save_image(tmp_path / split / "images" / f"{stem}.png", 10 * len(split) + seed)
            save_mask(tmp_path / split / "masks" / f"{stem}.png")
    report = check_dataset(tmp_path)
    patients = report.of("patient-in-splits")
    assert patients is not None
    assert patients.severity == "error"
    assert patients.files == (FileNote(file="s1", detail="train, test"),)
    source = report.of("one-source-val")
    assert source is not None
    assert "come from the source 'cxr', but only 67% of the training images do" in source.message


def test_several_sources_in_val_are_fine(tmp_path: Path) -> None:
    pairs = (("train", "cxr"), ("train", "covid"), ("val", "cxr"), ("val", "covid"))
    for seed, (split, prefix) in enumerate(pairs):
        save_image(tmp_path / split / "images" / f"{prefix}_{split}.png", seed)
        save_mask(tmp_path / split / "masks" / f"{prefix}_{split}.png")
    assert "one-source-val" not in codes(check_dataset(tmp_path))


@pytest.mark.parametrize(
    ("splits", "severity", "empty"),
    [
        (("train", "val"), "warning", ["test"]),
        (("train", "test"), "error", ["val"]),
        (("val", "test"), "error", ["train"]),
        (("test",), "warning", ["train", "val"]),
    ],
)
def test_a_split_without_images_is_an_error_where_training_refuses_it(
    tmp_path: Path, splits: tuple[str, ...], severity: str, empty: list[str]
) -> None:
    for seed, split in enumerate(splits):
        save_image(tmp_path / split / "images" / f"{split}.png", seed)
        save_mask(tmp_path / split / "masks" / f"{split}.png")
    found = check_dataset(tmp_path).of("empty-split")
    assert found is not None
    assert (found.severity, [note.file for note in found.files]) == (severity, empty)


def test_splits_that_cannot_be_read_are_not_called_empty(plain_folder: Tree) -> None:
    root = plain_folder(*"abc")
    (root / "splits.json").write_text('{"train": ["a"], "val": ["b"], "test": ["c", "d"]}')
    report = check_dataset(root)
    assert report.of("layout") is not None
    assert report.of("empty-split") is None


def test_reports_that_cannot_be_read_are_repaired_or_contradict(phantom: Path) -> None:
    edit_sheet(
        phantom,
        {
            0: "Bilateral pulmonary infection, two infected areas, glorp left lung.",
            1: "Unilateral pulmonary infection, one infected area, lowoer left lung.",
            2: "Unilateral pulmonary infection, one infected area, lower left lung.",
            3: "Bilateral pulmonary infection, two infected areas, all left lung and all right lung.",
        },
    )
    report = check_dataset(phantom)
    unreadable, repaired, contradicts = (
        report.of(code) for code in ("report-unreadable", "report-repaired", "report-contradicts")
    )
    assert unreadable is not None
    assert "glorp" in unreadable.files[0].detail
    assert repaired is not None
    assert repaired.files[0].detail == "lowoer -> lower"
    assert contradicts is not None
    assert (
        "the report states 'bilateral pulmonary infection', the mask shows 'unilateral"
        in contradicts.files[0].detail
    )
    assert report.reports_read == pytest.approx(1 - 1 / 40)
    assert all(rate < 1 for factor, rate in report.agreement.items() if factor in ("left", "right"))


def _mirror_words(folder: Path) -> None:
    for split in ("Train", "Val", "Test"):
        path = folder / f"{split}_Folder" / f"{split}_text.xlsx"
        table = pd.read_excel(path)
        swapped = (
            table["Description"]
            .str.replace("left", "#")
            .str.replace("right", "left")
            .str.replace("#", "right")
        )
        table.assign(Description=swapped).to_excel(path, index=False)


def test_the_side_convention_is_inferred_and_a_wrong_one_is_an_error(phantom: Path) -> None:
    (phantom / "dataset.yaml").unlink()
    report = check_dataset(phantom)
    assert report.side == "image"
    found = report.of("side-convention")
    assert found is not None
    assert found.severity == "info"
    _mirror_words(phantom)
    report = check_dataset(phantom)
    assert report.side == "patient"
    assert report.side_evidence is not None
    assert "are the patient's, in 100.0% of" in report.side_evidence
    # Training assumes the vocabulary's side and refuses these reports.
    found = report.of("side-convention")
    assert found is not None
    assert found.severity == "error"
    assert "the vocabulary assumes the image's" in found.message
    assert set(report.agreement.values()) == {1.0}
    (phantom / "dataset.yaml").write_text("side: image\n")
    report = check_dataset(phantom)
    found = report.of("side-convention")
    assert found is not None
    assert found.severity == "error"
    assert "use the patient's left and right (100.0 %" in found.message


def test_reports_in_no_known_grammar(phantom: Path) -> None:
    (phantom / "dataset.yaml").unlink()
    edit_sheet(phantom, {row: f"The nuclei density is high, kind {row}." for row in range(24)})
    edit_sheet(phantom, {0: "The nuclei density is high, kind 3."}, "Val")
    report = check_dataset(phantom)
    found = report.of("reports-grammar")
    assert found is not None
    assert "--text concepts" in found.message
    assert report.vocabulary is None
    assert found.severity == "warning"


@pytest.mark.parametrize(
    ("sentence", "why"), [("The nuclei are dense.", "fewer than 2 distinct"), (None, "is free text")]
)
def test_sentences_that_training_refuses_are_an_error(phantom: Path, sentence: str | None, why: str) -> None:
    (phantom / "dataset.yaml").unlink()
    edit_sheet(
        phantom, {row: sentence or " ".join(f"{chr(97 + row)}{k}x" for k in "abcdefg") for row in range(24)}
    )
    found = check_dataset(phantom).of("reports-grammar")
    assert found is not None
    assert found.severity == "error"
    assert "training stops here" in found.message
    assert why in found.message
    assert "--text concepts" in found.message


def test_what_is_not_known_of_sentences_in_another_language_is_said(phantom: Path) -> None:
    (phantom / "dataset.yaml").unlink()
    said = ("左肺下葉に浸潤影", "右肺上葉に浸潤影", "両肺に浸潤影")
    for split, rows in (("Train", 24), ("Val", 8), ("Test", 8)):
        edit_sheet(phantom, {row: said[row % 3] for row in range(rows)}, split)
    report = check_dataset(phantom)
    side, mirror = report.of("side-convention"), report.of("mirror-unknown")
    assert side is not None
    assert "is not known, as no vocabulary reads them" in side.message
    assert mirror is not None
    assert "Of 3 distinct sentences, 3 left to right" in mirror.message
    (phantom / "dataset.yaml").write_text("side: patient\n")
    stated = check_dataset(phantom)
    assert stated.of("side-convention") is None
    assert stated.side == "patient"


def test_a_vocabulary_that_does_not_exist(phantom: Path) -> None:
    (phantom / "dataset.yaml").write_text("vocabulary: nowhere\n")
    found = check_dataset(phantom).of("vocabulary")
    assert found is not None
    assert "nowhere" in found.message


def test_a_sheet_without_columns_is_a_finding(phantom: Path) -> None:
    pd.DataFrame({"A": ["b"]}).to_excel(phantom / "Val_Folder" / "Val_text.xlsx", index=False)
    report = check_dataset(phantom)
    found = report.of("layout")
    assert found is not None
    assert "has the columns 'A'" in found.message
    missing = report.of("missing-report")
    assert missing is not None
    assert missing.count == 8
    assert report.samples["val"] == 8


def test_missing_files_of_csvs(tmp_path: Path) -> None:
    save_image(tmp_path / "a" / "images" / "x.png", 0)
    (tmp_path / "train.csv").write_text("dataset,img_name,mask_name\na,x.png,x.png\na,y.png,y.png\n")
    report = check_dataset(tmp_path)
    found = report.of("missing-file")
    assert found is not None
    assert [note.file for note in found.files] == ["a/masks/x.png", "a/images/y.png"]


def test_turned_photographs(plain_folder: Tree) -> None:
    root = plain_folder("a", "b", "c")
    exif = Image.Exif()
    exif[0x0112] = 6
    (root / "images" / "a.png").unlink()
    Image.fromarray(np.zeros((32, 40), np.uint8)).save(root / "images" / "a.jpg", exif=exif)
    report = check_dataset(root)
    assert {"exif-orientation", "assumed"} <= codes(report)


def test_small_lesions_in_large_images_suggest_tiles(tmp_path: Path) -> None:
    for seed in range(6):
        save_image(tmp_path / "images" / f"case{seed}.png", seed, (400, 400))
        labels = np.zeros((400, 400), np.uint8)
        labels[100:110, 50:60] = labels[300:310, 200:210] = 255
        (tmp_path / "masks").mkdir(exist_ok=True)
        Image.fromarray(labels).save(tmp_path / "masks" / f"case{seed}.png")
    found = [finding for finding in check_dataset(tmp_path).findings if finding.code == "fit"]
    assert [finding.severity for finding in found] == ["info"]
    assert found[0].message.startswith(
        "fit: tiles is likely better than stretch, because lesions are 11 pixels wide in images of 400 x 400"
    )


def test_a_folder_without_layout_raises(tmp_path: Path) -> None:
    with refuses("LEX-DATA-023", "is empty"):
        check_dataset(tmp_path)


def test_long_lists_are_capped_and_counted() -> None:
    found = make_finding("x", "error", "m", [FileNote(file=str(number)) for number in range(50)])
    assert (len(found.files), found.count) == (MAX_FILES, 50)


def test_json_and_table(phantom: Path) -> None:
    images(phantom)[0].write_bytes(b"")
    for mask in masks(phantom)[5:12]:
        mask.unlink()
    report = check_dataset(phantom)
    value = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert value["ok"] is False
    assert {found["severity"] for found in value["findings"]} <= EXPECTED_LEVELS
    severities = [found["severity"] for found in value["findings"]]
    assert severities == sorted(severities, key=["error", "warning", "info"].index)
    out = io.StringIO()
    render(report, Console(file=out, width=120))
    text = out.getvalue()
    assert "unreadable-image" in text
    assert "and 4 more" in text
    assert "Not usable as it is: 1 kind of error, 1 kind of warning." in text
    assert "Reports agree with their masks: laterality 100.00%" in text


def test_names_with_brackets_are_printed_as_they_are(plain_folder: Tree) -> None:
    root = plain_folder("[red]a", "b", "c")
    (root / "images" / "[red]a.png").write_bytes(b"")
    out = io.StringIO()
    render(check_dataset(root), Console(file=out, width=200))
    assert "images/[red]a.png" in out.getvalue()


def test_progress_is_reported(phantom: Path) -> None:
    seen: list[tuple[int, int]] = []
    check_dataset(phantom, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(number, 40) for number in range(1, 41)]


def test_the_heading_names_the_folder_once(plain_folder: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = plain_folder("a", "b", "c")
    report = check_dataset(root)
    monkeypatch.chdir(root.parent)
    headings = []
    for shown in (report, check_dataset(root.name)):
        out = io.StringIO()
        render(shown, Console(file=out, width=200))
        headings.append(out.getvalue().splitlines()[0])
    assert headings == [f"{root.name}  {root}  (layout: folders)", f"{root.name}  (layout: folders)"]
