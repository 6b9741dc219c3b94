from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from lexiseg.embeddings.text_bank_builder import build_bank
from lexiseg.words.vocabulary import load_vocabulary


class _Counting:
    """Stands in for a text encoder: a phrase's embedding is its number of letters."""

    name = "counting"
    width = 3

    def encode(self, phrases: Sequence[str], tokens: int = 30) -> Tensor:
        lengths = torch.tensor([float(len(phrase)) for phrase in phrases])
        return lengths[:, None, None, None].expand(-1, 2, tokens, self.width).clone()

    def embed_sentences(self, sentences: Sequence[str]) -> Tensor:
        raise NotImplementedError


def test_a_bank_holds_the_vocabularys_phrases_in_order() -> None:
    vocabulary = load_vocabulary("chest")
    bank = build_bank(vocabulary, _Counting())
    assert bank.encoder == "counting"
    assert list(bank.phrases) == [factor.name for factor in vocabulary.factors]
    assert (bank.layers, bank.tokens, bank.width) == (2, 30, 3)
    for factor in vocabulary.factors:
        assert bank.phrases[factor.name] == factor.phrases
        lengths = bank.embeddings[factor.name][:, 0, 0, 0].tolist()
        assert lengths == [len(phrase) for phrase in factor.phrases]


def test_the_number_of_tokens_is_a_choice() -> None:
    assert build_bank(load_vocabulary("chest"), _Counting(), tokens=12).tokens == 12


def test_a_bank_does_not_hold_the_path_of_a_text_encoder(tmp_path: Path) -> None:
    encoder = _Counting()
    encoder.name = str(tmp_path / "bert")
    assert build_bank(load_vocabulary("chest"), encoder).encoder == "bert"
    encoder.name = "nobody/bert"
    assert build_bank(load_vocabulary("chest"), encoder).encoder == "nobody/bert"
