"""`training_images.safetensors` of a run: what its training images look like, and what is unlike them.

An image is compared in three aspects. Content: the channel means of the encoder's features at two depths.
Layout: where the image is light and dark, with its brightness and contrast. Colour: its mean saturation. Each
aspect is a vector, and its distance from the training images is that of probabilistic principal components
(Tipping and Bishop, *Probabilistic principal component analysis*, J. R. Stat. Soc. B, 1999): the Mahalanobis
distance under a covariance that is full along the main directions and equal along all others.

No text is read. Only numpy computes.

Shape legend: B images, D length of a vector, K main directions.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import BaseModel, Field
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from lexiseg.data.grey import grey_of
from lexiseg.errors import RunError
from lexiseg.extras import upgrade_hint
from lexiseg.files import write_bytes
from lexiseg.json_records import PartlyWritten, Record, reason
from lexiseg.open_files import too_many_open
from lexiseg.printable import command_word
from lexiseg.runs.run import Run
from lexiseg.structured_text import parse_json

_log = logging.getLogger(__name__)

#: Name of the file in the run folder.
TRAINING_IMAGES_FILE = "training_images.safetensors"
#: With fewer training or validation images than this, nothing is described: the limits would be chance.
FEWEST_IMAGES = 20
#: The reason for doubt in an image that is unlike the training images.
UNLIKE = "unlike the training images"

Aspect = Literal["content", "layout", "colour"]
ASPECTS: tuple[Aspect, ...] = get_args(Aspect)

FloatArray = npt.NDArray[np.floating]
Vectors = Mapping[Aspect, FloatArray]

_FORMAT_VERSION = 1
_RECORD_KEY = "record"
_CELLS = 8  # of the layout, along each side
# Added to the contrast that the layout is divided by, in grey levels: an even image has no layout.
_LEAST_CONTRAST = 4.0


class AspectRecord(Record):
    """The figures of one aspect; its arrays are the tensors of the file.

    Attributes:
        limit: Distance above which an image is unlike the training images.
        rest: Variance of the standardised vectors along each direction that is not a main one.
    """

    limit: float = Field(gt=0)
    rest: float = Field(gt=0)


class TrainingImagesRecord(PartlyWritten, Record):
    """What the file states about itself; it is in the metadata of the safetensors file, as JSON.

    Attributes:
        format_version: Version of the file's format.
        weights_sha256: SHA-256 of the weights that computed the features.
        data: Name of the data set.
        train: Number of training images that were described.
        val: Number of validation images that the limits were chosen on.
        beyond: Share of these validation images that are above a limit, 0..1.
        aspects: The aspects by name.
        engine: What computed the network; None in a file of an early version.
        lexiseg_version: Version that made it.
        created: ISO date and time, UTC.
    """

    LEFT_OUT = frozenset({"engine"})

    format_version: int = _FORMAT_VERSION
    weights_sha256: str
    data: str
    train: int
    val: int
    beyond: float
    aspects: dict[Aspect, AspectRecord]
    engine: str | None = None
    lexiseg_version: str
    created: str


@dataclass(frozen=True, kw_only=True)
class AspectStatistics:
    """How the training images spread in one aspect.

    Attributes:
        mean: Mean vector `(D,)`.
        scale: Standard deviation of each entry, `(D,)`, above 0.
        directions: Main directions of the standardised vectors, orthonormal columns `(D, K)`.
        variances: Variance along each of them, `(K,)`.
        rest: Variance along each other direction.
    """

    mean: FloatArray
    scale: FloatArray
    directions: FloatArray
    variances: FloatArray
    rest: float

    def distance(self, vectors: FloatArray) -> npt.NDArray[np.float64]:
        """Return the distances `(B,)` of vectors `(B, D)`: about 1 for a training image."""
        standard = (vectors.astype(np.float64) - self.mean) / self.scale
        along = standard @ self.directions.astype(np.float64)
        outside = np.maximum((standard**2).sum(axis=1) - (along**2).sum(axis=1), 0)
        total = (along**2 / self.variances).sum(axis=1) + outside / self.rest
        distances: npt.NDArray[np.float64] = np.sqrt(total / standard.shape[1])
        return distances


@dataclass(frozen=True, kw_only=True)
class TrainingImages:
    """What the training images of a run look like.

    Attributes:
        record: What the file states about itself.
        statistics: The spread of each aspect in the record.
    """

    record: TrainingImagesRecord
    statistics: Mapping[Aspect, AspectStatistics]

    def unlike(self, vectors: Vectors) -> list[tuple[Aspect, ...]]:
        """Return, per image, the aspects in which it is unlike the training images; empty if in none.

        Args:
            vectors: Vectors `(B, D)` by aspect. An aspect that is missing is not compared.
        """
        compared = [aspect for aspect in self.statistics if aspect in vectors]
        beyond = {
            aspect: self.statistics[aspect].distance(vectors[aspect]) > self.record.aspects[aspect].limit
            for aspect in compared
        }
        images = len(next(iter(vectors.values())))
        return [tuple(aspect for aspect in compared if beyond[aspect][i]) for i in range(images)]


def describe_images(images: Sequence[npt.NDArray[np.uint8]], features: FloatArray | None) -> Vectors:
    """Return the vectors of images by aspect.

    Args:
        images: `(H, W, 3)` uint8 each; sizes may differ.
        features: What the network says of the whole images, `(B, C)`; None where it says nothing.
    """
    cells = np.stack([_cells(image) for image in images])  # (B, cells, cells, 3)
    grey = cells.mean(axis=3).reshape(len(cells), -1)
    mean, contrast = grey.mean(axis=1, keepdims=True), grey.std(axis=1, keepdims=True)
    layout = np.concatenate([(grey - mean) / (contrast + _LEAST_CONTRAST), mean, contrast], axis=1)
    colour = (cells.max(axis=3) - cells.min(axis=3)).mean(axis=(1, 2))[:, None]
    vectors: dict[Aspect, FloatArray] = {"layout": layout, "colour": colour}
    return vectors if features is None else {"content": features, **vectors}


def unlike_any(
    known: Sequence[TrainingImages | None],
    images: Sequence[npt.NDArray[np.uint8]],
    features: Sequence[FloatArray | None],
) -> list[tuple[Aspect, ...]] | None:
    """Return in what each image is unlike the training images of any run of several.

    Args:
        known: What the training images of each run look like; None where the run does not hold it.
        images: `(H, W, 3)` uint8 each.
        features: What the network of each run says of the whole images, `(B, C)`; None where it says nothing.
            The content of the images is not compared then, which is logged once.

    Returns:
        The aspects per image; None if no run holds what its training images look like.
    """
    found = []
    for of_run, values in zip(known, features, strict=True):
        if of_run is None:
            continue
        if values is None and "content" in of_run.statistics:
            _warn_of_content()
        found.append(of_run.unlike(describe_images(images, values)))
    if not found:
        return None
    return [
        tuple(aspect for aspect in ASPECTS if any(aspect in aspects for aspects in of_image))
        for of_image in zip(*found, strict=True)
    ]


@cache
def _warn_of_content() -> None:
    """Warn that there are no features; cached, to say it once."""
    _log.warning(
        "The engine gives no image features: images are compared with the training images in layout and "
        "colour, not in content. Write a new model file with `lexiseg export`, or use --engine torch."
    )


def unlike_reason(aspects: Sequence[Aspect]) -> str:
    """Return the reason for doubt, such as "unlike the training images (content, colour)"."""
    return f"{UNLIKE} ({', '.join(aspects)})"


def save_training_images(run: Run, found: TrainingImages) -> None:
    """Write what the training images look like into their run.

    Raises:
        DiskError: The file cannot be written.
    """
    tensors = {
        f"{aspect}.{name}": np.ascontiguousarray(getattr(statistics, name), dtype=np.float32)
        for aspect, statistics in found.statistics.items()
        for name in ("mean", "scale", "directions", "variances")
    }
    metadata = {_RECORD_KEY: found.record.model_dump_json()}
    write_bytes(run.path / TRAINING_IMAGES_FILE, save(tensors, metadata=metadata))


def load_training_images(run: Run) -> TrainingImages | None:
    """Return what the training images of a run look like; None where the run does not hold it.

    Raises:
        RunError: The file is damaged, of a newer version, or was made with other weights.
        DiskError: Too many files are open.
    """
    file = run.path / TRAINING_IMAGES_FILE
    if not file.is_file():
        return None
    try:
        with safe_open(file, framework="numpy") as opened:
            value = parse_json((opened.metadata() or {})[_RECORD_KEY])
            version = _Version.model_validate(value).format_version
            found = None
            if version <= _FORMAT_VERSION:
                record = TrainingImagesRecord.model_validate(value)
                found = TrainingImages(
                    record=record,
                    statistics={
                        aspect: AspectStatistics(
                            mean=opened.get_tensor(f"{aspect}.mean"),
                            scale=opened.get_tensor(f"{aspect}.scale"),
                            directions=opened.get_tensor(f"{aspect}.directions"),
                            variances=opened.get_tensor(f"{aspect}.variances"),
                            rest=figures.rest,
                        )
                        for aspect, figures in record.aspects.items()
                    },
                )
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise too_many_open(file, error) or RunError(
            f"{file} is damaged ({reason(TrainingImagesRecord, error)}). Restore it, or remove it and run "
            f"`lexiseg calibrate {command_word(run.path)} DATA`, which makes it again.",
            code="LEX-RUN-900",
        ) from error
    if found is None:
        raise RunError(
            f"{file} was written by a newer Lexiseg (format {version}); this version reads formats up to "
            f"{_FORMAT_VERSION}. {upgrade_hint()}",
            code="LEX-RUN-901",
        )
    if found.record.weights_sha256 != run.weights_sha256():
        raise RunError(
            f"{file} was made with other weights than those in {run.weights_file}. Remove it and run "
            f"`lexiseg calibrate {command_word(run.path)} DATA`, which makes it again.",
            code="LEX-RUN-902",
        )
    return found


class _Version(BaseModel):
    """The version of a record whose other fields may not be known here."""

    format_version: int


def _cells(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Return the mean colours of 8 x 8 equal cells of an image, `(8, 8, 3)`, 0..255."""
    grey = grey_of(image)
    small = Image.fromarray(image if grey is None else grey).resize((_CELLS, _CELLS), Image.Resampling.BOX)
    colours = np.asarray(small, dtype=np.float64)
    return colours if grey is None else np.repeat(colours[..., None], 3, axis=2)
