"""What `make check` scans for secrets: tracked files, or the whole folder where there is no git."""

import subprocess
import sys
from pathlib import Path

import pytest

from script_module import load_script

ROOT = Path(__file__).parents[2]
script = load_script(ROOT / ".ci/scan_secrets.py")

#: A hook that finds a secret in every file that holds this word.
HOOK = [
    sys.executable,
    "-c",
    "import sys, pathlib; print(*sys.argv[1:], file=open('seen', 'a'));"
    "sys.exit(any('hunter2' in pathlib.Path(name).read_text() for name in sys.argv[1:]))",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".gitignore").write_text("__pycache__/\n*.egg-info/\n/site/\n.coverage*\nseen\n")
    for name in ("a.py", "docs/b.md", ".ci/run", "site/c.html", "x/__pycache__/d.py", ".coverage.1"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("text")
    return tmp_path


def scanned(folder: Path) -> set[str]:
    return set((folder / "seen").read_text().split())


def test_without_git_the_folder_is_scanned(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main(HOOK, folder) == 0
    assert scanned(folder) == {".gitignore", "a.py", "docs/b.md", ".ci/run"}
    assert (
        capsys.readouterr().out == "Scanned 4 files of this folder, as git tracks none here, for secrets.\n"
    )
    (folder / "docs/b.md").write_text("the key is hunter2")
    assert script.main(HOOK, folder) == 1


def test_with_git_tracked_files_are_scanned(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    subprocess.run(["git", "add", "a.py", ".ci"], cwd=folder, check=True)
    monkeypatch.setattr(script, "BATCH", 1)
    (folder / ".ci/run").write_text("the key is hunter2")
    # The hook is called once per file here; a later file without a secret does not hide an earlier one.
    assert script.main(HOOK, folder) == 1
    assert scanned(folder) == {"a.py", ".ci/run"}
    assert capsys.readouterr().out == "Scanned 2 files that git tracks, for secrets.\n"


def test_nothing_to_scan_is_a_failure(tmp_path: Path) -> None:
    assert script.main(HOOK, tmp_path) == script.NOTHING_SCANNED
