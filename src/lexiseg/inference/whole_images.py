"""From the pictures that a network sees to its answer for whole images.

With the fits "stretch" and "pad" each image is one picture. With "tiles" its mask comes from its tiles, and
one more picture, the overview, shows the whole image padded. Words about the whole image (places, numbers,
sizes, shapes) and the image features are those of the overview. Words about the lesion itself, such as its
colour, are the mean over the tiles, each weighed by how much lesion the network sees in it.

Shape legend: B pictures, C mask scores, S side of a picture, h, w grid of an image's scores: S x S stretched,
the image's place in its picture padded, the image's own grid with tiles; N_f phrases of factor f.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lexiseg.chunks import chunks
from lexiseg.data.grey import Pixels
from lexiseg.data.image_fit import Fit, Placement, padded, stretched, tiles
from lexiseg.engines.engine import EngineOutput, FloatArray
from lexiseg.engines.grid import foreground_probability
from lexiseg.inference.preprocess import normalise
from lexiseg.inference.tile_blend import TileBlend
from lexiseg.runs.manifest import Manifest
from lexiseg.words.vocabulary import Vocabulary
from lexiseg.words.zones import whole_image_factors

#: Computes a network; see `lexiseg.engines.engine.Engine.run`.
Compute = Callable[[FloatArray, FloatArray | None], EngineOutput]

_log = logging.getLogger(__name__)

# Sides of the tiles for which it was said that images are smaller.
_SAID: set[int] = set()

# Added to the lesion of each tile, so that the weights of words have a sum where no tile sees any.
_LEAST_LESION = 1e-6


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """The pictures of some images that show each of them whole.

    Attributes:
        sources: The images, `(H, W, 3)` uint8 each.
        places: Where each image lies in its picture.
        images: The pictures, `(B, 3, S, S)` float32, normalised.
        inside: Where they show the image, `(B, 1, S, S)` float32; None: everywhere.
    """

    sources: Sequence[Pixels]
    places: tuple[Placement, ...]
    images: FloatArray
    inside: FloatArray | None


@dataclass(frozen=True, kw_only=True)
class WholeImages:
    """How a network answers for whole images.

    Attributes:
        fit: How images fit its pictures.
        side: Side S of its pictures.
        mean: Normalisation of its input.
        std: Normalisation of its input.
        vocabulary: The vocabulary of the words that it names; None where it names none.
        batch_size: Most tiles per pass.
    """

    fit: Fit
    side: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    vocabulary: Vocabulary | None
    batch_size: int

    @classmethod
    def of(cls, manifest: Manifest, vocabulary: Vocabulary | None, *, batch_size: int) -> WholeImages:
        """Return how the network of a run answers for whole images."""
        return cls(
            fit=manifest.fit, side=manifest.image_size, mean=manifest.mean, std=manifest.std,
            vocabulary=vocabulary, batch_size=batch_size,
        )  # fmt: skip

    def place(self, size: tuple[int, int]) -> Placement:
        """Return where an image of `size` (H, W) lies in the picture that shows it whole."""
        return stretched(size, self.side) if self.fit == "stretch" else padded(size, self.side)

    def pictures(self, images: Sequence[Pixels]) -> Pictures:
        """Return the pictures that show each image whole.

        Args:
            images: `(H, W, 3)` uint8 each.
        """
        places = tuple(self.place((image.shape[0], image.shape[1])) for image in images)
        shown, inside = self._draw(images, places)
        return Pictures(sources=images, places=places, images=shown, inside=inside)

    def outputs(self, pictures: Pictures, compute: Compute, *, mirrored: bool = False) -> list[EngineOutput]:
        """Return the answer for each image: scores `(1, C, h, w)`, words `(1, N_f)` and features `(1, D)`.

        Args:
            pictures: The pictures of the images.
            compute: The network.
            mirrored: Whether each picture is mirrored left to right before the network sees it. Scores are
                then those of the mirrored image; words are as the network names them.
        """
        output = _seen(compute, pictures.images, pictures.inside, mirrored=mirrored)
        found = []
        for number, (image, place) in enumerate(zip(pictures.sources, pictures.places, strict=True)):
            one = slice(number, number + 1)
            whole = EngineOutput(
                logits=place.inner_of(output.logits[one]),
                words=tuple(factor[one] for factor in output.words),
                features=None if output.features is None else output.features[one],
            )
            if self.fit == "tiles":
                whole = self._tiled(image, whole, compute, mirrored=mirrored)
            found.append(_mirror(whole) if mirrored else whole)
        return found

    def _tiled(self, image: Pixels, whole: EngineOutput, compute: Compute, *, mirrored: bool) -> EngineOutput:
        """Return the answer for an image with its tiles, given that of its overview."""
        size = (image.shape[0], image.shape[1])
        if min(size) < self.side:
            say_smaller(size, self.side)
        blend = TileBlend(size, self.side)
        lesion: list[float] = []
        words: list[tuple[FloatArray, ...]] = []
        for places in chunks(tiles(size, self.side), self.batch_size):
            shown, inside = self._draw([image] * len(places), places)
            output = _seen(compute, shown, inside, mirrored=mirrored)
            for place, scores in zip(places, output.logits, strict=True):
                blend.add(place, scores)
                lesion.append(float(foreground_probability(place.inner_of(scores)).sum()) + _LEAST_LESION)
            words.append(output.words)
        weights = np.array(lesion, np.float32)
        return EngineOutput(
            logits=blend.scores()[None],
            words=self._words(whole.words, [np.concatenate(f) for f in zip(*words, strict=True)], weights),
            features=whole.features,
        )

    def _words(
        self, whole: Sequence[FloatArray], of_tiles: Sequence[FloatArray], weights: FloatArray
    ) -> tuple[FloatArray, ...]:
        """Return the phrase probabilities of an image, each `(1, N_f)`.

        Args:
            whole: Those of the overview, `(1, N_f)` per factor.
            of_tiles: Those of the tiles, `(tiles, N_f)` per factor.
            weights: How much lesion each tile shows, `(tiles,)`.
        """
        if self.vocabulary is None:
            return ()
        about_whole = whole_image_factors(self.vocabulary)
        share = (weights / weights.sum())[:, None]
        return tuple(
            own if is_whole else (share * parts).sum(axis=0, keepdims=True)
            for own, parts, is_whole in zip(whole, of_tiles, about_whole, strict=True)
        )

    def _draw(
        self, images: Sequence[Pixels], places: Sequence[Placement]
    ) -> tuple[FloatArray, FloatArray | None]:
        """Return pictures `(B, 3, S, S)`, and where they show the image, `(B, 1, S, S)`."""
        shown = [place.draw(image) for image, place in zip(images, places, strict=True)]
        inside = None
        if self.fit != "stretch":
            inside = np.stack([place.inside() for place in places])[:, None].astype(np.float32)
        return normalise(shown, self.mean, self.std), inside


def say_smaller(size: tuple[int, int], side: int) -> None:
    """Warn that an image of `size` (H, W) is smaller than the tiles of side S; said once."""
    if side not in _SAID:
        _SAID.add(side)
        _log.warning(
            f"An image of {size[1]} x {size[0]} pixels is smaller than the tiles of {side} x {side} pixels "
            f"that the run was trained on: it and others like it are padded. Where their pixels show more "
            f"than those of the training images, enlarge the images first."
        )


def _seen(compute: Compute, images: FloatArray, inside: FloatArray | None, *, mirrored: bool) -> EngineOutput:
    """Return what the network says of pictures; the scores of mirrored ones are turned back."""
    if not mirrored:
        return compute(images, inside)
    # The copy keeps the memory layout, which torch needs without negative strides.
    turned = images[..., ::-1].copy(order="K")
    output = compute(turned, None if inside is None else inside[..., ::-1].copy())
    return _mirror(output)


def _mirror(output: EngineOutput) -> EngineOutput:
    # Contiguous, as torch takes no negative strides.
    turned = np.ascontiguousarray(output.logits[..., ::-1])
    return EngineOutput(logits=turned, words=output.words, features=output.features)
