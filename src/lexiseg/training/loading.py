"""The loaders of training and validation data, and the errors of their worker processes."""

from __future__ import annotations

import contextlib
import random
import re
from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader, Subset

from lexiseg.data.sample import DatasetIndex, Split
from lexiseg.errors import DataError, LexisegError
from lexiseg.systems.configuration import TrainConfig
from lexiseg.training.examples import PlainExamples, TrainingExamples, Words, collate
from lexiseg.training.sample_cache import CachedSamples, DecodedSamples, PixelSource
from lexiseg.training.sampler import StepSampler

#: An error of ours in the traceback that torch sends from a worker: its message, and its code as a note.
_SENT = re.compile(r"^lexiseg\.errors\.\w+: (.*?)^\[(LEX-[A-Z]+-\d+)\]$", re.MULTILINE | re.DOTALL)


def make_loaders(
    index: DatasetIndex,
    config: TrainConfig,
    *,
    sampler: StepSampler,
    train_words: Words | None,
    val_words: Words | None,
    cached: bool,
) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """Return the loaders of training and validation.

    Args:
        index: The data set.
        config: The configuration, resolved.
        sampler: The order of the training images.
        train_words: Words of the training samples; None without text.
        val_words: Words of the validation samples; None without text.
        cached: Whether decoded images stay in memory.
    """

    def pixels(split: Split) -> PixelSource:
        decoded = DecodedSamples(index.split(split), index.coding, size=config.image_size)
        return CachedSamples(decoded) if cached else decoded

    examples = TrainingExamples(pixels("train"), train_words, augment=config.augment, seed=config.seed)
    plain = PlainExamples(pixels("val"), val_words)
    # A seeded choice keeps the validations between segments short; all cases are scored at the end.
    chosen = sorted(random.Random(config.seed).sample(range(len(plain)), min(config.val_cases, len(plain))))
    workers = config.workers or 0
    return (
        DataLoader(examples, batch_sampler=sampler, collate_fn=collate, num_workers=workers),
        DataLoader(Subset(plain, chosen), batch_size=config.batch_size, collate_fn=collate, num_workers=0),
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
                f"`--resume "
                f"--workers 0`.",
                code="LEX-DATA-129",
            ) from error
        raise
