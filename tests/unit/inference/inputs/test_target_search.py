"""Images found by patterns: a folder that exists stands for itself, whatever its name holds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lexiseg.inference.batches.batch import predict_to_files
from lexiseg.inference.inputs.target_search import find_images, find_targets
from lexiseg.inference.volumes.targets import find_volumes
from threshold_predictor import Thresholds, write_image


@pytest.mark.parametrize("folder", ["scan[1]", "what?", "all*", "a/b[x-z]/c"])
@pytest.mark.parametrize("pattern", ["*.png", "**/*.png", "[p]1.png"])
def test_folders_with_the_signs_of_patterns(tmp_path: Path, folder: str, pattern: str) -> None:
    place = tmp_path / folder
    place.mkdir(parents=True)
    (place / "p1.png").write_bytes(b"x")
    assert [target.image for target in find_targets([place / pattern])] == [place / "p1.png"]


@pytest.mark.parametrize("pattern", ["in", "in/*"])
def test_links_that_cannot_be_followed_do_not_end_the_batch(tmp_path: Path, pattern: str) -> None:
    folder, closed = tmp_path / "in", tmp_path / "closed"
    write_image(folder / "a.png")
    for name, target in (
        ("loop", "loop"), ("b.png", "b.png"), ("c.png", "nothing.png"), ("d.png", f"{closed}/d.png"),
        ("e.nii.gz", "nothing"), ("f.png", "a.png"),
    ):  # fmt: skip
        (folder / name).symlink_to(target)
    write_image(closed / "d.png")
    closed.chmod(0)
    try:
        can_read = os.access(closed, os.X_OK)  # root can
        assert find_volumes([tmp_path / pattern]).targets == ()
        found = find_images([tmp_path / pattern])
        summary = predict_to_files(Thresholds(), found.targets, tmp_path / "out")  # type: ignore[arg-type]
    finally:
        closed.chmod(0o700)
    # f.png is a.png.
    assert summary.done == 1 + can_read
    lost = [*(["b.png", "c.png"] if can_read else ["b.png", "c.png", "d.png"]), "e.nii.gz"]
    assert [Path(image).name for image, _ in summary.failed] == lost
    assert found.targets[0].image.name == "a.png"
    if pattern == "in":
        assert found.unread.skipped[""].example.name == "loop"


def test_patterns_of_folders_still_match(tmp_path: Path) -> None:
    for name in ("s1", "s2", "x1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.png").write_bytes(b"x")
    assert [target.name.name for target in find_targets([tmp_path / "s[12]" / "*.png"])] == ["s1", "s2"]
