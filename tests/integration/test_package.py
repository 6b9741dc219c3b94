"""What is installed: the wheel, the help texts, and what start-up costs."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from command_line import TIMEOUT_S, Command, environment

_REPOSITORY = Path(__file__).resolve().parents[2]

_COMMANDS = {
    (): ("train", "evaluate", "predict", "data", "convert", "demo", "--version", "not for clinical use"),
    ("train",): (
        "--out",
        "--model",
        "--preset",
        "--text",
        "--vocabulary",
        "--epochs",
        "--max-minutes",
        "--image-size",
        "--batch-size",
        "--encoder",
        "--text-encoder",
        "--encoder-weights",
        "--seed",
        "--workers",
        "--config",
        "--resume",
        "[default: 40]",
        "[default: 224",
    ),
    ("evaluate",): ("RUN", "DATA", "--split", "--out", "--device", "--tolerance", "--seed"),
    ("calibrate",): ("RUN", "DATA", "--batch-size", "--device", "--flip-average"),
    ("predict",): ("RUN", "PATHS", "--out", "--overlays", "--explain", "--batch-size", "--device"),
    ("data",): ("check", "phantom", "describe", "list", "get", "import"),
    ("data", "describe"): (
        "DATA",
        "--out",
        "--source",
        "--split",
        "--rois",
        "--model",
        "--base-url",
        "--price",
    ),
    ("data", "list"): ("NAME", "--json"),
    ("data", "get"): ("NAME", "--out", "--keep-archives", "--published-split", "--seed"),
    ("data", "import"): ("NAME", "FOLDER", "--out", "--published-split", "--seed"),
    ("data", "check"): ("DATA", "--json"),
    ("data", "phantom"): ("FOLDER", "--train", "--val", "--test", "--size", "--classes", "--seed"),
    ("convert",): ("stpnet", "cotexnet"),
    ("convert", "cotexnet"): ("FILE", "RUN", "--clipseg", "--class-name", "--image-size"),
    ("convert", "stpnet"): ("FILE", "RUN", "--banks", "--text-encoder"),
    ("doctor",): ("--json", "--quiet"),
    ("demo",): ("DATA", "--out", "--minutes", "--image-size", "[default: a phantom that the demo creates]"),
}


@pytest.mark.parametrize("command", _COMMANDS, ids=" ".join)
def test_help(cli: Command, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    outcome = cli(*command, "--help")
    assert outcome.code == 0
    assert outcome.stderr == ""
    for name in _COMMANDS[command]:
        assert name in outcome.stdout


def test_version(cli: Command) -> None:
    import lexiseg

    assert cli("--version").stdout == f"lexiseg {lexiseg.__version__}\n"


def test_no_arguments_show_the_help(cli: Command) -> None:
    outcome = cli()
    assert "Usage:" in outcome.stdout + outcome.stderr
    assert "predict" in outcome.stdout + outcome.stderr


_HEAVY = """
import sys
try:
    from lexiseg.cli import main
    main()
except SystemExit:
    pass
heavy = {"torch", "lightning", "transformers", "timm", "pandas", "scipy", "skimage", "matplotlib"}
print("HEAVY", sorted(heavy & sys.modules.keys()))
"""


def test_help_imports_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _HEAVY, "--help"],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        env=environment(),
    )
    assert done.returncode == 0, done.stderr
    assert "HEAVY []" in done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel, built as a release would be."""
    out = tmp_path_factory.mktemp("wheel")
    if importlib.util.find_spec("hatchling") is None:
        command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(out), str(_REPOSITORY)]
    else:
        command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
        command += ["--wheel-dir", str(out), str(_REPOSITORY)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.glob("lexiseg-*.whl")
    return built


class TestWheel:
    def test_holds_all_files(self, wheel: Path) -> None:
        with zipfile.ZipFile(wheel) as archive:
            names = set(archive.namelist())
        package = _REPOSITORY / "src" / "lexiseg"
        files = {path.relative_to(package) for path in package.rglob("*") if path.is_file()}
        ours = {path for path in files if not any(part.startswith((".", "__pyc")) for part in path.parts)}
        assert {f"lexiseg/{path.as_posix()}" for path in ours} <= names
        for name in (
            "py.typed",
            "words/vocabularies/chest.yaml",
            "words/vocabularies/polyp.yaml",
            "evaluation/report/templates/report.html.j2",
        ):
            assert f"lexiseg/{name}" in names
        assert not [name for name in names if name.startswith(("tests/", "docs/", "benchmarks/"))]
        assert [name for name in names if name.endswith("licenses/LICENSE")]

    def test_has_the_command(self, wheel: Path) -> None:
        with zipfile.ZipFile(wheel) as archive:
            (entries,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
            assert "lexiseg = lexiseg.cli:main" in archive.read(entries).decode()

    def test_works_from_where_it_is_unpacked(self, wheel: Path, tmp_path: Path) -> None:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(tmp_path)
        code = (
            "import lexiseg; from lexiseg.words.vocabulary import load_vocabulary; "
            "print(lexiseg.__file__, *(len(load_vocabulary(name).factors) for name in ('chest', 'polyp')))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=TIMEOUT_S,
            env=environment(PYTHONPATH=str(tmp_path)),
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == [str(tmp_path / "lexiseg" / "__init__.py"), "4", "5"]
