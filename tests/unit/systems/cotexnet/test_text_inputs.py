from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from lexiseg.systems.cotexnet.framed_sentences import FramedTokenizer
from lexiseg.systems.cotexnet.text_inputs import SentenceEmbedder, SentenceTokenizer
from lexiseg.words.vocabulary import load_vocabulary
from tiny_clipseg import tiny_tokenizer

CHEST = load_vocabulary("chest")
ROWS = [(0, 1, 0, 1), (1, 0, -1, 2), (-1, -1, -1, -1), (0, 1, 0, 1)]


class Counting:
    """Embeds a sentence as its length; notes what it was asked."""

    name, width = "counting", 2

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def encode(self, phrases: Sequence[str], tokens: int = 30) -> Tensor:
        raise AssertionError("lessons embed sentences, not phrases")

    def embed_sentences(self, sentences: Sequence[str]) -> Tensor:
        self.asked.append(list(sentences))
        return normalize(torch.tensor([[float(len(s)), 100.0] for s in sentences]), dim=1)


def test_each_sentence_is_embedded_once_and_by_itself() -> None:
    encoder = Counting()
    lessons = SentenceEmbedder(CHEST, encoder)
    vectors, known = lessons(torch.tensor(ROWS))
    again, _ = lessons(torch.tensor(ROWS[::-1]))
    assert encoder.asked == [[CHEST.sentence_for(ROWS[0])], [CHEST.sentence_for(ROWS[1])]]
    assert known.tolist() == [True, True, False, True]
    assert torch.equal(vectors[0], encoder.embed_sentences([CHEST.sentence_for(ROWS[0])])[0])
    assert not vectors[2].any()
    assert torch.equal(vectors.flip(0), again)


def test_what_validation_asked_first_can_be_trained_with() -> None:
    lessons = SentenceEmbedder(CHEST, Counting())
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        lessons(torch.tensor(ROWS))
    vectors, _ = lessons(torch.tensor(ROWS))
    weight = torch.ones(2, requires_grad=True)
    (vectors * weight).sum().backward()
    assert vectors.dtype == torch.float32
    assert weight.grad is not None


def test_the_mean_counts_every_sample_that_says_something() -> None:
    encoder = Counting()
    lessons = SentenceEmbedder(CHEST, encoder)
    first, second = encoder.embed_sentences([CHEST.sentence_for(row) for row in ROWS[:2]])
    torch.testing.assert_close(lessons.mean(ROWS), (2 * first + second) / 3)
    assert not lessons.mean([ROWS[2]]).any()


def test_tokens_are_those_of_the_framed_sentences() -> None:
    tokenizer = tiny_tokenizer()
    framed = FramedTokenizer(
        tokenizer, position=5, max_tokens=40, vocabulary_size=len(tokenizer), name="tiny"
    )
    lessons = SentenceTokenizer(CHEST, framed)
    ids, mask = lessons(torch.tensor(ROWS))
    assert ids.shape == mask.shape
    assert tokenizer.convert_ids_to_tokens(ids[0])[:8] == [
        "<start>", "segmentation", "area", "of", "[", "temp", "<unknown>", "bilateral",
    ]  # fmt: skip
    assert mask.sum(dim=1).tolist()[2] == 8  # nothing is known: the frame alone, with start and end
    assert tokenizer.convert_ids_to_tokens(ids[2])[7] == "<end>"
