"""Bundles: the same run again, and nothing else."""

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lexiseg.runs.run import Run
from lexiseg.runs.shipped import model_folder
from lexiseg.sharing.pack import pack, unpack
from refusals import refuses


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The model that comes with Lexiseg, with names of images and with files that are not shared."""
    source = model_folder("covid-xray")
    assert source is not None
    folder = tmp_path_factory.mktemp("runs") / "chest"
    shutil.copytree(source, folder)
    (folder / "checkpoint.ckpt").write_bytes(b"a pickle")
    (folder / "teachers").mkdir()
    return Run.open(folder)


@pytest.fixture(scope="module")
def bundle(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack(run, tmp_path_factory.mktemp("bundles") / "chest.lexiseg.zip", license="CC-BY-4.0")


def _rewritten(bundle: Path, out: Path, change: Callable[[dict[str, bytes]], object]) -> Path:
    """Return a copy of a bundle with other content."""
    with zipfile.ZipFile(bundle) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out


def test_a_run_is_the_same_after_packing_and_unpacking(run: Run, bundle: Path, tmp_path: Path) -> None:
    made = unpack(bundle, tmp_path / "run")
    names = {path.name for path in made.path.iterdir()}
    assert names == {path.name for path in run.path.iterdir()} - {"checkpoint.ckpt", "teachers"} | {
        "bundle.json"
    }
    for path in made.path.iterdir():
        if path.name != "bundle.json":
            assert path.read_bytes() == (run.path / path.name).read_bytes()


def test_the_record_states_size_checksum_and_licence(run: Run, bundle: Path) -> None:
    with zipfile.ZipFile(bundle) as archive:
        record = json.loads(archive.read("bundle.json"))
    weights = run.weights_file.read_bytes()
    assert record["files"]["weights.safetensors"] == {
        "bytes": len(weights),
        "sha256": hashlib.sha256(weights).hexdigest(),
    }
    assert record["licences"] == {"model": "CC-BY-4.0", "lexiseg": "Apache-2.0"}
    assert record["name"] == "chest"


def test_the_same_run_gives_the_same_bytes(run: Run, bundle: Path, tmp_path: Path) -> None:
    again = pack(run, tmp_path / "again.zip", license="CC-BY-4.0")
    assert again.read_bytes() == bundle.read_bytes()


def test_names_of_images_stay_out_on_request(run: Run, tmp_path: Path) -> None:
    file = pack(run, tmp_path / "chest.zip", image_names=False)
    with zipfile.ZipFile(file) as archive:
        assert "splits.json" not in archive.namelist()
        assert json.loads(archive.read("bundle.json"))["left_out"] == ["splits.json"]
    assert unpack(file, tmp_path / "run").splits is None


def test_a_training_that_is_not_finished_is_not_packed(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run.path, folder)
    manifest = json.loads((folder / "run.json").read_text())
    manifest["training"]["finished"] = False
    (folder / "run.json").write_text(json.dumps(manifest))
    with refuses("LEX-RUN-1050", "--resume"):
        pack(folder, tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()


@pytest.mark.parametrize(
    ("change", "code", "word"),
    [
        pytest.param(lambda files: files.pop("bundle.json"), "LEX-DATA-1053", "bundle.json", id="no record"),
        pytest.param(
            lambda files: files.pop("run.json"), "LEX-DATA-1054", "run.json", id="a file is missing"
        ),
        pytest.param(
            lambda files: files.update({"x.pkl": b"1"}), "LEX-DATA-1054", "x.pkl", id="a file besides"
        ),
        pytest.param(
            lambda files: files.update({"../run.json": b"1"}), "LEX-DATA-1054", "../run.json", id="outside"
        ),
        pytest.param(
            lambda files: files.update({"history.csv": files["history.csv"] + b"\n"}),
            "LEX-DATA-1050",
            "history.csv",
            id="longer",
        ),
        pytest.param(
            lambda files: files.update({"history.csv": files["history.csv"].replace(b"1", b"2")}),
            "LEX-DATA-1050",
            "history.csv",
            id="changed",
        ),
        pytest.param(
            lambda files: files.update({"bundle.json": b"{}"}), "LEX-DATA-550", "licences", id="empty record"
        ),
    ],
)
def test_a_bundle_that_was_changed_is_refused_and_nothing_is_written(
    bundle: Path, tmp_path: Path, change: Callable[[dict[str, bytes]], object], code: str, word: str
) -> None:
    changed = _rewritten(bundle, tmp_path / "changed.zip", change)
    with refuses(code, word):
        unpack(changed, tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir() if "lock" not in path.name] == ["changed.zip"]


def test_a_record_cannot_name_other_files(bundle: Path, tmp_path: Path) -> None:
    def name_a_pickle(files: dict[str, bytes]) -> None:
        record = json.loads(files["bundle.json"])
        record["files"]["checkpoint.ckpt"] = {"bytes": 1, "sha256": hashlib.sha256(b"1").hexdigest()}
        files["bundle.json"], files["checkpoint.ckpt"] = json.dumps(record).encode(), b"1"

    with refuses("LEX-DATA-550", "checkpoint.ckpt"):
        unpack(_rewritten(bundle, tmp_path / "changed.zip", name_a_pickle), tmp_path / "run")


def test_what_is_no_bundle_is_refused(tmp_path: Path, bundle: Path) -> None:
    with refuses("LEX-DATA-1051", "no such file"):
        unpack(tmp_path / "none.zip", tmp_path / "run")
    (tmp_path / "text.zip").write_text("no zip")
    with refuses("LEX-DATA-1052", "damaged"):
        unpack(tmp_path / "text.zip", tmp_path / "run")
    (tmp_path / "half.zip").write_bytes(bundle.read_bytes()[:50_000])
    with refuses("LEX-DATA-1052", "damaged"):
        unpack(tmp_path / "half.zip", tmp_path / "run")


def test_a_compressed_bundle_that_is_damaged_is_refused(tmp_path: Path, bundle: Path) -> None:
    file = tmp_path / "damaged.zip"
    with zipfile.ZipFile(bundle) as archive, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in archive.namelist():
            packed.writestr(name, archive.read(name))
        entry = packed.getinfo("run.json")
    content = bytearray(file.read_bytes())
    at = entry.header_offset + 30 + len("run.json")
    content[at : at + 40] = b"\xff" * 40
    file.write_bytes(content)
    with refuses("LEX-DATA-1052", "damaged"):
        unpack(file, tmp_path / "run")


def test_a_folder_with_something_in_it_is_kept(tmp_path: Path, bundle: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with refuses("LEX-RUN-006", "not empty"):
        unpack(bundle, tmp_path / "run")
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"


def test_a_run_in_the_place_of_a_bundle_is_not_said_to_be_resumable(tmp_path: Path, bundle: Path) -> None:
    unpack(bundle, tmp_path / "run")
    with refuses("LEX-RUN-006", "Choose another --out") as caught:
        unpack(bundle, tmp_path / "run")
    assert "--resume" not in str(caught.value)
