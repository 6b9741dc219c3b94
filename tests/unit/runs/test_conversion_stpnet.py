"""Refusals of the converter; what it makes is compared with the published code in tests/parity."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from lexiseg.errors import RunError, UsageError, WeightsError
from lexiseg.outputs.folder_lock import FolderLock
from lexiseg.runs.conversion.stpnet import convert_stpnet
from lexiseg.systems.stpnet import published_checkpoint
from lexiseg.systems.stpnet.published_keys import load_published
from refusals import refuses

BANKS = {"Unilateral_emb": 2, "num_emb": 2, "left_loc_emb": 8, "right_loc_emb": 8}


@pytest.fixture(autouse=True)
def _meta(monkeypatch: pytest.MonkeyPatch) -> None:
    """Build the network without memory for its weights."""

    def load(state: Any, banks: dict[str, Tensor]) -> Any:
        with torch.device("meta"):
            return load_published(state, {name: bank.to("meta") for name, bank in banks.items()})

    monkeypatch.setattr(published_checkpoint, "load_published", load)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    save_file({"outc.weight": torch.zeros(1, 64, 1, 1)}, tmp_path / "net.safetensors")
    return tmp_path / "net.safetensors"


def banks_file(folder: Path, changed: dict[str, Tensor | None] | None = None) -> Path:
    tensors = {name: torch.zeros(size, 1, 30, 768) for name, size in BANKS.items()} | (changed or {})
    save_file({name: value for name, value in tensors.items() if value is not None}, folder / "b.safetensors")
    return folder / "b.safetensors"


def refused(
    checkpoint: Path, out: Path, match: str, error: type[Exception] = WeightsError, **options: Any
) -> None:
    with pytest.raises(error, match=match):
        convert_stpnet(checkpoint, out, **options)
    if error is not RunError:
        assert not out.exists()
    assert not list(out.parent.glob(".partial-*"))


def test_banks_and_encoder_exclude_each_other(checkpoint: Path, tmp_path: Path) -> None:
    banks = banks_file(tmp_path)
    refused(checkpoint, tmp_path / "run", "not both", UsageError, banks=banks, text_encoder="minilm")


def test_a_folder_in_use(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("mine")
    refused(checkpoint, tmp_path / "run", "already exists", RunError, banks=banks_file(tmp_path))


def test_one_process_at_a_time_converts_and_removes_what_a_killed_one_left(
    checkpoint: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    (tmp_path / ".partial-run-abcd1234").mkdir()
    lock = FolderLock.beside(out)
    assert lock.take() is None
    with refuses("LEX-USE-746", "makes it now"):
        convert_stpnet(checkpoint, out, banks=banks_file(tmp_path))
    assert (tmp_path / ".partial-run-abcd1234").exists()
    lock.release()
    refused(checkpoint, out, r"incomplete: \d+ missing keys", banks=banks_file(tmp_path))


class TestCheckpoint:
    def refused(self, tmp_path: Path, value: object, match: str) -> None:
        torch.save(value, tmp_path / "net.pth")
        refused(tmp_path / "net.pth", tmp_path / "run", match, banks=banks_file(tmp_path))

    def test_that_is_not_there(self, tmp_path: Path) -> None:
        refused(
            tmp_path / "no.pth", tmp_path / "run", r"no weights file \S+no\.pth", banks=banks_file(tmp_path)
        )

    def test_that_is_damaged(self, tmp_path: Path) -> None:
        (tmp_path / "net.pth").write_bytes(b"PK damaged")
        refused(tmp_path / "net.pth", tmp_path / "run", "cannot be read", banks=banks_file(tmp_path))

    def test_that_holds_python_objects(self, tmp_path: Path) -> None:
        self.refused(tmp_path, {"state_dict": Path("x")}, "net.pth cannot be read")

    def test_that_holds_no_tensors(self, tmp_path: Path) -> None:
        self.refused(tmp_path, {"epoch": 3}, "holds no state_dict")
        self.refused(tmp_path, [torch.zeros(1)], "holds no state_dict")

    def test_of_another_network(self, tmp_path: Path) -> None:
        self.refused(tmp_path, {"conv.weight": torch.zeros(1)}, r"1 unknown key: conv\.weight")

    def test_that_is_incomplete(self, tmp_path: Path) -> None:
        nested = {"epoch": 3, "state_dict": {"module.outc.weight": torch.zeros(1, 64, 1, 1)}}
        self.refused(tmp_path, nested, r"incomplete: \d+ missing keys")


class TestBanks:
    @pytest.mark.parametrize(
        ("changed", "match"),
        [
            ({"num_emb": None}, r"must hold .*num_emb.*; it holds Unilateral_emb, left_loc_emb"),
            ({"more": torch.zeros(1)}, "it holds .*more"),
            ({"num_emb": torch.zeros(3, 1, 30, 768)}, r"num_emb must be .*\(2, any, 30, 768\); it is \(3, 1"),
            ({"num_emb": torch.zeros(2, 30, 768)}, "num_emb must be"),
            ({"num_emb": torch.zeros(2, 1, 30, 384)}, "num_emb must be"),
            (
                {"num_emb": torch.zeros(2, 1, 30, 768, dtype=torch.int32)},
                "floating point numbers, not torch.int32",
            ),
            ({"num_emb": torch.zeros(2, 2, 30, 768)}, "layers, tokens, width"),
        ],
    )
    def test_that_do_not_fit(self, checkpoint: Path, tmp_path: Path, changed: Any, match: str) -> None:
        refused(checkpoint, tmp_path / "run", match, banks=banks_file(tmp_path, changed))

    def test_of_an_encoder_that_is_too_narrow(
        self, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[str] = []
        narrow = SimpleNamespace(width=384)
        monkeypatch.setattr(
            published_checkpoint, "load_text_encoder", lambda name: asked.append(name) or narrow
        )
        refused(checkpoint, tmp_path / "run", "'minilm' is 384 wide, .* 768 wide", text_encoder="minilm")
        refused(checkpoint, tmp_path / "run", "Bio_ClinicalBERT' is 384 wide")
        assert asked == ["minilm", "emilyalsentzer/Bio_ClinicalBERT"]
