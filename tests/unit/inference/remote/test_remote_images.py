"""Images and results at URLs: in memory, on a web server and on a stand-in for S3, all on this computer."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pytest

from lexiseg.inference.batches.batch import predict_to_files
from lexiseg.inference.inputs.image_sources import RemoteFile
from lexiseg.inference.inputs.target_search import find_images
from lexiseg.inference.remote.file_systems import file_system, is_url
from lexiseg.inference.remote.folder import UPLOAD_FILE, MadeRecord, RemoteFolder, UploadRecord
from lexiseg.inference.writers.tar import into_archives
from lexiseg.json_records import record_text
from lexiseg.outputs.manifest import OUTPUTS_FILE
from refusals import refuses
from threshold_predictor import Thresholds, write_image

NAMES = ("a", "exam/b", "exam/c")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for number, name in enumerate(NAMES):
        write_image(tmp_path / "in" / f"{name}.png", (20, 30 + number))
    (tmp_path / "in" / "notes.txt").write_text("no image")
    return tmp_path / "in"


@pytest.fixture
def memory(images: Path) -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    for name in NAMES:
        system.pipe_file(f"/bucket/in/{name}.png", (images / f"{name}.png").read_bytes())
    system.pipe_file("/bucket/in/notes.txt", b"no image")
    yield system
    system.rm("/bucket", recursive=True)


@pytest.fixture
def web(images: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(images)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def s3(images: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in (
        ("AWS_ENDPOINT_URL", f"http://{host}:{port}"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    fsspec.filesystem("s3").clear_instance_cache()
    system = fsspec.filesystem("s3")
    system.mkdir("images")
    for name in NAMES:
        system.pipe_file(f"images/in/{name}.png", (images / f"{name}.png").read_bytes())
    yield "s3://images/in"
    system.invalidate_cache()
    system.rm("images", recursive=True)  # the content outlives its server
    system.clear_instance_cache()
    server.stop()


def masks(out: Path) -> dict[str, bytes]:
    return {p.relative_to(out / "masks").as_posix(): p.read_bytes() for p in (out / "masks").rglob("*.png")}


def predict(patterns: list[Any], out: Path, **options: Any) -> Any:
    targets = find_images(patterns, out=out).targets
    return predict_to_files(Thresholds(), targets, out, **options)  # type: ignore[arg-type]


@pytest.fixture
def expected(images: Path, tmp_path: Path) -> dict[str, bytes]:
    predict([images], tmp_path / "files")
    return masks(tmp_path / "files")


def test_what_a_url_is() -> None:
    assert is_url("s3://bucket/a.png")
    assert not any(map(is_url, ("a/b.png", "/a://b", "C:\\a.png", "//server/a.png")))


def test_a_folder_in_memory(memory: Any, tmp_path: Path, expected: dict[str, bytes]) -> None:
    summary = predict(["memory://bucket/in"], tmp_path / "out", formats=("mask", "overlay"))
    assert masks(tmp_path / "out") == expected
    lines = [json.loads(line) for line in summary.results.open()]
    assert [line["image"] for line in lines] == [f"memory:///bucket/in/{name}.png" for name in NAMES]
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        *("masks", "overlays", "predictions.jsonl", ".lexiseg-outputs.jsonl")
    }


def test_patterns_and_single_files(memory: Any) -> None:
    for pattern, names in (
        ("memory://bucket/in/exam/*.png", ["b", "c"]),
        ("memory://bucket/in/**/*.png", ["a", "b", "c"]),
        ("memory://bucket/in/a.png", ["a"]),
    ):
        assert sorted(t.name.as_posix() for t in find_images([pattern]).targets) == names
    with refuses("LEX-DATA-099", "notes.txt"):
        find_images(["memory://bucket/in/notes.txt"])
    with refuses("LEX-DATA-099", "nowhere"):
        find_images(["memory://bucket/nowhere"])


@pytest.mark.parametrize("with_manifest", [True, False])
@pytest.mark.parametrize("per_archive", [None, 2])
def test_results_of_earlier_predictions_are_no_images(
    images: Path, tmp_path: Path, with_manifest: bool, per_archive: int | None
) -> None:
    """Uploaded results have no manifest; local ones that are named as a URL have one."""
    formats, out = ("mask", "overlay", "probability"), images / "results" / "v1"
    writers: Any = formats if per_archive is None else into_archives(formats, per_archive)
    predict([images], out, formats=writers)
    if not with_manifest:
        (out / OUTPUTS_FILE).unlink()
    write_image(out / "photo.png")
    write_image(out / "masks" / "mine.png")  # of nobody's results
    root = f"file://{images.as_posix()}"
    found = find_images([root])
    assert [target.name.as_posix() for target in found.targets] == [
        *NAMES,
        *("results/v1/masks/mine", "results/v1/photo"),
    ]
    written = (
        [f"masks/{name}.png" for name in NAMES]
        + [f"overlays/{name}.png" for name in NAMES]
        + [f"probabilities/{name}.tif" for name in NAMES]
    )
    expected = ["archives/000000.tar", "archives/000001.tar"] if per_archive else written
    assert list(found.unread.earlier) == [f"{root}/results/v1/{name}" for name in expected]
    if per_archive is None:
        found = find_images([f"{root}/**/*.png"])
        assert sorted(target.name.name for target in found.targets) == ["a", "b", "c", "mine", "photo"]
        with refuses("LEX-DATA-099", "number of them: 3", "give its path"):
            find_images([f"{root}/results/v1/overlays"])
        (target,) = find_images([f"{root}/results/v1/masks/a.png"]).targets
        assert target.name.name == "a"


def test_results_that_are_being_uploaded_are_no_images(memory: Any, images: Path) -> None:
    """Their lists come last. Another computer may upload those of a shard."""
    picture = (images / "a.png").read_bytes()
    for folder in ("out", "out/shard-1-of-2"):
        marker = record_text(UploadRecord(id="a", command="b")).encode()
        memory.pipe_file(f"/bucket/in/{folder}/{UPLOAD_FILE}", marker)
        memory.pipe_file(f"/bucket/in/{folder}/masks/exam/b.png", picture)
    found = find_images(["memory://bucket/in"])
    assert [target.name.as_posix() for target in found.targets] == list(NAMES)
    assert len(found.unread.earlier) == 2


def test_results_of_volumes_are_no_images(memory: Any, images: Path) -> None:
    memory.pipe_file("/bucket/in/out/seg/ct/1.dcm", b"DICOM")
    memory.pipe_file("/bucket/in/out/seg/own.dcm", b"DICOM")
    memory.pipe_file("/bucket/in/out/volumes.jsonl", b'{"image": "ct/1", "name": "ct/1"}\nno line\n')
    found = find_images(["memory://bucket/in"])
    assert [target.name.as_posix() for target in found.targets] == [*NAMES, "out/seg/own"]
    assert tuple(found.unread.earlier) == ("memory:///bucket/in/out/seg/ct/1.dcm",)


def test_lists_that_may_not_be_read_are_nobodys(
    memory: Any, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials for some images must do for them."""
    memory.pipe_file("/bucket/in/seg/a.dcm", b"DICOM")

    def refuse(self: Any, path: str, *_: Any, **__: Any) -> None:
        raise PermissionError(path)

    monkeypatch.setattr(type(memory), "_open", refuse)
    assert len(find_images(["memory://bucket/in"]).targets) == 4


def test_other_files_at_a_url_are_counted(memory: Any) -> None:
    for name in ("ct/IM0000", "ct/1.2.840.1", "v.nii.gz", "w.mhd", "w.raw", "x.heic", ".hidden.nii", "y.zip"):
        memory.pipe_file(f"/bucket/in/{name}", b"?")
    found = find_images(["memory://bucket/in"])
    assert len(found.targets) == 3
    assert {ending: files.count for ending, files in found.unread.skipped.items()} == {".heic": 1, ".txt": 1}
    assert {
        ending: (files.count, files.example.name) for ending, files in found.unread.elsewhere.items()
    } == {
        "": (2, "1.2.840.1"),
        ".nii.gz": (1, "v.nii.gz"),
        ".mhd": (1, "w.mhd"),
        ".raw": (1, "w.raw"),
        ".zip": (1, "y.zip"),
    }
    said = " ".join(found.unread.notes())
    assert "6 files are not read at a URL" in said
    assert "2 without ending (1.2.840.1)" in said
    with refuses("LEX-DATA-099", "2 without ending (1.2.840.1)", "download or unpack"):
        find_images(["memory://bucket/in/ct"])


@pytest.mark.parametrize("name", ["scan[1]", "what?", "all*", "[ab]"])
def test_names_with_the_signs_of_patterns(memory: Any, images: Path, name: str) -> None:
    content = (images / "a.png").read_bytes()
    for path in (f"{name}.png", f"{name}/p.png", "scan1.png", "whats.png", "scan1/q.png", "a/q.png"):
        memory.pipe_file(f"/bucket/signs/{path}", content)
    for pattern, label in (
        (f"{name}.png", f"{name}.png"),
        (name, f"{name}/p.png"),
        (f"{name}/", f"{name}/p.png"),
        (f"{name}/*.png", f"{name}/p.png"),
        (f"{name}/[p].png", f"{name}/p.png"),
        ("scan[0-9].png", "scan1.png"),
        ("what[s].png", "whats.png"),
    ):
        (target,) = find_images([f"memory://bucket/signs/{pattern}"]).targets
        assert target.label == f"memory:///bucket/signs/{label}"


def test_signs_of_patterns_in_a_bucket(s3: str, images: Path) -> None:
    system = fsspec.filesystem("s3")
    for name in ("scan[1].png", "scan1.png", "data[1]/p.png", "data1/q.png"):
        system.pipe_file(f"images/signs/{name}", (images / "a.png").read_bytes())
    for pattern, name in (
        ("scan[1].png", "scan[1].png"), ("scan[0-9].png", "scan1.png"), ("data[1]/", "data[1]/p.png"),
        ("data[1]/*.png", "data[1]/p.png"), ("data[0-9]/*.png", "data1/q.png"),
    ):  # fmt: skip
        (target,) = find_images([f"s3://images/signs/{pattern}"]).targets
        assert target.label == f"s3://images/signs/{name}"


def test_a_web_server(web: str, tmp_path: Path, expected: dict[str, bytes]) -> None:
    summary = predict([f"{web}/a.png", f"{web}/exam/b.png"], tmp_path / "out")
    assert summary.done == 2
    assert masks(tmp_path / "out") == {"a.png": expected["a.png"], "b.png": expected["exam/b.png"]}


def test_a_bucket(s3: str, tmp_path: Path, expected: dict[str, bytes]) -> None:
    assert predict([s3], tmp_path / "out").done == 3
    assert masks(tmp_path / "out") == expected


def test_without_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    fsspec.filesystem("s3").clear_instance_cache()
    with refuses("LEX-USE-1284", "s3://images/in", "credentials", "aws configure"):
        find_images(["s3://images/in"])


def test_other_failures(memory: Any, tmp_path: Path) -> None:
    with refuses("LEX-USE-1283", "nothing"):
        file_system("nothing://x")
    with refuses("LEX-DATA-1288", "does not exist"):
        RemoteFile("memory://bucket/in/x.png").copy_to(tmp_path / "x.png")
    with refuses("LEX-DATA-1289", "cannot be reached"):
        RemoteFile("http://127.0.0.1:9/x.png").copy_to(tmp_path / "x.png")
    targets = find_images(["memory://bucket/in"]).targets
    memory.rm("/bucket/in/exam/b.png")
    summary = predict_to_files(Thresholds(), targets, tmp_path / "out")  # type: ignore[arg-type]
    assert (summary.done, len(summary.failed)) == (2, 1)
    assert "error" in summary.results.read_text().splitlines()[1]


def test_images_are_called_by_their_urls(tmp_path: Path) -> None:
    """A path would make one slash of two."""
    (tmp_path / "bad.png").write_bytes(b"no image")
    write_image(tmp_path / "good.png")
    urls = [f"file://{(tmp_path / name).as_posix()}" for name in ("bad.png", "good.png")]
    seen: list[str] = []
    summary = predict_to_files(
        Thresholds(),  # type: ignore[arg-type]
        find_images(urls).targets,
        tmp_path / "out",
        on_result=lambda image, result: seen.append(image),
    )
    assert [image for image, _ in summary.failed] == urls[:1]
    assert sorted(seen) == urls


@pytest.mark.usefixtures("memory")
class TestResults:
    @pytest.fixture(autouse=True)
    def _here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path / "here")

    def test_they_are_uploaded(self, images: Path, memory: Any, expected: dict[str, bytes]) -> None:
        remote = RemoteFolder("memory://bucket/out/", command="c")
        assert not memory.exists("/bucket/out")
        assert list(Path().iterdir()) == []
        remote.begin()
        assert memory.exists(f"/bucket/out/{UPLOAD_FILE}")
        predict([images], remote.work)
        assert remote.upload() == 4
        names = [name.removeprefix("/bucket/out/") for name in memory.find("/bucket/out")]
        assert sorted(names) == sorted([*(f"masks/{name}.png" for name in NAMES), "predictions.jsonl"])
        assert memory.cat_file("/bucket/out/masks/exam/b.png") == expected["exam/b.png"]
        assert list(Path().iterdir()) == []
        with refuses("LEX-DATA-1294", "holds files"):
            RemoteFolder("memory://bucket/out", command="c")

    def test_an_interrupted_upload_goes_on(self, images: Path, memory: Any) -> None:
        remote = RemoteFolder("memory://bucket/out", command="c")
        remote.begin()
        predict([images], remote.work)
        remote.finish_results(MadeRecord(inputs_sha256="inputs", failed=1))
        memory.pipe_file("/bucket/out/masks/a.png", b"half")
        with refuses("LEX-DATA-1293", "another command"):
            RemoteFolder("memory://bucket/out", command="other")
        again = RemoteFolder("memory://bucket/out", command="c")
        assert again.made("other inputs") is None
        assert again.made("inputs") == MadeRecord(inputs_sha256="inputs", failed=1)
        assert again.upload() == 4
        assert memory.cat_file("/bucket/out/masks/a.png") != b"half"

    def test_another_upload_is_not_joined(self, memory: Any) -> None:
        remote = RemoteFolder("memory://bucket/out", command="c")
        remote.begin()
        remote.work.rename("elsewhere")
        with refuses("LEX-DATA-1294", "holds files", "an upload that is not finished"):
            RemoteFolder("memory://bucket/out", command="c")

    def test_two_that_begin_at_the_same_time(self, memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        first = RemoteFolder("memory://bucket/out", command="c")
        second = RemoteFolder("memory://bucket/out", command="other")
        first.begin()
        with refuses("LEX-DATA-1293", "another command", "remove this folder and the files at the URL"):
            second.begin()


def test_a_bucket_takes_results(
    s3: str, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: dict[str, bytes]
) -> None:
    monkeypatch.chdir(tmp_path)
    remote = RemoteFolder("s3://images/out/shard-1-of-2", command="c", inner="shard-1-of-2")
    remote.begin()
    predict([images], remote.work / "shard-1-of-2")
    assert remote.upload() == 4
    system, path = file_system("s3://images/out/shard-1-of-2")
    system.invalidate_cache()
    assert system.cat_file(f"{path}/masks/exam/c.png") == expected["exam/c.png"]
    assert not system.exists(f"{path}/{UPLOAD_FILE}")
