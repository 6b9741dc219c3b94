"""What comes from elsewhere has limits: each image that breaks one is named, and the batch goes on."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from lexiseg.data import file_limits
from lexiseg.errors import LexisegError
from lexiseg.inference.batches.batch import predict_to_files
from lexiseg.inference.inputs import image_sources
from lexiseg.inference.inputs.image_sources import RemoteFile, TarMember
from lexiseg.inference.inputs.target_search import find_images
from lexiseg.inference.remote.file_systems import refuse_password, shown_url
from lexiseg.inference.sources.local_sources import local_sources
from range_server import Served, serving
from refusals import refuses
from threshold_predictor import Thresholds, write_image


def png(folder: Path, size: tuple[int, int] = (20, 30)) -> bytes:
    return write_image(folder / "source.png", size).read_bytes()


def predict(patterns: list[Any], out: Path) -> tuple[Any, list[dict[str, Any]]]:
    with local_sources(patterns) as sources:
        targets = find_images(sources.patterns, out=out).targets
        summary = predict_to_files(Thresholds(), targets, out)  # type: ignore[arg-type]
    return summary, [json.loads(line) for line in summary.results.open()]


def left(out: Path) -> list[str]:
    return [path.name for path in out.rglob(".partial*")]


@pytest.fixture
def memory() -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    system.mkdir("/limits")
    yield system
    system.rm("/limits", recursive=True)


class TestBytes:
    @pytest.fixture(autouse=True)
    def _limit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(file_limits, "MAX_IMAGE_BYTES", 5000)

    def test_at_a_url(self, memory: Any, tmp_path: Path) -> None:
        for name, content in (("a", png(tmp_path)), ("b", png(tmp_path) + bytes(5000)), ("c", png(tmp_path))):
            memory.pipe_file(f"/limits/{name}.png", content)
        summary, lines = predict(["memory://limits"], tmp_path / "out")
        assert (summary.done, len(summary.failed)) == (2, 1)
        assert [line.get("code") for line in lines] == [None, "LEX-DATA-1475", None]
        assert lines[1]["error"].startswith("memory:///limits/b.png is too large: expected")
        with refuses("LEX-DATA-1475"):
            RemoteFile("memory://limits/b.png").copy_to(tmp_path / "copy.png")
        assert left(tmp_path / "out") == []

    @pytest.mark.parametrize("stated_length", [True, False])
    def test_on_a_web_server_the_transfer_stops(self, tmp_path: Path, stated_length: bool) -> None:
        """A server that states no length is stopped as soon as too much has come."""
        served = Served(png(tmp_path) + bytes(200_000), stated_length=stated_length)
        with serving(served):
            url = served.url.replace("file.zip", "a.png")
            with refuses("LEX-DATA-1475", "a.png is too large"):
                RemoteFile(url).copy_to(tmp_path / "copy.png")
            summary, lines = predict([url], tmp_path / "out")
        assert (summary.done, lines[0]["code"]) == (0, "LEX-DATA-1475")
        assert left(tmp_path / "out") == []

    @pytest.mark.parametrize("at_url", [True, False])
    def test_in_an_archive(self, memory: Any, tmp_path: Path, at_url: bool) -> None:
        content = tar({"a.png": png(tmp_path), "b.png": bytes(6000), "c.png": png(tmp_path)})
        archive = str(tmp_path / "x.tar")
        Path(archive).write_bytes(content)
        if at_url:
            memory.pipe_file("/limits/x.tar", content)
            archive = "memory://limits/x.tar"
        summary, lines = predict([archive], tmp_path / "out")
        assert (summary.done, len(summary.failed)) == (2, 1)
        assert [line.get("code") for line in lines] == [None, "LEX-DATA-1475", None]
        assert "x.tar::b.png is too large: expected an image file of at most 5,000 bytes" in lines[1]["error"]
        assert left(tmp_path / "out") == []
        # It is refused by its header, before anything is copied.
        with refuses("LEX-DATA-1475", "::b.png is too large"):
            TarMember(archive, "b.png", 512, 6000).copy_to(tmp_path / "copy.png")
        assert not (tmp_path / "copy.png").exists()


def tar(members: dict[str, bytes], mode: Any = "w") -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=mode) as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return content.getvalue()


def test_a_picture_of_too_many_pixels_is_a_failure_of_one_image(memory: Any, tmp_path: Path) -> None:
    """A small file that declares 40,000 x 40,000 pixels."""
    bomb = bytearray(png(tmp_path))
    bomb[16:24] = (40_000).to_bytes(4, "big") * 2
    bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4, "big")
    content = tar({"a.png": bytes(bomb), "b.png": png(tmp_path)})
    memory.pipe_file("/limits/a.png", bytes(bomb))
    memory.pipe_file("/limits/x.tar", content)
    summary, lines = predict(["memory://limits/a.png", "memory://limits/x.tar"], tmp_path / "out")
    assert (summary.done, len(summary.failed)) == (1, 2)
    assert [line.get("code") for line in lines] == ["LEX-DATA-012", "LEX-DATA-012", None]


def test_members_are_copied_in_parts(memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_sources, "_PART_BYTES", 7)
    content = bytes(range(50))
    memory.pipe_file("/limits/x.tar", b"before" + content + b"after")
    (tmp_path / "x.tar").write_bytes(b"before" + content + b"after")
    for archive in ("memory://limits/x.tar", str(tmp_path / "x.tar")):
        TarMember(archive, "a.png", 6, 50).copy_to(tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == content
        with refuses("LEX-DATA-1287", "x.tar", "a.png"):
            TarMember(archive, "a.png", 6, 70).copy_to(tmp_path / "copy")


def test_compressed_archives_at_urls_are_refused(memory: Any, tmp_path: Path) -> None:
    content = tar({"a.png": png(tmp_path)})
    for name in ("x.tar.gz", "x.tgz", "x.zip"):
        memory.pipe_file(f"/limits/{name}", gzip.compress(content))
        with refuses("LEX-DATA-099", name):
            find_images([f"memory://limits/{name}"])
        with refuses("LEX-DATA-1479", f"host/{name} is an archive", "Download"):
            find_images([f"https://host/{name}?key=1"])
    memory.pipe_file("/limits/x.tar", gzip.compress(content))
    with refuses("LEX-DATA-1291", "not compressed"):
        find_images(["memory://limits/x.tar"])


def test_an_archive_whose_server_sends_whole_files_only(tmp_path: Path) -> None:
    content = tar({f"{number}.png": png(tmp_path) for number in range(3)}) + bytes(20 << 20)
    with serving(Served(content, ranges=False)) as served:
        url = served.url.replace("file.zip", "x.tar")
        with refuses("LEX-DATA-1478", "x.tar", "Download the archive"):
            find_images([url])
        with refuses("LEX-DATA-1478", "x.tar", "Download the archive"):
            TarMember(url, "0.png", 512, 100).copy_to(tmp_path / "copy.png")


def test_an_archive_whose_server_sends_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_sources, "_PART_BYTES", 50)
    content = tar({f"{number}.png": png(tmp_path, (20, 20 + number)) for number in range(3)})
    with serving(Served(content, conditional=False)) as served:
        url = served.url.replace("file.zip", "x.tar")
        summary, lines = predict([f"{url}?key=SECRET"], tmp_path / "out")
        asked = [request.get("range", "") for request in served.requests]
    assert summary.done == 3
    assert [line["image"] for line in lines] == [f"{url}::{number}.png" for number in range(3)]
    assert [(line["size"][1], line["name"]) for line in lines] == [(20, "x/0"), (21, "x/1"), (22, "x/2")]
    assert "bytes=512-561" in asked  # the first part of the first image


def digits_of(text: str) -> str:
    """Return the digits that stand for parameters of an address."""
    return hashlib.sha256(text.encode()).hexdigest()[:10]


class TestKeys:
    """Addresses with a key after the "?", as object stores sign them."""

    KEY = "X-Amz-Signature=SECRET%2Fabc&name=/studies/1.2&file=b.png"
    #: What of it can tell an image.
    REST = "name=/studies/1.2&file=b.png"

    def test_the_path_says_that_it_is_a_file(self, tmp_path: Path) -> None:
        with serving(Served(png(tmp_path))) as served:
            base = served.url.replace("file.zip", "")
            # By its ending, and by its content where the path has no such ending.
            urls = [f"{base}in/a.png?{self.KEY}", f"{base}get?id=7&{self.KEY}", f"{base}get.php?id=8"]
            summary, lines = predict(urls, tmp_path / "out")
        assert summary.done == 3
        digits = [digits_of(text) for text in (self.REST, f"id=7&{self.REST}", "id=8")]
        assert [line["image"] for line in lines] == [
            f"{base}{name}?({number})"
            for name, number in zip(("in/a.png", "get", "get.php"), digits, strict=True)
        ]
        assert [line["mask"] for line in lines] == [
            f"masks/{name}-{number}.png" for name, number in zip(("a", "get", "get"), digits, strict=True)
        ]
        assert "range" not in served.requests[0]
        for file in (path for path in (tmp_path / "out").rglob("*") if path.is_file()):
            assert not any(value in file.read_bytes() for value in (b"SECRET", b"studies", b"b.png"))

    def test_content_that_is_no_image_is_one_failure(self, tmp_path: Path) -> None:
        with serving(Served(b"<html>sign in</html>")) as served:
            summary, lines = predict([served.url.replace("file.zip", "get?id=7")], tmp_path / "out")
        assert summary.done == 0
        assert lines[0]["code"] == "LEX-DATA-013"
        assert "an HTML, XML or SVG file" in lines[0]["error"]

    def test_a_refused_key_is_one_failure(self, tmp_path: Path) -> None:
        good = png(tmp_path)
        with serving(Served(good)) as served, serving(Served(good, failures=[403] * 9)) as expired:
            urls = [f"{server.url.replace('file.zip', name)}?{self.KEY}"
                    for server, name in ((expired, "a.png"), (served, "b.png"))]  # fmt: skip
            summary, lines = predict(urls, tmp_path / "out")
        assert summary.done == 1
        assert lines[0]["code"] == "LEX-DATA-1477"
        assert "keys expire" in lines[0]["error"]
        assert "SECRET" not in lines[0]["error"]
        assert "mask" in lines[1]

    def test_a_new_key_goes_on_with_the_same_image(self, tmp_path: Path) -> None:
        with serving(Served(png(tmp_path))) as served:
            url = served.url.replace("file.zip", "a.png")
            first, second = (find_images([f"{url}?key={n}"]).targets[0] for n in (1, 2))
        assert first.label == second.label == url
        assert first.name == second.name

    def test_another_image_behind_the_same_path_is_another_image(self) -> None:
        """As a path without ending does not tell the image, nothing of one is taken for the other."""
        first, second = (RemoteFile(f"https://host/get?id={number}") for number in (7, 8))
        assert first.label != second.label
        assert len({target.name for target in find_images([first.url, second.url]).targets}) == 2

    def test_parameters_that_are_no_key_tell_images_apart(self, tmp_path: Path) -> None:
        with serving(Served(png(tmp_path))) as served:
            url = served.url.replace("file.zip", "get.png")
            summary, lines = predict([f"{url}?id={n}&Token=SECRET" for n in (1, 2)], tmp_path / "out")
        assert summary.done == 2
        assert [line["image"] for line in lines] == [f"{url}?({digits_of(f'id={n}')})" for n in (1, 2)]
        assert len({line["mask"] for line in lines}) == 2

    @pytest.mark.parametrize(
        "key",
        [
            "X-Amz-Date=1&x-amz-signature=2&X-Amz-Security-Token=3",
            "X-Goog-Signature=1&X-Goog-Expires=2",
            "sv=1&st=2&se=3&sr=b&sp=r&sig=4%3D&skoid=5&sktid=6&ske=7",
            "Expires=1&Signature=2&Key-Pair-Id=3&Policy=4",
            "AWSAccessKeyId=1&Expires=2&Signature=3",
            "TOKEN=1&access%5Ftoken=2&key=3&api_key=4",
        ],
    )
    def test_a_key_is_no_part_of_the_image(self, key: str) -> None:
        assert shown_url(f"https://host/a.png?{key}") == "https://host/a.png"
        shown = f"https://host/a.png?({digits_of('id=1&v=2')})"
        assert shown_url(f"https://host/a.png?id=1&{key}&v=2") == shown

    @pytest.mark.parametrize("address", ["get?key={}", "get?token={}", "a.png?se={}", "a.png?sr={}&im=1"])
    def test_what_may_be_no_key_tells_images_apart(self, address: str) -> None:
        """The key of an object, and the number of a series."""
        assert len({shown_url("https://host/" + address.format(number)) for number in (1, 2)}) == 2

    def test_an_archive_with_a_key(self) -> None:
        member = TarMember("https://host/x.tar?key=1", "a.png", 0, 0)
        assert member.label == "https://host/x.tar::a.png"

    def test_archives_behind_one_path(self, tmp_path: Path) -> None:
        content = tar({"a.png": png(tmp_path)})
        with serving(Served(content, conditional=False)) as served:
            urls = [served.url.replace("file.zip", f"x.tar?id={n}") for n in (1, 2)]
            summary, lines = predict(urls, tmp_path / "out")
        assert summary.done == 2
        assert [line["name"] for line in lines] == [f"x-{digits_of(f'id={n}')}/a" for n in (1, 2)]
        for name in ("x.zip", "x.tar.gz"):
            with refuses("LEX-DATA-1479", f"host/{name}?("):
                find_images([f"https://host/{name}?id=1"])

    def test_passwords_are_refused(self) -> None:
        with refuses("LEX-USE-1476", "host", "password") as caught:
            find_images(["https://user:secret@host/a.png"])  # pragma: allowlist secret
        assert "secret" not in str(caught.value)
        # No variable holds a password for the web.
        for login in ("user:secret", "secret", "user:sec/ret"):
            with refuses("LEX-USE-1476", "password") as caught:
                find_images([f"zip://a.png::https://{login}@host/a.zip"])
            assert "sec" not in str(caught.value)
        for url in ("http://secret@[2001:db8::5]/a.png", "simplecache::https://secret@[::1]/a.png"):
            with refuses("LEX-USE-1476", "password") as caught:
                refuse_password(url)
            assert "secret" not in str(caught.value)
        refuse_password("zip://a.png::https://[2001:db8::5]/a.zip")
        for url in (
            "sftp://user:secret@host/a",  # pragma: allowlist secret
            "zip://a.png::ftp://user:secret@host/a.zip",  # pragma: allowlist secret
        ):
            with refuses("LEX-USE-2032", "of host holds a password", "FSSPEC_") as caught:
                find_images([url])
            assert "secret" not in str(caught.value)
        for url in (
            "sftp://user:sec/ret@host/a",
            "https://user:sec/ret@host/a.png",
        ):  # pragma: allowlist secret
            with refuses("LEX-USE-2032" if url[0] == "s" else "LEX-USE-1476", "password") as caught:
                find_images([url])
            assert "sec" not in str(caught.value)
        for url in ("memory://a:b@c/none.png", "file:///a:b@c/none.png"):
            with pytest.raises(LexisegError, match=r"none\.png"):
                find_images([url])

    def test_what_is_shown(self) -> None:
        assert shown_url("HTTPS://host/a.png?key=1#y") == "https://host/a.png"
        for same in ("s3://b/a?.png", "a?.png", "memory://b/a.png", "https://host/a%20b.png"):
            assert shown_url(same) == same
        for url in (
            "ftp://user:sec/ret@host/a.png",
            "https://user:sec/ret@host/a.png?b=c",
        ):  # pragma: allowlist secret
            assert "ret" not in shown_url(url)
