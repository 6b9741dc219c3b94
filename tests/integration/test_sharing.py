"""Runs are sent to a hub, fetched, packed, unpacked, run by MONAI: real commands, a hub on loopback."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hub_server import TOKEN, Hub, serving_hub


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with serving_hub() as hub:
        yield hub


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("images") / "noise.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 60), dtype=np.uint8)).save(path)
    return path


def _lexiseg(
    hub: Hub | None, folder: Path, *arguments: str, token: str = TOKEN
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HF_HOME": str(folder / "hub"), "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": token}
    environment["HF_ENDPOINT"] = "http://127.0.0.1:9" if hub is None else hub.url
    return subprocess.run(
        [sys.executable, "-m", "lexiseg", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_a_run_that_was_pushed_and_pulled_predicts_the_same(hub: Hub, image: Path, tmp_path: Path) -> None:
    pushed = _lexiseg(hub, tmp_path, "push", "covid-xray", "hf://jane/chest", "--license", "CC-BY-4.0")
    assert pushed.returncode == 0, pushed.stderr
    assert hub.private["jane/chest"]
    sent = hub.repositories["jane/chest"]
    assert "splits.json" not in sent
    assert b"license: cc-by-4.0" in sent["README.md"]
    assert json.loads(sent["bundle.json"])["licences"]["model"] == "CC-BY-4.0"
    assert b"not for clinical use" in sent["README.md"]

    pulled = _lexiseg(hub, tmp_path, "pull", "hf://jane/chest", "--out", "pulled")
    assert pulled.returncode == 0, pulled.stderr
    lines = []
    for run in ("covid-xray", "pulled"):
        predicted = _lexiseg(
            hub, tmp_path, "predict", run, str(image), "--out", f"by-{run}", "--engine", "onnx"
        )
        assert predicted.returncode in (0, 1), predicted.stderr
        lines.append((tmp_path / f"by-{run}" / "predictions.jsonl").read_text())
    assert lines[0] == lines[1]

    sent["weights.safetensors"] += b"0"
    changed = _lexiseg(hub, tmp_path, "pull", "hf://jane/chest", "--out", "changed")
    assert changed.returncode == 3
    assert "LEX-DATA-1050" in changed.stderr
    assert not (tmp_path / "changed").exists()
    del sent["bundle.json"]
    none = _lexiseg(hub, tmp_path, "pull", "hf://jane/chest", "--out", "none")
    assert "LEX-DATA-1055" in none.stderr


def test_a_further_push_removes_what_it_does_not_send(hub: Hub, tmp_path: Path) -> None:
    address = "hf://jane/names"
    assert _lexiseg(hub, tmp_path, "push", "covid-xray", address, "--with-image-names").returncode == 0
    sent = hub.repositories["jane/names"]
    assert "splits.json" in sent
    sent |= {"notes.md": b"of a person", "sub/splits.json": b"of a person", "model.xml": b"of a person"}
    again = _lexiseg(hub, tmp_path, "push", "covid-xray", address)
    assert again.returncode == 0, again.stderr
    assert "splits.json" not in sent
    assert {"splits.json", "masks.json"} >= set(json.loads(sent["bundle.json"])["left_out"])
    assert set(sent) >= {"notes.md", "sub/splits.json", "model.xml", "README.md", "bundle.json"}
    assert "splits.json. The history" in again.stderr
    third = _lexiseg(hub, tmp_path, "push", "covid-xray", address)
    assert "history" not in third.stderr


def test_a_push_removes_nothing_where_no_push_was_before(hub: Hub, tmp_path: Path) -> None:
    hub.repositories["jane/own"] = {"splits.json": b"of a person"}
    pushed = _lexiseg(hub, tmp_path, "push", "covid-xray", "hf://jane/own")
    assert pushed.returncode == 0, pushed.stderr
    assert hub.repositories["jane/own"]["splits.json"] == b"of a person"


def test_what_the_hub_refuses_is_one_message(hub: Hub, tmp_path: Path) -> None:
    missing = _lexiseg(hub, tmp_path, "pull", "hf://jane/nothing", "--out", "run")
    assert (missing.returncode, missing.stderr.count("LEX-USE-1053")) == (2, 1)
    assert "no such repository" in missing.stderr
    refused = _lexiseg(hub, tmp_path, "push", "covid-xray", "hf://jane/other", token="hf_" + "b" * 34)
    assert (refused.returncode, refused.stderr.count("LEX-USE-1053")) == (2, 1)
    unknown = _lexiseg(hub, tmp_path, "push", "covid-xray", "hf://jane/other", "--license", "None-1.0")
    assert (unknown.returncode, unknown.stderr.count("LEX-USE-1053")) == (2, 1)
    assert "must be one of [apache-2.0, cc-by-4.0, mit]" in " ".join(unknown.stderr.split())
    away = _lexiseg(None, tmp_path, "pull", "hf://jane/chest", "--out", "run")
    assert (away.returncode, away.stderr.count("LEX-USE-1052")) == (2, 1)
    without = _lexiseg(hub, tmp_path, "push", "covid-xray", "hf://jane/chest", token="")
    assert (without.returncode, without.stderr.count("LEX-USE-1051")) == (2, 1)
    assert not (tmp_path / "run").exists()


def test_packing_and_unpacking_by_commands(tmp_path: Path) -> None:
    packed = _lexiseg(None, tmp_path, "pack", "covid-xray")
    assert packed.returncode == 0, packed.stderr
    unpacked = _lexiseg(None, tmp_path, "unpack", "covid-xray.lexiseg.zip", "--out", "run")
    assert unpacked.returncode == 0, unpacked.stderr
    assert (tmp_path / "run" / "run.json").is_file()


def test_monai_runs_the_bundle(image: Path, tmp_path: Path) -> None:
    pytest.importorskip("monai")
    packed = _lexiseg(None, tmp_path, "pack", "covid-xray", "--format", "monai", "--out", "bundle")
    assert packed.returncode == 0, packed.stderr
    bundle = tmp_path / "bundle"
    run = subprocess.run(
        [
            *(sys.executable, "-m", "monai.bundle", "run"),
            *("--config_file", "configs/inference.json", "--meta_file", "configs/metadata.json"),
            *("--bundle_root", ".", "--dataset_dir", str(image.parent)),
        ],
        cwd=bundle,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    by_monai = json.loads((bundle / "eval" / "predictions.jsonl").read_text())
    assert _lexiseg(None, tmp_path, "predict", "covid-xray", str(image), "--out", "plain").returncode in (
        0,
        1,
    )
    plain = json.loads((tmp_path / "plain" / "predictions.jsonl").read_text())
    assert by_monai["words"] == plain["words"]
    assert by_monai["area_px"] == plain["area_px"]
    shape = json.loads((bundle / "configs" / "metadata.json").read_text())["network_data_format"]["inputs"]
    assert shape["image"]["spatial_shape"] == [224, 224]
