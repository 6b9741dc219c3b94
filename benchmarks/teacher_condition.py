"""What tells a teacher of CoTexNet more about an image: its words as a word map, or its sentence's embedding?

    python benchmarks/teacher_condition.py DATA --out DIR [--config benchmarks/covid_xray_few.yaml]
        [--share 0.05] [--seed 0] [--steps 500] [--image-size 128]

Two teachers see the same masks, in the same order, for the same steps, and are told the words of three
quarters of their images. One sees a word map beside the image; the decoder of the other has the embedding of
the sentence as its condition, as in the training of CoTexNet, in place of the embedding of the image. Prints
the Dice of the masks that both draw of the validation images, told the words and not. Nothing is chosen on
these images. A teacher that is finished in DIR is not trained again; an interrupted one goes on.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from machine import describe_machine
from rich.console import Console
from torch import Tensor, nn

from lexiseg.data.sample import Sample
from lexiseg.evaluation.scores.statistics import paired_difference
from lexiseg.mask_overlap import mean_dice
from lexiseg.models.network_weights import channels_last, load_weights, save_weights
from lexiseg.models.output import SegmentationOutput
from lexiseg.models.word_map_network import WordMapNetwork
from lexiseg.studies.study_data import open_study_data, with_hidden
from lexiseg.systems.configuration import TrainConfig
from lexiseg.training.config import make_config
from lexiseg.training.distributed.ranks import ALONE
from lexiseg.training.few_masks.word_map_labeller import WordMapLabellerModule
from lexiseg.training.few_masks.word_maps import WordMaps
from lexiseg.training.inputs.batch import Batch, collate
from lexiseg.training.inputs.data_loaders import pixel_sources, training_loader
from lexiseg.training.inputs.examples import PlainExamples, SamplePictures, TrainingExamples, Words
from lexiseg.training.inputs.sample_cache import PixelSource
from lexiseg.training.inputs.sampler import Group, StepSampler
from lexiseg.training.inputs.sampling_weights import draw_weights
from lexiseg.training.plan import Plan
from lexiseg.training.preparation import prepare_training
from lexiseg.training.steps.callbacks import CHECKPOINT, Checkpoint, Display
from lexiseg.training.steps.lightning_fit import fit
from lexiseg.training.steps.normalisation import normalise
from lexiseg.training.steps.progress import Progress
from lexiseg.training.steps.segmentation_module import SegmentationModule
from lexiseg.training.zone_atlas import atlas_of
from lexiseg.words.zone_atlas import ZoneAtlas

Scores = npt.NDArray[np.float64]
#: Networks and what they are told of a batch, to mask scores `(B, C, S, S)`.
Segment = Callable[[Tensor, Batch, Sequence[int]], Tensor]

#: Share of the images that are told their words, as for the teachers of a training.
_TOLD_SHARE = 0.75
_BATCH = 32


class SentenceLabellerModule(SegmentationModule):
    """Trains a CoTexNet whose decoder is told the sentence of most images in every step."""

    def answers(
        self, batch: Batch, *, masked: Tensor | None = None
    ) -> tuple[SegmentationOutput, Tensor, Tensor]:
        """Return output, labels and phrases of a training pass, see `SegmentationModule.answers`."""
        assert self.text_supervisor is not None
        assert self.text_inputs is not None
        seen = normalise(batch.image, self.mean, self.std)
        text = self.text_inputs(batch.indices)
        output = self.text_supervisor(
            self.network, seen, batch.labels, text, alone=1 - _TOLD_SHARE, masked=masked
        )
        return output, batch.labels, batch.indices


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What both teachers learn from.

    Attributes:
        plan: The plan of the training whose teachers they are.
        config: Its configuration.
        pixels: Images and labels of the training samples.
        masked: Positions of the samples with a mask.
        weights: How often each sample is drawn.
        atlas: The zone atlas of the samples with a mask.
        folder: Where weights and states are.
        steps: Steps of each teacher.
        console: Where progress is shown.
    """

    plan: Plan
    config: TrainConfig
    pixels: PixelSource
    masked: tuple[int, ...]
    weights: npt.ArrayLike | None
    atlas: ZoneAtlas
    folder: Path
    steps: int
    console: Console

    @property
    def words(self) -> Words:
        """What is said about the training samples."""
        assert self.plan.train is not None
        return self.plan.train

    def teach(self, name: str, module: SegmentationModule, pictures: SamplePictures | None) -> None:
        """Train a module, or load what it learned before.

        Args:
            name: Of the teacher.
            module: Its network and objective, and its text supervisor.
            pictures: Word maps; None where it sees none.
        """
        file = self.folder / f"{name}.safetensors"
        if not file.is_file():
            self._train(name, module, pictures)
            save_weights(_learned(module), file)
        load_weights(_learned(module), file)

    def module(self, name: str, kind: type[SegmentationModule]) -> SegmentationModule:
        """Return what trains a teacher: of the word map, or of the sentence."""
        parts = self.plan.training_parts(self.config, goes_on=self._state(name).is_file())
        network: nn.Module = parts.network
        supervised = kind is SentenceLabellerModule
        if not supervised:
            network = WordMapNetwork(parts.network)  # type: ignore[arg-type]
        return kind(
            channels_last(network),
            parts.objective,
            config=self.config,
            progress=Progress(total_steps=self.steps, max_minutes=None),
            steps_per_epoch=self._per_pass,
            mean=self.plan.manifest.mean,
            std=self.plan.manifest.std,
            text_supervisor=parts.text_supervisor if supervised else None,
            text_inputs=parts.text_inputs if supervised else None,
        )

    @property
    def _per_pass(self) -> int:
        return max(1, round(len(self.masked) / self.config.batch_size))

    def _state(self, name: str) -> Path:
        return self.folder / name / CHECKPOINT

    def _train(self, name: str, module: SegmentationModule, pictures: SamplePictures | None) -> None:
        config, batch_size = self.config, self.config.batch_size
        self.console.print(f"Teacher told by {name}: {self.steps} steps.", highlight=False)
        sampler = StepSampler(
            len(self.pixels),
            batch_size=batch_size,
            segment_steps=min(250, self.steps),
            seed=config.seed,
            total_steps=self.steps,
            weights=self.weights,
            groups=[Group(members=self.masked, per_step=batch_size)],
        )
        examples = TrainingExamples(
            self.pixels, self.words, augment=config.augment, seed=config.seed, sample_pictures=pictures
        )
        display = Display(
            self.console, module.progress, steps_per_epoch=self._per_pass, batch_size=batch_size
        )
        state = self._state(name)
        checkpoint = Checkpoint(state.parent, module.progress, sampler)
        loader = training_loader(examples, config, sampler=sampler)
        fit(module, config, loader, None, [display], checkpoint, goes_on=state.is_file())


def _learned(module: SegmentationModule) -> nn.Module:
    """Return all that a teacher draws masks with, with averaged weights."""
    supervisor = module.selected_text_supervisor
    network = module.selected_network
    return nn.ModuleList([network] if supervisor is None else [network, supervisor])


def told_by_map(module: SegmentationModule, words: Words, atlas: ZoneAtlas, size: int) -> Segment:
    """Return a function that segments images with their word maps."""
    network, maps = module.selected_network.eval(), WordMaps(atlas, words, size=size)

    def segment(seen: Tensor, batch: Batch, members: Sequence[int]) -> Tensor:
        drawn = np.stack([maps.picture(p).transpose(2, 0, 1) for p in members])
        logits: Tensor = network(seen, torch.from_numpy(drawn).float() / 255).logits
        return logits

    return segment


def untold_map(module: SegmentationModule) -> Segment:
    """Return a function that segments images with empty word maps."""
    network = module.selected_network.eval()

    def segment(seen: Tensor, batch: Batch, members: Sequence[int]) -> Tensor:
        logits: Tensor = network(seen, torch.zeros_like(seen)).logits
        return logits

    return segment


def told_by_sentence(module: SegmentationModule) -> Segment:
    """Return a function that segments images under the embeddings of their sentences."""
    network, supervisor = module.selected_network.eval(), module.selected_text_supervisor
    inputs = module.text_inputs
    assert supervisor is not None
    assert inputs is not None
    supervisor.eval()

    def segment(seen: Tensor, batch: Batch, members: Sequence[int]) -> Tensor:
        # The supervisor is told the sentence alone, so the labels do not reach the mask.
        hidden = torch.zeros_like(batch.labels)
        logits: Tensor = supervisor(network, seen, hidden, inputs(batch.indices), alone=0.0).logits
        return logits

    return segment


def untold_sentence(module: SegmentationModule) -> Segment:
    """Return a function that segments images under their own embeddings."""
    network = module.selected_network.eval()

    def segment(seen: Tensor, batch: Batch, members: Sequence[int]) -> Tensor:
        logits: Tensor = network(seen).logits
        return logits

    return segment


@torch.inference_mode()
def drawn_dice(segment: Segment, examples: PlainExamples, plan: Plan, num_classes: int) -> Scores:
    """Return the Dice of the mask of each validation case, at the training size."""
    found = []
    for members in _parts(len(examples)):
        batch = collate([examples[p] for p in members])
        seen = normalise(batch.image, plan.manifest.mean, plan.manifest.std)
        logits = segment(seen, batch, members).float()
        labels = (logits > 0).long() if logits.shape[1] == 1 else logits.argmax(dim=1, keepdim=True)
        found += [
            mean_dice(own.numpy(), true.numpy(), num_classes)
            for own, true in zip(labels[:, 0], batch.labels[:, 0], strict=True)
        ]
    return np.array(found)


def _parts(count: int) -> Iterator[range]:
    for first in range(0, count, _BATCH):
        yield range(first, min(first + _BATCH, count))


def print_table(rows: dict[str, Scores], samples: Sequence[Sample], against: str) -> None:
    """Print the mean Dice of each row, and its paired difference to one of them, over patients."""
    patients = [sample.patient for sample in samples]
    print("| teacher | mean Dice | against the first row (95 % over patients) |")
    print("| --- | --- | --- |")
    for name, scores in rows.items():
        difference = ""
        if name != against:
            gain = paired_difference(scores, rows[against], clusters=patients, seed=0)
            assert gain.ci95 is not None
            difference = f"{gain.mean:+.4f} ({gain.ci95[0]:+.4f} to {gain.ci95[1]:+.4f})"
        print(f"| {name} | {scores.mean():.4f} | {difference} |")


def lesson_of(
    options: argparse.Namespace, console: Console
) -> tuple[Lesson, PlainExamples, Sequence[Sample]]:
    """Return what the teachers learn from, and the validation cases with their samples."""
    index = open_study_data(options.data, seeds=[options.seed], share=options.share)
    fields = {
        "model": "cotexnet",
        "teach": "sentence",
        "text": "reports",
        "masks": options.share,
        "unmasked": "words",
        "image_size": options.image_size,
        "seed": options.seed,
        "steps": options.steps,
    }
    chosen = make_config(fields, options.config)
    prepared = prepare_training(with_hidden(index, chosen), chosen, console, ranks=ALONE)
    plan, config, taking_part = prepared.plan, prepared.config, prepared.use.index
    pixels, plain = pixel_sources(taking_part, size=config.image_size, cached=False)
    samples = taking_part.split("train")
    masked = tuple(p for p, sample in enumerate(samples) if sample.mask is not None)
    assert plan.train is not None
    atlas = atlas_of(pixels, plan.train, masked, classes=index.num_classes - 1, augment=config.augment)
    assert atlas is not None, "the words name no places"
    weights = draw_weights(
        samples,
        plan.train.indices,
        source_weights=config.source_weights,
        balance_words=config.balance_words,
    )
    lesson = Lesson(
        plan=plan,
        config=config,
        pixels=pixels,
        masked=masked,
        weights=weights,
        atlas=atlas,
        folder=options.out,
        steps=options.steps,
        console=console,
    )
    return lesson, PlainExamples(plain, plan.val), taking_part.split("val")


def main() -> None:
    """Parse the arguments, train both teachers, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--config", type=Path, help="YAML file with further fields of the configuration")
    parser.add_argument("--share", type=float, default=0.05, help="share of the training masks")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=500, help="steps of each teacher")
    parser.add_argument("--image-size", type=int, default=128)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    lesson, validation, samples = lesson_of(options, Console(width=140))
    by_map = lesson.module("word map", WordMapLabellerModule)
    lesson.teach("word map", by_map, WordMaps(lesson.atlas, lesson.words, size=options.image_size))
    by_sentence = lesson.module("sentence", SentenceLabellerModule)
    lesson.teach("sentence", by_sentence, None)
    assert lesson.plan.val is not None
    ways = {
        "word map, told": told_by_map(by_map, lesson.plan.val, lesson.atlas, options.image_size),
        "sentence embedding, told": told_by_sentence(by_sentence),
        "word map, told nothing": untold_map(by_map),
        "sentence embedding, told nothing": untold_sentence(by_sentence),
    }
    classes = len(lesson.plan.manifest.class_names)
    rows = {name: drawn_dice(way, validation, lesson.plan, classes) for name, way in ways.items()}
    print(describe_machine())
    print(
        f"cotexnet, {len(lesson.masked)} images with mask, {options.steps} steps, {options.image_size} px, "
        f"seed {options.seed}; mean per-case Dice on {len(samples)} validation images\n"
    )
    print_table(rows, samples, "word map, told")


if __name__ == "__main__":
    main()
