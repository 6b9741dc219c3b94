"""The Lightning module: one training step, and validation as in prediction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from lexiseg.errors import UsageError
from lexiseg.evaluation.scores.lesion_sizes import STANDARDISED_DICE, LesionSizes
from lexiseg.inference.whole_images import WholeImages
from lexiseg.models.depthwise_gradients import DepthwiseGradients
from lexiseg.models.losses import soft_label_loss
from lexiseg.models.output import SegmentationOutput
from lexiseg.models.text_supervisor import TextInputs, TextSupervisor, embedding_gap
from lexiseg.systems.configuration import TrainConfig
from lexiseg.systems.registry import system_of
from lexiseg.training.distributed.global_batch import gather, gather_output, share_batch_norms
from lexiseg.training.distributed.ranks import ALONE, Ranks
from lexiseg.training.inputs.batch import Batch
from lexiseg.training.steps.normalisation import normalise
from lexiseg.training.steps.progress import Progress
from lexiseg.training.steps.progressive_resizing import early_layers, freeze, shrink
from lexiseg.training.steps.whole_image_scores import TiledValidation
from lexiseg.words.description import UNKNOWN
from lexiseg.words.vocabulary import Vocabulary


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
        text_supervisor: Runs the network's training pass; None: the network trains as it predicts.
        text_inputs: Turns phrase indices into what the text supervisor reads; given with a text supervisor.
        pseudo_weight: Weight of the loss on pseudo labels of images without mask.
        vocabulary: The vocabulary of the words that the network names; None where it names none.
        ranks: The place of this process among those that share each batch.

    Attributes:
        sizes: The lesion sizes of the training, by which validation Dice is standardised too; None: it is
            not.
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
        text_supervisor: TextSupervisor | None = None,
        text_inputs: TextInputs | None = None,
        pseudo_weight: float = 1.0,
        vocabulary: Vocabulary | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        super().__init__()
        self.ranks = ranks
        self.network = network
        # Saved states name its weights so, and those of its average "average_teacher".
        self.add_module("teacher", text_supervisor)
        self.text_inputs = text_inputs
        self.pseudo_weight = pseudo_weight
        self.objective = objective
        self.config = config
        self.system = system_of(config)
        self.loop = config.loop
        self.progress = progress
        self.steps_per_epoch = steps_per_epoch
        self.mean, self.std = mean, std
        self.vocabulary = vocabulary
        self.sizes: LesionSizes | None = None
        self.average: AveragedModel | None = None
        if self.loop.ema_decay > 0:
            # The decay rises from 2/11 to its full value, so that the first steps are soon forgotten.
            def blend(averaged: Tensor, current: Tensor, steps: Tensor | int) -> Tensor:
                decay = min(self.loop.ema_decay, (1 + int(steps)) / (10 + int(steps)))
                return torch.lerp(current, averaged, decay) if current.is_floating_point() else current

            self.average = AveragedModel(network, avg_fn=blend, use_buffers=True)
            if text_supervisor is not None:
                self.average_teacher = AveragedModel(text_supervisor, avg_fn=blend, use_buffers=True)
        self.early = early_layers(network) if self.loop.freeze_early else []
        self._scores: dict[str, list[Tensor]] = {}
        self._lesions: list[Tensor] = []
        self._averaged_at = 0
        self._added_up = 0

    @property
    def small_phase(self) -> bool:
        """Whether the training is in its first phase, at the smaller size with all layers learning."""
        return self.progress.share < self.loop.small_first

    @property
    def selected_network(self) -> nn.Module:
        """The network that is validated and saved: the averaged one where there is one."""
        return self.average.module if self.average is not None else self.network

    @property
    def text_supervisor(self) -> TextSupervisor | None:
        """What runs the network's training pass; None: the network trains as it predicts."""
        found = self._modules["teacher"]
        assert found is None or isinstance(found, TextSupervisor)
        return found

    @property
    def average_text_supervisor(self) -> AveragedModel | None:
        """The average of its weights; None where weights are not averaged."""
        found = self._modules.get("average_teacher")
        assert found is None or isinstance(found, AveragedModel)
        return found

    @property
    def selected_text_supervisor(self) -> TextSupervisor | None:
        """The text supervisor that goes with the selected network."""
        if self.average_text_supervisor is None:
            return self.text_supervisor
        averaged = self.average_text_supervisor.module
        assert isinstance(averaged, TextSupervisor)
        return averaged

    @property
    def learning(self) -> nn.ModuleList:
        """All that learns: the network, and the text supervisor if there is one."""
        return nn.ModuleList(
            [self.network] if self.text_supervisor is None else [self.network, self.text_supervisor]
        )

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimiser of the system."""
        return self.system.builders.optimizer(self.config, self.learning)

    def on_fit_start(self) -> None:
        """Let batch norms see the images of all processes; before, a process may try its network alone."""
        if self.ranks.several:
            share_batch_norms(self.network)

    def on_train_start(self) -> None:
        """Go on with averaging where a resumed training was; stop at once if that was after its last step."""
        self._averaged_at = self.trainer.global_step
        if self.progress.share >= 1.0:
            self.trainer.should_stop = True

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Reseed, and set the learning rate."""
        self._added_up += 1
        self.progress.agree(self.ranks)
        torch.manual_seed(self.config.seed * 1_000_003 + self.progress.step)
        rate = self.system.builders.learning_rate(
            self.config, self.progress.step, self.progress.share, self.steps_per_epoch
        )
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = rate
        if not self.small_phase:
            freeze(self.early)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of one batch."""
        batch = shrink(batch, self.loop.size(self.progress.share, batch.image.shape[-1]))
        image = batch.image
        with DepthwiseGradients():
            parts = self.loss_parts(batch)
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

    def loss_parts(self, batch: Batch) -> dict[str, Tensor]:
        """Return the parts of the loss of a batch, and `total`.

        Args:
            batch: The batch; where some images have no mask, its pictures are their soft labels.
        """
        if batch.picture is None or batch.weight is None:
            output, labels, indices = self.answers(batch)
            inside = {} if batch.inside is None else {"inside": batch.inside > 0}
            if self.ranks.several:
                inside = {name: gather(where) for name, where in inside.items()}
            parts: dict[str, Tensor] = self.objective(output, labels, indices, **inside)
            return parts
        output, labels, indices = self.answers(batch, masked=batch.masked)
        parts = self.objective(output, labels, indices, batch.masked)
        drawn = ~batch.masked
        wanted = batch.picture[drawn].float() / 255
        pseudo = soft_label_loss(output.logits[drawn], wanted, batch.weight[drawn])
        return {**parts, "pseudo": pseudo, "total": parts["total"] + self.pseudo_weight * pseudo}

    def answers(
        self, batch: Batch, *, masked: Tensor | None = None
    ) -> tuple[SegmentationOutput, Tensor, Tensor]:
        """Return the output of a training pass for a batch, its labels and its phrases.

        Args:
            batch: As `loss_parts` takes it.
            masked: Which images have a mask, `(B,)` bool; None: all have.

        Returns:
            The output; labels `(B, 1, S, S)`; phrases `(B, factors)`. Of several processes, those of all.
        """
        labels, indices = batch.labels, batch.indices
        seen = normalise(batch.image, self.mean, self.std)
        if self.text_supervisor is None:
            output = self.network(seen)
        else:
            assert self.text_inputs is not None
            text = self.text_inputs(indices)
            output = self.text_supervisor(
                self.network, seen, labels, text, alone=self.progress.share, masked=masked
            )
        if self.ranks.several:
            output, labels, indices = gather_output(output), gather(labels), gather(indices)
        return output, labels, indices

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Limit the norm of the gradients, so that one batch cannot change the weights too much.

        The gradients are a mean over the batches that were added up. At the end of a training these may be
        fewer than `accumulate`, by which Lightning divides.
        """
        added_up, self._added_up = self._added_up, 0
        if 0 < added_up < self.config.accumulate:
            for parameter in self.learning.parameters():
                if parameter.grad is not None:
                    parameter.grad.mul_(self.config.accumulate / added_up)
        if self.loop.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.learning.parameters(), self.loop.clip_norm)

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Average the weights, count the step, and stop when the training is as long as it should be."""
        self.progress.step += 1
        # With accumulated gradients, the weights change in some steps only.
        if self.config.accumulate == 1:
            self.update_averages()
        elif self.trainer.global_step > self._averaged_at:
            self._averaged_at = self.trainer.global_step
            self.update_averages()
        if self.progress.share >= 1.0:
            self.trainer.should_stop = True

    def update_averages(self) -> None:
        """Move the averaged weights, if there are any, towards the present ones."""
        if self.average is not None:
            self.average.update_parameters(self.network)
        if self.average_text_supervisor is not None and self.text_supervisor is not None:
            self.average_text_supervisor.update_parameters(self.text_supervisor)

    def on_validation_epoch_start(self) -> None:
        """Forget the scores of the last validation."""
        self._scores, self._lesions = {}, []

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Score one batch of validation cases, segmented as in prediction: the network sees images only.

        The scores are Dice per case at the training size (with tiles, at the image's own), retrieval per
        factor, and, where there is a text supervisor, the distance of the image embedding from the text
        embedding.
        """
        network = self.selected_network.eval()
        image = normalise(batch.image, self.mean, self.std)
        output: SegmentationOutput = network(image)
        words = {name: scores.float() for name, scores in output.retrieval.items()}
        if batch.whole is not None and batch.truth is not None:
            words = self._score_tiles(network, batch.whole, batch.truth, list(words))
        else:
            inside = None if batch.inside is None else batch.inside > 0
            self._scores.setdefault("dice", []).append(case_dice(output.logits, batch.labels, inside))
            self._lesions.append(lesion_shares(batch.labels, inside))
        if self.selected_text_supervisor is not None and self.text_inputs is not None:
            text, told = self.selected_text_supervisor.eval().text_embedding(
                network, output, image, batch.labels, self.text_inputs(batch.indices)
            )
            gap = embedding_gap(output.image_embedding, text)[told]  # type: ignore[attr-defined]
            self._scores.setdefault("gap", []).append(gap)
        for position, (name, scores) in enumerate(words.items()):
            index = batch.indices[:, position]
            known = index != UNKNOWN
            hit = (scores.argmax(dim=1) == index)[known].float()
            self._scores.setdefault(f"retrieval/{name}", []).append(hit)

    def _score_tiles(
        self, network: nn.Module, images: Sequence[Tensor], truths: Sequence[Tensor], factors: list[str]
    ) -> dict[str, Tensor]:
        """Score the masks that tiles give; return the words of the whole images, `(B, N_f)` per factor."""
        whole = WholeImages(
            fit="tiles", side=self.config.image_size, mean=self.mean, std=self.std,
            vocabulary=self.vocabulary, batch_size=self.config.batch_size,
        )  # fmt: skip
        found = TiledValidation(whole, network, self.device).outputs(images)
        for output, truth in zip(found, truths, strict=True):
            dice = case_dice(torch.from_numpy(output.logits), truth[None, None].cpu())
            self._scores.setdefault("dice", []).append(dice)
            self._lesions.append(lesion_shares(truth[None, None].cpu()))
        by_factor = zip(*(output.words for output in found), strict=True)
        return {
            name: torch.from_numpy(np.concatenate(words)).to(truths[0].device)
            for name, words in zip(factors, by_factor, strict=True)
        }

    def on_validation_epoch_end(self) -> None:
        """Log the means over cases, and the mean Dice standardised by lesion size if it is wanted."""
        for name, values in self._scores.items():
            joined = torch.cat(values)
            if len(joined):
                self.log(f"val/{name}", joined.mean())
        if self.sizes is not None:
            dice, lesions = (
                torch.cat(v).cpu().double().numpy() for v in (self._scores["dice"], self._lesions)
            )
            standardised = self.sizes.standardised(dice, lesions)
            self.log(f"val/{STANDARDISED_DICE}", torch.tensor(standardised, dtype=torch.float32))


def lesion_shares(labels: Tensor, inside: Tensor | None = None) -> Tensor:
    """Return the share of each image that is lesion, `(B,)` float32 in 0..1.

    Args:
        labels: `(B, 1, H, W)` integers, 0 where there is no image.
        inside: Where there is an image, `(B, 1, H, W)` bool; None: everywhere.
    """
    lesion = (labels > 0).float().sum(dim=(1, 2, 3))
    return lesion / (labels[0].numel() if inside is None else inside.float().sum(dim=(1, 2, 3)))


def case_dice(logits: Tensor, labels: Tensor, inside: Tensor | None = None) -> Tensor:
    """Dice per case, mean over the foreground classes; a class that neither mask holds scores 1.

    Args:
        logits: `(B, 1 or classes, H, W)`.
        labels: `(B, 1, H, W)` integers, 0 where there is no image.
        inside: Where there is an image, `(B, 1, H, W)` bool; None: everywhere. Other pixels do not count.

    Returns:
        `(B,)` in 0..1.
    """
    if logits.shape[1] == 1:
        predicted, classes = (logits[:, 0] > 0).long(), 2
    else:
        predicted, classes = logits.argmax(dim=1), logits.shape[1]
    if inside is not None:
        predicted = predicted * inside[:, 0]
    truth = labels[:, 0].long()
    scores = []
    for label in range(1, classes):
        p, t = predicted == label, truth == label
        total = p.sum(dim=(1, 2)) + t.sum(dim=(1, 2))
        scores.append(torch.where(total > 0, 2 * (p & t).sum(dim=(1, 2)) / total.clamp(min=1), 1.0))  # (B,)
    return torch.stack(scores).mean(dim=0)
