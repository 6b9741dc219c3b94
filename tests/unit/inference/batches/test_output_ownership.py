"""Batches replace only what Lexiseg wrote, one at a time, and take no results for images."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lexiseg.inference.batches.batch import BatchSummary, predict_to_files
from lexiseg.inference.formats import earlier_outputs
from lexiseg.inference.inputs.target_search import find_images, find_targets
from lexiseg.outputs.manifest import OUTPUTS_FILE
from lexiseg.outputs.output_folder import owned_folder
from lexiseg.structured_text import parse_json
from refusals import refuses
from threshold_predictor import Thresholds, write_image


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Return a folder with two images, one of them below a subfolder."""
    write_image(tmp_path / "in" / "a.png")
    write_image(tmp_path / "in" / "exam" / "b.png")
    return tmp_path / "in"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def predict(images: Path, out: Path, *, formats: Any = ("mask", "overlay")) -> BatchSummary:
    return predict_to_files(Thresholds(), find_targets([images]), out, formats=formats)  # type: ignore[arg-type]


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def without_manifest(out: Path) -> None:
    """Make a folder of outputs what version 0.1.0 left."""
    (out / OUTPUTS_FILE).unlink()


class TestOwnership:
    def test_a_folder_can_be_predicted_again(self, images: Path, out: Path) -> None:
        predict(images, out)
        before = content(out)
        assert predict(images, out).done == 2
        assert content(out) == before

    @pytest.mark.parametrize("place", ["masks/a.png", "overlays/exam/b.png"])
    def test_a_foreign_file_is_refused_before_any_work(self, images: Path, out: Path, place: str) -> None:
        predict(images / "exam" / "b.png", out, formats=["mask"])
        write_image(out / place)
        before = content(out)
        with refuses("LEX-DATA-740", place):
            predict(images, out)
        assert content(out) == before

    @pytest.mark.parametrize("writers", [["mask", "overlay"], ["mask"]])
    def test_a_changed_file_is_neither_replaced_nor_removed(
        self, images: Path, out: Path, writers: list[str]
    ) -> None:
        predict(images, out)
        write_image(out / "overlays" / "a.png")
        before = content(out)
        with refuses("LEX-DATA-741", "overlays/a.png"):
            predict(images, out, formats=writers)
        assert content(out) == before

    def test_a_foreign_results_file_is_refused(self, images: Path, out: Path) -> None:
        out.mkdir()
        (out / "predictions.jsonl").write_text("my notes")
        with refuses("LEX-DATA-740", "predictions.jsonl"):
            predict(images, out)
        assert (out / "predictions.jsonl").read_text() == "my notes"

    def test_a_second_batch_is_refused_while_the_first_writes(self, images: Path, out: Path) -> None:
        with owned_folder(out), refuses("LEX-USE-740", str(out)):
            predict(images, out)
        assert predict(images, out).done == 2

    def test_a_file_that_appears_during_the_batch_fails_its_image_alone(
        self, images: Path, out: Path
    ) -> None:
        def appear(path: Path, result: object) -> None:
            if path.name == "a.png":
                write_image(out / "masks" / "exam" / "b.png")

        class OneByOne(Thresholds):
            def predict_paths(self, paths: Any) -> Iterator[Any]:
                for item in super().predict_paths(paths):
                    if item[0].name == "b.png":
                        appear(images / "a.png", None)
                    yield item

        summary = predict_to_files(OneByOne(), find_targets([images]), out)  # type: ignore[arg-type]
        ((path, reason),) = summary.failed
        assert (summary.done, path) == (1, str(images / "exam" / "b.png"))
        assert "is not as Lexiseg wrote it" in reason
        assert (np.asarray(Image.open(out / "masks" / "exam" / "b.png")) == 255).any()
        lines = [json.loads(line) for line in summary.results.read_text().splitlines()]
        assert [line.get("code") for line in lines] == [None, "LEX-DATA-744"]

    def test_an_image_that_vanished_fails_alone(self, images: Path, out: Path) -> None:
        class Vanishing(Thresholds):
            def predict_paths(self, paths: Any) -> Iterator[Any]:
                for path, result in super().predict_paths(paths):
                    if path.name == "a.png":
                        path.unlink(missing_ok=True)
                    yield path, result

        summary = predict_to_files(
            Vanishing(), find_targets([images]), out, formats=["overlay"]  # type: ignore[arg-type]
        )  # fmt: skip
        assert summary.done == 1
        assert [Path(image).name for image, _ in summary.failed] == ["a.png"]
        assert {"overlays/exam/b.png"} == {n for n in content(out) if n.startswith("overlays")}

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
    def test_all_files_are_private(self, images: Path, out: Path) -> None:
        before = os.umask(0)
        try:
            predict(images, out, formats=["mask", "overlay", "probability"])
        finally:
            os.umask(before)
        modes = {p: stat.S_IMODE(p.stat().st_mode) for p in (out, *out.rglob("*"))}
        assert len(modes) == 15
        assert {p for p, mode in modes.items() if mode != (0o700 if p.is_dir() else 0o600)} == set()


class TestOutputsOfVersion010:
    def test_they_are_replaced(self, images: Path, out: Path) -> None:
        predict(images, out)
        without_manifest(out)
        predict(images, out, formats=["mask"])
        assert sorted(content(out)) == [OUTPUTS_FILE, "masks/a.png", "masks/exam/b.png", "predictions.jsonl"]

    def test_those_of_an_interrupted_batch_too(self, images: Path, out: Path) -> None:
        predict(images, out, formats=["mask"])
        without_manifest(out)
        (out / "predictions.jsonl").unlink()
        (out / "predictions.jsonl.partial").write_text("")  # the last lines were not on the disk yet
        assert predict(images, out).done == 2
        assert not (out / "predictions.jsonl.partial").exists()

    def test_other_files_beside_them_are_foreign(self, images: Path, out: Path) -> None:
        predict(images / "a.png", out)
        without_manifest(out)
        write_image(out / "masks" / "exam" / "b.png")
        with refuses("LEX-DATA-740", "masks/exam/b.png"):
            predict(images, out, formats=["mask"])
        (out / "masks" / "exam" / "b.png").unlink()
        write_image(out / "overlays" / "exam" / "b.png")
        with refuses("LEX-DATA-740", "overlays/exam/b.png"):
            predict(images, out)

    def test_an_interrupted_batch_of_this_version_claims_no_foreign_mask(
        self, images: Path, out: Path
    ) -> None:
        def stop(image: str, result: object) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            predict_to_files(
                Thresholds(), find_targets([images / "a.png"]), out, on_result=stop  # type: ignore[arg-type]
            )  # fmt: skip
        assert (out / "predictions.jsonl.partial").is_file()
        write_image(out / "masks" / "exam" / "b.png")
        with refuses("LEX-DATA-740", "masks/exam/b.png"):
            predict(images, out)


class TestEarlierOutputs:
    @pytest.mark.parametrize("with_manifest", [True, False])
    def test_they_are_no_images(self, images: Path, with_manifest: bool) -> None:
        earlier = images / "v1"
        predict(images, earlier, formats=["mask", "overlay", "probability"])
        if not with_manifest:
            without_manifest(earlier)
        write_image(earlier / "masks" / "mine.png")  # of nobody's results
        write_image(earlier / "photo.png")
        found = find_images([images])
        assert [str(t.name) for t in found.targets] == ["a", "exam/b", "v1/masks/mine", "v1/photo"]
        assert sorted(str(p.relative_to(earlier)) for p in found.unread.earlier) == [
            "masks/a.png",
            "masks/exam/b.png",
            "overlays/a.png",
            "overlays/exam/b.png",
            "probabilities/a.tif",
            "probabilities/exam/b.tif",
        ]

    def test_lines_are_not_read_where_the_manifest_decides(
        self, images: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """There can be millions of them."""
        read: list[bytes | str] = []
        monkeypatch.setattr(earlier_outputs, "parse_json", lambda line: read.append(line) or parse_json(line))
        predict(images, images / "v1")
        found = find_images([images])
        assert (len(found.targets), len(read)) == (2, 0)
        without_manifest(images / "v1")
        found = find_images([images])
        assert (len(found.targets), len(read)) == (2, 2)

    def test_globs_leave_them_out_and_paths_of_files_do_not(self, images: Path) -> None:
        predict(images / "a.png", images / "v1", formats=["overlay"])
        found = find_images([str(images / "**" / "*.png")])
        assert [str(t.name) for t in found.targets] == ["a", "b"]
        assert tuple(found.unread.earlier) == (images / "v1" / "overlays" / "a.png",)
        overlay = images / "v1" / "overlays" / "a.png"
        assert [t.image for t in find_targets([overlay])] == [overlay]
        with refuses("LEX-DATA-099", "number of them: 1", "give its path"):
            find_targets([images / "v1" / "overlays"])

    @pytest.mark.parametrize("pattern", ["masks/a.png", "masks", "masks/*.png", "nifti/v.nii.gz"])
    def test_those_in_the_output_folder_need_another_one(self, images: Path, pattern: str) -> None:
        out = images / "v1"
        predict(images / "a.png", out)
        (out / "nifti").mkdir()
        (out / "nifti" / "v.nii.gz").write_bytes(b"x")
        with refuses("LEX-DATA-1850", f"{out / pattern}: ", f"output folder {out},", "another --out"):
            find_images([images, out / pattern], out=out)
        find_images([out / "masks" / "a.png"], out=images / "v2")

    def test_other_files_beside_those_in_the_output_folder_are_named(self, images: Path) -> None:
        out = images / "v1"
        predict(images / "a.png", out, formats=["mask"])
        (out / "predictions.jsonl.partial").write_text("")
        for name in ("nifti/v.nii.gz", "cards/a.html"):
            (out / name).parent.mkdir()
            (out / name).write_bytes(b"x")
        with refuses("LEX-DATA-1850", "another --out"):
            find_images([out], out=out)
        (out / "scan.heic").write_bytes(b"x")
        with refuses("LEX-DATA-099", "1 .heic (scan.heic).", "(number of them: 2)", "another --out"):
            find_images([out], out=out)
        (out / "scan.heic").rename(images / "scan.heic")
        for target in find_images([images]).targets:
            target.image.unlink()
        with refuses("LEX-DATA-099", "1 .heic (scan.heic)", "number of them: 1", "give its path"):
            find_images([images])

    def test_those_of_a_running_shard_need_another_output_folder(self, images: Path) -> None:
        mask = write_image(images / "v1" / "shard-1-of-2" / "masks" / "a.png")
        with refuses("LEX-DATA-1850", "another --out"):
            find_images([mask], out=images / "v1")

    def test_a_notes_file_of_the_same_name_makes_no_outputs(self, images: Path) -> None:
        (images / "predictions.jsonl").write_text('no lines of a batch\n{"image": ')
        write_image(images / "masks" / "c.png")
        assert len(find_targets([images])) == 3


class TestNames:
    def test_a_name_of_255_bytes(self, images: Path, out: Path) -> None:
        long = images / ("x" * 251 + ".png")
        write_image(long)
        write_image(images / "exam" / ("y" * 251 + ".png"))
        summary = predict(images, out, formats=["mask", "overlay", "probability"])
        assert (summary.done, summary.failed) == (4, ())
        lines = [json.loads(line) for line in summary.results.read_text().splitlines()]
        line = next(line for line in lines if line["image"] == str(long))
        assert line["mask"] == f"masks/{line['name']}.png"
        assert (out / line["mask"]).is_file()
        assert len(line["name"]) == 255 - len(".nii.gz")
        assert line["name"].startswith("x" * 200)
        assert {line["name"] for line in lines} > {"a", "exam/b"}
        assert predict(images, out).done == 4

    def test_a_name_that_is_not_unicode(self, images: Path, out: Path) -> None:
        try:
            write_image(images / "a.png").rename(images / os.fsdecode(b"\xff.png"))
        except OSError:
            pytest.skip("this disk takes Unicode names only")
        summary = predict(images, out)
        assert summary.done == 2
        lines = [json.loads(line) for line in summary.results.read_text(encoding="utf-8").splitlines()]
        assert Path(lines[1]["image"]).is_file()
        assert (out / lines[1]["mask"]).is_file()
