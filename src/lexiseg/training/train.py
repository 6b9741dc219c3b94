"""Training a run: from a data folder to a run folder."""

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

from lexiseg.data import open_dataset
from lexiseg.data.sample import DatasetIndex
from lexiseg.errors import UsageError
from lexiseg.files import atomic_folder, write_json, write_text
from lexiseg.inference.predictor import Predictor
from lexiseg.runs.run import Run
from lexiseg.systems.build import channels_last, count_parameters
from lexiseg.training.balance import draw_weights
from lexiseg.training.callbacks import (
    CHECKPOINT,
    Checkpoint,
    Display,
    History,
    KeepBest,
    quiet_lightning,
)
from lexiseg.training.checks import check_splits, resumed_config
from lexiseg.training.config import CONFIG_FILE, TrainConfig, make_config
from lexiseg.training.estimate import MemoryEstimate, activation_bytes, available_memory, faster_in_bf16
from lexiseg.training.few_masks import MaskUse, take_part, write_masks
from lexiseg.training.loading import make_loaders, worker_errors
from lexiseg.training.module import SegmentationModule
from lexiseg.training.parts import make_parts
from lexiseg.training.plan import Plan, continue_run, plan_run
from lexiseg.training.sampler import StepSampler, mask_groups
from lexiseg.training.schedule import Progress
from lexiseg.training.validate import NOT_A_MODEL, model_card, validate_run

#: Steps between two checkpoints and validations; a pass over the data if that is shorter.
SEGMENT_STEPS = 250

#: Shortest segment: small data sets are passed several times between two validations.
_MIN_SEGMENT_STEPS = 25


def train(
    data: str | Path,
    out: str | Path,
    *,
    resume: bool = False,
    config_file: str | Path | None = None,
    console: Console | None = None,
    **options: Any,
) -> Run:
    """Train a model on a data set and write a run folder.

    Args:
        data: The data set's folder, in any known layout.
        out: The run folder to make; it must not hold anything yet.
        resume: Go on with the interrupted run in `out`; options then come from the run.
        config_file: YAML file with fields of `TrainConfig`.
        console: Where progress is shown; None shows nothing.
        **options: Fields of `TrainConfig`; they win over the file.

    Returns:
        The finished run.

    Raises:
        DataError: The data set cannot be used.
        UsageError: An option is not possible.
        RunError: `out` is in use, or there is nothing to resume.
        WeightsError: Encoder weights cannot be found.
        DiskError: There is no space or no permission.

    Examples:
        >>> run = train("data/chest", "runs/chest", max_minutes=30)  # doctest: +SKIP
    """
    console = console or Console(quiet=True)
    out = Path(out)
    # Absolute, so that it is a folder and never the name of a model that comes with Lexiseg.
    finished = resume and bool(Run.open(out.absolute()).manifest.training.get("finished"))
    if finished and not (out / CONFIG_FILE).is_file():  # a converted run was never configured
        return _nothing_to_resume(out, console)
    config = resumed_config(out, options, config_file) if resume else make_config(options, config_file)
    if finished:
        return _nothing_to_resume(out, console)
    if not resume:
        Run.refuse_existing(out)
    index = open_dataset(data, seed=config.seed, allow_missing_masks=True, masks=config.masks)
    for assumption in index.assumptions:
        console.print(assumption, style="dim", markup=False, highlight=False)
    check_splits(index)
    use = take_part(index, config)
    plan = continue_run(use, Run.open(out), config) if resume else plan_run(use, config, console)
    return Training(use, plan, config, out=out, resume=resume, console=console).run()


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
        self.steps_per_epoch = max(1, round(use.images_per_pass / config.batch))
        total = config.steps
        if config.epochs is not None:
            total = math.ceil(config.epochs * use.images_per_pass / config.batch)
        self.progress = Progress(total_steps=total, max_minutes=config.max_minutes)
        self.sampler = StepSampler(
            len(self.samples),
            batch_size=config.batch,
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
                batch_size=config.batch,
                unmasked_share=config.unmasked_share,
            ),
        )

    def run(self) -> Run:
        """Train, score all validation cases, and write everything."""
        module = self.module()
        self._announce(module)
        cached, config = self._prepare(module)
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
        patience = config.patience_epochs
        best = KeepBest(
            run.weights_file,
            self.progress,
            patience_steps=None if patience is None else patience * self.steps_per_epoch,
        )
        self._fit(module, config, loaders, best)
        return self._finish(run, best)

    def module(self) -> SegmentationModule:
        """Build the network with its objective; the random start depends on the seed alone."""
        config, manifest = self.config, self.plan.manifest
        torch.manual_seed(config.seed)
        parts = make_parts(config, self.plan, pretrained=not self.goes_on)
        return SegmentationModule(
            channels_last(parts.network),
            parts.objective,
            config=config,
            progress=self.progress,
            steps_per_epoch=self.steps_per_epoch,
            mean=manifest.mean,
            std=manifest.std,
            teacher=parts.teacher,
            lessons=parts.lessons,
            unmasked=parts.unmasked,
        )

    def _announce(self, module: SegmentationModule) -> None:
        """Say what is not as usual: images without mask, words that are not true."""
        sentence = self.use.sentence()
        if sentence is not None:
            self.console.print(sentence, markup=False, highlight=False)
        agreement = module.unmasked.agreement if module.unmasked is not None else None
        if agreement is not None and agreement.skipped and self.config.agreement_weight > 0:
            skipped = ", ".join(agreement.skipped)
            self.console.print(
                f"The agreement loss cannot measure these factors and leaves them out: {skipped}.",
                style="dim",
                markup=False,
                highlight=False,
            )
        if self.config.shuffle_words:
            self.console.print(NOT_A_MODEL, style="bold red", markup=False, highlight=False)

    def _prepare(self, module: SegmentationModule) -> tuple[bool, TrainConfig]:
        """Estimate memory, choose caching and precision, and say so; returns the resolved configuration."""
        config, size = self.config, self.config.size
        on_cpu = config.accelerator == "cpu" or (
            config.accelerator == "auto" and not torch.cuda.is_available()
        )
        samples = len(self.samples) + len(self.index.split("val"))
        data = samples * size * size * 4
        free = available_memory()
        # Caching changes no result, so a resumed run decides by the memory that is free now.
        cached = data < free / 2 if config.cache is None or self.resume else config.cache
        estimate = MemoryEstimate(
            model=count_parameters(module.network) * 4 * (5 if module.average is not None else 4),
            activations=activation_bytes(module.network, size) * config.batch,
            data=data if cached else 0,
            available=free,
        )
        self.console.print(estimate.sentence(), highlight=False)
        if on_cpu and estimate.total > free:
            raise UsageError(
                f"{estimate.sentence()} Make --batch-size or --image-size smaller"
                + (", or set `cache: false` in a --config file." if cached else "."),
                code="LEX-USE-080",
            )
        if config.precision == "auto":
            config = config.model_copy(update={"precision": self._probe(module) if on_cpu else "bf16"})
        workers = config.workers
        if workers is None:
            # Where images are cached, a worker has little to do; on few cores it takes one from the network.
            workers = 0 if cached or (os.cpu_count() or 1) <= 2 else min(8, (os.cpu_count() or 1) - 1)
        return cached, config.model_copy(update={"workers": workers, "cache": cached})

    def _probe(self, module: SegmentationModule) -> str:
        bf16, fp32_seconds, bf16_seconds = faster_in_bf16(
            module.network, lambda output: output.logits.mean(), image_size=self.config.size, batch_size=4
        )
        self.console.print(
            f"Precision: {'bf16' if bf16 else 'fp32'} (a step of 4 images took {fp32_seconds:.2f} s in fp32, "
            f"{bf16_seconds:.2f} s in bf16).",
            highlight=False,
        )
        return "bf16" if bf16 else "fp32"

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
            write_json(beside / "splits.json", self.use.splits())
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
                    self.console, self.progress, steps_per_epoch=self.steps_per_epoch, batch_size=config.batch
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
        manifest = run.manifest.model_copy(
            update={
                "review_below": scores.review_below,
                "training": {
                    "finished": True,
                    "seed": self.config.seed,
                    "steps": self.progress.step,
                    "minutes": round(self.progress.elapsed / 60, 2),
                    "selected_step": best.best_step,
                    "validation": scores.to_dict(),
                    "machine": f"{platform.machine()}, {torch.get_num_threads()} of {os.cpu_count()} cores",
                    "torch": torch.__version__,
                    "command": _command_again(self.index.root, self.out),
                },
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


def _nothing_to_resume(out: Path, console: Console) -> Run:
    console.print(f"The run in {out} is finished; there is nothing to resume.", markup=False)
    return Run.open(out)
