"""Describe the training images of a trained run, so that prediction notices images unlike them.

Only images are read: no mask and no text.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lexiseg._version import __version__
from lexiseg.data import DatasetIndex, Sample
from lexiseg.data.readers import read_image_with_facts
from lexiseg.engines.choice import load_engine
from lexiseg.engines.engine import EngineChoice
from lexiseg.errors import DataError, RunError
from lexiseg.evaluation.checks import check_unseen
from lexiseg.evaluation.evaluation_data import open_for_runs
from lexiseg.evaluation.options import Progress
from lexiseg.inference.ensemble import Member
from lexiseg.inference.options import BATCH_SIZE
from lexiseg.inference.reliability.training_images import (
    ASPECTS,
    FEWEST_IMAGES,
    Aspect,
    AspectRecord,
    AspectStatistics,
    TrainingImages,
    TrainingImagesRecord,
    Vectors,
    describe_images,
    save_training_images,
)
from lexiseg.runs.learned_images import LearnedImages, unknown_images
from lexiseg.runs.run import Run

_log = logging.getLogger(__name__)

#: At most this many images are read of each split, drawn with a fixed seed.
MOST_IMAGES = 1000
#: Share of the validation images that is above the limit of an aspect.
BEYOND_LIMIT = 0.005

# Main directions per aspect, and the least standard deviation of an entry: of colour and layout in their own
# units, of content as a share of the middle one.
_DIRECTIONS: dict[Aspect, int] = {"content": 32, "layout": 4, "colour": 0}
_LEAST_SCALE: dict[Aspect, float] = {"content": 1e-3, "layout": 1e-2, "colour": 4.0}
# Images per main direction, at least.
_IMAGES_PER_DIRECTION = 8
# Of standardised vectors, so that images that are all alike do not divide by 0.
_LEAST_VARIANCE = 1e-6
# A training image has a distance of about 1, so no limit is below it.
_LEAST_LIMIT = 1.0


def fit_training_images(
    run: Run | str | Path,
    data: str | Path,
    *,
    device: str = "cpu",
    engine: EngineChoice = "torch",
    progress: Progress | None = None,
) -> TrainingImages:
    """Describe the training images of a run and write it to `training_images.safetensors`.

    Training does this at its end; this function is for runs that lack the file. `calibrate` calls it too.

    Args:
        run: A trained run, or its folder.
        data: The data set it was trained on.
        device: "auto" (a GPU if there is one, else the CPU), "cpu", "cuda", "cuda:1", ...
        engine: What computes the network; see `PredictionOptions`.
        progress: Called after each batch with the number of images done and in all.

    Returns:
        What was written.

    Raises:
        DataError: The data set cannot be used with the run, an image cannot be read, or there are too few
            training or validation images.
        RunError: The run folder cannot be used, or comes with Lexiseg.
        DiskError: The file cannot be written.
    """
    run = Run.of(run)
    if run.shipped:
        raise RunError(
            f"{run.path.name} comes with Lexiseg and cannot be changed. Copy {run.path} and use the copy.",
            code="LEX-RUN-903",
        )
    index = open_for_runs((run,), data, "val")
    check_unseen(index, run, "val")
    earlier = LearnedImages(run).unknown_runs(index.name)
    if earlier:
        then = "If validation images are among them, fewer new images count as unlike the training images."
        _log.warning(unknown_images(earlier, then, run=run.shown))
    found = describe_training_images(index, run, device=device, engine=engine, progress=progress)
    if found is None:
        raise DataError(
            f"{index.root} has {len(_trained_on(index, run))} training and {len(index.split('val'))} "
            f"validation images; to describe what training images look like, at least {FEWEST_IMAGES} of "
            "each are needed.",
            code="LEX-DATA-900",
        )
    save_training_images(run, found)
    return found


def describe_training_images(
    index: DatasetIndex,
    run: Run,
    *,
    device: str = "cpu",
    engine: EngineChoice = "torch",
    progress: Progress | None = None,
) -> TrainingImages | None:
    """Describe the training images of a run; nothing is written.

    Args:
        index: The data set that it was trained on.
        run: The run, with its selected weights.
        device: As for `fit_training_images`.
        engine: As for `fit_training_images`.
        progress: As for `fit_training_images`.

    Returns:
        The description; None if there are fewer than `FEWEST_IMAGES` training or validation images.

    Raises:
        DataError: An image cannot be read.
    """
    train, val = _drawn(_trained_on(index, run)), _drawn(index.split("val"))
    if min(len(train), len(val)) < FEWEST_IMAGES:
        return None
    member = Member(run, load_engine(run, engine, device=device), BATCH_SIZE)
    vectors = _vectors([*train, *val], member, progress)
    seen = {aspect: (values[: len(train)], values[len(train) :]) for aspect, values in vectors.items()}
    statistics = {
        aspect: fit_aspect(
            seen[aspect][0], directions=_DIRECTIONS[aspect], least_scale=_least_scale(aspect, seen[aspect][0])
        )
        for aspect in ASPECTS
        if aspect in seen
    }
    distances = {aspect: part.distance(seen[aspect][1]) for aspect, part in statistics.items()}
    limits = {aspect: fit_limit(found) for aspect, found in distances.items()}
    beyond = np.any([found > limits[aspect] for aspect, found in distances.items()], axis=0)
    return TrainingImages(
        record=TrainingImagesRecord(
            weights_sha256=run.weights_sha256(),
            data=index.name,
            train=len(train),
            val=len(val),
            beyond=float(beyond.mean()),
            aspects={
                aspect: AspectRecord(limit=limits[aspect], rest=part.rest)
                for aspect, part in statistics.items()
            },
            engine=str(member.engine.description),
            lexiseg_version=__version__,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        ),
        statistics=statistics,
    )


def fit_aspect(vectors: npt.NDArray[np.floating], *, directions: int, least_scale: float) -> AspectStatistics:
    """Return the spread of training images in one aspect.

    Args:
        vectors: One vector per training image, `(N, D)`, N at least 2.
        directions: Main directions at most; fewer with few images.
        least_scale: Least standard deviation of an entry, above 0.
    """
    values = vectors.astype(np.float64)
    mean = values.mean(axis=0)
    scale = np.maximum(values.std(axis=0), least_scale)
    _, singular, rows = np.linalg.svd((values - mean) / scale, full_matrices=False)
    variances = singular**2 / len(values)
    count = max(0, min(directions, len(values) // _IMAGES_PER_DIRECTION, values.shape[1] - 1))
    # What the main directions leave, spread evenly over all others. Without main directions nothing is known
    # of correlations, and each entry has its own scale, which may be the least one.
    rest = float(variances[count:].sum()) / (values.shape[1] - count) if count else 1.0
    return AspectStatistics(
        mean=mean.astype(np.float32),
        scale=scale.astype(np.float32),
        directions=rows[:count].T.astype(np.float32),
        variances=np.maximum(variances[:count], _LEAST_VARIANCE).astype(np.float32),
        rest=max(rest, _LEAST_VARIANCE),
    )


def fit_limit(distances: npt.NDArray[np.floating]) -> float:
    """Return the distance that `BEYOND_LIMIT` of the validation images exceed, at least 1.

    Args:
        distances: Distance of each validation image, `(N,)`.
    """
    return max(_LEAST_LIMIT, float(np.quantile(distances, 1 - BEYOND_LIMIT)))


def _trained_on(index: DatasetIndex, run: Run) -> tuple[Sample, ...]:
    """Return the samples that took part in the training of a run, as far as the run knows them."""
    samples, learned = index.split("train"), LearnedImages(run)
    if not learned.knows_names or not learned.same_data(index.name):
        return samples
    return learned.by_name(samples, data=index.name)


def _drawn(samples: Sequence[Sample]) -> list[Sample]:
    """Return at most `MOST_IMAGES` samples, always the same, in their order."""
    drawn = np.random.default_rng(0).permutation(len(samples))[:MOST_IMAGES]
    return [samples[position] for position in sorted(drawn)]


def _vectors(samples: Sequence[Sample], member: Member, progress: Progress | None) -> Vectors:
    """Return the vectors of all samples by aspect, `(N, D)`."""
    found: dict[Aspect, list[npt.NDArray[np.floating]]] = {}
    for start in range(0, len(samples), BATCH_SIZE):
        # As prediction compares them: in their usual display.
        images = [
            read_image_with_facts(sample.image).displayed for sample in samples[start : start + BATCH_SIZE]
        ]
        pictures = member.whole_images.pictures(images)
        features = member.output(pictures.images, pictures.inside).features
        for aspect, values in describe_images(images, features).items():
            found.setdefault(aspect, []).append(values)
        if progress is not None:
            progress(start + len(images), len(samples))
    return {aspect: np.concatenate(parts) for aspect, parts in found.items()}


def _least_scale(aspect: Aspect, vectors: npt.NDArray[np.floating]) -> float:
    if aspect != "content":
        return _LEAST_SCALE[aspect]
    # A channel that is the same in all training images must not weigh more the fewer its digits are.
    return max(_LEAST_SCALE[aspect] * float(np.median(vectors.std(axis=0))), 1e-6)
