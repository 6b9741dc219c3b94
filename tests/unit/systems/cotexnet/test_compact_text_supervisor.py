from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from lexiseg.models.text_supervisor import embedding_gap
from lexiseg.systems.cotexnet.compact_network import CompactCoTexNetOutput
from lexiseg.systems.cotexnet.compact_objective import CompactCoTexNetObjective, distillation_loss
from lexiseg.systems.cotexnet.compact_text_supervisor import (
    CompactCoTexNetTrainingOutput,
    CompactTextSupervisor,
    Parts,
    region_features,
)

WIDTH, EMBEDDING = 4, 6


class Net(nn.Module):
    """Four tokens of an image of 32 x 32; the condition is the answer."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Conv2d(3, WIDTH, 16, 16)
        self.place = nn.Linear(4 * WIDTH, EMBEDDING)
        self.levels = SimpleNamespace(choose=lambda features: [features])

    def embed(self, pyramid: list[Tensor]) -> tuple[Tensor, Tensor]:
        tokens = pyramid[0].flatten(2).transpose(1, 2)  # (B, 4, WIDTH)
        return tokens, normalize(self.place(tokens.flatten(1)), dim=1)

    def segment(self, pyramid: list[Tensor], tokens: Tensor, condition: Tensor) -> Tensor:
        return condition

    def words(self, embedding: Tensor) -> dict[str, Tensor]:
        return {"count": embedding[:, :2]}


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net()


IMAGE = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
LABELS = torch.zeros(3, 1, 32, 32, dtype=torch.uint8)
LABELS[0, 0, :16] = 1
LABELS[1, 0, 20:, 20:] = 2
SENTENCES = normalize(torch.randn(3, EMBEDDING, generator=torch.Generator().manual_seed(2)), dim=1)
SPOKEN = torch.tensor([True, True, False])
TEXT = (SENTENCES * SPOKEN[:, None], SPOKEN)


def supervisor(parts: Parts = "both", classes: int = 1) -> CompactTextSupervisor:
    torch.manual_seed(0)
    return CompactTextSupervisor(
        parts=parts, width=WIDTH, classes=classes, centre=torch.full((EMBEDDING,), 0.1)
    )


def teach(net: Net, by: CompactTextSupervisor, *, alone: float = 0.0) -> CompactCoTexNetTrainingOutput:
    output: CompactCoTexNetTrainingOutput = by(net, IMAGE, LABELS, TEXT, alone=alone)
    return output


class TestRegion:
    def test_average_and_share_by_hand(self) -> None:
        tokens = torch.tensor([[[1.0, 10], [2, 20], [3, 30], [4, 40]]])
        labels = torch.zeros(1, 1, 32, 32, dtype=torch.uint8)
        labels[0, 0, :16, :16] = 1  # the whole first cell
        labels[0, 0, :8, 16:] = 1  # half of the second
        found = region_features(tokens, labels, classes=1)
        torch.testing.assert_close(found, torch.tensor([[2 / 1.5, 20 / 1.5, 1.5 / 4]]))

    def test_one_region_per_class(self) -> None:
        tokens = torch.tensor([[[1.0], [2], [3], [4]]])
        labels = torch.zeros(1, 1, 32, 32, dtype=torch.uint8)
        labels[0, 0, :16, :16] = 2
        labels[0, 0, 16:, 16:] = 1
        found = region_features(tokens, labels, classes=3)
        assert found.tolist() == [[4, 0.25, 1, 0.25, 0, 0]]
        binary = region_features(tokens, labels, classes=1)  # any label is lesion
        assert binary.tolist() == [[2.5, 0.5]]


class TestTextEmbedding:
    def parts(self, net: Net, by: CompactTextSupervisor) -> tuple[Tensor, Tensor]:
        output = teach(net, by)
        return output.text_embedding, output.told

    def test_of_the_sentence_alone(self, net: Net) -> None:
        text, told = self.parts(net, supervisor("sentence"))
        torch.testing.assert_close(text[:2], normalize(SENTENCES[:2] - 0.1, dim=1))
        assert not text[2].any()
        assert torch.equal(told, SPOKEN)

    def test_of_the_pseudo_word_alone(self, net: Net) -> None:
        by = supervisor("pseudo_word")
        text, told = self.parts(net, by)
        tokens, _ = net.embed([net.encoder(IMAGE)])
        torch.testing.assert_close(
            text, normalize(by.pseudo_word(region_features(tokens, LABELS, classes=1)), dim=1)
        )
        assert told.all()

    def test_of_both_in_equal_parts(self, net: Net) -> None:
        word, _ = self.parts(net, supervisor("pseudo_word"))
        text, told = self.parts(net, supervisor("both"))
        spoken = normalize(SENTENCES - 0.1, dim=1) * SPOKEN[:, None]
        torch.testing.assert_close(text, normalize(spoken + word, dim=1))
        torch.testing.assert_close(text[2], word[2])  # where nothing is said, the region alone speaks
        assert told.all()

    def test_in_validation_it_is_that_of_training(self, net: Net) -> None:
        by = supervisor("both")
        tokens, embedding = net.embed([net.encoder(IMAGE)])
        output = CompactCoTexNetOutput(
            logits=embedding, retrieval={}, image_embedding=embedding, tokens=tokens
        )
        text, told = by.text_embedding(net, output, IMAGE, LABELS, TEXT)
        expected = self.parts(net, by)
        torch.testing.assert_close(text, expected[0])
        assert torch.equal(told, expected[1])


class TestCondition:
    def test_with_help_it_is_text_with_a_fifth_of_image(self, net: Net) -> None:
        output = teach(net, supervisor("both"))
        expected = normalize(0.8 * output.text_embedding + 0.2 * output.image_embedding, dim=1)
        torch.testing.assert_close(output.logits, expected)

    def test_alone_it_is_the_image_embedding(self, net: Net) -> None:
        output = teach(net, supervisor("both"), alone=1.0)
        assert torch.equal(output.logits, output.image_embedding)

    def test_without_text_it_is_the_image_embedding(self, net: Net) -> None:
        output = teach(net, supervisor("sentence"))
        assert torch.equal(output.logits[2], output.image_embedding[2])
        assert not torch.equal(output.logits[0], output.image_embedding[0])

    def test_a_share_of_the_images_goes_alone(self, net: Net) -> None:
        by, many = supervisor("both"), 200
        torch.manual_seed(0)
        output = by(
            net,
            IMAGE[:1].expand(many, -1, -1, -1),
            LABELS[:1].expand(many, -1, -1, -1),
            (SENTENCES[:1].expand(many, -1), torch.ones(many, dtype=torch.bool)),
            alone=0.25,
        )
        alone = (output.logits == output.image_embedding).all(dim=1).float().mean()
        assert 0.15 < alone < 0.35


def moved(module: nn.Module) -> set[str]:
    return {n.split(".")[0] for n, p in module.named_parameters() if p.grad is not None and p.grad.any()}


class TestGradients:
    def test_the_mask_teaches_the_word_and_not_the_encoder_through_it(self, net: Net) -> None:
        by = supervisor("both")
        output = teach(net, by)
        output.logits[:, 0].sum().backward()
        assert moved(by) == {"pseudo_word", "noise"}
        tokens = net.embed([net.encoder(IMAGE)])[0].detach().requires_grad_()
        text, _ = by._embed_text(tokens, LABELS, TEXT, torch.ones_like(TEXT[1]))
        assert text.requires_grad  # by the weights of the pseudo-word
        assert torch.autograd.grad(text[:, 0].sum(), tokens, allow_unused=True) == (None,)

    def test_distillation_moves_the_image_side_only(self, net: Net) -> None:
        by = supervisor("both")
        output = teach(net, by)
        distillation_loss(output.image_embedding, output.text_embedding).backward()
        assert moved(net) == {"encoder", "place"}
        assert moved(by) == set()


class TestObjective:
    def test_distillation_by_hand(self) -> None:
        text = torch.tensor([[1.0, 0], [0, 1]])
        assert distillation_loss(text, text).item() == pytest.approx(0, abs=1e-6)
        swapped = distillation_loss(text.flip(0), text).item()
        # Gap 1; softmax of (10, 0) against that of (0, 10): KL = 10 (p - q) with p + q = 1
        p = 1 / (1 + torch.tensor(-10.0).exp().item())
        assert swapped == pytest.approx(1 + 10 * (2 * p - 1), rel=1e-5)

    def test_images_with_one_sentence_are_no_negatives(self) -> None:
        text = torch.tensor([[1.0, 0], [1, 0], [0, 1]])
        assert distillation_loss(text, text).item() == pytest.approx(0, abs=1e-6)

    def test_one_answer_for_all_is_worse_than_telling_apart(self) -> None:
        text = normalize(torch.randn(8, EMBEDDING), dim=1)
        same = normalize(text.mean(dim=0, keepdim=True), dim=1).expand(8, -1)
        assert distillation_loss(same, text) > distillation_loss(text, text) + 0.5

    def test_images_that_are_told_nothing_are_left_out(self, net: Net) -> None:
        output: Any = teach(net, supervisor("sentence"))
        mask = CompactCoTexNetTrainingOutput(**{**vars(output), "logits": torch.zeros(3, 1, 32, 32)})
        indices = torch.tensor([[0], [1], [-1]])
        parts = CompactCoTexNetObjective(retrieval_weight=0.5, distillation_weight=2.0)(mask, LABELS, indices)
        expected = distillation_loss(output.image_embedding[:2], output.text_embedding[:2])
        torch.testing.assert_close(parts["distillation"], expected)
        total = parts["cross_entropy"] + parts["dice"] + 0.5 * parts["retrieval"] + 2 * expected
        torch.testing.assert_close(parts["total"], total)
        silent = CompactCoTexNetTrainingOutput(**{**vars(mask), "told": torch.zeros(3, dtype=torch.bool)})
        assert (
            CompactCoTexNetObjective(retrieval_weight=1, distillation_weight=1)(silent, LABELS, indices)[
                "distillation"
            ].item()
            == 0
        )

    def test_without_a_text_supervisor_there_is_no_distillation(self) -> None:
        output = CompactCoTexNetOutput(
            logits=torch.zeros(3, 1, 32, 32),
            retrieval={"count": torch.zeros(3, 2)},
            image_embedding=torch.zeros(3, 2),
            tokens=torch.zeros(3, 4, 2),
        )
        objective = CompactCoTexNetObjective(retrieval_weight=1, distillation_weight=1)
        parts = objective(output, LABELS, torch.zeros(3, 1, dtype=torch.int64))
        assert parts.keys() == {"cross_entropy", "dice", "retrieval", "total"}

    def test_the_gap_by_hand(self) -> None:
        image = torch.tensor([[2.0, 0], [1, 0], [1, 1]])
        text = torch.tensor([[3.0, 0], [-1, 0], [1, 0]])
        assert embedding_gap(image, text).tolist() == pytest.approx([0, 2, 1 - 0.5**0.5])


class TestWithoutMask:
    """An image without mask is taught by its sentence, and segmented as in use."""

    MASKED = torch.tensor([False, True, False])

    def test_its_embedding_is_the_sentences(self, net: Net) -> None:
        output = supervisor("both")(net, IMAGE, LABELS, TEXT, alone=0.0, masked=self.MASKED)
        sentence = teach(net, supervisor("sentence"))
        torch.testing.assert_close(output.text_embedding[0], sentence.text_embedding[0])
        whole = teach(net, supervisor("both"))
        torch.testing.assert_close(output.text_embedding[1], whole.text_embedding[1])
        assert output.told.tolist() == [True, True, False]  # the third has no sentence either
        alone = supervisor("pseudo_word")(net, IMAGE, LABELS, TEXT, alone=0.0, masked=self.MASKED)
        assert alone.told.tolist() == [False, True, False]

    def test_its_image_embedding_prompts(self, net: Net) -> None:
        output = supervisor("both")(net, IMAGE, LABELS, TEXT, alone=0.0, masked=self.MASKED)
        as_in_use = teach(net, supervisor("both"), alone=1.0)
        helped = teach(net, supervisor("both"))
        torch.testing.assert_close(output.logits[0], as_in_use.logits[0])
        torch.testing.assert_close(output.logits[1], helped.logits[1])
        assert not torch.allclose(output.logits[1], as_in_use.logits[1])
