"""Labellers: networks trained on the images with a mask, each on all parts of them but one."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy.typing as npt
from rich.console import Console
from torch import nn

from lexiseg.data.name_hashes import order_key
from lexiseg.data.patient_groups import FOLDS, group_of, patient_groups
from lexiseg.data.sample import Sample
from lexiseg.models.network_weights import channels_last, load_weights, save_weights
from lexiseg.models.word_map_network import HasEncoder, WordMapNetwork
from lexiseg.printable import counted
from lexiseg.systems.configuration import TrainConfig
from lexiseg.systems.registry import system_of
from lexiseg.training.few_masks.word_map_labeller import WordMapLabellerModule
from lexiseg.training.few_masks.word_maps import WordMaps
from lexiseg.training.inputs.data_loaders import training_loader
from lexiseg.training.inputs.examples import TrainingExamples, Words
from lexiseg.training.inputs.sample_cache import PixelSource
from lexiseg.training.inputs.sampler import Group, StepSampler
from lexiseg.training.plan import Plan
from lexiseg.training.steps.callbacks import CHECKPOINT, Checkpoint, Display
from lexiseg.training.steps.lightning_fit import fit
from lexiseg.training.steps.progress import Progress
from lexiseg.training.steps.segmentation_module import SegmentationModule
from lexiseg.training.unmasked_images import MaskUse
from lexiseg.words.zone_atlas import ZoneAtlas

#: Passes over its masks that a labeller makes, and its fewest steps.
_PASSES, _FEWEST_STEPS = 40, 300
#: Most steps of a labeller, as a share of those of the training itself.
_MOST_OF_STEPS = 0.25
#: Time of a labeller as a share of a training whose length is set in minutes.
_TIME_SHARE = 0.12
#: Share of the time that is left for the training itself, after the labellers and the drawing of masks.
STUDENT_TIME_SHARE = 0.6


def fold_numbers(samples: Sequence[Sample], *, seed: int) -> list[int | None]:
    """Return the part, 0 to `FOLDS` - 1, of each sample with a mask; None for the others.

    Patients stay together; the choice depends on the seed and the names, not on the order of the samples. The
    largest patients are placed first, each into the part that has the fewest images.

    Args:
        samples: The training samples.
        seed: Any whole number.
    """
    groups = patient_groups(sample for sample in samples if sample.mask is not None)
    sizes, fold_of = [0] * FOLDS, {}
    for name in sorted(groups, key=lambda name: (-len(groups[name]), order_key(name, seed, "folds"))):
        fold_of[name] = sizes.index(min(sizes))
        sizes[fold_of[name]] += len(groups[name])
    return [None if sample.mask is None else fold_of[group_of(sample)] for sample in samples]


def labeller_steps(config: TrainConfig, images: int, student_steps: int | None) -> int | None:
    """Return the number of steps of a labeller; None where minutes set its length.

    Args:
        config: The configuration of the training.
        images: Number of images with a mask that the labeller is trained on.
        student_steps: Steps of the training itself; None where minutes set its length.
    """
    settings = config.unmasked_settings
    if settings is not None and settings.teacher_steps is not None:
        return settings.teacher_steps
    if student_steps is None:
        return None
    wanted = max(_FEWEST_STEPS, round(_PASSES * images / config.batch_size))
    return max(1, min(wanted, round(_MOST_OF_STEPS * student_steps)))


@dataclass(frozen=True, kw_only=True)
class LabellerInputs:
    """What the labellers of one training are trained with.

    Attributes:
        use: Which training images take part.
        plan: The plan of the training.
        config: Its configuration, resolved.
        pixels: Images and labels of the training samples.
        weights: How often each sample is drawn; None: equally.
        student_steps: Steps of the training itself; None where minutes set its length.
        segment_steps: Steps between two saved states.
        folder: Where the labellers, their states and what they are worth are kept until the training ends.
        console: Where progress is shown.
    """

    use: MaskUse
    plan: Plan
    config: TrainConfig
    pixels: PixelSource
    weights: npt.ArrayLike | None
    student_steps: int | None
    segment_steps: int
    folder: Path
    console: Console

    @cached_property
    def samples(self) -> tuple[Sample, ...]:
        """The training samples."""
        return self.use.index.split("train")

    @cached_property
    def folds(self) -> list[int | None]:
        """The part of each sample, see `fold_numbers`."""
        return fold_numbers(self.samples, seed=self.config.seed)


@dataclass(frozen=True, kw_only=True)
class LabellerTraining:
    """The training of one labeller; it goes on where it was stopped.

    Attributes:
        inputs: What the labellers are trained with.
        config: The configuration, with the seed of this labeller.
        progress: How far it is.
        members: Positions of the samples that it learns from, all with a mask.
        pictures: The word maps of the samples; None: it is told no words.
        state: Folder of its saved state.
    """

    inputs: LabellerInputs
    config: TrainConfig
    progress: Progress
    members: tuple[int, ...]
    pictures: WordMaps | None
    state: Path

    @property
    def goes_on(self) -> bool:
        """Whether there is a saved state."""
        return (self.state / CHECKPOINT).is_file()

    @property
    def steps_per_pass(self) -> int:
        """Number of steps of a pass over its samples."""
        return max(1, round(len(self.members) / self.config.batch_size))

    def module(self) -> SegmentationModule:
        """Build the labeller with its objective."""
        plan, told = self.inputs.plan, self.pictures is not None
        parts = plan.training_parts(self.config, goes_on=self.goes_on)
        kind = WordMapLabellerModule if told else SegmentationModule
        return kind(
            channels_last(_told(parts.network) if told else parts.network),
            parts.objective,
            config=self.config,
            progress=self.progress,
            steps_per_epoch=self.steps_per_pass,
            mean=plan.manifest.mean,
            std=plan.manifest.std,
        )

    def run(self, module: SegmentationModule) -> None:
        """Train a labeller.

        Args:
            module: The labeller, from `module`, or another one that learns from the same batches.
        """
        inputs, config = self.inputs, self.config
        sampler = StepSampler(
            len(inputs.samples),
            batch_size=config.batch_size,
            segment_steps=inputs.segment_steps,
            seed=config.seed,
            total_steps=self.progress.total_steps,
            weights=inputs.weights,
            groups=[Group(members=self.members, per_step=config.batch_size)],
        )
        examples = TrainingExamples(
            inputs.pixels,
            inputs.plan.train,
            augment=config.augment,
            seed=config.seed,
            sample_pictures=self.pictures,
        )
        display = Display(
            inputs.console, self.progress, steps_per_epoch=self.steps_per_pass, batch_size=config.batch_size
        )
        loader = training_loader(examples, config, sampler=sampler)
        checkpoint = Checkpoint(self.state, self.progress, sampler)
        fit(module, config, loader, None, [display], checkpoint, goes_on=self.goes_on)


class Labellers:
    """The labellers of one training, trained one after another; each goes on where it was stopped.

    Args:
        inputs: What they are trained with.
        atlases: Per part, the atlas of the images with a mask outside it; None: labellers are told no words.
    """

    def __init__(self, inputs: LabellerInputs, atlases: Sequence[ZoneAtlas] | None) -> None:
        self._inputs, self._atlases = inputs, atlases

    @property
    def told(self) -> bool:
        """Whether the labellers are told words."""
        return self._atlases is not None

    def train(self) -> None:
        """Train the labellers that are not trained yet."""
        for number in range(FOLDS):
            if not self._file(number).is_file():
                self._train(number)

    def networks(self) -> list[nn.Module]:
        """Return the trained labellers, in eval mode."""
        plan, builders = self._inputs.plan, system_of(self._inputs.config).builders
        loaded = []
        for number in range(FOLDS):
            network = builders.network(plan.manifest.network, plan.bank)
            labeller = _told(network) if self.told else network
            load_weights(labeller, self._file(number))
            loaded.append(channels_last(labeller).eval())
        return loaded

    def _file(self, number: int) -> Path:
        return self._inputs.folder / f"teacher_{number + 1}.safetensors"

    def _train(self, number: int) -> None:
        inputs = self._inputs
        members = tuple(p for p, fold in enumerate(inputs.folds) if fold is not None and fold != number)
        # Another seed for each labeller: other random weights, order and changes of the images.
        seed = (inputs.config.seed + 1_000_003 * (number + 1)) % 2**32
        config = inputs.config.model_copy(update={"seed": seed})
        minutes = config.max_minutes
        progress = Progress(
            total_steps=labeller_steps(config, len(members), inputs.student_steps),
            max_minutes=None if minutes is None else _TIME_SHARE * minutes,
        )
        length = (
            counted(progress.total_steps, "step")
            if progress.total_steps is not None
            else f"{progress.max_minutes:.1f} minutes"
        )
        inputs.console.print(
            f"Teacher {number + 1} of {FOLDS}: {counted(len(members), 'image')} with mask, {length}"
            f"{', told the words of three quarters of its images' if self.told else ''}.",
            highlight=False,
        )
        training = LabellerTraining(
            inputs=inputs,
            config=config,
            progress=progress,
            members=members,
            pictures=self._sample_pictures(number),
            state=inputs.folder / f"teacher_{number + 1}",
        )
        module = training.module()
        training.run(module)
        save_weights(module.selected_network, self._file(number))
        shutil.rmtree(training.state, ignore_errors=True)

    def _sample_pictures(self, number: int) -> WordMaps | None:
        if self._atlases is None:
            return None
        words = self._inputs.plan.train
        assert isinstance(words, Words)
        return WordMaps(self._atlases[number], words, size=self._inputs.config.image_size)


def _told(network: nn.Module) -> WordMapNetwork:
    assert isinstance(network, HasEncoder)
    return WordMapNetwork(network)
