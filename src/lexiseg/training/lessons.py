"""What a teacher is told about a batch: the sentences that its phrase indices speak, as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from lexiseg.embeddings.encoders import TextEncoder
from lexiseg.models.teaching import Text
from lexiseg.systems.cotexnet.framed_sentences import FramedTokenizer
from lexiseg.words.vocabulary import Vocabulary

Indices = tuple[int, ...]


class Lessons(Protocol):
    """Turns phrase indices into what a teacher reads."""

    def __call__(self, indices: Tensor) -> Text:
        """Return two tensors for indices `(B, factors)` int64, on the same device."""


class SentenceLessons:
    """Embeddings of the sentences, each computed once.

    Augmentation changes words, but only among a closed list of sentences, so a short while after the start
    the text encoder rests. Each sentence is embedded by itself: what padding a batch of others would bring
    changes the last digits, and a resumed training meets sentences in another order.

    Args:
        vocabulary: Makes sentences of indices.
        encoder: The frozen text encoder.
    """

    def __init__(self, vocabulary: Vocabulary, encoder: TextEncoder) -> None:
        self._vocabulary = vocabulary
        self._encoder = encoder
        self._known: dict[str, Tensor] = {}

    def __call__(self, indices: Tensor) -> Text:
        """Return sentence embeddings `(B, E)` float32, 0 where nothing is known, and `(B,)` bool: known."""
        sentences = [self._vocabulary.sentence_for(row) for row in indices.tolist()]
        vectors = torch.stack([self._embed(sentence) for sentence in sentences])
        known = torch.tensor([bool(sentence) for sentence in sentences])
        return vectors.to(indices.device), known.to(indices.device)

    def mean(self, rows: Sequence[Indices]) -> Tensor:
        """Return the mean embedding of many samples' sentences, `(E,)`; 0 where none says anything."""
        spoken = [sentence for sentence in map(self._vocabulary.sentence_for, rows) if sentence]
        if not spoken:
            return torch.zeros(self._encoder.width)
        return torch.stack([self._embed(sentence) for sentence in spoken]).mean(dim=0)

    def _embed(self, sentence: str) -> Tensor:
        if not sentence:
            return torch.zeros(self._encoder.width)
        if sentence not in self._known:
            # The same numbers whether training or validation asks first, and in whatever precision they run.
            with torch.inference_mode(False), torch.no_grad(), torch.autocast("cpu", enabled=False):
                self._known[sentence] = self._encoder.embed_sentences([sentence])[0]
        return self._known[sentence]


class TokenLessons:
    """Tokens of the framed sentences, for a text tower that runs in every step.

    A sample of which nothing is known gets the frame alone.

    Args:
        vocabulary: Makes sentences of indices.
        tokenizer: Frames and cuts them.
    """

    def __init__(self, vocabulary: Vocabulary, tokenizer: FramedTokenizer) -> None:
        self._vocabulary = vocabulary
        self._tokenizer = tokenizer

    def __call__(self, indices: Tensor) -> Text:
        """Return token ids and attention mask, `(B, T)` int64 each."""
        ids, mask = self._tokenizer([self._vocabulary.sentence_for(row) for row in indices.tolist()])
        return ids.to(indices.device), mask.to(indices.device)
