"""Prediction on a Ray cluster of two actors, of which one is killed: nothing is lost or comes twice."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import lexiseg
from lexiseg.inference.inputs.image_sources import RemoteFile
from lexiseg.inference.inputs.target import Target
from lexiseg.inference.options import PredictionOptions
from refusals import refuses

ray = pytest.importorskip("ray", reason="Ray is too large for the tools of developers: pip install ray[data]")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="finds processes in /proc"),
]

from lexiseg.inference.batches import ray_predictor  # noqa: E402
from lexiseg.inference.batches.ray_predictor import RayPredictor, refuse_sources  # noqa: E402


@pytest.fixture(scope="module")
def _cluster() -> Iterator[None]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=200 << 20)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("in")
    for number in range(24):
        pixels = np.random.default_rng(number).integers(0, 255, (60 + number, 50), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"{number:02}.png")
    (root / "05.png").write_bytes(b"no image")
    return root


def content(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()}


def predict(predictor: Any, images: Path, out: Path, **options: Any) -> Any:
    return lexiseg.predict_to_files(predictor, lexiseg.find_targets([images]), out, **options)


def actors() -> list[int]:
    """Return the processes of the actors that this test's own cluster runs."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            title = (place / "cmdline").read_bytes()
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            grandparent = int(Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            continue
        if title.startswith(b"ray::MapWorker") and grandparent == os.getpid():
            found.append(int(place.name))
    return found


@pytest.mark.usefixtures("_cluster")
def test_an_actor_is_killed(images: Path, tmp_path: Path) -> None:
    predictor = lexiseg.load("covid-xray", batch_size=2)
    predict(predictor, images, tmp_path / "here")
    killed: list[int] = []

    def kill(image: str, result: object) -> None:
        if not killed:
            killed.append(actors()[0])
            os.kill(killed[0], signal.SIGKILL)

    cluster = RayPredictor(predictor, "auto", cores=1)
    summary = predict(cluster, images, tmp_path / "cluster", on_result=kill)
    assert killed
    assert (summary.done, len(summary.failed)) == (23, 1)
    assert content(tmp_path / "cluster") == content(tmp_path / "here")


@pytest.mark.usefixtures("_cluster")
def test_more_images_than_one_data_set_holds(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths are taken as far as they are needed, and results come in their order."""
    monkeypatch.setattr(ray_predictor, "_IMAGES_AT_A_TIME", 3)
    taken: list[Path] = []

    def paths() -> Iterator[Path]:
        for path in sorted(images.iterdir())[:7]:
            taken.append(path)
            yield path

    predictor = lexiseg.load("covid-xray", batch_size=2)
    results = RayPredictor(predictor, "auto", cores=1).predict_paths(paths())
    first, _ = next(results)
    assert len(taken) == 3
    assert [first, *(path for path, _ in results)] == taken
    assert len(taken) == 7


@pytest.mark.usefixtures("_cluster")
def test_relative_paths(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Actors run in other folders than the command."""
    for name in ("run", "second"):
        shutil.copytree(lexiseg.Run.open("covid-xray").path, tmp_path / name)
    (tmp_path / "in").mkdir()
    for name in ("04.png", "05.png"):
        shutil.copy(images / name, tmp_path / "in" / name)
    monkeypatch.chdir(tmp_path)
    predictor = lexiseg.load("run", average_with="second", batch_size=2)
    predict(predictor, Path("in"), Path("here"))
    cluster = RayPredictor(predictor, "auto", cores=1)
    summary = predict(cluster, Path("in"), Path("cluster"))
    assert (summary.done, len(summary.failed)) == (1, 1)
    assert content(Path("cluster")) == content(Path("here"))
    assert str(tmp_path) not in summary.results.read_text()
    (tmp_path / "second").rename("gone")
    with refuses("LEX-RES-1833", f"Expected a run folder at {tmp_path / 'second'}", "at the same paths"):
        next(cluster.predict_paths([Path("in/04.png")]))


def machine(*, alive: bool = True, **resources: float) -> dict[str, Any]:
    return {"Alive": alive, "Resources": resources}


@pytest.mark.parametrize(
    ("machines", "count", "cores"),
    [
        ([machine(CPU=1.0), machine(CPU=1.0), machine(memory=8.0)], 2, 1),
        ([machine(CPU=16.0), machine(CPU=3.0), machine(CPU=1.0, alive=False)], 9, 2),
        ([machine(CPU=1.0), machine(CPU=4.0)], 5, 1),
    ],
)
def test_each_machine_has_room_for_an_actor(
    monkeypatch: pytest.MonkeyPatch, machines: list[dict[str, Any]], count: int, cores: int
) -> None:
    monkeypatch.setattr(ray_predictor, "_connect", lambda address: None)
    monkeypatch.setattr(ray, "nodes", lambda: machines)
    found = RayPredictor(predictor_on("cpu"), "auto")._placement()
    assert (found.count, found.cores, found.gpus) == (count, cores, None)


def test_a_cluster_without_gpus_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_predictor, "_connect", lambda address: None)
    monkeypatch.setattr(ray, "nodes", lambda: [machine(CPU=8.0), machine(CPU=8.0, GPU=4.0, alive=False)])
    with refuses("LEX-RES-1832", "10.0.0.1:6379 has no GPU", "--device is cuda:0"):
        RayPredictor(predictor_on("cuda:0"), "10.0.0.1:6379")
    monkeypatch.setattr(ray, "nodes", lambda: [machine(CPU=8.0), machine(CPU=8.0, GPU=4.0)])
    found = RayPredictor(predictor_on("cuda"), "auto")._placement()
    assert (found.count, found.cores, found.gpus) == (4, 0, 1)


def test_a_cluster_that_is_gone_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> None:
        raise ray.exceptions.RaySystemError("no head")

    monkeypatch.setattr(ray_predictor, "_connect", lambda address: None)
    monkeypatch.setattr(ray, "nodes", gone)
    with refuses("LEX-RES-1280", "no head"):
        RayPredictor(predictor_on("cpu"), "auto")


def predictor_on(device: str) -> Any:
    return SimpleNamespace(options=PredictionOptions(device=device))


def test_images_at_urls_are_refused() -> None:
    refuse_sources([Target(image=Path("a.png"), name=Path("a"))])
    with refuses("LEX-USE-1286", "s3://b/a.png", "--shard"):
        refuse_sources([Target(image=Path("a.png"), name=Path("a"), origin=RemoteFile("s3://b/a.png"))])


def test_an_address_at_which_nothing_listens_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray would try it for three minutes."""
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **_: pytest.fail("asks Ray"))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # taken, but it does not listen
        port = closed.getsockname()[1]
        for address in (f"127.0.0.1:{port}", f"ray://127.0.0.1:{port}", "127.0.0.1:99999", "[::1]:1"):
            with refuses("LEX-RES-1711", f"There is no Ray cluster at {address} (", "ray start --head"):
                ray_predictor._connect(address)
