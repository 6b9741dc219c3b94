"""What happens around the training steps: stopping, saving, logging, showing."""

from __future__ import annotations

import csv
import io
import logging
import time
import warnings
from pathlib import Path
from typing import Any

import lightning
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

from lexiseg.console import duration_text
from lexiseg.evaluation.scores.lesion_sizes import STANDARDISED_DICE
from lexiseg.files import atomic_path, write_text
from lexiseg.models.network_weights import save_weights
from lexiseg.systems.configuration import Selection
from lexiseg.training.inputs.sampler import StepSampler
from lexiseg.training.steps.progress import Progress as Training
from lexiseg.training.steps.segmentation_module import SegmentationModule

CHECKPOINT = "checkpoint.ckpt"
HISTORY = "history.csv"
PLAIN_LINE_SECONDS = 30.0
_BAR_WIDTH = 20
_SHOWN_LOSSES = {"dice": "dice loss"}


def _logged(trainer: lightning.Trainer, prefix: str) -> dict[str, float]:
    """Return the latest logged values whose name starts with `prefix`, without it."""
    return {
        name.removeprefix(prefix): float(value)
        for name, value in trainer.callback_metrics.items()
        if name.startswith(prefix)
    }


class History(lightning.Callback):
    """Keeps `history.csv`: one row per validation, whole at every moment, continued on resume.

    Args:
        folder: The run folder.
        training: How far the training is.
    """

    def __init__(self, folder: Path, training: Training) -> None:
        self._file = folder / HISTORY
        self._training = training
        self.rows: list[dict[str, Any]] = []

    def on_fit_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Take over the rows written up to the checkpoint this training goes on from."""
        if self._training.step and self._file.is_file():
            with open(self._file, encoding="utf-8", newline="") as file:
                self.rows = [row for row in csv.DictReader(file) if int(row["step"]) <= self._training.step]

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Add a row and write the file."""
        if trainer.sanity_checking:
            return
        row = {"step": self._training.step, "minutes": round(self._training.elapsed / 60, 2)}
        metrics = {
            name: round(float(v), 5) for name, v in sorted(trainer.callback_metrics.items()) if "/" in name
        }
        self.rows.append({**row, **metrics})
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, restval="")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self._file, text.getvalue())


class BestWeights(lightning.Callback):
    """Writes the weights that the run is to have; a selection sees the validation split only.

    Args:
        weights: Where they go.
        training: How far the training is.
        selection: "best": the weights with the best validation Dice; "size_standardised_dice": those with the
            best one standardised by lesion size; "last": those of the last step.
        patience_steps: Stop after this many steps without a better score; None: never.
        writes: Whether this process writes; of several processes, the first one does.
    """

    def __init__(
        self,
        weights: Path,
        training: Training,
        *,
        selection: Selection,
        patience_steps: int | None,
        writes: bool = True,
    ) -> None:
        self._writes = writes
        self._weights = weights
        self._training = training
        self.selection = selection
        self._patience_steps = patience_steps
        self.best_dice = -1.0
        self.best_step = 0
        self.kept_step = 0

    @property
    def state_key(self) -> str:
        """Name of its state in a checkpoint, as Lexiseg 0.1.0 wrote it."""
        return "KeepBest"

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Stop at once if the training was killed after it had run out of patience."""
        self._stop_if_impatient(trainer)

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Keep the weights if they are to be kept, and stop if the best ones were too long ago."""
        assert isinstance(pl_module, SegmentationModule)
        by_size = self.selection == "size_standardised_dice"
        dice = _logged(trainer, "val/")[STANDARDISED_DICE if by_size else "dice"]
        better = dice > self.best_dice
        if better:
            self.best_dice, self.best_step = dice, self._training.step
        if better or self.selection == "last":
            if self._writes:
                save_weights(pl_module.selected_network, self._weights)
            self.kept_step = self._training.step
        self._stop_if_impatient(trainer)

    def _stop_if_impatient(self, trainer: lightning.Trainer) -> None:
        waited = self._training.step - self.best_step
        if self._patience_steps is not None and waited >= self._patience_steps:
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint needs."""
        return {"best_dice": self.best_dice, "best_step": self.best_step, "kept_step": self.kept_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.best_dice, self.best_step = state_dict["best_dice"], state_dict["best_step"]
        self.kept_step = state_dict.get("kept_step", self.best_step)


class Checkpoint(lightning.Callback):
    """Saves the training state after every segment, and tells the sampler where the next one starts.

    Args:
        folder: The run folder.
        training: How far the training is.
        sampler: The order of the training images.
    """

    def __init__(self, folder: Path, training: Training, sampler: StepSampler) -> None:
        self.file = folder / CHECKPOINT
        self._training = training
        self._sampler = sampler

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Save: Lightning calls this last, after the validation of the segment."""
        self._sampler.first_step = self._training.step
        if not trainer.is_global_zero:
            trainer.save_checkpoint(self.file)  # writes nothing, and waits for the process that does
            return
        with atomic_path(self.file) as beside:
            trainer.save_checkpoint(beside)

    def state_dict(self) -> dict[str, Any]:
        """Return the progress."""
        return dict(self._training.state())

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the progress and the sampler's place."""
        self._training.restore(state_dict)
        self._sampler.first_step = self._training.step


class Display(lightning.Callback):
    """Shows a live bar on a terminal, a plain line now and then elsewhere, and one line per validation.

    Args:
        console: Where to.
        training: How far the training is.
        steps_per_epoch: Steps per pass over the data.
        batch_size: Images per step.
    """

    def __init__(
        self, console: Console, training: Training, *, steps_per_epoch: int, batch_size: int
    ) -> None:
        self._console = console
        self._training = training
        self._steps_per_epoch = steps_per_epoch
        self._batch_size = batch_size
        self._bar: Progress | None = None
        self._spoken = time.monotonic()
        self._spoken_step = 0

    def on_fit_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the bar on a terminal."""
        self._spoken, self._spoken_step = time.monotonic(), self._training.step
        if self._console.is_terminal:
            # The bar, the share and the time left come first: a narrow terminal cuts the losses.
            columns = (BarColumn(_BAR_WIDTH), TextColumn("{task.percentage:>3.0f}%"))
            rest = TextColumn("{task.description}", table_column=Column(ratio=1, no_wrap=True))
            self._bar = Progress(*columns, rest, console=self._console, expand=True)
            self._task = self._bar.add_task("training", total=1.0)
            self._bar.start()

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        """Show the loss parts."""
        if self._bar is not None:
            self._bar.update(self._task, completed=self._training.share, description=self._line(trainer))
        elif time.monotonic() - self._spoken > PLAIN_LINE_SECONDS:
            self._console.print(f"{100 * self._training.share:3.0f}%  {self._line(trainer)}", highlight=False)

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Say how good the model is on validation."""
        if trainer.sanity_checking:
            return
        scores = _logged(trainer, "val/")
        retrieval = ", ".join(
            f"{name.removeprefix('retrieval/')} {value:.3f}"
            for name, value in scores.items()
            if name.startswith("retrieval/")
        )
        self._console.print(
            f"      step {self._training.step}: validation Dice {scores['dice']:.4f}"
            + (
                f" ({scores[STANDARDISED_DICE]:.4f} standardised by lesion size)"
                if STANDARDISED_DICE in scores
                else ""
            )
            + (f"; retrieval {retrieval}" if retrieval else "")
            + (f"; gap {scores['gap']:.3f}" if "gap" in scores else ""),
            highlight=False,
        )

    def on_fit_end(self, *_: Any) -> None:
        """Take the bar down."""
        self._stop()

    def on_exception(self, *_: Any) -> None:
        """Take the bar down."""
        self._stop()

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _line(self, trainer: lightning.Trainer) -> str:
        now, step = time.monotonic(), self._training.step
        rate = (step - self._spoken_step) * self._batch_size / max(now - self._spoken, 1e-9)
        if now - self._spoken > PLAIN_LINE_SECONDS:
            self._spoken, self._spoken_step = now, step
        losses = _logged(trainer, "train/")
        # "dice" alone would read as the Dice, which rises where this loss falls.
        parts = "  ".join(f"{_SHOWN_LOSSES.get(name, name)} {value:.3f}" for name, value in losses.items())
        left = self._training.seconds_left
        times = f"{rate:.1f} images/s" + ("" if left is None else f"  {duration_text(left)} left")
        return f"{times}  epoch {step / self._steps_per_epoch:.1f}  step {step}  {parts}"


def quiet_lightning() -> None:
    """Silence Lightning's own chatter; what matters to a user is said by `Display` and by errors."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning.*")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
