"""One tiny training, in a process that can be killed.

python tiny_training.py DATA OUT TEXT [resume] [die_at=N] [die_in=second_labeller|drawing|second_run]
[model=cotexnet] [masks=0.25] [fields=JSON]
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lexiseg.runs.run import Run
from lexiseg.training import loop, plan
from lexiseg.training import resume as continuing
from lexiseg.training import train as training
from lexiseg.training.few_masks.labellers import Labellers
from lexiseg.training.soft_masks import StoredMasks
from lexiseg.training.steps.segmentation_module import SegmentationModule


class HashEncoder:
    """Embeds a phrase as noise seeded by its words."""

    name = "hash"
    width = 16

    def encode(self, phrases: Any, tokens: int = 30) -> Tensor:
        seeds = [int.from_bytes(hashlib.sha256(p.encode()).digest()[:6], "little") for p in phrases]
        return torch.stack(
            [torch.randn(1, tokens, self.width, generator=torch.Generator().manual_seed(s)) for s in seeds]
        )

    def embed_sentences(self, sentences: Any) -> Tensor:
        return torch.nn.functional.normalize(self.encode(sentences, tokens=1)[:, 0, 0], dim=1)


def train(data: Path, out: Path, text: str, *, resume: bool = False, **options: Any) -> Run:
    """Train 8 steps in segments of 2, frozen early layers from step 4 on."""
    for module in (plan, continuing):
        module.load_text_encoder = lambda name: HashEncoder()  # type: ignore[assignment, return-value]
    loop.SEGMENT_STEPS = loop._MIN_SEGMENT_STEPS = 2  # type: ignore[misc]
    tiny = {
        "epochs": 2,
        "batch_size": 4,
        "image_size": 64,
        "width": 16,
        "precision": "fp32",
        "accelerator": "cpu",
        "text": text,
        "model": options.get("model", "stpnet"),
        "seed": 5,
    }
    return training.train(
        data, out, resume=resume, **({"workers": options.get("workers")} if resume else tiny | options)
    )


def die_at(step: int) -> None:
    """Kill this process with SIGKILL after a training step, before anything of it is saved."""
    after = SegmentationModule.on_train_batch_end

    def killing(self: SegmentationModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        after(self, outputs, batch, batch_idx)
        if self.progress.step == step:
            os.kill(os.getpid(), signal.SIGKILL)

    SegmentationModule.on_train_batch_end = killing  # type: ignore[method-assign]


def die_in(stage: str) -> None:
    """Kill this process at a stage of teachers: see the branches."""
    if stage == "second_run":  # before the masks of the second run that teaches are saved
        save = StoredMasks.save

        def save_first(self: StoredMasks, path: Path) -> None:
            if path.name == "run_2.safetensors":
                os.kill(os.getpid(), signal.SIGKILL)
            save(self, path)

        StoredMasks.save = save_first  # type: ignore[method-assign]
        return
    if stage == "drawing":  # before drawn pseudo labels are saved

        def kill(self: StoredMasks, path: Path) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        StoredMasks.save = kill  # type: ignore[method-assign]
        return
    train_one = Labellers._train  # "second_labeller": in its third step, after its first saved state

    def killing(self: Labellers, number: int) -> None:
        if number == 1:
            die_at(3)
        train_one(self, number)

    Labellers._train = killing  # type: ignore[method-assign]


if __name__ == "__main__":
    torch.set_num_threads(1)
    options: dict[str, Any] = {}
    for argument in sys.argv[4:]:
        if argument.startswith("die_at="):
            die_at(int(argument.removeprefix("die_at=")))
        if argument.startswith("die_in="):
            die_in(argument.removeprefix("die_in="))
        if argument.startswith("model="):
            options["model"] = argument.removeprefix("model=")
        if argument.startswith("masks="):
            options |= {"masks": float(argument.removeprefix("masks=")), "unmasked": "words"}
        if argument.startswith("fields="):
            options |= json.loads(argument.removeprefix("fields="))
    train(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], resume="resume" in sys.argv, **options)
