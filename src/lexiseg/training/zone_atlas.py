"""The zone atlas of a run: made from its masked training images, its strength fitted on their masks."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from rich.console import Console

from lexiseg.data.sample import DatasetIndex
from lexiseg.engines.choice import load_engine
from lexiseg.inference.ensemble import Member
from lexiseg.inference.options import BATCH_SIZE
from lexiseg.runs.manifest import AtlasSummary
from lexiseg.runs.run import Run
from lexiseg.systems.configuration import AugmentConfig, TrainConfig
from lexiseg.training.inputs.examples import Words
from lexiseg.training.inputs.sample_cache import DecodedSamples, Pixels, PixelSource
from lexiseg.words.description import UNKNOWN
from lexiseg.words.flips import AXES, Axis
from lexiseg.words.zone_atlas import ZoneAtlas, make_atlas
from lexiseg.words.zone_correction import (
    CorrectionCase,
    fit_strength,
    halves_without_lesion,
    logit_correction,
)
from lexiseg.words.zones import place_factors

#: More masks hardly change the maps.
_MOST_MASKS = 2000
#: Most images whose masks the strength is fitted on, where the network that is trained predicts them.
MOST_FITTED = 200


def mirrored_axes(augment: AugmentConfig) -> tuple[Axis, ...]:
    """Return the axes along which a training mirrors its images."""
    return tuple(axis for axis in AXES if getattr(augment, f"{axis}_flip") > 0)


def with_places(words: Words, positions: Sequence[int]) -> list[int]:
    """Return those of some positions of samples whose words name a place."""
    vocabulary = words.vocabulary
    places = [vocabulary.names.index(name) for name in place_factors(vocabulary)]
    return [p for p in positions if any(words.indices[p][k] != UNKNOWN for k in places)]


def atlas_of(
    pixels: PixelSource,
    words: Words | None,
    positions: Sequence[int],
    *,
    classes: int,
    augment: AugmentConfig,
) -> ZoneAtlas | None:
    """Make the atlas of some training images; None where their words name no places.

    Args:
        pixels: Images and labels of all training samples.
        words: Their words; None without text.
        positions: Positions of the samples, all with a mask, whose masks and words are used.
        classes: Number of foreground classes.
        augment: The random changes of the training: the atlas is mirrored as its images are.
    """
    if words is None:
        return None
    stated = with_places(words, positions)
    if not stated:
        return None

    def cases() -> Iterator[tuple[Pixels, Sequence[int]]]:
        for position in stated:
            labels = pixels[position][1]
            assert labels is not None, "images of an atlas have masks"
            yield labels, words.indices[position]

    return make_atlas(
        cases(), words.vocabulary, classes=classes, side=words.side, axes=mirrored_axes(augment)
    )


def correction_case(
    logits: torch.Tensor, labels: Pixels, indices: Sequence[int], atlas: ZoneAtlas, words: Words
) -> CorrectionCase:
    """Return an image's mask scores, with what its words say about them.

    Args:
        logits: `(C, H, W)`.
        labels: `(H, W)` uint8.
        indices: Its words.
        atlas: The atlas.
        words: The words that the indices are of.
    """
    size = (labels.shape[0], labels.shape[1])
    return CorrectionCase(
        logits=logits.float().cpu().numpy(),
        correction=logit_correction(atlas, indices, size, side=words.side),
        excluded=halves_without_lesion(atlas.vocabulary, indices, size, side=words.side),
        labels=labels,
    )


def add_atlas(
    run: Run, index: DatasetIndex, words: Words | None, config: TrainConfig, console: Console
) -> Run:
    """Make the atlas of a trained run, fit its strength, and save it with the run.

    Args:
        run: The run, with its final weights.
        index: The data set.
        words: Words of its training images; None without text.
        config: The configuration.
        console: Where it is said that a vocabulary names no places.

    Returns:
        The run, its atlas named in the manifest, which is not written yet.
    """
    samples = index.split("train")
    fit = run.manifest.fit
    pixels = DecodedSamples(samples, index.coding, size=config.image_size, fit=fit)
    chosen = some([p for p, s in enumerate(samples) if s.mask is not None], _MOST_MASKS, config.seed)
    atlas = atlas_of(pixels, words, chosen, classes=index.num_classes - 1, augment=config.augment)
    if atlas is None or words is None:
        if words is not None:
            console.print(
                f"The words of the vocabulary '{words.vocabulary.name}' name no places in the training "
                "images: the run has no zone atlas.",
                style="dim",
                markup=False,
                highlight=False,
            )
        return run
    network = Member(run, load_engine(run, "torch"), BATCH_SIZE)
    strength = fit_strength(
        correction_case(_logits(network, pixels[p][0]), _labels(pixels, p), words.indices[p], atlas, words)
        for p in some(chosen, MOST_FITTED, config.seed)
    )
    return with_atlas(run, atlas.with_strength(strength))


def with_atlas(run: Run, atlas: ZoneAtlas) -> Run:
    """Save an atlas with a run, and return the run with it in its manifest, which is not written yet."""
    atlas.save(run.zone_atlas_file)
    assert atlas.strength is not None
    summary = AtlasSummary(file=run.zone_atlas_file.name, images=atlas.images, strength=atlas.strength)
    return Run(run.path, run.manifest.model_copy(update={"zone_atlas": summary}))


def _logits(network: Member, image: Pixels) -> torch.Tensor:
    coloured = np.broadcast_to(image, (*image.shape[:2], 3))
    (output,) = network.outputs(network.whole_images.pictures([coloured]))
    return torch.from_numpy(output.logits[0])


def _labels(pixels: PixelSource, position: int) -> Pixels:
    labels = pixels[position][1]
    assert labels is not None
    return labels


def some(positions: Sequence[int], most: int, seed: int) -> list[int]:
    """Return at most so many positions, a seeded choice, in order."""
    if len(positions) <= most:
        return list(positions)
    return sorted(random.Random(seed).sample(list(positions), most))
