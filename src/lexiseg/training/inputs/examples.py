"""Training examples: pixels, labels and words, changed together at random."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from lexiseg.data.image_fit import tiles
from lexiseg.data.transforms import Affine, Elastic, HorizontalFlip, Transform, VerticalFlip, words_follow
from lexiseg.systems.configuration import AugmentConfig
from lexiseg.training.inputs.batch import Example
from lexiseg.training.inputs.corruption import add_noise, cut_out
from lexiseg.training.inputs.picture_fit import OVERVIEW_SHARE, PictureFit, random_window, words_of_part
from lexiseg.training.inputs.sample_cache import Pixels, PixelSource
from lexiseg.training.inputs.sampler import Key
from lexiseg.words.description import UNKNOWN, Indices, Side, Source
from lexiseg.words.measure import measure_indices
from lexiseg.words.vocabulary import Vocabulary


class Words:
    """What is said about every training sample.

    Attributes:
        vocabulary: The vocabulary.
        indices: Factor indices per sample, in the order of the samples.
        source: Who said it.
        side: Side convention of the indices.
    """

    def __init__(
        self, vocabulary: Vocabulary, indices: Sequence[Indices], *, source: Source, side: Side
    ) -> None:
        self.vocabulary = vocabulary
        self.indices = tuple(indices)
        self.source = source
        self.side = side

    def only(self, vocabulary: Vocabulary) -> Words:
        """Return the words of a vocabulary that holds some of the factors of this one."""
        kept = [self.vocabulary.names.index(name) for name in vocabulary.names]
        indices = [tuple(row[position] for position in kept) for row in self.indices]
        return Words(vocabulary, indices, source=self.source, side=self.side)

    def as_reports(self) -> Words:
        """Return the words as stated ones, which are never measured again, but may become unknown."""
        return Words(self.vocabulary, self.indices, source="reports", side=self.side)


class SamplePictures(Protocol):
    """Pictures that belong to training images, and move with them in every random change."""

    def picture(self, position: int) -> Pixels:
        """Return the picture of a sample, `(S, S, K)` uint8 at the training size."""


@runtime_checkable
class SampleLabels(SamplePictures, Protocol):
    """SamplePictures that stand for the masks of images that have none."""

    def labels(self, position: int) -> Pixels:
        """Return labels `(S, S)` uint8 of a sample."""

    def weight(self, position: int) -> float:
        """Return how far a sample counts, 0..1."""


class TrainingExamples(Dataset[Example]):
    """Random examples, each a function of seed, stream position and sample alone.

    Args:
        pixels: Images and labels.
        words: What is said about them; None trains without text.
        augment: The random changes.
        seed: Seed of the changes.
        sample_pictures: Pictures that move with the images; needed where samples have no mask. Only for
            stretched images.
        fit: How the images fit the pictures that the network sees; None: they are stretched to them.
    """

    def __init__(
        self,
        pixels: PixelSource,
        words: Words | None,
        *,
        augment: AugmentConfig,
        seed: int,
        sample_pictures: SamplePictures | None = None,
        fit: PictureFit | None = None,
    ) -> None:
        assert fit is None or sample_pictures is None
        self._fit = fit
        self._pixels = pixels
        self._words = words
        self._augment = augment
        self._seed = seed
        self._sample_pictures = sample_pictures
        # Labels that nobody drew must not be measured into words, as those of "concepts" are.
        self._stated = None if words is None else words.as_reports()
        # A vocabulary whose places nothing can measure would lose its words in every shift.
        self._may_shift = words is None or words_follow(words.vocabulary)

    def __len__(self) -> int:
        return len(self._pixels)

    def __getitem__(self, key: Key) -> Example:
        """Return one example.

        Args:
            key: Position in the stream of examples, and position of the sample.

        Returns:
            The example.
        """
        drawn, position = key
        # The second entry keeps this stream apart from the sampler's (seed, pass).
        rng = np.random.default_rng((self._seed, 1, drawn, position))
        image, labels = self._pixels[position]
        indices = self._words.indices[position] if self._words is not None else ()
        masked, weight, picture = labels is not None, 1.0, None
        words = self._words if masked else self._stated
        pictures = self._sample_pictures
        if pictures is not None:
            picture = pictures.picture(position)
            if labels is None and isinstance(pictures, SampleLabels):
                labels, weight = pictures.labels(position), pictures.weight(position)
        assert labels is not None, "an image without mask needs labels of its own"
        if self._fit is not None and self._fit.fit == "tiles":
            if self._words is not None and rng.random() < OVERVIEW_SHARE:
                image, labels = self._fit.overview(image, labels)
            else:
                box = random_window(labels, self._fit.side, rng)
                image, labels = image[box.place], np.ascontiguousarray(labels[box.place])
                if self._words is not None:
                    indices = words_of_part(
                        indices, self._words.vocabulary, self._words.source, image, labels
                    )
                words = self._stated  # what the part does not show must not be measured on it again
        for transform in self._draw(rng):
            before = labels
            image, labels = transform.apply(image, before)
            picture = None if picture is None else moved(picture, before, transform)
            if words is not None:
                indices = transform.apply_words(
                    indices, words.vocabulary, before, labels, words.source, side=words.side
                )
        shown = cut_out(self._shown(image, rng), rng, self._augment)
        if words is not None:
            indices = words_after_exposure(indices, words, labels, image, shown)
        return example(shown, labels, indices, masked=masked, picture=picture, weight=weight, fit=self._fit)

    def _shown(self, image: Pixels, rng: np.random.Generator) -> Pixels:
        """Change what cameras and detectors change: exposure, noise."""
        return add_noise(_expose(image, rng, self._augment), rng, self._augment)

    def _draw(self, rng: np.random.Generator) -> list[Transform]:
        chosen: list[Transform] = []
        # Before the flips: what it measures again must be an upright chest.
        if rng.random() < self._augment.affine and self._may_shift:
            chosen.append(
                Affine.draw(
                    rng,
                    max_angle_deg=self._augment.max_angle_deg,
                    max_scale=self._augment.max_scale,
                    max_shift=self._augment.max_shift,
                )
            )
        # Without it nothing is drawn, so the other changes do not depend on whether this version knows it.
        if self._augment.elastic > 0 and rng.random() < self._augment.elastic and self._may_shift:
            chosen.append(Elastic.draw(rng, max_displacement=self._augment.max_displacement))
        if rng.random() < self._augment.horizontal_flip:
            chosen.append(HorizontalFlip())
        if rng.random() < self._augment.vertical_flip:
            chosen.append(VerticalFlip())
        return chosen


class PlainExamples(Dataset[Example]):
    """Examples as they are, for validation.

    Args:
        pixels: Images and labels.
        words: What is said about them; None without text.
        fit: How the images fit the pictures that the network sees; None: they are stretched to them. With
            tiles each example also holds the whole image and its labels; the picture is its overview.
    """

    def __init__(self, pixels: PixelSource, words: Words | None, fit: PictureFit | None = None) -> None:
        self._pixels = pixels
        self._words = words
        self._fit = fit

    def __len__(self) -> int:
        return len(self._pixels)

    @property
    def pictures_per_case(self) -> int:
        """Number of pictures that the network sees of a case, about: that of the first one."""
        if self._fit is None or self._fit.fit != "tiles":
            return 1
        image, _ = self._pixels[0]
        return 1 + len(tiles((image.shape[0], image.shape[1]), self._fit.side))

    def __getitem__(self, position: int) -> Example:
        image, labels = self._pixels[position]
        assert labels is not None, "validation images have masks"
        indices = self._words.indices[position] if self._words is not None else ()
        if self._fit is None or self._fit.fit != "tiles":
            return example(image, labels, indices, fit=self._fit)
        shown = example(*self._fit.overview(image, labels), indices, fit=self._fit)
        whole = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
        return shown._replace(whole=whole, truth=torch.from_numpy(labels))


def moved(picture: Pixels, labels: Pixels, transform: Transform) -> Pixels:
    """Return a picture `(S, S, K)` moved as its image is.

    Args:
        picture: Any number of channels.
        labels: `(S, S)`, of the same image; not used for the result.
        transform: How the image moves.
    """
    channels = [
        transform.apply(np.ascontiguousarray(picture[..., k : k + 1]), labels)[0]
        for k in range(picture.shape[2])
    ]
    return np.concatenate(channels, axis=2)


def example(
    image: Pixels,
    labels: Pixels,
    indices: Indices,
    *,
    masked: bool = True,
    picture: Pixels | None = None,
    weight: float = 1.0,
    fit: PictureFit | None = None,
) -> Example:
    """Return an example; `image`, `labels` and `picture` are arrays `(S, S, channels)`, `(S, S)`.

    Args:
        image: The image.
        labels: Its labels.
        indices: Phrases of its words.
        masked: Whether the labels are those of its mask; else the example has none.
        picture: A picture that belongs to the image.
        weight: How far the picture counts.
        fit: How the image fits the picture that the network sees; None: it is stretched to it.
    """
    shown = labels if masked else np.zeros_like(labels)
    inside = None
    if fit is not None:
        image, shown, inside = fit.in_picture(image, shown)
    shown_picture = None if picture is None else np.ascontiguousarray(picture.transpose(2, 0, 1))
    return Example(
        image=torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))),
        labels=torch.from_numpy(np.ascontiguousarray(shown[None])),
        indices=torch.tensor(indices, dtype=torch.int64),
        masked=torch.tensor(masked),
        inside=None if inside is None else torch.from_numpy(inside[None]),
        picture=None if shown_picture is None else torch.from_numpy(shown_picture),
        weight=None if picture is None else torch.tensor(weight, dtype=torch.float32),
    )


def words_after_exposure(
    indices: Indices, words: Words, labels: Pixels, before: Pixels, after: Pixels
) -> Indices:
    """Return the words that are true of an image whose pixels were changed in place.

    Args:
        indices: Factor indices, true before.
        words: Their vocabulary, source and side.
        labels: `(S, S)` labels.
        before: `(S, S, C)` pixels before the change.
        after: `(S, S, C)` pixels after it.

    Returns:
        Factor indices. Of the factors that are measured in pixels (colour, intensity), measured words
        ("concepts") are measured again, others are kept only where the measurement says that the change left
        them true. All other factors stay as they are.
    """
    vocabulary = words.vocabulary
    seen = _seen_in_pixels(vocabulary)
    if not any(seen):
        return indices
    was, now = (
        measure_indices(
            labels, vocabulary, image=pixels[..., 0] if pixels.shape[2] == 1 else pixels, side=words.side
        )
        for pixels in (before, after)
    )
    if words.source != "concepts":
        now = tuple(i if old == new else UNKNOWN for i, old, new in zip(indices, was, now, strict=True))
    return tuple(new if looked else i for i, new, looked in zip(indices, now, seen, strict=True))


def _seen_in_pixels(vocabulary: Vocabulary) -> list[bool]:
    """Return per factor whether it is measured in pixels: colour, intensity."""
    return [bool(factor.measure and factor.measure.needs_image) for factor in vocabulary.factors]


def _expose(image: Pixels, rng: np.random.Generator, augment: AugmentConfig) -> Pixels:
    """Change gamma, contrast and brightness by one table look-up."""
    gamma, contrast, brightness = rng.uniform(-1, 1, size=3)
    levels: npt.NDArray[np.float64] = np.linspace(0, 1, 256) ** ((1 + augment.gamma) ** gamma)
    levels = (levels - 0.5) * (1 + augment.gamma * contrast) + 0.5 + augment.brightness * brightness
    table = np.round(np.clip(levels, 0, 1) * 255).astype(np.uint8)
    return table[image]
