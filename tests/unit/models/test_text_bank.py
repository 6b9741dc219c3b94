from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lexiseg.models.text_bank import TextBank
from refusals import refuses


@pytest.fixture
def bank() -> TextBank:
    # Not in alphabetical order, which safetensors sorts by.
    return TextBank(
        encoder="some/encoder",
        phrases={"size": ("small", "large", "huge"), "colour": ("red, or so", 'a "pale" one')},
        embeddings={"size": torch.randn(3, 2, 5, 4), "colour": torch.randn(2, 2, 5, 4)},
    )


def test_a_saved_bank_loads_the_same(bank: TextBank, tmp_path: Path) -> None:
    bank.save(tmp_path / "bank.safetensors")
    loaded = TextBank.load(tmp_path / "bank.safetensors")
    assert loaded.encoder == bank.encoder
    assert list(loaded.phrases.items()) == list(bank.phrases.items())
    assert list(loaded.embeddings) == ["size", "colour"]
    assert all(torch.equal(loaded.embeddings[name], value) for name, value in bank.embeddings.items())
    assert [path.name for path in tmp_path.iterdir()] == ["bank.safetensors"]


def test_sizes(bank: TextBank) -> None:
    assert (bank.layers, bank.tokens, bank.width) == (2, 5, 4)


def test_embeddings_that_are_views_of_one_tensor_are_saved(tmp_path: Path) -> None:
    whole = torch.randn(4, 1, 2, 3)
    bank = TextBank(
        encoder="e",
        phrases={"a": ("x", "y"), "b": ("x", "z")},
        embeddings={"a": whole[::2], "b": whole[:2]},
    )
    bank.save(tmp_path / "b.safetensors")
    assert torch.equal(TextBank.load(tmp_path / "b.safetensors").embeddings["a"], whole[::2])


@pytest.mark.parametrize(
    ("phrases", "embeddings", "message"),
    [
        ({}, {}, "expected embeddings of the factors"),
        ({"a": ("x",)}, {"b": torch.zeros(1, 1, 2, 3)}, "in this order, got"),
        ({"a": ("x",)}, {"a": torch.zeros(2, 1, 2, 3)}, r"\(1, 1, 2, 3\) for the factor 'a'"),
        ({"a": ("x",)}, {"a": torch.zeros(1, 2, 3)}, "expected float32 embeddings"),
        ({"a": ("x",)}, {"a": torch.zeros(1, 1, 2, 3).half()}, "got torch.float16"),
        (
            {"a": ("x",), "b": ("y",)},
            {"a": torch.zeros(1, 1, 2, 3), "b": torch.zeros(1, 1, 2, 4)},
            "for the factor 'b'",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(phrases: dict, embeddings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TextBank(encoder="e", phrases=phrases, embeddings=embeddings)


def test_files_that_are_no_bank_are_refused(bank: TextBank, tmp_path: Path) -> None:
    path = tmp_path / "bank.safetensors"
    with refuses("LEX-WEIGHTS-002", "bank.safetensors"):
        TextBank.load(path)
    path.write_bytes(b"nonsense")
    with refuses("LEX-WEIGHTS-003", "bank.safetensors cannot be"):
        TextBank.load(path)
    save_file({"a": torch.zeros(1)}, path)
    with refuses("LEX-WEIGHTS-004", "format 'lexiseg.text_bank.1',"):
        TextBank.load(path)
    about = {"format": "lexiseg.text_bank.1", "encoder": "e", "phrases": '[["a", ["x"]]]'}
    save_file({"b": torch.zeros(1, 1, 2, 3)}, path, metadata=about)
    with refuses("LEX-WEIGHTS-005", "damaged"):
        TextBank.load(path)
    bank.save(path)
    path.write_bytes(path.read_bytes()[:-8])
    with refuses("LEX-WEIGHTS-003", "cannot be read"):
        TextBank.load(path)
