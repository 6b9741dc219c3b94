"""One training, from its plan to the finished run."""

from __future__ import annotations

import math
import os
import platform
import shlex
import shutil
from pathlib import Path

import lightning
import torch
import yaml
from rich.console import Console

from lexiseg.data.sample import DatasetIndex
from lexiseg.evaluation.fitting.training_images import describe_training_images
from lexiseg.evaluation.report.training_trend import FEWEST_VALIDATIONS
from lexiseg.evaluation.scores.lesion_sizes import LesionSizes
from lexiseg.evaluation.scores.statistics import FEW_CASES
from lexiseg.files import atomic_folder, write_text
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.reliability.training_images import save_training_images
from lexiseg.json_records import write_record
from lexiseg.models.network_weights import channels_last, count_parameters
from lexiseg.printable import counted
from lexiseg.runs.image_hashes import IMAGE_HASHES_FILE, image_hashes
from lexiseg.runs.manifest import CARD_FILE, LabellerRecord, TrainingRecord
from lexiseg.runs.run import Run
from lexiseg.runs.splits import write_splits_record
from lexiseg.systems.configuration import TrainConfig
from lexiseg.training.config import CONFIG_FILE
from lexiseg.training.distillation.soft_targets import DistillationModule, SoftTargets, soft_targets
from lexiseg.training.distillation.teacher_runs import with_teachers
from lexiseg.training.distributed.global_batch import check_batch_norms
from lexiseg.training.distributed.ranks import ALONE, Ranks
from lexiseg.training.drawing_time import DRAWING_FOLDER, DrawingTime
from lexiseg.training.few_masks.labellers import STUDENT_TIME_SHARE, LabellerInputs
from lexiseg.training.few_masks.pseudo_labelling import PseudoLabelling
from lexiseg.training.few_masks.pseudo_labels import PSEUDO_LABELS_FILE, SoftMasks
from lexiseg.training.fit_choice import fit_of, kept_pixels
from lexiseg.training.inputs.data_loaders import (
    pixel_sources,
    training_loader,
    validation_loader,
    validation_positions,
)
from lexiseg.training.inputs.examples import PlainExamples, TrainingExamples
from lexiseg.training.inputs.picture_fit import PictureFit
from lexiseg.training.inputs.sample_cache import PixelSource
from lexiseg.training.inputs.sampler import Group, StepSampler, mask_groups
from lexiseg.training.inputs.sampling_weights import draw_weights
from lexiseg.training.machine.resources import settle_resources
from lexiseg.training.preparation import PreparedTraining
from lexiseg.training.soft_masks import StoredMasks
from lexiseg.training.start_run import load_start, with_earlier_images, with_start
from lexiseg.training.steps.callbacks import CHECKPOINT, BestWeights, Checkpoint, Display, History
from lexiseg.training.steps.lightning_fit import fit
from lexiseg.training.steps.progress import Progress
from lexiseg.training.steps.segmentation_module import SegmentationModule
from lexiseg.training.steps.validation_sizes import lesion_sizes
from lexiseg.training.unmasked_images import write_masks
from lexiseg.training.validate import NOT_A_MODEL, counting_lines, model_card, validate_run
from lexiseg.training.zone_atlas import add_atlas, with_atlas
from lexiseg.words.zone_atlas import ZoneAtlas

#: Steps between two checkpoints and validations; a pass over the data, or a quarter of all steps, if that is
#: shorter: a curve of too few validations does not tell whether the training still improves at its end.
SEGMENT_STEPS = 250

#: Shortest segment: small data sets are passed several times between two validations.
_MIN_SEGMENT_STEPS = 25


def segment_steps(steps_per_pass: int, total_steps: int | None, *, accumulate: int = 1) -> int:
    """Return the number of steps between two validations.

    Args:
        steps_per_pass: Steps of a pass over the data.
        total_steps: Steps of the training; None where minutes set its length.
        accumulate: Steps whose gradients are added up.
    """
    quarter = SEGMENT_STEPS if total_steps is None else total_steps // FEWEST_VALIDATIONS
    steps = max(_MIN_SEGMENT_STEPS, min(SEGMENT_STEPS, steps_per_pass, quarter))
    # Lightning changes the weights at the end of each segment, so no sum of gradients goes beyond it.
    return accumulate * math.ceil(steps / accumulate)


class Training:
    """One training, from settled plan to finished run."""

    def __init__(
        self,
        prepared: PreparedTraining,
        *,
        out: Path,
        resume: bool,
        console: Console,
        ranks: Ranks = ALONE,
    ) -> None:
        self.ranks = ranks
        self.use, self.plan, self.config = prepared.use, prepared.plan, prepared.config
        self.teachers, self.start = prepared.teachers, prepared.start
        use, plan, config = self.use, self.plan, self.config
        self.index: DatasetIndex = use.index
        self.labeller_record: LabellerRecord | None = None
        self.atlas: ZoneAtlas | None = None
        self.sizes: LesionSizes | None = None
        self.out, self.resume, self.console = out, resume, console
        self.drawing_time = DrawingTime(out / DRAWING_FOLDER)
        # A run that was killed before its first checkpoint starts again from the beginning.
        self.goes_on = resume and (out / CHECKPOINT).is_file()
        self.samples = self.index.split("train")
        self.steps_per_epoch = max(1, round(use.images_per_pass / config.batch_size))
        total = config.steps
        if config.epochs is not None:
            total = math.ceil(config.epochs * use.images_per_pass / config.batch_size)
        self.segment_steps = segment_steps(self.steps_per_epoch, total, accumulate=config.accumulate)
        minutes = config.max_minutes
        if minutes is not None and use.unmasked is not None:
            minutes *= STUDENT_TIME_SHARE
        self.progress = Progress(total_steps=total, max_minutes=minutes)
        self.weights = draw_weights(
            self.samples,
            None if plan.train is None else plan.train.indices,
            source_weights=config.source_weights,
            balance_words=config.balance_words,
        )

    def run(self) -> Run:
        """Train, score all validation cases, and write everything."""
        module = self.module()
        if self.ranks.several:
            check_batch_norms(module.network)
        self._announce()
        cached, config = self._resources(module)
        # Cached images are all read here: a broken one is found before anything is written.
        kind = fit_of(config)
        pixels, plain = pixel_sources(self.index, size=config.image_size, fit=kind, cached=cached)
        picture_fit = None if kind == "stretch" else PictureFit(fit=kind, side=config.image_size)
        validation = PlainExamples(plain, self.plan.val, picture_fit)
        scored = validation_positions(validation, config)
        self.sizes = module.sizes = lesion_sizes(self.index, config, pixels, plain, scored, self.console)
        run = self._open_run(config, count_parameters(module.network)) if self.ranks.is_first else None
        self.ranks.agree(None)  # the run folder is there
        run = Run.open(self.out) if run is None else run
        labelled = self._pseudo_labels(config, pixels)
        run = self._with_decision(run)
        sampler = self._sampler(labelled)
        examples = TrainingExamples(
            pixels,
            self.plan.train,
            augment=config.augment,
            seed=config.seed,
            sample_pictures=self._sample_pictures(config, pixels, labelled),
            fit=picture_fit,
        )
        patience = config.patience
        best_weights = BestWeights(
            run.weights_file,
            self.progress,
            selection=config.selection or ("best" if labelled is None else "last"),
            patience_steps=None if patience is None else patience * self.steps_per_epoch,
            writes=self.ranks.is_first,
        )
        fit(
            module,
            config,
            training_loader(examples, config, sampler=sampler),
            validation_loader(validation, config),
            [*self._reports(config), best_weights],
            Checkpoint(self.out, self.progress, sampler),
            goes_on=self.goes_on,
            logs=self.out if self.ranks.is_first else None,
            ranks=self.ranks,
        )
        return self._finish(run, best_weights) if self.ranks.is_first else run

    def _resources(self, module: SegmentationModule) -> tuple[bool, TrainConfig]:
        """Return whether decoded images stay in memory, and the configuration with all choices made."""
        pixels = kept_pixels(self.index, self.config)
        settled = None
        if self.ranks.is_first:
            settled = settle_resources(
                module,
                self.config,
                pixels=pixels,
                resume=self.resume,
                console=self.console,
                ranks=self.ranks,
            )
        agreed: tuple[bool, TrainConfig] = self.ranks.agree(settled)
        return agreed

    def _reports(self, config: TrainConfig) -> list[lightning.Callback]:
        """Return what shows and writes the progress of the training; the first process does."""
        if not self.ranks.is_first:
            return []
        display = Display(
            self.console, self.progress, steps_per_epoch=self.steps_per_epoch, batch_size=config.batch_size
        )
        return [display, History(self.out, self.progress)]

    def _pseudo_labels(self, config: TrainConfig, pixels: PixelSource) -> StoredMasks | None:
        """Return the pseudo labels of the images without mask; None where these do not teach."""
        if self.use.unmasked is None:
            return None
        labelling = PseudoLabelling(
            LabellerInputs(
                use=self.use,
                plan=self.plan,
                config=config,
                pixels=pixels,
                weights=self.weights,
                student_steps=self.progress.total_steps,
                segment_steps=self.segment_steps,
                folder=self.out / DRAWING_FOLDER,
                console=self.console,
            ),
            self.out / PSEUDO_LABELS_FILE,
        )
        with self.drawing_time.counted():
            self.labeller_record, labels = labelling.labels()
        self.atlas = labelling.atlas
        return labels

    def _sample_pictures(
        self, config: TrainConfig, pixels: PixelSource, labelled: StoredMasks | None
    ) -> SoftMasks | SoftTargets | None:
        """Return the soft masks that move with the training images; None where there are none."""
        if labelled is not None:
            return SoftMasks(labelled, self.samples, size=config.image_size)
        if not self.teachers:
            return None
        with self.drawing_time.counted():
            return soft_targets(
                self.teachers,
                config,
                pixels=pixels,
                samples=self.samples,
                coding=self.index.coding,
                folder=self.out / DRAWING_FOLDER,
                console=self.console,
            )

    def _with_decision(self, run: Run) -> Run:
        """Write to the run what images without mask do, where the check of the labellers decides it."""
        if self.labeller_record is None or not self.use.checked:
            return run
        use = self.use if self.labeller_record.used else self.use.with_masks_only()
        record = use.record(self.config)
        if record == run.manifest.data.masks:
            return run
        write_splits_record(self.out, use.splits())
        write_record(self.out / IMAGE_HASHES_FILE, image_hashes(use.index))
        samples = {**run.manifest.data.samples, "train": len(use.index.split("train"))}
        run.updated(data=run.manifest.data.model_copy(update={"masks": record, "samples": samples}))
        return Run.open(self.out)

    def _sampler(self, labelled: StoredMasks | None) -> StepSampler:
        """Return the order of the training images; those without mask come where they have pseudo labels."""
        masked = [sample.mask is not None for sample in self.samples]
        settings = self.config.unmasked_settings
        share = None if settings is None else settings.share
        groups = mask_groups(masked, batch_size=self.config.batch_size, unmasked_share=share)
        if labelled is None:
            groups = [Group(members=groups[0].members, per_step=self.config.batch_size)]
        return StepSampler(
            len(self.samples),
            batch_size=self.config.batch_size,
            segment_steps=self.segment_steps,
            seed=self.config.seed,
            total_steps=self.progress.total_steps,
            weights=self.weights,
            groups=groups,
            part=(self.ranks.rank, self.ranks.size),
        )

    def module(self) -> SegmentationModule:
        """Build the network with its objective; the random start depends on the seed alone."""
        config, plan = self.config, self.plan
        parts = plan.training_parts(config, goes_on=self.goes_on, from_run=self.start is not None)
        if self.start is not None:
            taken = load_start(parts.network, self.start, plan.manifest, plan.bank)
            self.console.print(taken.sentence(self.start), markup=False, highlight=False)
        kind = DistillationModule if self.teachers else SegmentationModule
        unmasked = config.unmasked_settings
        return kind(
            channels_last(parts.network),
            parts.objective,
            config=config,
            progress=self.progress,
            steps_per_epoch=self.steps_per_epoch,
            mean=plan.manifest.mean,
            std=plan.manifest.std,
            text_supervisor=parts.text_supervisor,
            text_inputs=parts.text_inputs,
            vocabulary=None if plan.bank is None else plan.vocabulary,
            pseudo_weight=1.0 if unmasked is None else unmasked.pseudo_weight,
            ranks=self.ranks,
        )

    def _announce(self) -> None:
        """Say what is not as usual: images without mask, words that are not true."""
        sentence = self.use.sentence()
        if sentence is not None:
            self.console.print(sentence, markup=False, highlight=False)
        if self.config.shuffle_words:
            self.console.print(NOT_A_MODEL, style="bold red", markup=False, highlight=False)

    def _open_run(self, config: TrainConfig, num_parameters: int) -> Run:
        """Make the run folder, or open the one to resume."""
        if self.resume:
            return Run.open(self.out)
        manifest = with_teachers(self.plan.manifest, self.teachers, self.config)
        manifest = with_start(manifest, self.start)
        spec = manifest.network.model_copy(update={"num_parameters": num_parameters})
        with atomic_folder(self.out) as beside:
            if self.plan.bank is not None:
                self.plan.bank.save(beside / "bank.safetensors")
            write_text(beside / CONFIG_FILE, yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))
            write_splits_record(beside, self.use.splits())
            hashes = with_earlier_images(image_hashes(self.index), self.start)
            write_record(beside / IMAGE_HASHES_FILE, hashes)
            write_masks(beside, self.use)
            Run.create(beside, manifest.model_copy(update={"network": spec}))
        return Run.open(self.out)

    def _finish(self, run: Run, best_weights: BestWeights) -> Run:
        """Score all validation cases with the selected weights and complete the manifest."""
        # A calibration of earlier weights, in a run that was resumed, says nothing of these.
        predictor = Predictor(run, PredictionOptions(engine="torch"), calibrated=False)
        cases = counted(len(self.index.split("val")), "validation case")
        self.console.print(
            f"Scoring {cases} with the weights of step {best_weights.kept_step} ...", highlight=False
        )
        scores = validate_run(predictor, self.index, self.sizes, progress=counting_lines(self.console))
        run = self._with_atlas(run)
        images = describe_training_images(self.index, run)
        if images is not None:
            save_training_images(run, images)
        manifest = run.manifest.model_copy(
            update={
                "review_below": scores.review_below,
                "training": TrainingRecord(
                    finished=True,
                    seed=self.config.seed,
                    steps=self.progress.step,
                    minutes=round(self.progress.elapsed / 60, 2),
                    teacher_minutes=self.drawing_time.minutes,
                    selected_step=best_weights.kept_step,
                    selection=best_weights.selection,
                    validation=scores.record(),
                    machine=f"{platform.machine()}, {torch.get_num_threads()} of {os.cpu_count()} cores",
                    torch=torch.__version__,
                    command=_command_again(self.index.root, self.out),
                    distillation=run.manifest.training.distillation,
                    start=run.manifest.training.start,
                ),
            }
        )
        run = Run(run.path, manifest)
        write_text(self.out / CARD_FILE, model_card(run, scores, averaged=self.config.loop.ema_decay > 0))
        run.save()  # last: from here on the run counts as finished
        shutil.rmtree(self.out / DRAWING_FOLDER, ignore_errors=True)
        self.console.print(
            f"Validation Dice {scores.dice:.4f} over {counted(scores.cases, 'case')} (weights of step "
            f"{best_weights.kept_step}).",
            highlight=False,
        )
        if scores.cases < FEW_CASES:
            self.console.print(
                "Few cases: with so few validation images, the choice of the weights and the limit of the "
                "review flag depend on chance.",
                highlight=False,
            )
        return run

    def _with_atlas(self, run: Run) -> Run:
        """Save the zone atlas with the run, and state it and the labellers in the manifest."""
        record = self.labeller_record
        if record is None or self.atlas is None:
            run = add_atlas(run, self.index, self.plan.train, self.config, self.console)
        else:
            run = with_atlas(run, self.atlas.with_strength(record.strength_without_words))
        if record is None:
            return run
        data = run.manifest.data
        assert data.masks is not None
        masks = data.masks.model_copy(update={"teacher": record})
        data = data.model_copy(update={"masks": masks})
        return Run(run.path, run.manifest.model_copy(update={"data": data}))


def _command_again(data: Path, out: Path) -> str:
    """Return the command that trains this run again, however it was started, in a folder beside it."""
    settled = str(out / CONFIG_FILE)
    return shlex.join(["lexiseg", "train", str(data), "--out", f"{out}-again", "--config", settled])
