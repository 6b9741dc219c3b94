"""Pseudo labels of a training: labellers are trained and checked, and draw the masks that images lack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from lexiseg.data.patient_groups import FOLDS
from lexiseg.evaluation.scores.statistics import paired_difference
from lexiseg.json_records import read_record, write_record
from lexiseg.printable import counted
from lexiseg.runs.manifest import LabellerRecord
from lexiseg.training.few_masks.labeller_masks import (
    LabellerMasks,
    fit_shift,
    probability_of,
    shift_foreground,
)
from lexiseg.training.few_masks.labellers import LabellerInputs, Labellers
from lexiseg.training.few_masks.word_maps import WordMaps
from lexiseg.training.inputs.examples import Words
from lexiseg.training.soft_masks import StoredMasks, as_bytes, half_size_bytes, most_probable
from lexiseg.training.zone_atlas import atlas_of, mirrored_axes, some
from lexiseg.words.description import UNKNOWN
from lexiseg.words.mask_fit import mask_fit
from lexiseg.words.zone_atlas import ZoneAtlas
from lexiseg.words.zone_correction import (
    CorrectionCase,
    Scores,
    fit_strength,
    halves_without_lesion,
    logit_correction,
    mask_dice,
    without_excluded,
)

_RECORD = "record.json"

#: Most images with a mask that the labellers are checked on.
MOST_CHECKED = 600
#: Mean weight of the pseudo labels below which a training warns that they hardly teach.
LEAST_WEIGHT = 0.05
#: Images that are segmented together, and the share of them after which progress is said.
_BATCH, _SAID_EVERY = 32, 0.2


Labels = npt.NDArray[np.uint8]


class PseudoLabelling:
    """Makes the pseudo labels of a training, in steps that each go on where they were stopped.

    Args:
        inputs: What the labellers are trained with.
        file: Where the pseudo labels are stored.

    Attributes:
        atlas: The atlas of all images with a mask; None where images without mask teach without words, or
            fewer than two parts of the images with a mask have words that name places.
    """

    def __init__(self, inputs: LabellerInputs, file: Path) -> None:
        self._inputs, self._file = inputs, file
        self._plan, self._config, self._pixels = inputs.plan, inputs.config, inputs.pixels
        self._samples, self._folds, self._console = inputs.samples, inputs.folds, inputs.console
        self._words: Words | None = inputs.plan.train if inputs.use.unmasked == "words" else None
        # Masks that a labeller is checked on are not in its atlas.
        parts = [self._atlas_without(number) for number in range(FOLDS)]
        self._atlases = [atlas for atlas in parts if atlas is not None]
        self.atlas = self._atlas_without(None) if len(self._atlases) == FOLDS else None
        assert inputs.config.unmasked_settings is not None
        self._told = inputs.config.unmasked_settings.word_map and self.atlas is not None
        self._labellers = Labellers(inputs, self._atlases if self._told else None)

    def labels(self) -> tuple[LabellerRecord, StoredMasks | None]:
        """Return what the labellers are worth, and the pseudo labels; None where they would harm.

        Raises:
            RunError: Stored pseudo labels are damaged.
        """
        record_file = self._inputs.folder / _RECORD
        if record_file.is_file():
            record = read_record(record_file, LabellerRecord, remedy="Delete the file, and resume.")
        else:
            self._labellers.train()
            record = self._check()
            write_record(record_file, record)
        self._console.print(sentence(record), markup=False, highlight=False)
        if not record.used:
            return record, None
        if not self._file.is_file():
            self._labellers.train()  # all are trained already, unless somebody deleted one
            self._draw(record).save(self._file)
        labels = StoredMasks.load(self._file)
        weight = float(labels.weight.mean())
        if self._words is not None:
            style = "yellow" if weight < LEAST_WEIGHT else None
            self._console.print(weight_sentence(weight), style=style, markup=False, highlight=False)
        return record.model_copy(update={"mean_weight": round(weight, 5)}), labels

    def _atlas_without(self, fold: int | None) -> ZoneAtlas | None:
        """Return the atlas of the images with a mask that are not in a part."""
        masked = [p for p, own in enumerate(self._folds) if own is not None and (fold is None or own != fold)]
        classes = max(1, self._plan.manifest.network.out_channels - 1)
        return atlas_of(self._pixels, self._words, masked, classes=classes, augment=self._config.augment)

    def _masks(self, networks: Sequence[nn.Module]) -> LabellerMasks:
        device = torch.device("cuda" if self._on_gpu else "cpu")
        return LabellerMasks(
            networks=[network.to(device) for network in networks],
            mean=self._plan.manifest.mean,
            std=self._plan.manifest.std,
            mirror="horizontal" in mirrored_axes(self._config.augment),
            device=device,
        )

    @property
    def _on_gpu(self) -> bool:
        return self._config.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()

    def _check(self) -> LabellerRecord:
        """Segment each image with a mask by the labeller that was not trained on it, and compare."""
        checked = some(
            [p for p, f in enumerate(self._folds) if f is not None], MOST_CHECKED, self._config.seed
        )
        order = [p for number in range(FOLDS) for p in checked if self._folds[p] == number]
        labels = [self._labels(p) for p in order]
        # Only one set of scores is held at a time: for several classes and 600 images they fill gigabytes.
        scores = self._unseen_scores(order, told=False)
        strength_without_words = fit_strength(self._cases(order, scores, labels))
        _, before = shifted_dice(labels, scores)
        strength = 0.0
        if self._told:
            scores.clear()
            scores += self._unseen_scores(order, told=True)
            strength = fit_strength(self._cases(order, scores, labels))
        for number, case in enumerate(self._cases(order, scores, labels)):
            scores[number] = case.corrected(strength)
        shift, after = shifted_dice(labels, scores)
        patients = [self._samples[p].patient for p in order]
        gain = None if self._words is None else paired_difference(after, before, clusters=patients)
        # Without an interval, as with the images of one patient, a gain is not known to be one.
        interval = None if gain is None else gain.ci95
        return LabellerRecord(
            folds=FOLDS,
            images=len(order),
            dice_without_words=round(float(before.mean()), 5),
            dice_with_words=None if gain is None else round(float(after.mean()), 5),
            gain=None if gain is None else round(gain.mean, 5),
            gain_ci95=None if interval is None else (round(interval[0], 5), round(interval[1], 5)),
            strength=strength,
            strength_without_words=strength_without_words,
            shift=shift,
            used=not self._inputs.use.checked or (interval is not None and interval[0] > 0),
        )

    def _draw(self, record: LabellerRecord) -> StoredMasks:
        """Draw the masks of all images without mask: the mean of all labellers, corrected by words."""
        masks = self._masks(self._labellers.networks())
        positions = [p for p, fold in enumerate(self._folds) if fold is None]
        atlas = self.atlas if self._told else None
        drawn, weights = [], []
        said = 0.0
        for first in range(0, len(positions), _BATCH):
            members = positions[first : first + _BATCH]
            for position, scores in zip(members, self._scores(masks, members, atlas), strict=True):
                probability = self._corrected(position, scores, record)
                drawn.append(half_size_bytes(probability))
                weights.append(self._weight(position, probability))
            done = (first + len(members)) / len(positions)
            if done - said >= _SAID_EVERY or done == 1:
                said = done
                self._console.print(
                    f"Pseudo labels: {100 * done:.0f} % of {counted(len(positions), 'image')}.",
                    highlight=False,
                )
        return StoredMasks(
            ids=tuple(self._samples[p].id for p in positions),
            probability=np.stack(drawn),
            weight=np.array(weights, dtype=np.float32),
        )

    def _scores(
        self, masks: LabellerMasks, positions: Sequence[int], atlas: ZoneAtlas | None
    ) -> list[Scores]:
        """Return the scores of images, told their words where there is an atlas."""
        maps = None
        if atlas is not None and self._words is not None:
            maps = WordMaps(atlas, self._words, size=self._config.image_size)
        found: list[Scores] = []
        for first in range(0, len(positions), _BATCH):
            members = positions[first : first + _BATCH]
            pictures = None if maps is None else [maps.picture(p) for p in members]
            found += masks.scores([self._pixels[p][0] for p in members], pictures)
        return found

    def _unseen_scores(self, order: Sequence[int], *, told: bool) -> list[Scores]:
        """Return the scores of images with a mask by the labellers that were not trained on them.

        Args:
            order: Positions of the images, those of the first part first.
            told: Whether the labellers are told the words of the images.
        """
        found: list[Scores] = []
        for number, network in enumerate(self._labellers.networks()):
            members = [p for p in order if self._folds[p] == number]
            found += self._scores(self._masks([network]), members, self._atlases[number] if told else None)
        return found

    def _cases(
        self, order: Sequence[int], scores: Sequence[Scores], labels: Sequence[Labels]
    ) -> Iterator[CorrectionCase]:
        """Yield images with a mask as cases for the choice of the strength, one after the other."""
        for position, logits, true in zip(order, scores, labels, strict=True):
            number = self._folds[position]
            assert number is not None
            atlas = None if self.atlas is None else self._atlases[number]
            yield CorrectionCase(
                logits=logits,
                correction=self._correction(position, logits, atlas),
                excluded=self._excluded(position, logits),
                labels=true,
            )

    def _labels(self, position: int) -> Labels:
        labels = self._pixels[position][1]
        assert labels is not None
        return labels

    def _correction(self, position: int, scores: Scores, atlas: ZoneAtlas | None) -> Scores:
        if atlas is None or self._words is None:
            return np.zeros_like(scores)
        size = (scores.shape[1], scores.shape[2])
        return logit_correction(atlas, self._words.indices[position], size, side=self._words.side)

    def _excluded(self, position: int, scores: Scores) -> npt.NDArray[np.bool_]:
        size = (scores.shape[1], scores.shape[2])
        if self._words is None:
            return np.zeros(size, dtype=bool)
        words = self._words
        return halves_without_lesion(words.vocabulary, words.indices[position], size, side=words.side)

    def _corrected(self, position: int, scores: Scores, record: LabellerRecord) -> Scores:
        """Return the probabilities `(K, S, S)` of an image's pseudo label."""
        if record.strength > 0:
            scores = scores + np.float32(record.strength) * self._correction(position, scores, self.atlas)
        excluded = self._excluded(position, scores)
        return probability_of(shift_foreground(without_excluded(scores, excluded), record.shift))

    def _weight(self, position: int, probability: Scores) -> float:
        """Return how far the words of an image agree with its pseudo label, 0..1; 1 without words."""
        if self._words is None:
            return 1.0
        said = self._words.indices[position]
        if all(index == UNKNOWN for index in said):
            return 0.0
        labels = most_probable(as_bytes(probability).transpose(1, 2, 0))
        return mask_fit(labels, self._words.vocabulary, said, side=self._words.side)


def sentence(record: LabellerRecord) -> str:
    """Return for people what the labellers are worth."""
    if record.gain is None or record.gain_ci95 is None or record.dice_with_words is None:
        return (
            f"Teachers: Dice {record.dice_without_words:.3f} on {counted(record.images, 'image')} with a "
            "mask that they were not trained on."
        )
    low, high = record.gain_ci95
    verdict = "their pseudo labels teach" if record.used else "the images without mask are left out"
    return (
        f"Teachers: with words, Dice {record.dice_with_words:.3f} on {counted(record.images, 'image')} with "
        f"a mask that they were not trained on; the same teachers without words, "
        f"{record.dice_without_words:.3f}. Gain "
        f"{record.gain:+.3f} ({low:+.3f} to {high:+.3f}): {verdict}."
    )


def weight_sentence(weight: float) -> str:
    """Return for people how far pseudo labels agree with the words, and what to do where they hardly do."""
    said = f"Pseudo labels: mean weight {weight:.3f} (1: all fit their words)."
    if weight >= LEAST_WEIGHT:
        return said
    return (
        f"{said} They hardly teach: most contradict their words, or their images have no words that can be "
        f"read. Check the words and their side (left and right of the image or of the patient), or train "
        f"with --unmasked pseudo_labels or --unmasked leave_out."
    )


def shifted_dice(labels: Sequence[Labels], scores: Sequence[Scores]) -> tuple[float, npt.NDArray[np.float64]]:
    """Return the shift with which masks are as large as the true ones, and the Dice of the shifted masks.

    Args:
        labels: The true labels `(S, S)` of N images.
        scores: Scores `(C, S, S)` of each, from which its mask is drawn.

    Returns:
        The shift, see `fit_shift`, and the Dice, `(N,)`, 0..1.
    """
    covered = float(np.mean([(true > 0).mean() for true in labels]))
    shift = fit_shift(scores, covered)
    pairs = zip(labels, scores, strict=True)
    return shift, np.array([mask_dice(shift_foreground(drawn, shift), true) for true, drawn in pairs])
