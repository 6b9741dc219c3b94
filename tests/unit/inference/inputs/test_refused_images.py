"""Images at URLs that a server refuses: one alone is a failure, all of them stop the batch."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from lexiseg.errors import DataError
from lexiseg.inference.batches.batch import predict_to_files
from lexiseg.inference.inputs.image_sources import RemoteFile, TarMember
from lexiseg.inference.inputs.target_search import find_images
from lexiseg.inference.inputs.temporary_images import MOST_REFUSED, ImageFetcher
from lexiseg.inference.remote.file_systems import remote_errors, server_of
from refusals import refuses
from threshold_predictor import Thresholds, write_image

COUNT = MOST_REFUSED + 8
SAID = "Forbidden" + "!" * 300 + "\n<html>\n<p>the whole answer of a server</p>\n</html>"


class NoCredentialsError(Exception):
    """As botocore names it."""


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    content = write_image(tmp_path / "a.png").read_bytes()
    for number in range(COUNT):
        system.pipe_file(f"/refused/{number:02}.png", content)
    yield system
    system.rm("/refused", recursive=True)


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the server refuse images by their numbers."""
    get_file = MemoryFileSystem.get_file

    def choose(is_refused: Callable[[int], bool], error: type[Exception] = PermissionError) -> None:
        def answer(self: Any, path: str, *args: Any, **kwargs: Any) -> None:
            if is_refused(int(Path(path).stem)):
                raise error(SAID)
            get_file(self, path, *args, **kwargs)

        monkeypatch.setattr(MemoryFileSystem, "get_file", answer)

    return choose


def predict(out: Path, **options: Any) -> Any:
    targets = find_images(["memory://refused"], out=out).targets
    return predict_to_files(Thresholds(), targets, out, **options)  # type: ignore[arg-type]


def test_one_refused_image_is_a_failure(memory: Any, refuse: Callable[..., None], tmp_path: Path) -> None:
    refuse(lambda number: number == 1)
    summary = predict(tmp_path / "out")
    ((image, reason),) = summary.failed
    assert (summary.done, image) == (COUNT - 1, "memory:///refused/01.png")
    said = "Forbidden" + "!" * 191  # the first line, at most 200 characters of it
    assert f"/refused/01.png is refused or gone ({said}), while" in reason
    assert "answer of a server" not in summary.results.read_text()
    lines = [json.loads(line) for line in summary.results.open()]
    assert [line["code"] for line in lines if "error" in line] == ["LEX-DATA-1817"]


@pytest.mark.parametrize("readable", [0, COUNT - 1])
def test_many_refused_images_are_failures_where_another_can_be_read(
    memory: Any, refuse: Callable[..., None], tmp_path: Path, readable: int
) -> None:
    for number in range(1, 10) if readable else ():  # so there are too few before the readable one
        memory.rm(f"/refused/{number:02}.png")
    refuse(lambda number: number != readable)
    summary = predict(tmp_path / "out")
    assert summary.done == 1
    assert len(summary.failed) == (COUNT - 10 if readable else COUNT - 1)


def test_where_all_are_refused_the_batch_stops(
    memory: Any, refuse: Callable[..., None], tmp_path: Path
) -> None:
    refuse(lambda _: True)
    with refuses("LEX-USE-1284", "not accepted"):
        predict(tmp_path / "out")


def test_credentials_that_expire_stop_the_batch_which_then_goes_on(
    memory: Any, refuse: Callable[..., None], tmp_path: Path
) -> None:
    tries = iter(range(10**6))
    refuse(lambda _: next(tries) >= 3)
    with refuses("LEX-USE-1284", "not accepted"):
        predict(tmp_path / "out")
    assert not list((tmp_path / "out").glob(".lexiseg-part*"))
    refuse(lambda _: False)
    assert predict(tmp_path / "out").done == COUNT


def test_a_batch_that_goes_on_knows_what_could_be_read(
    memory: Any, refuse: Callable[..., None], tmp_path: Path
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict(tmp_path / "out", on_result=stop)
    lines = (tmp_path / "out" / "predictions.jsonl.partial").read_text().splitlines()
    finished = {int(Path(json.loads(line)["image"]).stem) for line in lines}
    refuse(lambda number: number not in finished)
    summary = predict(tmp_path / "out")
    assert summary.resumed == summary.done == len(finished) > 0
    assert len(summary.failed) == COUNT - len(finished)


def test_without_credentials_the_batch_stops_at_once(
    memory: Any, refuse: Callable[..., None], tmp_path: Path
) -> None:
    refuse(lambda number: number == 1, NoCredentialsError)
    with refuses("LEX-USE-1284", "missing"):
        predict(tmp_path / "out")


def test_images_of_this_computer_say_nothing_of_credentials(
    memory: Any, refuse: Callable[..., None], tmp_path: Path
) -> None:
    with tarfile.open(tmp_path / "here.tar", "w") as archive:
        archive.add(tmp_path / "a.png", "b.png")
    refuse(lambda _: True)
    targets = find_images([tmp_path / "here.tar", "memory://refused"], out=tmp_path / "out").targets
    with refuses("LEX-USE-1284", "not accepted"):
        predict_to_files(Thresholds(), targets, tmp_path / "out")  # type: ignore[arg-type]


@dataclass(frozen=True)
class Source:
    """An image that its server gives or refuses."""

    label: str
    server: str | None
    is_refused: bool = False
    local_file: Path | None = None

    def copy_to(self, file: Path) -> None:
        with remote_errors(self.label):
            if self.is_refused:
                raise PermissionError("Forbidden")
            file.write_bytes(b"image")


REFUSED = Source("s3://one/refused.png", "s3://one", is_refused=True)


@pytest.mark.parametrize(
    "other",
    [Source("s3://two/a.png", "s3://two"), Source("https://h/a.png", "https://h"), Source("a::b", None)],
)
def test_images_of_another_server_say_nothing_of_this_one(tmp_path: Path, other: Source) -> None:
    fetcher = ImageFetcher(tmp_path)
    fetcher.fetch(Source("s3://one/a.png", "s3://one")).unlink()
    fetcher.note_readable(Source("s3://one/b.png", "s3://one", is_refused=True))  # the credentials expire
    for _ in range(MOST_REFUSED - 1):
        fetcher.fetch(other).unlink()
        with refuses("LEX-DATA-1817", "refused or gone"):
            fetcher.fetch(REFUSED)
    fetcher.fetch(other).unlink()
    with refuses("LEX-USE-1284", "not accepted"):
        fetcher.fetch(REFUSED)
    fetcher.fetch(other).unlink()


def test_images_of_an_earlier_command_are_tried_before_they_count(tmp_path: Path) -> None:
    fetcher, errors = ImageFetcher(tmp_path), 0
    with refuses("LEX-USE-1284", "not accepted"):
        for _ in range(2 * MOST_REFUSED):
            fetcher.note_readable(REFUSED)
            try:
                fetcher.fetch(REFUSED)
            except DataError:
                errors += 1
    assert errors == MOST_REFUSED - 1


def test_what_grants_access_to_a_url() -> None:
    assert server_of("s3://bucket/a/b.png") == server_of("s3://bucket") == "s3://bucket"
    assert server_of("https://host:8080/a.png?key=1") == "https://host:8080"
    assert server_of("memory://[a/b.png") == "memory://[a"
    assert server_of("zip://a.png::s3://bucket/a.zip") == "s3://bucket"
    assert server_of("https://[::1]/a.png") == "https://[::1]"
    assert RemoteFile("gs://bucket/a.png").server == "gs://bucket"
    assert TarMember("s3://bucket/a.tar", "a.png", 0, 1).server == "s3://bucket"
    assert TarMember("/data/a.tar", "a.png", 0, 1).server is None
