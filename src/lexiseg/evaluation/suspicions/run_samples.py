"""A run, and the samples of a data set that it can check: those that it did not learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lexiseg.data import Sample
from lexiseg.evaluation.predictor_protocol import PathPredictor
from lexiseg.runs.learned_images import LearnedImages, unknown_images
from lexiseg.runs.run import Run


@dataclass(frozen=True, kw_only=True)
class RunSamples:
    """A run, and the samples of a data set that it did not learn from.

    Attributes:
        predictor: The run, loaded.
        samples: The samples.
    """

    predictor: PathPredictor
    samples: tuple[Sample, ...]


def not_learned(run: Run, samples: Sequence[Sample], data: str) -> tuple[tuple[Sample, ...], tuple[str, ...]]:
    """Return the samples that a run was not trained on, and notes where it may have learned some.

    Args:
        run: The run; it holds its splits.
        samples: The samples.
        data: Name of their data set.

    Raises:
        RunError: The hashes of the run's images are damaged.
    """
    learned, notes = LearnedImages(run), tuple[str, ...]()
    known = {sample.id for sample in learned.by_name(samples, data=data)}
    # Files are read and decoded for it, so only those whose names tell nothing.
    others = [sample for sample in samples if sample.id not in known]
    known |= {sample.id for sample in learned.by_file(others)}
    if not learned.same_data(data) and not learned.knows_files:
        notes = (
            f"Images that {run.shown} was trained on may be among the cases: the name of its data "
            f"set is {run.manifest.data.name or 'not known'}, not {data}, so the names of images cannot be "
            "compared, and it holds no hashes of its images.",
        )
    earlier = learned.unknown_runs(data)
    if earlier:
        then = "It has learned the errors of those that are among the cases."
        notes += (unknown_images(earlier, then, run=run.shown),)
    return tuple(sample for sample in samples if sample.id not in known), notes
