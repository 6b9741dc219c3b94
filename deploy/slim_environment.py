"""Make the environment of an image smaller: what no program there uses goes, and copies become links.

python deploy/slim_environment.py /opt/lexiseg
"""

from __future__ import annotations

import filecmp
import shutil
import sys
from pathlib import Path

#: What is removed: tests and example images of packages, sources in Cython, and what onnxruntime has for
#: programs in C and for the conversion of models.
_NOT_USED = (
    "**/tests",
    "**/pydicom/data/test_files",
    "**/skimage/data/*.jpg",
    "**/skimage/data/*.png",
    "**/*.pyx",
    "**/onnxruntime/capi/libonnxruntime.so*",
    "**/onnxruntime/transformers",
    "**/onnxruntime/quantization",
)
#: Files below this size in bytes stay as they are.
_SMALL = 100_000


def slim(environment: Path) -> None:
    """Remove what is not used below a folder; equal libraries of a folder become links to one of them."""
    for pattern in _NOT_USED:
        for path in sorted(environment.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    for folder in {path.parent for path in environment.rglob("*.so*")}:
        _link_copies(folder)


def _link_copies(folder: Path) -> None:
    kept: dict[int, list[Path]] = {}
    for file in sorted(folder.iterdir()):
        if file.is_symlink() or not file.is_file() or file.stat().st_size < _SMALL:
            continue
        same_size = kept.setdefault(file.stat().st_size, [])
        original = next((other for other in same_size if filecmp.cmp(other, file, shallow=False)), None)
        if original is None:
            same_size.append(file)
        else:
            file.unlink()
            file.symlink_to(original.name)


if __name__ == "__main__":
    slim(Path(sys.argv[1]))
