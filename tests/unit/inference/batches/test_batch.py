from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lexiseg.clinic.view import View
from lexiseg.data.decoded_image import DecodedImage
from lexiseg.data.readers import read_image_with_facts
from lexiseg.errors import DiskError, LexisegError, UsageError
from lexiseg.inference.batches.batch import BatchSummary, predict_to_files
from lexiseg.inference.explanation.explain import Explanation
from lexiseg.inference.inputs.target import Target
from lexiseg.inference.inputs.target_search import find_targets
from lexiseg.inference.result import Prediction
from lexiseg.inference.writers.base import Batch, ImageWriter, PredictedImage
from lexiseg.outputs.manifest import OUTPUTS_FILE
from refusals import refuses
from threshold_predictor import Thresholds, write_image


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with two images, one of them below a subfolder, and files that are none."""
    root = tmp_path / "in"
    write_image(root / "a.png")
    write_image(root / "exam" / "odd.JPG", (40, 10))
    (root / "notes.txt").write_text("no image")
    return root


def lines_of(out: Path, name: str = "predictions.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / name).read_text().splitlines()]


class TestFindTargets:
    def test_folders_keep_their_structure(self, folder: Path) -> None:
        assert find_targets([folder]) == (
            Target(image=folder / "a.png", name=Path("a")),
            Target(image=folder / "exam" / "odd.JPG", name=Path("exam/odd")),
        )

    def test_files_and_globs(self, folder: Path) -> None:
        assert [t.name for t in find_targets([folder / "a.png", str(folder / "exam" / "*")])] == [
            Path("a"),
            Path("odd"),
        ]
        assert len(find_targets([str(folder / "**" / "*.*")])) == 2

    def test_an_image_named_twice_is_taken_once(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(folder)
        twice = [folder, folder / "exam" / "odd.JPG", "a.png", "exam"]
        assert [t.name for t in find_targets(twice)] == [Path("a"), Path("exam/odd")]

    def test_hidden_files_and_folders_are_left_out(self, folder: Path) -> None:
        before = find_targets([folder])
        write_image(folder / "._a.png")
        (folder / ".cache").mkdir()
        write_image(folder / ".cache" / "b.png")
        assert find_targets([folder]) == before
        with refuses("LEX-DATA-099", "No image found"):
            find_targets([folder / ".*.png"])

    def test_masks_of_an_earlier_batch_are_no_images(self, folder: Path) -> None:
        before = find_targets([folder])
        (folder / "out" / "masks").mkdir(parents=True)
        write_image(folder / "out" / "masks" / "a.png")
        assert len(find_targets([folder])) == 3
        assert find_targets([folder], out=folder / "out") == before
        with refuses("LEX-DATA-1850", "--out"):
            find_targets([folder / "out"], out=folder / "out")

    def test_masks_that_would_overwrite_each_other_are_refused(self, folder: Path) -> None:
        write_image(folder / "a.tif")
        with refuses("LEX-DATA-100", "--out folders."):
            find_targets([folder])
        write_image(folder / "exam" / "a.png")
        with refuses("LEX-DATA-100", "the mask 'a.png'"):
            find_targets([folder / "a.png", folder / "exam" / "a.png"])

    @pytest.mark.parametrize(
        ("pattern", "said"),
        [
            ("nothing", "nothing: it does not exist"),
            ("nothing/*.png", "no file matches the pattern"),
            ("*.gif", "no file matches the pattern"),
            ("notes.*", ".png"),
        ],
    )
    def test_nothing_found_is_refused(self, folder: Path, pattern: str, said: str) -> None:
        with refuses("LEX-DATA-099", said):
            find_targets([folder, folder / pattern])

    def test_an_empty_folder_is_refused(self, tmp_path: Path) -> None:
        with refuses("LEX-DATA-099", "the folder is empty"):
            find_targets([tmp_path])


def run(folder: Path, out: Path, **options: Any) -> BatchSummary:
    return predict_to_files(Thresholds(), find_targets([folder]), out, **options)  # type: ignore[arg-type]


def test_masks_of_another_origin_are_not_replaced(folder: Path) -> None:
    (folder / "masks").mkdir()
    write_image(folder / "masks" / "a.png")
    truth = (folder / "masks" / "a.png").read_bytes()
    with refuses("LEX-DATA-101", "from a prediction"):
        predict_to_files(Thresholds(), find_targets([folder / "a.png"]), folder)  # type: ignore[arg-type]
    assert (folder / "masks" / "a.png").read_bytes() == truth


def test_masks_and_lines(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    summary = run(folder, out)
    assert (summary.done, summary.flagged, summary.failed) == (2, 1, ())
    assert summary.results == out / "predictions.jsonl"
    first, second = lines_of(out)
    assert (first["image"], first["mask"]) == (str(folder / "a.png"), "masks/a.png")
    assert (first["size"], first["area_px"], first["flagged"]) == ([20, 30], {"lesion": 18}, False)
    assert (second["mask"], second["size"], second["flagged"]) == ("masks/exam/odd.png", [40, 10], True)
    mask = np.asarray(Image.open(out / "masks" / "a.png"))
    assert mask.shape == (20, 30)
    assert (mask > 0).sum() == 18
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()) == [
        ".lexiseg-outputs.jsonl",
        "masks/a.png",
        "masks/exam/odd.png",
        "predictions.jsonl",
    ]


def test_overlays_on_request(folder: Path, tmp_path: Path) -> None:
    run(folder, tmp_path / "out", formats=("mask", "overlay"))
    with Image.open(tmp_path / "out" / "overlays" / "exam" / "odd.png") as overlay:
        assert overlay.size == (10, 40)


@pytest.fixture
def _explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make cards of a predictor that has no network."""

    def nothing_to_say(predictor: object, image: object, *, prediction: Prediction) -> Explanation:
        return Explanation(
            prediction=prediction,
            words=(),
            plain=prediction.mask,
            heat_kind=None,
            scales=(),
            prompted_part="encoder",
            notes=(),
        )

    monkeypatch.setattr("lexiseg.inference.writers.card.explain_decoded", nothing_to_say)


def files_in(folder: Path) -> list[str]:
    """Return the files of a folder, without the list of outputs."""
    files = (p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    return sorted(set(files) - {OUTPUTS_FILE})


@pytest.mark.usefixtures("_explained")
def test_cards_and_overlays_of_an_earlier_batch_do_not_stay_beside_new_masks(
    folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(folder, out, formats=("mask", "overlay", "card"))
    both = ["cards/a.html", "cards/exam/odd.html", "overlays/a.png", "overlays/exam/odd.png"]
    of_masks = ["masks/a.png", "masks/exam/odd.png", "predictions.jsonl"]
    assert files_in(out) == sorted([*both, *of_masks])
    # One image is predicted again: the other one's card still shows its mask.
    predict_to_files(Thresholds(), find_targets([folder / "a.png"]), out)  # type: ignore[arg-type]
    assert files_in(out) == sorted(["cards/exam/odd.html", "overlays/exam/odd.png", *of_masks])
    run(folder, out)
    assert files_in(out) == of_masks


@pytest.mark.usefixtures("_explained")
def test_files_that_lexiseg_did_not_write_stay(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_image(out / "overlays" / "a.png")
    (out / "cards" / "exam" / "odd.html").mkdir(parents=True)
    (out / "cards" / "a.html").write_text("<title>My notes on Lexiseg card: a</title>")
    run(folder, out)
    run(folder, out)
    assert {"overlays/a.png", "cards/a.html"} < set(files_in(out))
    assert (out / "cards" / "exam" / "odd.html").is_dir()


@pytest.mark.usefixtures("_explained")
def test_an_interrupted_batch_leaves_no_card_of_another_mask(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    run(folder, out, formats=("mask", "card"))

    def stop(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lexiseg.inference.writers.card.explain_decoded", stop)
    with pytest.raises(KeyboardInterrupt):
        run(folder, out, formats=("mask", "card"))
    assert "cards/a.html" not in files_in(out)


def test_an_image_that_became_unreadable_keeps_no_earlier_output(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(folder, out, formats=["mask", "overlay"])
    (folder / "a.png").write_bytes(b"no image")
    run(folder, out, formats=["mask", "overlay"])
    assert files_in(out) == ["masks/exam/odd.png", "overlays/exam/odd.png", "predictions.jsonl"]


def test_an_unreadable_file_is_reported_and_does_not_stop_the_rest(folder: Path, tmp_path: Path) -> None:
    (folder / "b.png").write_bytes(b"no image")
    seen: list[tuple[str, bool]] = []
    out = tmp_path / "out"
    summary = run(folder, out, on_result=lambda p, r: seen.append((Path(p).name, isinstance(r, Prediction))))
    assert summary.done == 2
    ((path, reason),) = summary.failed
    assert path == str(folder / "b.png")
    assert "b.png" in reason
    # A failure is final after the second try, at the end; its line has the place of its image.
    assert seen == [("a.png", True), ("odd.JPG", True), ("b.png", False)]
    assert lines_of(out)[1] == {
        "schema_version": 1, "image": path, "error": reason, "code": "LEX-DATA-013",
    }  # fmt: skip
    assert not (out / "masks" / "b.png").exists()


def test_results_have_another_name_until_the_end(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def stop(image: str, result: object) -> None:
        assert (out / "masks" / "a.png").is_file()  # a line stands for a file that is there
        raise KeyboardInterrupt

    run(folder, out)
    with pytest.raises(KeyboardInterrupt):  # what an earlier batch left must not pass for this one's result
        run(folder, out, on_result=stop)
    assert not (out / "predictions.jsonl").exists()
    assert (out / "predictions.jsonl.partial").exists()
    run(folder, out)
    assert len(lines_of(out)) == 2
    assert not (out / "predictions.jsonl.partial").exists()


def test_a_full_disk_leaves_nothing_half_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, replace = tmp_path / "out", os.replace

    def full(source: object, target: object) -> None:
        if Path(str(target)).name == "odd.png":
            raise OSError(28, "No space left on device")
        replace(source, target)  # type: ignore[arg-type]

    monkeypatch.setattr("lexiseg.files.os.replace", full)
    with pytest.raises(DiskError, match=r"No space left on the disk while writing \S+odd\.png"):
        run(folder, out)
    assert [p.name for p in (out / "masks").rglob("*") if p.is_file()] == ["a.png"]
    assert not (out / "predictions.jsonl").exists()


class TestWriters:
    def test_records_alone(self, folder: Path, tmp_path: Path) -> None:
        run(folder, tmp_path / "out", formats=())
        assert files_in(tmp_path / "out") == ["predictions.jsonl"]
        assert [line["mask"] for line in lines_of(tmp_path / "out")] == [None, None]

    def test_an_earlier_mask_does_not_stay_where_none_is_written(self, folder: Path, tmp_path: Path) -> None:
        run(folder, tmp_path / "out")
        run(folder, tmp_path / "out", formats=["overlay"])
        assert files_in(tmp_path / "out") == ["overlays/a.png", "overlays/exam/odd.png", "predictions.jsonl"]

    def test_probability_maps(self, folder: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        run(folder, out, formats=["records", "probability", "mask"])
        with Image.open(out / "probabilities" / "a.tif") as picture:
            probability = np.asarray(picture)
        np.testing.assert_array_equal(probability > 0.5, np.asarray(Image.open(out / "masks" / "a.png")) > 0)
        assert len(find_targets([folder], out=out)) == 2
        run(folder, out)
        assert not (out / "probabilities" / "a.tif").exists()

    @pytest.mark.usefixtures("_explained")
    def test_the_image_is_read_once_for_all_writers(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read: list[Path] = []

        def counted(path: Path, view: View) -> DecodedImage:
            read.append(path)
            return read_image_with_facts(path, view)

        monkeypatch.setattr("lexiseg.inference.writers.base.read_image_with_facts", counted)
        run(folder, tmp_path / "masks only")
        assert read == []
        run(folder, tmp_path / "out", formats=["mask", "overlay", "card", "probability"])
        assert read == [folder / "a.png", folder / "exam" / "odd.JPG"]

    def test_an_unknown_format_is_refused_before_anything_is_written(
        self, folder: Path, tmp_path: Path
    ) -> None:
        with pytest.raises(UsageError, match=r"LEX-USE-571"):
            run(folder, tmp_path / "out", formats=["mask", "dicom"])
        assert not (tmp_path / "out").exists()

    def test_a_writer_of_ones_own(self, folder: Path, tmp_path: Path) -> None:
        (folder / "b.png").write_bytes(b"no image")
        calls: list[str] = []

        class Sizes(ImageWriter):
            name, folder, suffix = "size", "sizes", ".txt"

            def open(self, batch: Batch) -> None:
                calls.append("open")

            def save(self, image: PredictedImage, batch: Batch, path: Path) -> None:
                calls.append(str(image.target.name))
                path.write_text(f"size {image.prediction.mask.shape}")

            def write_failure(self, target: Target, error: LexisegError, batch: Batch) -> None:
                calls.append(error.code)

            def close(self, batch: Batch, *, finished: bool) -> None:
                calls.append(f"close {finished}")

        run(folder, tmp_path / "out", formats=["mask", Sizes()])
        assert calls == ["open", "a", "exam/odd", "LEX-DATA-013", "close True"]
        assert (tmp_path / "out" / "sizes" / "a.txt").read_text() == "size (20, 30)"
        calls.clear()

        def stop(image: str, result: object) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run(folder, tmp_path / "out", formats=[Sizes()], on_result=stop)
        assert (calls[0], calls[-1]) == ("open", "close False")
