"""One training, from its plan to the finished run."""

from __future__ import annotations

import math
import os
import platform
import shlex
from pathlib import Path
from typing import Any

import lightning
import torch
import yaml
from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console
from torch.utils.data import DataLoader

from lexiseg.data.sample import DatasetIndex
from lexiseg.files import atomic_folder, write_text
from lexiseg.inference.predictor import Predictor
from lexiseg.models.network_weights import channels_last, count_parameters
from lexiseg.runs.manifest import TrainingRecord
from lexiseg.runs.run import Run
from lexiseg.runs.splits import write_splits_record
from lexiseg.systems.compact_configuration import UnmaskedConfig
from lexiseg.systems.configuration import TrainConfig
from lexiseg.systems.registry import get
from lexiseg.systems.system import TrainingInputs
from lexiseg.training.callbacks import (
    CHECKPOINT,
    Checkpoint,
    Display,
    History,
    KeepBest,
    quiet_lightning,
)
from lexiseg.training.config import CONFIG_FILE
from lexiseg.training.loading import make_loaders, worker_errors
from lexiseg.training.module import SegmentationModule
from lexiseg.training.plan import Plan
from lexiseg.training.progress import Progress
from lexiseg.training.resources import settle_resources
from lexiseg.training.sampler import StepSampler, mask_groups
from lexiseg.training.sampling_weights import draw_weights
from lexiseg.training.unmasked_images import MaskUse, write_masks
from lexiseg.training.unmasked_loss import UnmaskedTeaching
from lexiseg.training.validate import NOT_A_MODEL, model_card, validate_run
from lexiseg.training.zone_atlas import add_atlas

#: Steps between two checkpoints and validations; a pass over the data if that is shorter.
SEGMENT_STEPS = 250

#: Shortest segment: small data sets are passed several times between two validations.
_MIN_SEGMENT_STEPS = 25


class Training:
    """One training, from settled plan to finished run."""

    def __init__(
        self,
        use: MaskUse,
        plan: Plan,
        config: TrainConfig,
        *,
        out: Path,
        resume: bool,
        console: Console,
    ) -> None:
        self.use, self.plan, self.config = use, plan, config
        self.index: DatasetIndex = use.index
        self.out, self.resume, self.console = out, resume, console
        # A run that was killed before its first checkpoint starts again from the beginning.
        self.goes_on = resume and (out / CHECKPOINT).is_file()
        self.samples = self.index.split("train")
        self.steps_per_epoch = max(1, round(use.images_per_pass / config.batch_size))
        total = config.steps
        if config.epochs is not None:
            total = math.ceil(config.epochs * use.images_per_pass / config.batch_size)
        self.progress = Progress(total_steps=total, max_minutes=config.max_minutes)
        self.sampler = StepSampler(
            len(self.samples),
            batch_size=config.batch_size,
            segment_steps=max(_MIN_SEGMENT_STEPS, min(SEGMENT_STEPS, self.steps_per_epoch)),
            seed=config.seed,
            total_steps=total,
            weights=draw_weights(
                self.samples,
                None if plan.train is None else plan.train.indices,
                source_weights=config.source_weights,
                balance_words=config.balance_words,
            ),
            groups=mask_groups(
                [sample.mask is not None for sample in self.samples],
                batch_size=config.batch_size,
                unmasked_share=config.unmasked_share if isinstance(config, UnmaskedConfig) else None,
            ),
        )

    def run(self) -> Run:
        """Train, score all validation cases, and write everything."""
        module = self.module()
        self._announce(module)
        images = len(self.samples) + len(self.index.split("val"))
        cached, config = settle_resources(
            module, self.config, images=images, resume=self.resume, console=self.console
        )
        # Cached images are all read here: a broken one is found before anything is written.
        loaders = make_loaders(
            self.index,
            config,
            sampler=self.sampler,
            train_words=self.plan.train,
            val_words=self.plan.val,
            cached=cached,
        )
        run = self._open_run(config, count_parameters(module.network))
        patience = config.patience
        best = KeepBest(
            run.weights_file,
            self.progress,
            patience_steps=None if patience is None else patience * self.steps_per_epoch,
        )
        self._fit(module, config, loaders, best)
        return self._finish(run, best)

    def module(self) -> SegmentationModule:
        """Build the network with its objective; the random start depends on the seed alone."""
        config, plan = self.config, self.plan
        torch.manual_seed(config.seed)
        inputs = TrainingInputs(
            spec=plan.manifest.network,
            bank=plan.bank,
            vocabulary=plan.vocabulary,
            indices=None if plan.train is None else plan.train.indices,
            text_encoder=plan.encoder,
            pretrained=not self.goes_on,
        )
        parts = get(config.model, config.preset).builders.training(config, inputs)
        unmasked = None
        if plan.unmasked is not None:
            assert isinstance(config, UnmaskedConfig)
            unmasked = UnmaskedTeaching(config, plan.train if plan.unmasked == "words" else None)
        return SegmentationModule(
            channels_last(parts.network),
            parts.objective,
            config=config,
            progress=self.progress,
            steps_per_epoch=self.steps_per_epoch,
            mean=plan.manifest.mean,
            std=plan.manifest.std,
            teacher=parts.teacher,
            text_inputs=parts.text_inputs,
            unmasked=unmasked,
        )

    def _announce(self, module: SegmentationModule) -> None:
        """Say what is not as usual: images without mask, words that are not true."""
        sentence = self.use.sentence()
        if sentence is not None:
            self.console.print(sentence, markup=False, highlight=False)
        skipped = ", ".join(() if module.unmasked is None else module.unmasked.not_measured)
        if skipped:
            self.console.print(
                f"The agreement loss cannot measure these factors and leaves them out: {skipped}.",
                style="dim",
                markup=False,
                highlight=False,
            )
        if self.config.shuffle_words:
            self.console.print(NOT_A_MODEL, style="bold red", markup=False, highlight=False)

    def _open_run(self, config: TrainConfig, num_parameters: int) -> Run:
        """Make the run folder, or open the one to resume."""
        if self.resume:
            return Run.open(self.out)
        manifest = self.plan.manifest
        spec = manifest.network.model_copy(update={"num_parameters": num_parameters})
        with atomic_folder(self.out) as beside:
            if self.plan.bank is not None:
                self.plan.bank.save(beside / "bank.safetensors")
            write_text(beside / CONFIG_FILE, yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))
            write_splits_record(beside, self.use.splits())
            write_masks(beside, self.use)
            Run.create(beside, manifest.model_copy(update={"network": spec}))
        return Run.open(self.out)

    def _fit(
        self,
        module: SegmentationModule,
        config: TrainConfig,
        loaders: tuple[DataLoader[Any], DataLoader[Any]],
        best: KeepBest,
    ) -> None:
        """Run the Lightning loop."""
        quiet_lightning()
        training, validation = loaders
        checkpoint = Checkpoint(self.out, self.progress, self.sampler)
        trainer = lightning.Trainer(
            accelerator=config.accelerator,
            devices=1,
            precision="bf16-mixed" if config.precision == "bf16" else "32-true",
            max_epochs=-1,
            max_steps=-1,
            num_sanity_val_steps=0,
            callbacks=[
                Display(
                    self.console,
                    self.progress,
                    steps_per_epoch=self.steps_per_epoch,
                    batch_size=config.batch_size,
                ),
                History(self.out, self.progress),
                best,
                checkpoint,
            ],
            logger=TensorBoardLogger(str(self.out), name=None, version="tensorboard"),
            log_every_n_steps=10,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
        path = checkpoint.file if self.goes_on else None
        self.progress.start()
        try:
            with worker_errors():
                trainer.fit(module, training, validation, ckpt_path=path, weights_only=True)
        except SystemExit as error:  # Lightning's answer to Ctrl-C
            raise KeyboardInterrupt from error
        if trainer.interrupted:
            raise KeyboardInterrupt

    def _finish(self, run: Run, best: KeepBest) -> Run:
        """Score all validation cases with the selected weights and complete the manifest."""
        # A calibration of earlier weights, in a run that was resumed, says nothing of these.
        scores = validate_run(Predictor(run, calibrated=False), self.index)
        run = add_atlas(run, self.index, self.plan.train, self.config, self.console)
        manifest = run.manifest.model_copy(
            update={
                "review_below": scores.review_below,
                "training": TrainingRecord(
                    finished=True,
                    seed=self.config.seed,
                    steps=self.progress.step,
                    minutes=round(self.progress.elapsed / 60, 2),
                    selected_step=best.best_step,
                    validation=scores.record(),
                    machine=f"{platform.machine()}, {torch.get_num_threads()} of {os.cpu_count()} cores",
                    torch=torch.__version__,
                    command=_command_again(self.index.root, self.out),
                ),
            }
        )
        run = Run(run.path, manifest)
        write_text(self.out / "model_card.md", model_card(run, scores))
        run.save()  # last: from here on the run counts as finished
        self.console.print(
            f"Validation Dice {scores.dice:.4f} over all {scores.cases} cases (weights of step "
            f"{best.best_step}).",
            highlight=False,
        )
        return run


def _command_again(data: Path, out: Path) -> str:
    """Return the command that trains this run again, however it was started, in a folder beside it."""
    settled = str(out / CONFIG_FILE)
    return shlex.join(["lexiseg", "train", str(data), "--out", f"{out}-again", "--config", settled])
