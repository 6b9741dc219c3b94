"""Images found by patterns: a folder that exists stands for itself, whatever its name holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from lexiseg.inference.targets import find_targets


@pytest.mark.parametrize("folder", ["scan[1]", "what?", "all*", "a/b[x-z]/c"])
@pytest.mark.parametrize("pattern", ["*.png", "**/*.png", "[p]1.png"])
def test_folders_with_the_signs_of_patterns(tmp_path: Path, folder: str, pattern: str) -> None:
    place = tmp_path / folder
    place.mkdir(parents=True)
    (place / "p1.png").write_bytes(b"x")
    assert [target.image for target in find_targets([place / pattern])] == [place / "p1.png"]


def test_patterns_of_folders_still_match(tmp_path: Path) -> None:
    for name in ("s1", "s2", "x1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.png").write_bytes(b"x")
    assert [target.name.name for target in find_targets([tmp_path / "s[12]" / "*.png"])] == ["s1", "s2"]
