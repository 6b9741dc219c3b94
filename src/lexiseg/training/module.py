"""The Lightning module: one step of teaching, and validation on its own code path."""

from __future__ import annotations

from typing import Any

import lightning
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from lexiseg.errors import UsageError
from lexiseg.inference.preprocess import normalise
from lexiseg.models.teaching import TakesPhrases, Teacher, embedding_gap
from lexiseg.systems.build import SegmentationOutput
from lexiseg.training.config import TrainConfig
from lexiseg.training.lessons import Lessons
from lexiseg.training.optimizer import learning_rate, make_optimizer
from lexiseg.training.schedule import Progress
from lexiseg.training.unmasked import UnmaskedTeaching, stronger
from lexiseg.words.description import UNKNOWN

_CLIP_NORM = 3.0


class SegmentationModule(lightning.LightningModule):
    """Trains one network.

    Every step reseeds torch with (seed, step), and the data is a function of (seed, step) too: so a run
    resumed after a kill repeats exactly what an unbroken one would have done.

    Args:
        network: Returns a `SegmentationOutput`.
        objective: Called with output, labels `(B, 1, H, W)` and indices `(B, factors)`; returns the loss
            parts and `total`.
        config: The configuration.
        progress: Shared with the training loop; tells how far the training is.
        steps_per_epoch: Steps per pass over the data.
        mean: Normalisation of the network's input.
        std: Normalisation of the network's input.
        teacher: Runs the network's training pass; None: the network trains as it predicts.
        lessons: Makes of phrase indices what the teacher reads; given with a teacher.
        unmasked: What images without mask teach; None: every image has a mask.
    """

    def __init__(
        self,
        network: nn.Module,
        objective: nn.Module,
        *,
        config: TrainConfig,
        progress: Progress,
        steps_per_epoch: int,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        teacher: Teacher | None = None,
        lessons: Lessons | None = None,
        unmasked: UnmaskedTeaching | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.teacher = teacher
        self.lessons = lessons
        self.unmasked = unmasked
        self.objective = objective
        self.config = config
        self.progress = progress
        self.steps_per_epoch = steps_per_epoch
        self.mean, self.std = mean, std
        self.average: AveragedModel | None = None
        self.average_teacher: AveragedModel | None = None
        if config.ema_decay > 0 and not config.paper:
            # The decay rises from 2/11 to its full value, so that the first hundred steps do not linger.
            def blend(averaged: Tensor, current: Tensor, steps: Tensor | int) -> Tensor:
                decay = min(config.ema_decay, (1 + int(steps)) / (10 + int(steps)))
                return torch.lerp(current, averaged, decay) if current.is_floating_point() else current

            self.average = AveragedModel(network, avg_fn=blend, use_buffers=True)
            if teacher is not None:
                self.average_teacher = AveragedModel(teacher, avg_fn=blend, use_buffers=True)
        self.early = (
            early_layers(network)
            if config.freeze_early and config.small_first > 0 and not config.paper
            else []
        )
        self._scores: dict[str, list[Tensor]] = {}

    @property
    def small_phase(self) -> bool:
        """Whether the training is in its first phase, at the smaller size with all layers learning."""
        return not self.config.paper and self.progress.share < self.config.small_first

    @property
    def selected_network(self) -> nn.Module:
        """The network that is validated and saved: the averaged one where there is one."""
        return self.average.module if self.average is not None else self.network

    @property
    def selected_teacher(self) -> Teacher | None:
        """The teacher that goes with the selected network."""
        if self.average_teacher is None:
            return self.teacher
        averaged = self.average_teacher.module
        assert isinstance(averaged, Teacher)
        return averaged

    @property
    def learning(self) -> nn.ModuleList:
        """All that learns: the network, and the teacher if there is one."""
        return nn.ModuleList([self.network] if self.teacher is None else [self.network, self.teacher])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimiser of the model and preset."""
        return make_optimizer(self.config, self.learning)

    def on_train_start(self) -> None:
        """Stop at once if the training was killed after its last step."""
        if self.progress.share >= 1.0:
            self.trainer.should_stop = True

    def on_train_batch_start(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Reseed, and set the learning rate."""
        torch.manual_seed(self.config.seed * 1_000_003 + self.progress.step)
        rate = learning_rate(self.config, self.progress, self.steps_per_epoch)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = rate
        if not self.small_phase:
            freeze(self.early)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Return the loss of one batch."""
        image, labels = batch["image"], batch["labels"]
        if self.small_phase:
            image, labels = shrink(image, labels)
        if self.unmasked is None:
            parts = self.loss_parts(image, labels, batch["indices"])
        else:
            parts = self.mixed_loss_parts(image, labels, batch["indices"], batch["masked"])
        self.log_dict(
            {f"train/{name}": value.detach() for name, value in parts.items()}, batch_size=len(image)
        )
        total = parts["total"]
        if not torch.isfinite(total):
            broken = {name: float(value) for name, value in parts.items()}
            raise UsageError(
                f"The loss is not finite at step {self.progress.step}: {broken}. Lower learning_rate, or set "
                f"`precision: fp32`; both in a --config file.",
                code="LEX-USE-076",
            )
        return total

    def loss_parts(self, image: Tensor, labels: Tensor, indices: Tensor) -> dict[str, Tensor]:
        """Return the parts of the loss of a batch, and `total`.

        Args:
            image: `(B, 3, S, S)` in 0..255.
            labels: `(B, 1, S, S)` integers.
            indices: `(B, factors)` true phrases.
        """
        seen = normalise(image, self.mean, self.std)
        if self.teacher is None:
            output = self.network(seen)
        else:
            assert self.lessons is not None
            text = self.lessons(indices)
            output = self.teacher(self.network, seen, labels, text, alone=self.progress.share)
        parts: dict[str, Tensor] = self.objective(output, labels, indices)
        return parts

    def mixed_loss_parts(
        self, image: Tensor, labels: Tensor, indices: Tensor, masked: Tensor
    ) -> dict[str, Tensor]:
        """Return the parts of the loss of a batch in which some images have no mask, and `total`.

        Args:
            image: `(B, 3, S, S)` in 0..255.
            labels: `(B, 1, S, S)` integers; not looked at where there is no mask.
            indices: `(B, factors)` true phrases.
            masked: Which images have a mask, `(B,)` bool.
        """
        assert self.unmasked is not None
        share = self.progress.share
        plain = normalise(image[~masked], self.mean, self.std)
        targets = self.unmasked.targets(self.selected_network, plain, indices[~masked], share)
        changed = torch.where(masked[:, None, None, None], image.float(), stronger(image))
        seen = normalise(changed, self.mean, self.std)
        told = self.unmasked.prompts(masked)
        if self.teacher is not None:
            assert self.lessons is not None
            text = self.lessons(indices)
            output = self.teacher(self.network, seen, labels, text, alone=share, masked=masked)
        elif told is not None and isinstance(self.network, TakesPhrases):
            output = self.network.prompted(seen, indices, told)
        else:
            output = self.network(seen)
        parts: dict[str, Tensor] = self.objective(output, labels, indices, masked)
        more, added = self.unmasked.losses(output.logits[~masked], indices[~masked], targets, share)
        return {**parts, **more, "total": parts["total"] + added}

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Keep one bad batch from throwing the weights far away."""
        if not self.config.paper:
            torch.nn.utils.clip_grad_norm_(self.learning.parameters(), _CLIP_NORM)

    def on_train_batch_end(self, outputs: Any, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Average the weights, count the step, and stop when the training is as long as it should be."""
        self.progress.step += 1
        self.update_averages()
        if self.progress.share >= 1.0:
            self.trainer.should_stop = True

    def update_averages(self) -> None:
        """Move the averaged weights, where there are such, a little towards the present ones."""
        if self.average is not None:
            self.average.update_parameters(self.network)
        if self.average_teacher is not None and self.teacher is not None:
            self.average_teacher.update_parameters(self.teacher)

    def on_validation_epoch_start(self) -> None:
        """Forget the scores of the last validation."""
        self._scores = {}

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Score one batch of validation cases, segmented as in use: the network sees images only.

        Dice per case at the training size, retrieval per factor, and, where there is a teacher, how far the
        image embedding is from the text embedding it stands in for.
        """
        network = self.selected_network.eval()
        image = normalise(batch["image"], self.mean, self.std)
        output: SegmentationOutput = network(image)
        self._scores.setdefault("dice", []).append(case_dice(output.logits, batch["labels"]))
        if self.selected_teacher is not None and self.lessons is not None:
            text, told = self.selected_teacher.eval().text_embedding(
                network, output, image, batch["labels"], self.lessons(batch["indices"])
            )
            gap = embedding_gap(output.image_embedding, text)[told]  # type: ignore[attr-defined]
            self._scores.setdefault("gap", []).append(gap)
        for position, (name, scores) in enumerate(output.retrieval.items()):
            index = batch["indices"][:, position]
            known = index != UNKNOWN
            hit = (scores.argmax(dim=1) == index)[known].float()
            self._scores.setdefault(f"retrieval/{name}", []).append(hit)

    def on_validation_epoch_end(self) -> None:
        """Log the means over cases."""
        for name, values in self._scores.items():
            joined = torch.cat(values)
            if len(joined):
                self.log(f"val/{name}", joined.mean())


def early_layers(network: nn.Module) -> list[nn.Module]:
    """Return the encoder's layers up to its last features at stride 4 or finer, if it has such.

    Their backward pass costs as much as that of all other layers, as their maps are the largest.
    """
    encoder: Any = network.encoder
    info = encoder.feature_info
    early = [
        module for module, stride in zip(info.module_name(), info.reduction(), strict=True) if stride <= 4
    ]
    if not early:
        return []
    # timm's feature extractors join the first levels of some names: "stages.0" is the module "stages_0".
    last = early[-1].replace(".", "_")
    # timm's norms own parameters and hold their activation as a child, so leaves alone would miss them.
    modules = [
        (name, m)
        for name, m in encoder.named_modules()
        if name and (not any(m.children()) or any(True for _ in m.parameters(recurse=False)))
    ]
    inside = [i for i, (name, _) in enumerate(modules) if f"{name}.".replace(".", "_").startswith(f"{last}_")]
    return [m for _, m in modules[: max(inside, default=-1) + 1]]


def freeze(layers: list[nn.Module]) -> None:
    """Stop layers from learning: no gradients, and norms use their running statistics."""
    for layer in layers:
        layer.eval()
        for parameter in layer.parameters(recurse=False):
            parameter.requires_grad_(False)


def small_size(image_size: int) -> int:
    """Return the size of the first phase: 5/7 of the full one, a multiple of 32 (224 gives 160)."""
    return max(64, round(image_size * 5 / 7 / 32) * 32)


def shrink(image: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Resize a batch to the size of the first phase; see `small_size`.

    Args:
        image: `(B, 3, S, S)` uint8.
        labels: `(B, 1, S, S)` integers; resized with nearest.

    Returns:
        Image as float in 0..255, and labels, both `(B, ., T, T)`.
    """
    size = small_size(image.shape[-1])
    small = F.interpolate(
        image.float(), size=(size, size), mode="bilinear", antialias=True, align_corners=False
    )
    return small, F.interpolate(labels, size=(size, size), mode="nearest-exact")


def case_dice(logits: Tensor, labels: Tensor) -> Tensor:
    """Dice per case, mean over the foreground classes; a class that neither mask holds scores 1.

    Args:
        logits: `(B, 1 or classes, H, W)`.
        labels: `(B, 1, H, W)` integers.

    Returns:
        `(B,)` in 0..1.
    """
    if logits.shape[1] == 1:
        predicted, classes = (logits[:, 0] > 0).long(), 2
    else:
        predicted, classes = logits.argmax(dim=1), logits.shape[1]
    truth = labels[:, 0].long()
    scores = []
    for label in range(1, classes):
        p, t = predicted == label, truth == label
        total = p.sum(dim=(1, 2)) + t.sum(dim=(1, 2))
        scores.append(torch.where(total > 0, 2 * (p & t).sum(dim=(1, 2)) / total.clamp(min=1), 1.0))  # (B,)
    return torch.stack(scores).mean(dim=0)
