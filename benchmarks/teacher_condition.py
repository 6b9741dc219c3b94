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
from lexiseg.studies.study_data import open_study_data, with_hidden
from lexiseg.training.config import make_config
from lexiseg.training.distributed.ranks import ALONE
from lexiseg.training.few_masks.labellers import LabellerInputs, LabellerTraining
from lexiseg.training.few_masks.word_map_labeller import TOLD_SHARE
from lexiseg.training.few_masks.word_maps import WordMaps
from lexiseg.training.inputs.batch import Batch, collate
from lexiseg.training.inputs.data_loaders import pixel_sources
from lexiseg.training.inputs.examples import PlainExamples, Words
from lexiseg.training.inputs.sampling_weights import draw_weights
from lexiseg.training.plan import Plan
from lexiseg.training.preparation import prepare_training
from lexiseg.training.steps.normalisation import normalise
from lexiseg.training.steps.progress import Progress
from lexiseg.training.steps.segmentation_module import SegmentationModule
from lexiseg.training.zone_atlas import atlas_of
from lexiseg.words.zone_atlas import ZoneAtlas

Scores = npt.NDArray[np.float64]
#: Normalised images, their batch and their positions, to what is segmented; by what tells the network words.
Ways = dict[str, Callable[[Tensor, Batch, Sequence[int]], SegmentationOutput]]

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
            self.network, seen, batch.labels, text, alone=1 - TOLD_SHARE, masked=masked
        )
        return output, batch.labels, batch.indices


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What both teachers learn from.

    Attributes:
        inputs: What they are trained with.
        atlas: The zone atlas of the samples with a mask.
        masked: Positions of these samples.
    """

    inputs: LabellerInputs
    atlas: ZoneAtlas
    masked: tuple[int, ...]

    def training(self, name: str, pictures: WordMaps | None = None) -> LabellerTraining:
        """Return the training of a teacher.

        Args:
            name: Of the teacher.
            pictures: Word maps; None where it sees none.
        """
        return LabellerTraining(
            inputs=self.inputs,
            config=self.inputs.config,
            progress=Progress(total_steps=self.inputs.student_steps, max_minutes=None),
            members=self.masked,
            pictures=pictures,
            state=self.inputs.folder / name,
        )

    def word_maps(self, words: Words | None) -> WordMaps:
        """Return the word maps of samples."""
        assert words is not None
        return WordMaps(self.atlas, words, size=self.inputs.config.image_size)

    def by_map(self) -> SegmentationModule:
        """Return the teacher that sees word maps, trained."""
        training = self.training("word map", self.word_maps(self.inputs.plan.train))
        return _taught(training, training.module())

    def by_sentence(self) -> SegmentationModule:
        """Return the teacher that is told sentences, trained."""
        training, plan = self.training("sentence"), self.inputs.plan
        parts = plan.training_parts(training.config, goes_on=training.goes_on)
        module = SentenceLabellerModule(
            channels_last(parts.network),
            parts.objective,
            config=training.config,
            progress=training.progress,
            steps_per_epoch=training.steps_per_pass,
            mean=plan.manifest.mean,
            std=plan.manifest.std,
            text_supervisor=parts.text_supervisor,
            text_inputs=parts.text_inputs,
        )
        return _taught(training, module)


def _taught(training: LabellerTraining, module: SegmentationModule) -> SegmentationModule:
    """Train a teacher, or load what it learned before."""
    file = training.state.with_name(f"{training.state.name}.safetensors")
    if not file.is_file():
        training.inputs.console.print(
            f"Teacher told by {training.state.name}: {training.progress.total_steps} steps.", highlight=False
        )
        training.run(module)
        save_weights(_learned(module), file)
    load_weights(_learned(module), file)
    return module


def _learned(module: SegmentationModule) -> nn.Module:
    """Return all that a teacher draws masks with, with averaged weights."""
    supervisor = module.selected_text_supervisor
    network = module.selected_network
    return nn.ModuleList([network] if supervisor is None else [network, supervisor])


def ways_to_draw(by_map: SegmentationModule, maps: WordMaps, by_sentence: SegmentationModule) -> Ways:
    """Return functions that segment images as both teachers do, told their words and not.

    Args:
        by_map: The teacher that sees word maps.
        maps: Those of the images.
        by_sentence: The teacher that is told sentences.
    """
    mapped, plain = by_map.selected_network.eval(), by_sentence.selected_network.eval()
    supervisor, inputs = by_sentence.selected_text_supervisor, by_sentence.text_inputs
    assert supervisor is not None
    assert inputs is not None
    supervisor.eval()

    def drawn(members: Sequence[int]) -> Tensor:
        pictures = np.stack([maps.picture(p).transpose(2, 0, 1) for p in members])
        return torch.from_numpy(pictures).float() / 255

    def told(seen: Tensor, batch: Batch, _: Sequence[int]) -> SegmentationOutput:
        # The supervisor is told the sentence alone, so the labels do not reach the mask.
        hidden = torch.zeros_like(batch.labels)
        return supervisor(plain, seen, hidden, inputs(batch.indices), alone=0.0)

    return {
        "word map, told": lambda seen, _, members: mapped(seen, drawn(members)),
        "sentence embedding, told": told,
        "word map, told nothing": lambda seen, *_: mapped(seen, torch.zeros_like(seen)),
        "sentence embedding, told nothing": lambda seen, *_: plain(seen),
    }


@torch.inference_mode()
def drawn_dice(
    segment: Callable[..., SegmentationOutput], examples: PlainExamples, plan: Plan, num_classes: int
) -> Scores:
    """Return the Dice of the mask of each validation case, at the training size."""
    found = []
    for members in _parts(len(examples)):
        batch = collate([examples[p] for p in members])
        seen = normalise(batch.image, plan.manifest.mean, plan.manifest.std)
        logits = segment(seen, batch, members).logits.float()
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
    inputs = LabellerInputs(
        use=prepared.use,
        plan=plan,
        config=config,
        pixels=pixels,
        weights=weights,
        student_steps=options.steps,
        segment_steps=min(250, options.steps),
        folder=options.out,
        console=console,
    )
    lesson = Lesson(inputs=inputs, atlas=atlas, masked=masked)
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
    by_map, by_sentence = lesson.by_map(), lesson.by_sentence()
    plan = lesson.inputs.plan
    ways = ways_to_draw(by_map, lesson.word_maps(plan.val), by_sentence)
    classes = len(plan.manifest.class_names)
    rows = {name: drawn_dice(way, validation, plan, classes) for name, way in ways.items()}
    print(describe_machine())
    print(
        f"cotexnet, {len(lesson.masked)} images with mask, {options.steps} steps, {options.image_size} px, "
        f"seed {options.seed}; mean per-case Dice on {len(samples)} validation images\n"
    )
    print_table(rows, samples, "word map, told")


if __name__ == "__main__":
    main()
