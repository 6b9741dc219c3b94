from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lexiseg.errors import UsageError
from lexiseg.models.encoder_weights import create_encoder
from lexiseg.models.text_supervisor import TextSupervisor
from lexiseg.systems.configuration import small_size
from lexiseg.training.config import make_config
from lexiseg.training.inputs.batch import Batch
from lexiseg.training.steps.progress import Progress
from lexiseg.training.steps.progressive_resizing import early_layers, freeze, shrink
from lexiseg.training.steps.segmentation_module import SegmentationModule, case_dice


def early_names(encoder_name: str) -> list[str]:
    encoder = create_encoder(encoder_name, pretrained=False)
    names = {id(module): name for name, module in encoder.named_modules()}
    return [names[id(layer)] for layer in early_layers(SimpleNamespace(encoder=encoder))]  # type: ignore[arg-type]


def test_early_layers_of_the_default_encoder() -> None:
    names = early_names("tf_efficientnet_lite0")
    assert len(names) == 45
    assert names[0] == "conv_stem"
    assert names[-1].startswith("blocks.1.")
    assert not any(name.startswith("blocks.2") for name in names)


@pytest.mark.parametrize(
    ("encoder", "last", "after"),
    [
        ("resnet18", "layer1.", "layer2"),
        ("convnext_atto", "stages_0.", "stages_1"),
        ("mobilenetv3_small_100", "blocks.0.", "blocks.1"),
    ],
)
def test_early_layers_of_others_end_at_stride_4(encoder: str, last: str, after: str) -> None:
    names = early_names(encoder)
    assert names[-1].startswith(last)
    assert not any(name.startswith(after) for name in names)


def test_no_early_layers_without_early_features() -> None:
    assert early_names("vit_tiny_patch16_224") == []


def test_early_layers_are_frozen() -> None:
    encoder = create_encoder("convnext_atto", pretrained=False).train()
    freeze(early_layers(SimpleNamespace(encoder=encoder)))  # type: ignore[arg-type]
    learning = {
        name.split(".")[0] for name, p in encoder.named_parameters() if p.requires_grad and p.ndim > 1
    }
    assert learning == {"stages_1", "stages_2", "stages_3"}
    assert not encoder.stages_0.blocks[0].norm.training
    assert encoder.stages_1.blocks[0].norm.training


def test_frozen_layers_of_the_default_encoder_hold_every_early_parameter() -> None:
    encoder = create_encoder("tf_efficientnet_lite0", pretrained=False).train()
    freeze(early_layers(SimpleNamespace(encoder=encoder)))  # type: ignore[arg-type]
    early = ("conv_stem.", "bn1.", "blocks.0.", "blocks.1.")
    learning = [name for name, p in encoder.named_parameters() if p.requires_grad]
    assert learning
    assert not [name for name in learning if name.startswith(early)]
    assert not encoder.bn1.training
    assert encoder.blocks[2][0].bn1.training


def test_the_first_phase_is_smaller() -> None:
    assert [small_size(size) for size in (224, 64, 96, 352)] == [160, 64, 64, 256]
    batch = Batch(
        image=torch.full((2, 3, 224, 224), 9, dtype=torch.uint8),
        labels=torch.randint(0, 3, (2, 1, 224, 224), dtype=torch.uint8),
        picture=torch.full((2, 2, 224, 224), 7, dtype=torch.uint8),
        indices=torch.tensor([[1], [2]]),
        masked=torch.ones(2, dtype=torch.bool),
    )
    small = shrink(batch, small_size(224))
    assert small.picture is not None
    for pixels, value, channels in ((small.image, 9, 3), (small.picture, 7, 2)):
        assert (pixels.shape, pixels.dtype) == ((2, channels, 160, 160), torch.float32)
        torch.testing.assert_close(pixels, torch.full_like(pixels, value))
    labels = small.labels
    assert (labels.shape, labels.dtype) == ((2, 1, 160, 160), torch.uint8)
    assert set(labels.unique().tolist()) <= {0, 1, 2}
    assert small.indices is batch.indices


def test_dice_per_case_by_hand() -> None:
    logits = torch.tensor([[[[1.0, 1, -1, -1]]], [[[-1.0, -1, -1, -1]]], [[[-1.0, -1, -1, 1]]]])
    labels = torch.tensor([[[[1, 0, 1, 0]]], [[[0, 0, 0, 0]]], [[[0, 0, 0, 0]]]], dtype=torch.uint8)
    assert case_dice(logits, labels).tolist() == [0.5, 1, 0]


def test_dice_of_several_classes_is_their_mean() -> None:
    predicted = torch.tensor([[1, 1, 0, 0], [1, 2, 2, 0]])
    logits = nn.functional.one_hot(predicted, 4).float().permute(0, 2, 1)[:, :, None]  # (2, 4, 1, 4)
    labels = torch.tensor([[[[1, 0, 0, 0]]], [[[1, 2, 0, 0]]]], dtype=torch.uint8)
    # first: class 1 has 2/3, the others are in neither and score 1; second: 1, 2/3, 1
    assert case_dice(logits, labels).tolist() == pytest.approx([(2 / 3 + 2) / 3, (2 + 2 / 3) / 3])


class Fixed(nn.Module):
    """Answers with given logits and retrieval."""

    def __init__(self, logits: Tensor, retrieval: dict[str, Tensor]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3, 2))
        self.bias = nn.Parameter(torch.zeros(2))
        self.answer = SimpleNamespace(logits=logits, retrieval=retrieval)

    def forward(self, image: Tensor) -> Any:
        return self.answer


def module_of(network: nn.Module, objective: Any = None, **options: Any) -> SegmentationModule:
    compact = {} if "preset" in options else {"freeze_early": False, "ema_decay": 0}
    config = make_config({"epochs": 1, **compact, **options})
    return SegmentationModule(
        network,
        objective or nn.Identity(),
        config=config,
        progress=Progress(total_steps=10, max_minutes=None),
        steps_per_epoch=10,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
    )


def test_validation_scores_cases_and_leaves_out_unknown_words(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.tensor([[[[1.0, -1]]], [[[1.0, 1]]]])
    retrieval = {
        "count": torch.tensor([[1.0, 0], [1.0, 0]]),
        "left": torch.tensor([[1.0, 0], [0, 1.0]]),
        "right": torch.zeros(2, 2),
    }
    module = module_of(Fixed(logits, retrieval))
    logged: dict[str, float] = {}
    monkeypatch.setattr(module, "log", lambda name, value: logged.update({name: float(value)}))
    batch = Batch(
        image=torch.zeros(2, 3, 1, 2, dtype=torch.uint8),
        labels=torch.tensor([[[[1, 0]]], [[[1, 0]]]], dtype=torch.uint8),
        indices=torch.tensor([[0, 1, -1], [-1, 1, -1]]),
        masked=torch.ones(2, dtype=torch.bool),
    )
    module.on_validation_epoch_start()
    module.validation_step(batch, 0)
    module.validation_step(batch, 1)
    module.on_validation_epoch_end()
    assert logged == {
        "val/dice": pytest.approx((1 + 2 / 3) / 2),
        "val/retrieval/count": 1.0,
        "val/retrieval/left": 0.5,
    }


class Telling(TextSupervisor):
    """Knows the text embedding of the first two images."""

    def forward(
        self,
        network: Any,
        image: Tensor,
        labels: Tensor,
        text: Any,
        *,
        alone: float,
        masked: Tensor | None = None,
    ) -> Any:
        raise AssertionError("validation runs no training pass")

    def text_embedding(
        self, network: Any, output: Any, image: Tensor, labels: Tensor, text: Any
    ) -> tuple[Tensor, Tensor]:
        assert text == "what is said"
        return torch.tensor([[1.0, 0], [0, 1], [0, 0]]), torch.tensor([True, True, False])


def test_validation_measures_the_gap_of_images_that_have_a_text(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Fixed(torch.zeros(3, 1, 1, 2), {})
    network.answer.image_embedding = torch.tensor([[1.0, 0], [1, 0], [1, 0]])
    module = module_of(network)
    module.add_module("teacher", Telling())
    module.text_inputs = lambda indices: "what is said"  # type: ignore[assignment, return-value]
    logged: dict[str, float] = {}
    monkeypatch.setattr(module, "log", lambda name, value: logged.update({name: float(value)}))
    batch = Batch(
        image=torch.zeros(3, 3, 1, 2, dtype=torch.uint8),
        labels=torch.zeros(3, 1, 1, 2, dtype=torch.uint8),
        indices=torch.zeros(3, 1, dtype=torch.int64),
        masked=torch.ones(3, dtype=torch.bool),
    )
    module.on_validation_epoch_start()
    module.validation_step(batch, 0)
    module.on_validation_epoch_end()
    assert logged["val/gap"] == pytest.approx(0.5)  # 0 and 1; the third has no text


def test_saved_states_name_the_weights_of_a_text_supervisor_as_before() -> None:
    class Learning(Telling):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(1, 1, bias=False)

    config = make_config({"epochs": 1, "freeze_early": False, "ema_decay": 0.9})
    progress = Progress(total_steps=10, max_minutes=None)
    module = SegmentationModule(
        nn.Linear(1, 1, bias=False), nn.Identity(), config=config, progress=progress, steps_per_epoch=10,
        mean=(0, 0, 0), std=(1, 1, 1), text_supervisor=Learning(),
    )  # fmt: skip
    assert list(module.state_dict()) == [
        "network.weight",
        "teacher.layer.weight",
        "average.n_averaged",
        "average.module.weight",
        "average_teacher.n_averaged",
        "average_teacher.module.layer.weight",
    ]


def test_norms_and_biases_do_not_decay() -> None:
    network = Fixed(torch.zeros(1), {})
    optimiser = module_of(network).configure_optimizers()
    assert isinstance(optimiser, torch.optim.AdamW)
    decayed, plain = optimiser.param_groups
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.01, 0.0)
    assert [p is network.weight for p in decayed["params"]] == [True]
    assert [p is network.bias for p in plain["params"]] == [True]
    published = module_of(network, preset="paper").configure_optimizers()
    assert type(published) is torch.optim.Adam
    assert published.param_groups[0]["weight_decay"] == 0


def test_a_loss_that_is_not_finite_stops_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    module = module_of(
        Fixed(torch.zeros(2, 1, 64, 64), {}),
        lambda output, labels, indices: {"dice": torch.tensor(1.0), "total": torch.tensor(float("nan"))},
    )
    monkeypatch.setattr(module, "log_dict", lambda *args, **options: None)
    batch = Batch(
        image=torch.zeros(2, 3, 64, 64, dtype=torch.uint8),
        labels=torch.zeros(2, 1, 64, 64, dtype=torch.uint8),
        indices=torch.zeros(2, 0, dtype=torch.int64),
        masked=torch.ones(2, dtype=torch.bool),
    )
    with pytest.raises(UsageError, match=r"not finite at step 0: {'dice': 1.0, 'total': nan}"):
        module.training_step(batch, 0)


def test_pseudo_labels_are_added_to_the_loss_of_the_masks() -> None:
    seen: dict[str, Any] = {}

    def objective(output: Any, labels: Tensor, indices: Tensor, masked: Tensor) -> dict[str, Tensor]:
        seen.update(masked=masked.tolist())
        return {"total": torch.tensor(1.0)}

    # A score of 0 is a probability of 1/2; the pseudo label of the second image is certain.
    module = module_of(Fixed(torch.zeros(2, 1, 2, 2), {}), objective)
    module.pseudo_weight = 0.5
    batch = Batch(
        image=torch.zeros(2, 3, 2, 2, dtype=torch.uint8),
        labels=torch.zeros(2, 1, 2, 2, dtype=torch.uint8),
        indices=torch.zeros(2, 0, dtype=torch.int64),
        masked=torch.tensor([True, False]),
        picture=torch.full((2, 1, 2, 2), 255, dtype=torch.uint8),
        weight=torch.tensor([1.0, 0.25]),
    )
    parts = module.loss_parts(batch)
    pseudo = 0.25 * (math.log(2) + (4 * 0.5) / (2 + 4 + 1))
    assert parts["pseudo"].item() == pytest.approx(pseudo)
    assert parts["total"].item() == pytest.approx(1 + 0.5 * pseudo)
    assert seen["masked"] == [True, False]


def test_averaged_weights_follow_the_documented_decay() -> None:
    network = nn.Conv2d(1, 1, 1, bias=False)
    nn.init.zeros_(network.weight)
    module = module_of(network, ema_decay=0.9)
    module.trainer = SimpleNamespace(should_stop=False)  # type: ignore[assignment]
    expected = None
    for step in range(4):
        nn.init.constant_(network.weight, float(step + 1))
        module.on_train_batch_end(None, {}, step)
        value = float(step + 1)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = value if expected is None else decay * expected + (1 - decay) * value
    assert module.selected_network is not network
    assert module.selected_network.weight.item() == pytest.approx(expected)
    assert module.progress.step == 4
    assert not module.trainer.should_stop


@pytest.mark.parametrize(("batches", "factor"), [(4, 1.0), (2, 2.0), (1, 4.0)])
def test_gradients_are_a_mean_over_the_batches_that_were_added_up(batches: int, factor: float) -> None:
    """Lightning divides by `accumulate`, also where the last steps of a training are fewer."""
    network = nn.Conv2d(1, 1, 1)
    module = module_of(network, accumulate=4)
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    module._trainer = SimpleNamespace(optimizers=[optimizer])  # type: ignore[assignment]
    for batch in range(batches):
        module.on_train_batch_start({}, batch)
    network.weight.grad = torch.full_like(network.weight, 0.01)
    module.on_before_optimizer_step(optimizer)
    assert network.weight.grad.item() == pytest.approx(0.01 * factor)


def test_a_resumed_training_averages_only_after_the_weights_changed() -> None:
    """Three steps change the weights once; the checkpoint was written after six steps, so two changes."""
    module = module_of(nn.Conv2d(1, 1, 1), ema_decay=0.9, accumulate=3)
    trainer = SimpleNamespace(should_stop=False, global_step=2)
    module._trainer = trainer  # type: ignore[assignment]
    module.on_train_start()
    assert module.average is not None
    averaged = []
    for trainer.global_step in (2, 2, 3, 3, 3, 4):
        module.on_train_batch_end(None, {}, 0)
        averaged.append(int(module.average.n_averaged))
    assert averaged == [0, 0, 1, 1, 1, 2]


def test_the_training_stops_with_its_last_step_and_not_before() -> None:
    module = module_of(nn.Conv2d(1, 1, 1))
    module._trainer = SimpleNamespace(should_stop=False)  # type: ignore[assignment]
    for expected in [False] * 9 + [True]:
        module.on_train_batch_end(None, {}, 0)
        assert module._trainer.should_stop is expected
    resumed = module_of(nn.Conv2d(1, 1, 1))
    resumed._trainer = SimpleNamespace(should_stop=False, global_step=0)  # type: ignore[assignment]
    resumed.on_train_start()
    assert not resumed._trainer.should_stop
    resumed.progress.step = 10
    resumed.on_train_start()
    assert resumed._trainer.should_stop
