"""An interrupted batch of volumes goes on where it stopped, and ends with the files of an unbroken one."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from lexiseg.data.decoded_image import DecodedImage
from lexiseg.inference.formats.file_names import PARTIAL_VOLUMES_FILE, VOLUMES_FILE
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.result import Prediction
from lexiseg.inference.sources.local_sources import local_sources
from lexiseg.inference.volumes.batch import VolumeSummary, end_volume_job, predict_volumes_to_files
from lexiseg.inference.volumes.targets import find_volumes
from lexiseg.inference.volumes.volume_job import VOLUME_JOB_FILE
from lexiseg.outputs.output_folder import owned_folder
from refusals import refuses
from volume_files import UpperRight, body, ct_series, nifti, stored

#: Volumes in the order of the results: three files, and a series of axial slices.
NAMES = ("a", "b", "c", "ct")


class Counting(UpperRight):
    """Notes how many slices it was asked for."""

    calibration = None
    compares_images = False
    engine = SimpleNamespace(description="corners")
    weights_sha256 = ("0" * 64,)

    def __init__(self) -> None:
        self.slices = 0

    def predict_decoded(self, images: Sequence[DecodedImage]) -> list[Prediction]:
        self.slices += len(images)
        return super().predict_decoded(images)


@pytest.fixture
def volumes(tmp_path: Path) -> Path:
    values, affine = stored(body(), (0, 1, 2), (1, 1, 1))
    ct_series(tmp_path / "in" / "ct")
    for name in NAMES[:3]:
        nifti(tmp_path / "in" / f"{name}.nii.gz", values, affine)
    return tmp_path / "in"


def predict(volumes: Path, out: Path, predictor: Any = None, **options: Any) -> VolumeSummary:
    predictor = cast(Predictor, predictor or Counting())
    return predict_volumes_to_files(predictor, find_volumes([volumes]).targets, out, **options)


def resumed(volumes: Path, out: Path, **options: Any) -> tuple[list[str], list[str]]:
    """Predict again; return the names of the volumes that are taken over, and of those that are predicted."""
    kept, again = list[str](), list[str]()
    summary = predict(
        volumes,
        out,
        on_resumed=lambda label: kept.append(Path(label).name.partition(".")[0]),
        on_result=lambda label, result: again.append(Path(label).name.partition(".")[0]),
        **options,
    )
    assert summary.resumed == len(kept)
    assert not (out / VOLUME_JOB_FILE).exists()
    assert not (out / PARTIAL_VOLUMES_FILE).exists()
    return kept, again


def interrupted(volumes: Path, out: Path, *, after: int, **options: Any) -> None:
    """Predict some volumes and stop."""
    seen: list[Path] = []

    def stop(path: Path, result: object) -> None:
        seen.append(path)
        if len(seen) == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict(volumes, out, on_result=stop, **options)


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("after", [1, 3, 4])
def test_finished_volumes_are_not_predicted_again(volumes: Path, tmp_path: Path, after: int) -> None:
    formats = ("nifti", "overlay", "probability")
    whole = predict(volumes, tmp_path / "whole", formats=formats)
    out, predictor = tmp_path / "out", Counting()
    interrupted(volumes, out, after=after, formats=formats)
    # One that is killed while it writes leaves a part of a file.
    (out / "nifti" / ".partial-abcd1234.gz").write_bytes(b"part")
    summary = predict(volumes, out, predictor, formats=formats)
    assert predictor.slices == 8 * (len(NAMES) - after)
    assert summary.resumed == after
    for field in ("done", "slices", "flagged", "failed", "refused", "assumptions", "planes"):
        assert getattr(summary, field) == getattr(whole, field)
    assert content(out) == content(tmp_path / "whole")
    # A finished batch begins anew.
    assert predict(volumes, out, formats=formats).resumed == 0


@pytest.mark.parametrize("change", [None, "later", "before the job begins"])
def test_finished_volumes_of_an_unpacked_archive_are_not_predicted_again(
    volumes: Path, tmp_path: Path, change: str | None
) -> None:
    """Each command unpacks the archive anew; the archive itself tells whether they changed."""
    archive, out, kept = tmp_path / "study.zip", tmp_path / "out", list[str]()

    def pack() -> None:
        shutil.make_archive(str(archive.with_suffix("")), "zip", volumes)

    def predict_archive(*, replaced: bool = False, **options: Any) -> VolumeSummary:
        with local_sources([archive]) as local:
            if replaced:
                time.sleep(0.02)
                pack()
                time.sleep(0.02)
            found = find_volumes(local.patterns, labels=local.labels)
            predictor = cast(Predictor, Counting())
            return predict_volumes_to_files(predictor, found.targets, out, **options)

    def stop(label: str, result: object) -> None:
        if label.endswith("ct"):
            raise KeyboardInterrupt

    pack()
    with pytest.raises(KeyboardInterrupt):
        predict_archive(replaced=change == "before the job begins", on_result=stop)
    if change == "later":
        time.sleep(0.02)
        pack()
    summary = predict_archive(on_resumed=lambda label: kept.append(label))
    assert summary.resumed == len(kept) == (0 if change else 4)
    assert summary.done == 4


def test_a_failed_volume_is_tried_again_and_lines_keep_their_order(volumes: Path, tmp_path: Path) -> None:
    out, whole = tmp_path / "out", (volumes / "a.nii.gz").read_bytes()
    (volumes / "a.nii.gz").write_bytes(b"no volume")
    interrupted(volumes, out, after=3)
    (volumes / "a.nii.gz").write_bytes(whole)
    assert resumed(volumes, out) == (["b", "c"], ["a", "ct"])
    predict(volumes, tmp_path / "whole")
    assert (out / VOLUMES_FILE).read_bytes() == (tmp_path / "whole" / VOLUMES_FILE).read_bytes()


def test_a_line_that_is_not_whole_is_left_out(volumes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    interrupted(volumes, out, after=2)
    lines = (out / PARTIAL_VOLUMES_FILE).read_bytes()
    (out / PARTIAL_VOLUMES_FILE).write_bytes(lines[:-20])
    assert resumed(volumes, out) == (["a"], ["b", "c", "ct"])


@pytest.mark.parametrize("change", ["volume", "slice", "added slice", "removed slice", "output", "name"])
def test_what_changed_since_is_predicted_again(volumes: Path, tmp_path: Path, change: str) -> None:
    out, stays = tmp_path / "out", {"a", "b", "c", "ct"}
    interrupted(volumes, out, after=4)
    slices = sorted((volumes / "ct").iterdir())
    if change == "volume":
        old = (volumes / "b.nii.gz").stat()
        values, affine = stored(body() // 2, (0, 1, 2), (1, 1, 1))
        nifti(volumes / "b.nii.gz", values, affine)
        os.utime(volumes / "b.nii.gz", ns=(old.st_atime_ns, old.st_mtime_ns))  # as a copy with its old time
        stays -= {"b"}
    elif change == "slice":
        slices[3].write_bytes(slices[3].read_bytes())
        stays -= {"ct"}
    elif change == "added slice":
        shutil.rmtree(volumes / "ct")
        ct_series(volumes / "ct", np.concatenate([body(), body()], axis=2))
        stays -= {"ct"}
    elif change == "removed slice":
        slices[-1].unlink()
        stays -= {"ct"}
    elif change == "output":
        (out / "nifti" / "c.nii.gz").unlink()
        stays -= {"c"}
    else:
        # A volume of another folder with the same name is another one.
        (volumes / "deeper").mkdir()
        (volumes / "a.nii.gz").rename(volumes / "deeper" / "a.nii.gz")
        stays -= {"a"}
    assert set(resumed(volumes, out)[0]) == stays


def test_a_file_that_a_header_names_counts_too(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    header = "NDims = 3\nDimSize = 4 4 3\nElementType = MET_UCHAR\nElementDataFile = {}\n"
    for name in ("a", "b"):
        (tmp_path / "in" / f"{name}.mhd").write_text(header.format(f"{name}.raw"))
        (tmp_path / "in" / f"{name}.raw").write_bytes(np.full((3, 4, 4), 200, np.uint8).tobytes())
    interrupted(tmp_path / "in", tmp_path / "out", after=2)
    (tmp_path / "in" / "a.raw").write_bytes(np.zeros((3, 4, 4), np.uint8).tobytes())
    assert resumed(tmp_path / "in", tmp_path / "out") == (["b"], ["a"])


def test_an_output_that_was_changed_is_refused(volumes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    interrupted(volumes, out, after=2)
    (out / "nifti" / "a.nii.gz").write_bytes(b"changed")
    with refuses("LEX-DATA-741", "nifti/a.nii.gz"):
        predict(volumes, out)


@pytest.mark.parametrize("change", ["weights", "formats", "axis", "smooth", "no job"])
def test_another_job_begins_anew(volumes: Path, tmp_path: Path, change: str) -> None:
    out, predictor = tmp_path / "out", Counting()
    interrupted(volumes, out, after=3)
    options: dict[str, Any] = {
        "formats": {"formats": ("overlay",)},
        "axis": {"axis": "k"},
        "smooth": {"smooth_slices": True},
    }.get(change, {})
    if change == "weights":
        predictor.weights_sha256 = ("1" * 64,)
    elif change == "no job":
        (out / VOLUME_JOB_FILE).unlink()
    assert predict(volumes, out, predictor, **options).resumed == 0
    assert predictor.slices == 8 * len(NAMES)


def test_the_batch_size_and_a_spacing_do_not_matter(volumes: Path, tmp_path: Path) -> None:
    interrupted(volumes, tmp_path / "out", after=2)
    predictor = Counting()
    predictor.options = PredictionOptions(batch_size=1, spacing_mm=(3, 3))
    assert predict(volumes, tmp_path / "out", predictor).resumed == 2


class TestWorkAfterTheVolumes:
    def test_volumes_are_kept_until_the_job_ends(self, volumes: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        predict(volumes, out, keep_job=True)
        lines = (out / VOLUMES_FILE).read_bytes()
        for _ in range(2):
            assert predict(volumes, out, keep_job=True).resumed == len(NAMES)
            assert (out / VOLUMES_FILE).read_bytes() == lines
        end_volume_job(out)
        assert predict(volumes, out).resumed == 0

    def test_an_output_that_another_command_replaced_is_made_again(
        self, volumes: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        predict(volumes, out, keep_job=True)
        time.sleep(0.02)
        # As a prediction of images does with an image of this name.
        with owned_folder(out) as folder:
            folder.write_bytes(out / "nifti" / "b.nii.gz", b"of an image")
        assert resumed(volumes, out) == (["a", "c", "ct"], ["b"])
