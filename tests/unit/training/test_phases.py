"""The phases of a training: which size when, and pictures and masks that move together."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lexiseg.systems.configuration import LoopSettings
from lexiseg.training.config import make_config
from lexiseg.training.inputs.batch import Batch
from lexiseg.training.steps.progress import Progress
from lexiseg.training.steps.progressive_resizing import shrink
from lexiseg.training.steps.segmentation_module import SegmentationModule
from refusals import refuses

RECIPE: dict[str, Any] = {"image_size": 288, "main_size": 224, "small_first": 0.3, "full_last": 0.15}


def test_the_size_of_each_step() -> None:
    loop = make_config({"steps": 20, **RECIPE}).loop
    sizes = [loop.size(step / 20, 288) for step in range(20)]
    assert sizes == [160] * 6 + [224] * 11 + [288] * 3
    assert loop.sizes(288) == {160, 224, 288}


def test_without_a_main_size_there_is_no_last_phase() -> None:
    loop = make_config({"steps": 20, "small_first": 0.5}).loop
    assert [loop.size(step / 20, 224) for step in (0, 9, 10, 19)] == [160, 160, 224, 224]
    assert (loop.sizes(224), LoopSettings().sizes(224)) == ({160, 224}, {224})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"main_size": 288}, "main_size: expected a size below image_size (288); got 288"),
        ({"main_size": 200}, "a multiple of 32"),
        ({"small_first": 0.9}, "expected a sum of at most 1; got 1.05"),
        ({"full_last": 0}, "above 0"),
    ],
)
def test_impossible_phases_are_refused(changes: dict[str, Any], said: str) -> None:
    with refuses("LEX-USE-069", said):
        make_config({**RECIPE, **changes})


def test_the_paper_presets_have_no_phases() -> None:
    with refuses("LEX-USE-500", "main_size"):
        make_config({"preset": "paper", "main_size": 160})


class Looking(nn.Module):
    """Remembers the sizes of what it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, ...]] = []

    def forward(self, image: Tensor) -> Any:
        self.seen.append(tuple(image.shape[-2:]))
        return SimpleNamespace(logits=image[:, :1], retrieval={})


def test_a_training_step_sees_the_size_of_its_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Looking()
    shapes: list[tuple[int, ...]] = []

    def objective(output: Any, labels: Tensor, indices: Tensor) -> dict[str, Tensor]:
        shapes.append(tuple(labels.shape[-2:]))
        return {"total": output.logits.mean()}

    config = make_config(
        {"steps": 4, "image_size": 128, "main_size": 96, "small_first": 0.25, "full_last": 0.5,
         "freeze_early": False, "ema_decay": 0}
    )  # fmt: skip
    progress = Progress(total_steps=4, max_minutes=None)
    module = SegmentationModule(
        network, objective, config=config, progress=progress, steps_per_epoch=4,  # type: ignore[arg-type]
        mean=(0, 0, 0), std=(1, 1, 1),
    )  # fmt: skip
    monkeypatch.setattr(module, "log_dict", lambda *args, **options: None)
    batch = Batch(
        image=torch.zeros(1, 3, 128, 128, dtype=torch.uint8),
        labels=torch.zeros(1, 1, 128, 128, dtype=torch.uint8),
        indices=torch.zeros(1, 0, dtype=torch.int64),
        masked=torch.tensor([True]),
    )
    for progress.step in range(4):
        module.training_step(batch, 0)
    assert network.seen == shapes == [(64, 64), (96, 96), (128, 128), (128, 128)]


def test_masks_shrink_with_their_images() -> None:
    """A bright square in the image stays where its mask is; its edges may be half a pixel off."""
    image = torch.zeros(1, 3, 288, 288, dtype=torch.uint8)
    labels = torch.zeros(1, 1, 288, 288, dtype=torch.uint8)
    image[..., 36:108, 180:252] = 255
    labels[..., 36:108, 180:252] = 1
    batch = Batch(image, labels, torch.zeros(1, 0, dtype=torch.int64), torch.tensor([True]))
    small = shrink(batch, 224)
    assert torch.equal(small.labels[0, 0].bool(), small.image[0, 0] > 127)
    rows, columns = torch.where(small.labels[0, 0] > 0)
    # 36, 108, 180 and 252 of 288 pixels are 28, 84, 140 and 196 of 224.
    found = (rows.min().item(), rows.max().item(), columns.min().item(), columns.max().item())
    assert found == (28, 83, 140, 195)
    assert shrink(batch, 288) is batch
