"""The loaders of training and validation data, and the errors of their worker processes."""

from __future__ import annotations

import contextlib
import random
import re
from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader, Subset

from lexiseg.data.image_fit import Fit
from lexiseg.data.sample import DatasetIndex, Split
from lexiseg.errors import DataError, LexisegError
from lexiseg.systems.configuration import TrainConfig
from lexiseg.training.inputs.batch import collate
from lexiseg.training.inputs.examples import PlainExamples, TrainingExamples
from lexiseg.training.inputs.sample_cache import CachedSamples, DecodedSamples, PixelSource
from lexiseg.training.inputs.sampler import StepSampler

#: At least this many validation cases are scored after each segment, however many tiles they have.
_FEWEST_CASES = 8
#: An error of ours in the traceback that torch sends from a worker: its message, and its code as a note.
_SENT = re.compile(r"^lexiseg\.errors\.\w+: (.*?)^\[(LEX-[A-Z]+-\d+)\]$", re.MULTILINE | re.DOTALL)


def pixel_sources(
    index: DatasetIndex, *, size: int, fit: Fit = "stretch", cached: bool
) -> tuple[PixelSource, PixelSource]:
    """Return images and labels of the training and of the validation split.

    Args:
        index: The data set.
        size: Side of the pictures that the network sees.
        fit: How the images fit them.
        cached: Whether decoded images stay in memory; they are then all read here.
    """

    def pixels(split: Split) -> PixelSource:
        decoded = DecodedSamples(index.split(split), index.coding, size=size, fit=fit)
        return CachedSamples(decoded) if cached else decoded

    return pixels("train"), pixels("val")


def training_loader(
    examples: TrainingExamples, config: TrainConfig, *, sampler: StepSampler
) -> DataLoader[Any]:
    """Return the batches of a training, in the order of the sampler."""
    workers = config.workers or 0
    return DataLoader(examples, batch_sampler=sampler, collate_fn=collate, num_workers=workers)


def validation_positions(examples: PlainExamples, config: TrainConfig) -> list[int]:
    """Return the positions of the validation cases that are scored after each segment, ascending."""
    most = most_scored(examples.pictures_per_case, config)
    return sorted(random.Random(config.seed).sample(range(len(examples)), min(most, len(examples))))


def most_scored(pictures_per_case: int, config: TrainConfig) -> int:
    """Return the most validation cases that are scored after each segment.

    A seeded choice keeps the validations between segments short; with tiles a case is many pictures.

    Args:
        pictures_per_case: Number of pictures that the network sees of a case.
        config: The configuration.
    """
    most = config.val_cases
    return most if pictures_per_case == 1 else min(most, max(_FEWEST_CASES, most // pictures_per_case))


def validation_loader(examples: PlainExamples, config: TrainConfig) -> DataLoader[Any]:
    """Return the validation cases that are scored after each segment; all are scored at the end."""
    return DataLoader(
        Subset(examples, validation_positions(examples, config)),
        batch_size=config.batch_size,
        collate_fn=collate,
        num_workers=0,
    )


@contextlib.contextmanager
def worker_errors() -> Iterator[None]:
    """Say plainly what happened to a data worker.

    Raises:
        DataError: A worker process died.
        LexisegError: The error a worker met, without the traceback that torch makes part of its message.
    """
    try:
        yield
    except LexisegError as error:
        sent = _SENT.findall(str(error))
        if str(error).startswith("Caught ") and sent:
            message, code = sent[-1]
            raise type(error)(message.strip(), code=code) from error
        raise
    except RuntimeError as error:
        if "DataLoader worker (pid" in str(error):
            raise DataError(
                f"A data worker process ended: {error} The usual cause is too little memory. Continue with "
                "`--resume --workers 0`.",
                code="LEX-DATA-129",
            ) from error
        raise
