"""A step with images without mask: pseudo labels, their check by words, and what is learned from them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lexiseg.models.losses import pseudo_label_loss
from lexiseg.systems.compact_configuration import UnmaskedConfig
from lexiseg.training.config import make_config
from lexiseg.training.examples import Words
from lexiseg.training.module import SegmentationModule
from lexiseg.training.progress import Progress
from lexiseg.training.pseudo_labels import PseudoLabels, checked_by_words, confident_labels
from lexiseg.training.unmasked_loss import UnmaskedTeaching, stronger
from lexiseg.words.description import UNKNOWN
from lexiseg.words.measure import measure_indices
from lexiseg.words.vocabulary import load_vocabulary

CHEST = load_vocabulary("chest")
WORDS = Words(CHEST, [], source="reports", side="image")


def scores(*boxes: tuple[int, int, int, int], size: int = 64) -> Tensor:
    z = torch.full((1, 1, size, size), -5.0)
    for top, bottom, left, right in boxes:
        z[..., top:bottom, left:right] = 5.0
    return z


LEFT, RIGHT = (8, 24, 8, 22), (36, 54, 40, 56)


def said_of(z: Tensor) -> list[int]:
    return list(measure_indices((z[0, 0] > 0).numpy(), CHEST, side="image"))


class TestConfidentLabels:
    def test_two_classes(self) -> None:
        z = torch.logit(torch.tensor([[[[0.9, 0.6], [0.3, 0.05]]]]))
        found = confident_labels(z, confidence=0.75)
        assert found.labels.tolist() == [[[[1, 1], [0, 0]]]]
        assert found.certain.tolist() == [[[[True, False], [False, True]]]]
        assert found.weight.tolist() == [1]

    def test_several_classes(self) -> None:
        p = torch.tensor([[0.8, 0.1, 0.1], [0.2, 0.2, 0.6]])
        found = confident_labels(p.log().T.reshape(1, 3, 1, 2), confidence=0.75)
        assert found.labels.tolist() == [[[[0, 2]]]]
        assert found.certain.tolist() == [[[[True, False]]]]


class TestCheck:
    def check(self, z: Tensor, said: list[int]) -> PseudoLabels:
        return checked_by_words(
            confident_labels(z, confidence=0.75), torch.tensor([said]), CHEST, side="image"
        )

    def test_labels_that_fit_their_words_stay(self) -> None:
        z = scores(LEFT, RIGHT)
        found = self.check(z, said_of(z))
        assert found.weight.tolist() == [1]
        assert torch.equal(found.labels, (z > 0).to(torch.uint8))

    def test_what_words_deny_is_removed_and_certain(self) -> None:
        z = scores(LEFT, RIGHT)
        z[..., 36:54, 40:56] = 0.5  # the network is not sure of it
        found = self.check(z, said_of(scores(LEFT)))
        assert found.weight.tolist() == [1]
        assert torch.equal(found.labels, (scores(LEFT) > 0).to(torch.uint8))
        assert found.certain.all()

    def test_labels_on_the_wrong_side_count_for_nothing(self) -> None:
        found = self.check(scores(RIGHT), said_of(scores(LEFT)))
        assert found.weight.tolist() == [0]

    def test_without_words_nothing_is_checked_so_nothing_counts(self) -> None:
        assert self.check(scores(LEFT), [UNKNOWN] * 4).weight.tolist() == [0]

    def test_shuffled_words_accept_little(self) -> None:
        rng = np.random.default_rng(0)
        masks = []
        for _ in range(30):
            top, left = rng.integers(2, 36, size=2)
            height, width = rng.integers(8, 26, size=2)
            masks.append(scores((top, top + height, left, left + width)))
        true = [self.check(z, said_of(z)).weight.item() for z in masks]
        others = [self.check(z, said_of(masks[i - 7])).weight.item() for i, z in enumerate(masks)]
        assert np.mean(true) == 1
        assert np.mean(others) < 0.5


class TestLoss:
    def test_by_hand(self) -> None:
        z = torch.logit(torch.tensor([[[[0.8, 0.3, 0.5]]], [[[0.9, 0.9, 0.9]]]]))
        labels = torch.tensor([[[[1, 0, 1]]], [[[1, 1, 0]]]], dtype=torch.uint8)
        certain = torch.tensor([[[[True, True, False]]], [[[True, True, True]]]])
        value = pseudo_label_loss(z, labels, certain=certain, weight=torch.tensor([0.5, 0.0]))
        entropy = -(np.log(0.8) + np.log(0.7)) / 2
        dice = 1 - (2 * 0.8 + 1) / (1.1 + 1 + 1)
        assert value.item() == pytest.approx(0.5 * (entropy + dice) / 2, abs=1e-6)

    def test_two_classes_as_channels_or_not(self) -> None:
        z = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        labels = (torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(1)) > 0.5).to(torch.uint8)
        certain, weight = torch.ones_like(labels, dtype=torch.bool), torch.tensor([1.0, 0.25])
        one = pseudo_label_loss(z, labels, certain=certain, weight=weight)
        two = pseudo_label_loss(
            torch.cat([torch.zeros_like(z), z], dim=1), labels, certain=certain, weight=weight
        )
        assert one.item() == pytest.approx(two.item(), rel=1e-5)

    def test_nothing_certain_is_no_nan(self) -> None:
        z = torch.zeros(1, 1, 4, 4, requires_grad=True)
        none = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
        value = pseudo_label_loss(z, none.to(torch.uint8), certain=none, weight=torch.ones(1))
        value.backward()
        assert value.item() == 0
        assert z.grad.abs().max() == 0


def test_stronger_changes_keep_shape_and_range_and_follow_the_seed() -> None:
    image = torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8)
    torch.manual_seed(3)
    first = stronger(image)
    torch.manual_seed(3)
    assert torch.equal(stronger(image), first)
    assert first.shape == image.shape
    assert 0 <= first.min() <= first.max() <= 255
    assert (first - image).abs().mean() > 5
    assert len({round(float(x.mean()), 3) for x in first - image}) == 6  # each image its own


class TestRamps:
    @pytest.mark.parametrize(
        ("share", "agreement", "pseudo"),
        [(0, 0, 0), (0.1, 0.5, 0), (0.2, 1, 0), (0.3, 1, 0.5), (0.4, 1, 1), (1, 1, 1)],
    )
    def test_agreement_comes_first(self, share: float, agreement: float, pseudo: float) -> None:
        teaching = UnmaskedTeaching(make_config({"unmasked_warmup": 0.2}), WORDS)
        assert teaching.agreement_ramp(share) == pytest.approx(agreement)
        assert teaching.pseudo_ramp(share) == pytest.approx(pseudo)

    def test_no_warmup(self) -> None:
        teaching = UnmaskedTeaching(make_config({"unmasked_warmup": 0}), WORDS)
        assert (teaching.agreement_ramp(0), teaching.pseudo_ramp(0)) == (1, 1)


class Told(nn.Module):
    """Draws what it is told: phrase 1 of the first factor fills the image, anything else empties it."""

    def __init__(self) -> None:
        super().__init__()
        self.level = nn.Parameter(torch.tensor(0.0))
        self.encoder = SimpleNamespace(feature_info=None)
        self.asked: list[Tensor] = []

    def _output(self, image: Tensor, signs: Tensor) -> Any:
        logits = (4 * signs + self.level)[:, None, None, None].expand(-1, 1, *image.shape[2:])
        return SimpleNamespace(logits=logits, retrieval={})

    def forward(self, image: Tensor) -> Any:
        return self._output(image, -torch.ones(len(image)))

    def prompted(self, image: Tensor, indices: Tensor, told: Tensor) -> Any:
        self.asked.append(told)
        return self._output(image, torch.where(told & (indices[:, 0] == 1), 1.0, -1.0))


def config_of(**options: Any) -> UnmaskedConfig:
    return make_config({"freeze_early": False, "small_first": 0, "unmasked_warmup": 0, **options})


class TestTargets:
    IMAGE = torch.zeros(2, 3, 8, 8)
    SAID = torch.tensor([[1, 0, 0, 7], [0, 1, 0, 0]])

    def test_the_averaged_network_draws_under_true_phrases(self) -> None:
        teaching = UnmaskedTeaching(config_of(check_words=False), WORDS)
        found = teaching.targets(Told(), self.IMAGE, self.SAID, 1.0)
        assert found is not None
        assert found.labels.flatten(1).float().mean(dim=1).tolist() == [1, 0]
        assert not found.labels.requires_grad

    def test_or_without(self) -> None:
        for teaching in (
            UnmaskedTeaching(config_of(check_words=False, word_prompts=0), WORDS),
            UnmaskedTeaching(config_of(), None),
        ):
            network = Told()
            found = teaching.targets(network, self.IMAGE, self.SAID, 1.0)
            assert found is not None
            assert found.labels.max() == 0
            assert network.asked == []
            assert found.weight.tolist() == [1, 1]

    def test_not_in_the_warmup(self) -> None:
        teaching = UnmaskedTeaching(config_of(unmasked_warmup=0.2), WORDS)
        assert teaching.targets(Told(), self.IMAGE, self.SAID, 0.2) is None
        without = UnmaskedTeaching(config_of(pseudo_weight=0), WORDS)
        assert without.targets(Told(), self.IMAGE, self.SAID, 1.0) is None

    def test_only_images_with_mask_are_prompted_in_training(self) -> None:
        masked = torch.tensor([True, False] * 500)
        told = UnmaskedTeaching(config_of(word_prompts=0.25), WORDS).prompts(masked)
        assert told is not None
        assert not told[~masked].any()
        assert told[masked].float().mean().item() == pytest.approx(0.25, abs=0.06)
        assert UnmaskedTeaching(config_of(word_prompts=0), WORDS).prompts(masked) is None
        assert UnmaskedTeaching(config_of(), None).prompts(masked) is None


class Objective(nn.Module):
    def forward(self, output: Any, labels: Tensor, indices: Tensor, masked: Tensor) -> dict[str, Tensor]:
        self.masked = masked
        return {"total": output.logits[masked].mean()}


class TestModule:
    def module(self, teaching: UnmaskedTeaching, config: UnmaskedConfig) -> SegmentationModule:
        return SegmentationModule(
            Told(),
            Objective(),
            config=config,
            progress=Progress(total_steps=10, max_minutes=None, step=10),
            steps_per_epoch=5,
            mean=(0, 0, 0),
            std=(1, 1, 1),
            unmasked=teaching,
        )

    def test_parts_and_weights(self) -> None:
        config = config_of(agreement_weight=0.2, pseudo_weight=0.5, check_words=False)
        module = self.module(UnmaskedTeaching(config, WORDS), config)
        image = torch.zeros(3, 3, 32, 32, dtype=torch.uint8)
        masked = torch.tensor([True, False, False])
        said = torch.tensor([[0, 0, 0, 0], [1, 0, 0, 7], [1, 0, 0, 7]])
        parts = module.mixed_loss_parts(image, torch.zeros(3, 1, 32, 32), said, masked)
        assert set(parts) == {"total", "agreement", "pseudo", "accepted"}
        assert module.objective.masked.tolist() == masked.tolist()
        own = parts["total"] - 0.2 * parts["agreement"] - 0.5 * parts["pseudo"]
        assert own.item() == pytest.approx(-4.0, abs=1e-5)
        assert parts["accepted"].item() == 1
        # the averaged network drew full masks under the true phrases, the network itself sees none
        p, pixels = 1 / (1 + np.exp(4)), 32 * 32
        dice = 1 - (2 * p * pixels + 1) / (pixels * (1 + p) + 1)
        assert parts["pseudo"].item() == pytest.approx(-np.log(p) + dice, abs=1e-3)

    def test_what_is_switched_off_is_not_there(self) -> None:
        config = config_of(agreement_weight=0, pseudo_weight=0)
        module = self.module(UnmaskedTeaching(config, WORDS), config)
        image = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
        said = torch.tensor([[0, 0, 0, 0], [1, 0, 0, 7]])
        parts = module.mixed_loss_parts(image, torch.zeros(2, 1, 32, 32), said, torch.tensor([True, False]))
        assert set(parts) == {"total"}
