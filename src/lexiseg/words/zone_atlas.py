"""The zone atlas: where lesions lie in images with a given phrase, counted on masks.

For each phrase of each factor about places, the atlas holds a map P(pixel | phrase): the share of the images
with that phrase in which the pixel belongs to a class. Maps are made from masks and words of training images
alone.

Shape legend: K foreground classes, G cells along each side of the atlas, H, W size of an image, N_f phrases
of factor f. All maps are in the image's frame: "left" is the left half on screen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import product
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from scipy import ndimage

from lexiseg.errors import DataError, RunError
from lexiseg.files import write_bytes
from lexiseg.json_records import FileRecord, reason
from lexiseg.open_files import too_many_open
from lexiseg.printable import counted
from lexiseg.structured_text import parse_json
from lexiseg.words.description import UNKNOWN, Side
from lexiseg.words.factor import Factor
from lexiseg.words.flip_tables import Axis
from lexiseg.words.flips import flip, to_side
from lexiseg.words.half_features import Half
from lexiseg.words.vocabulary import Vocabulary
from lexiseg.words.zones import Zone, half_of, place_factors, zones_of

Map = npt.NDArray[np.float32]

#: Cells along each side of the maps. Zones are large, and a finer map of few images would be noise.
GRID = 64

#: A phrase's map is the mean over its images and over this many times the mean map of its factor.
_PRIOR_IMAGES = 2.0
#: Standard deviation of the Gaussian that smooths the maps, in cells.
_BLUR_CELLS = 1.5
#: Probabilities stay this far from 0 and 1, so that no word excludes a pixel for certain.
_LEAST = 2e-3

_ABOUT = "about"


class AtlasRecord(FileRecord):
    """Metadata of an atlas file.

    Attributes:
        factors: The factors about places, each with its phrases.
        images: Number of masks that the atlas was made from.
        strength: Weight of the logit correction, fitted on training images; None if it was not fitted.
    """

    factors: dict[str, tuple[str, ...]]
    images: int = Field(ge=1)
    strength: float | None = Field(default=None, ge=0)


@dataclass(frozen=True, kw_only=True, eq=False)
class ZoneAtlas:
    """Maps of where lesions lie, per phrase.

    Attributes:
        vocabulary: The vocabulary of the phrases.
        overall: P(pixel) in all images, `(K, G, G)` float32 in 0..1.
        maps: P(pixel | phrase) per factor about places, `(N_f, K, G, G)` float32 in 0..1. Outside the half
            that a factor is about, they equal `overall`.
        counts: Per factor, the number of images with each phrase, mirrored images counted too, `(N_f,)`.
        images: Number of masks that the atlas was made from.
        strength: Weight of the logit correction, fitted on training images; None if it was not fitted.
    """

    vocabulary: Vocabulary
    overall: Map
    maps: Mapping[str, Map]
    counts: Mapping[str, npt.NDArray[np.int64]]
    images: int
    strength: float | None = None

    @property
    def classes(self) -> int:
        """Number K of foreground classes."""
        return len(self.overall)

    def with_strength(self, strength: float) -> Self:
        """Return the atlas with a fitted weight of the logit correction."""
        return replace(self, strength=strength)

    def stated_maps(self, indices: Sequence[int], *, side: Side | None = None) -> list[Map]:
        """Return P(pixel | phrase), `(K, G, G)`, of each stated phrase about places.

        Args:
            indices: The description, one index per factor of the vocabulary; `UNKNOWN` for unknown factors.
            side: Side convention of the description; default: the vocabulary's.
        """
        return [self.maps[f.name][i] for f, i in self._stated(indices, side) if i != UNKNOWN]

    def word_map(
        self, indices: Sequence[int], size: tuple[int, int], *, side: Side | None = None
    ) -> npt.NDArray[np.float32]:
        """Draw a description as a picture of three channels.

        Args:
            indices: The description, one index per factor; `UNKNOWN` for unknown factors.
            size: Height and width (H, W) of the picture.
            side: Side convention of the description; default: the vocabulary's.

        Returns:
            `(3, H, W)` in 0..1: the sum of the maps of the zones that are named; of those that are not; and
            the stated number of regions (its phrase's position in the closed list over the list's length,
            from 1), the same everywhere. Channels of unknown factors are 0.
        """
        shown = np.zeros((2, GRID, GRID), np.float32)
        for factor, index in self._stated(indices, side):
            if index == UNKNOWN:
                continue
            named = zones_of(factor, index)
            for zone, where in self._zone_maps[factor.name].items():
                shown[0 if zone in named else 1] += where
        count = max(
            ((i + 1) / len(f.phrases) for f, i in zip(self.vocabulary.factors, indices, strict=True)
             if f.counts_regions and i != UNKNOWN),
            default=0.0,
        )  # fmt: skip
        places = resized(shown.clip(0, 1), size)
        return np.concatenate([places, np.full((1, *size), count, np.float32)])

    def save(self, path: str | Path) -> None:
        """Write the atlas as one safetensors file, maps as float16.

        Raises:
            DiskError: The file cannot be written.
        """
        about = AtlasRecord(
            factors={name: self.vocabulary.factor(name).phrases for name in self.maps},
            images=self.images,
            strength=self.strength,
        )
        tensors: dict[str, npt.NDArray[Any]] = {"overall": self.overall.astype(np.float16)}
        for name, maps in self.maps.items():
            tensors[f"maps.{name}"] = maps.astype(np.float16)
            tensors[f"counts.{name}"] = self.counts[name]
        write_bytes(path, save(tensors, metadata={_ABOUT: about.model_dump_json()}))

    @classmethod
    def load(cls, path: str | Path, vocabulary: Vocabulary) -> ZoneAtlas:
        """Read an atlas that `save` wrote.

        Args:
            path: The file.
            vocabulary: The vocabulary of the run.

        Raises:
            RunError: The file is missing, damaged, or of another vocabulary.
        """
        remedy = "Restore the file, or train again."
        try:
            with safe_open(path, framework="np") as file:
                about = AtlasRecord.model_validate(parse_json((file.metadata() or {}).get(_ABOUT, "{}")))
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError, ValueError) as error:
            why = reason(AtlasRecord, error) if isinstance(error, ValidationError) else str(error)
            raise too_many_open(path, error) or RunError(
                f"The zone atlas {path} cannot be read ({why}). {remedy}", code="LEX-RUN-830"
            ) from error
        expected = {name: vocabulary.factor(name).phrases for name in place_factors(vocabulary)}
        needed = {"overall", *(f"{kind}.{name}" for name in expected for kind in ("maps", "counts"))}
        if about.factors != expected or tensors.keys() != needed:
            raise RunError(
                f"The zone atlas {path} does not fit the vocabulary '{vocabulary.name}': its factors are "
                f"{', '.join(about.factors)}, expected {', '.join(expected) or 'none'}. {remedy}",
                code="LEX-RUN-831",
            )
        return cls(
            vocabulary=vocabulary,
            overall=tensors["overall"].astype(np.float32),
            maps={name: tensors[f"maps.{name}"].astype(np.float32) for name in expected},
            counts={name: tensors[f"counts.{name}"] for name in expected},
            images=about.images,
            strength=about.strength,
        )

    def _stated(self, indices: Sequence[int], side: Side | None) -> list[tuple[Factor, int]]:
        """Return each factor about places with its index in the image's frame."""
        seen = to_side(self.vocabulary, indices, given=side or self.vocabulary.side, wanted="image")
        pairs = zip(self.vocabulary.factors, seen, strict=True)
        return [(factor, index) for factor, index in pairs if factor.name in self.maps]

    @cached_property
    def _zone_maps(self) -> dict[str, dict[Zone, Map]]:
        """Per factor and zone: the mean map `(G, G)` of the images that name it; see `_zones`."""
        return {
            name: _zones(self.vocabulary.factor(name), maps, self.counts[name])
            for name, maps in self.maps.items()
        }


def make_atlas(
    cases: Iterable[tuple[npt.NDArray[np.uint8], Sequence[int]]],
    vocabulary: Vocabulary,
    *,
    classes: int,
    side: Side | None = None,
    axes: Sequence[Axis] = ("horizontal",),
) -> ZoneAtlas:
    """Make an atlas from masks and the words of their images.

    Args:
        cases: Label maps `(H, W)` uint8, 0 for the background, each with its description.
        vocabulary: The vocabulary.
        classes: Number K of foreground classes; 1 takes every label above 0 as the class.
        side: Side convention of the descriptions; default: the vocabulary's.
        axes: Axes along which each case also counts mirrored, with its words: those along which training
            images are mirrored.

    Raises:
        DataError: The vocabulary has no factor about places, or no case states a place.
    """
    places = place_factors(vocabulary)
    if not places:
        raise DataError(
            f"No zone atlas can be made: no phrase of the vocabulary '{vocabulary.name}' names a place. "
            f"Places are "
            f"phrases that change when the image is mirrored, such as 'left' or 'upper', by the vocabulary's "
            f"`opposites`.",
            code="LEX-DATA-830",
        )
    positions = [vocabulary.names.index(name) for name in places]
    sums = {name: np.zeros((len(vocabulary.factor(name).phrases), classes, GRID, GRID)) for name in places}
    counts = {name: np.zeros(len(vocabulary.factor(name).phrases), np.int64) for name in places}
    total, images, shown_images = np.zeros((classes, GRID, GRID)), 0, 0
    for label_map, indices in cases:
        images += 1
        seen = to_side(vocabulary, indices, given=side or vocabulary.side, wanted="image")
        for shown, said in _mirror_images(coverage(label_map, classes), seen, vocabulary, axes):
            shown_images += 1
            total += shown
            for name, position in zip(places, positions, strict=True):
                if said[position] != UNKNOWN:
                    sums[name][said[position]] += shown
                    counts[name][said[position]] += 1
    if not any(count.any() for count in counts.values()):
        raise DataError(
            f"No zone atlas can be made: no image has words about places ({', '.join(places)}), of "
            f"{counted(images, 'image')} with a mask. Add their words, or use --unmasked leave_out.",
            code="LEX-DATA-831",
        )
    overall = _smooth(total / shown_images)
    return ZoneAtlas(
        vocabulary=vocabulary,
        overall=overall,
        maps={
            name: _phrase_maps(vocabulary.factor(name), sums[name], counts[name], overall) for name in places
        },
        counts=counts,
        images=images,
    )


def _mirror_images(
    covered: npt.NDArray[np.float64], said: Sequence[int], vocabulary: Vocabulary, axes: Sequence[Axis]
) -> Iterator[tuple[npt.NDArray[np.float64], Sequence[int]]]:
    """Yield the coverage `(K, G, G)` and the words of an image, then those of all its mirror images."""
    for mirror in product(*[(False, True)] * len(axes)):
        shown, words = covered, said
        for axis in (axis for axis, turned in zip(axes, mirror, strict=True) if turned):
            shown = np.flip(shown, axis=2 if axis == "horizontal" else 1)
            words = flip(vocabulary, words, axis)
        yield shown, words


def coverage(label_map: npt.NDArray[np.uint8], classes: int) -> npt.NDArray[np.float64]:
    """Return the share of each cell of the atlas that each class covers, `(K, G, G)` in 0..1.

    Args:
        label_map: (H, W) uint8, 0 is background.
        classes: Number K of foreground classes; 1 takes every label above 0 as the class.
    """
    rows, columns = (_cell_means(length) for length in label_map.shape)
    regions = [label_map > 0] if classes == 1 else [label_map == k for k in range(1, classes + 1)]
    return np.stack([rows @ region @ columns.T for region in regions])


def resized(maps: npt.NDArray[np.float32], size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Return maps `(..., G, G)` resized to `(..., H, W)`, bilinear; mirrored maps give mirrored results."""
    rows, columns = (_interpolation(length) for length in size)
    return np.asarray(rows @ maps @ columns.T, dtype=np.float32)


def in_half(half: Half, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return the pixels of a half, `(H, W)` bool; the middle column of an odd width is in neither half."""
    inside = np.zeros(size, dtype=bool)
    width = size[1] // 2
    inside[:, slice(0, width) if half == "left" else slice(size[1] - width, None)] = True
    return inside


def _phrase_maps(
    factor: Factor, sums: npt.NDArray[np.float64], counts: npt.NDArray[np.int64], overall: Map
) -> Map:
    """Return P(pixel | phrase), `(N_f, K, G, G)`: each phrase's mean, drawn towards the factor's mean.

    Phrases that say "no lesion" are drawn towards an empty map, the others towards the mean of all others.
    """
    empty = np.array([not zones_of(factor, index) for index in range(len(sums))])
    prior = sums[~empty].sum(axis=0) / max(1, int(counts[~empty].sum()))
    priors = np.where(empty[:, None, None, None], 0.0, prior)
    weights = counts[:, None, None, None] + _PRIOR_IMAGES
    maps = np.stack([_smooth(m) for m in (sums + _PRIOR_IMAGES * priors) / weights])
    half = half_of(factor)
    return maps if half is None else np.where(in_half(half, (GRID, GRID)), maps, overall)


def _zones(factor: Factor, maps: Map, counts: npt.NDArray[np.int64]) -> dict[Zone, Map]:
    """Return the mean map `(G, G)` of each zone of a factor, 0 outside its half, all classes together.

    The phrases that name a zone count by their number of images.
    """
    named = [zones_of(factor, index) for index in range(len(maps))]
    half = half_of(factor)
    inside = 1.0 if half is None else in_half(half, (GRID, GRID)).astype(np.float32)
    found = {}
    for zone in sorted(frozenset().union(*named)):
        # A phrase that no image has counts a little, so that no zone is without a map.
        weights = np.array(
            [count + 1e-3 if zone in zones else 0.0 for count, zones in zip(counts, named, strict=True)]
        )
        mean = np.tensordot(weights / weights.sum(), maps, axes=1).sum(axis=0)
        found[zone] = np.asarray(mean * inside, dtype=np.float32)
    return found


def _smooth(maps: npt.NDArray[np.float64]) -> Map:
    """Return maps `(K, G, G)` blurred, and away from 0 and 1."""
    blurred = ndimage.gaussian_filter(maps, (0, _BLUR_CELLS, _BLUR_CELLS), mode="nearest")
    return np.asarray(blurred.clip(_LEAST, 1 - _LEAST), dtype=np.float32)


@lru_cache(maxsize=32)
def _cell_means(length: int) -> npt.NDArray[np.float64]:
    """Return the matrix `(G, length)` that averages pixels over the cells of the atlas, by covered share."""
    edges = np.arange(GRID + 1) * length / GRID
    pixels = np.arange(length)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return overlap.clip(0) * GRID / length


@lru_cache(maxsize=32)
def _interpolation(length: int) -> npt.NDArray[np.float32]:
    """Return the matrix `(length, G)` of linear interpolation between centres of cells, constant outside."""
    place = ((np.arange(length) + 0.5) * GRID / length - 0.5).clip(0, GRID - 1)
    low = np.minimum(place.astype(int), GRID - 2)
    weights = np.zeros((length, GRID), np.float32)
    weights[np.arange(length), low] = 1 - (place - low)
    weights[np.arange(length), low + 1] += place - low
    return weights
