"""From phrase indices to the sentences that the text supervisors of CoTexNet read, as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lexiseg.models.text_supervisor import TextTensors
from lexiseg.systems.cotexnet.framed_sentences import FramedTokenizer
from lexiseg.words.description import Indices
from lexiseg.words.vocabulary import Vocabulary

if TYPE_CHECKING:
    from lexiseg.embeddings.text_encoders import TextEncoder


class SentenceEmbedder:
    """Embeds sentences, each of them once.

    Random changes of images change their sentences, but only among a closed list, so the text encoder is soon
    not needed any more. Each sentence is embedded by itself: the padding of a batch changes the last digits,
    and a resumed training meets sentences in another order.

    Args:
        vocabulary: Makes sentences of indices.
        encoder: The frozen text encoder.
    """

    def __init__(self, vocabulary: Vocabulary, encoder: TextEncoder) -> None:
        self._vocabulary = vocabulary
        self._encoder = encoder
        self._known: dict[str, Tensor] = {}

    def __call__(self, indices: Tensor) -> TextTensors:
        """Return sentence embeddings `(B, E)` float32, 0 where nothing is known, and `(B,)` bool: known."""
        sentences = [self._vocabulary.sentence_for(row) for row in indices.tolist()]
        vectors = torch.stack([self._embed(sentence) for sentence in sentences])
        known = torch.tensor([bool(sentence) for sentence in sentences])
        return vectors.to(indices.device), known.to(indices.device)

    def mean(self, rows: Sequence[Indices]) -> Tensor:
        """Return the mean embedding of many samples' sentences, `(E,)`; 0 where nothing is known of any."""
        sentences = [sentence for sentence in map(self._vocabulary.sentence_for, rows) if sentence]
        if not sentences:
            return torch.zeros(self._encoder.width)
        return torch.stack([self._embed(sentence) for sentence in sentences]).mean(dim=0)

    def _embed(self, sentence: str) -> Tensor:
        if not sentence:
            return torch.zeros(self._encoder.width)
        if sentence not in self._known:
            # The numbers are the same whether training or validation comes first, in any precision.
            with torch.inference_mode(False), torch.no_grad(), torch.autocast("cpu", enabled=False):
                self._known[sentence] = self._encoder.embed_sentences([sentence])[0]
        return self._known[sentence]


class SentenceTokenizer:
    """Tokens of the framed sentences, for a text tower that runs in every step.

    A sample of which nothing is known gets the frame alone.

    Args:
        vocabulary: Makes sentences of indices.
        tokenizer: Frames and cuts them.
    """

    def __init__(self, vocabulary: Vocabulary, tokenizer: FramedTokenizer) -> None:
        self._vocabulary = vocabulary
        self._tokenizer = tokenizer

    def __call__(self, indices: Tensor) -> TextTensors:
        """Return token ids and attention mask, `(B, T)` int64 each."""
        ids, mask = self._tokenizer([self._vocabulary.sentence_for(row) for row in indices.tolist()])
        return ids.to(indices.device), mask.to(indices.device)
