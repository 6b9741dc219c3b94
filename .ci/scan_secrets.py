"""Scan the files of this repository for secrets, and say how many were scanned.

python .ci/scan_secrets.py HOOK...

HOOK is the command that scans the files whose names follow it. A copy without git, such as a downloaded
archive, is scanned as a whole, without what .gitignore names. Exit codes: that of the hook, 3 if there is no
file to scan.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

NOTHING_SCANNED = 3
#: File names of one call; a command line holds no more than some megabytes.
BATCH = 500


def tracked_files(root: Path) -> list[Path]:
    """Return the files that git tracks below a folder; empty where there is no git, or no repository."""
    try:
        found = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    names = (os.fsdecode(name) for name in found.stdout.split(b"\0") if name)
    return [Path(name) for name in names if (root / name).is_file()]


def tree_files(root: Path) -> Iterator[Path]:
    """Yield all files below a folder, without those that its .gitignore names."""
    ignore = root / ".gitignore"
    lines = ignore.read_text("utf-8").split() if ignore.is_file() else []
    patterns = [".git", *(line.strip("/") for line in lines)]

    def ignored(name: str) -> bool:
        return any(fnmatch(name, pattern) for pattern in patterns)

    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not ignored(name))
        yield from ((Path(folder) / name).relative_to(root) for name in sorted(files) if not ignored(name))


def main(hook: list[str], root: Path) -> int:
    """Scan, print what was scanned, and return the exit code."""
    files, which = tracked_files(root), "that git tracks"
    if not files:
        files, which = list(tree_files(root)), "of this folder, as git tracks none here"
    code = 0
    for start in range(0, len(files), BATCH):
        names = [str(path) for path in files[start : start + BATCH]]
        code = max(code, subprocess.run([*hook, *names], cwd=root).returncode)
    print(f"Scanned {len(files)} files {which}, for secrets.")
    return code if files else NOTHING_SCANNED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path(__file__).parents[1]))
