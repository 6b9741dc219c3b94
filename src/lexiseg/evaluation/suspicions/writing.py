"""Writing of `suspicions.csv`, `suspicions.html` and `suspicions.json`."""

from __future__ import annotations

from collections.abc import Sequence

from lexiseg.data import DatasetIndex, Sample
from lexiseg.errors import LexisegError
from lexiseg.evaluation.suspicions.page import MOST_SHOWN, build_page
from lexiseg.evaluation.suspicions.run_samples import RunSamples
from lexiseg.evaluation.suspicions.suspicion_file import Suspicions
from lexiseg.inference.result import Prediction
from lexiseg.json_records import record_text
from lexiseg.outputs.output_folder import OutputFolder

#: The files that are written.
SUSPICION_FILES = ("suspicions.csv", "suspicions.html", "suspicions.json")


def write_suspicions(
    found: Suspicions, index: DatasetIndex, parts: Sequence[RunSamples], folder: OutputFolder
) -> None:
    """Write table, page and record; the record last.

    Raises:
        DiskError: They cannot be written.
    """
    table, page, record = (folder.path / name for name in SUSPICION_FILES)
    folder.write_text(table, found.table())
    folder.write_text(page, build_page(found, _to_draw(found, parts), index))
    folder.write_text(record, record_text(found))


def _to_draw(found: Suspicions, parts: Sequence[RunSamples]) -> dict[str, tuple[Sample, Prediction]]:
    """Predict the cases that the page shows again, by id."""
    shown = {case.id for case in found.cases[:MOST_SHOWN]}
    drawn: dict[str, tuple[Sample, Prediction]] = {}
    for part in parts:
        samples = [sample for sample in part.samples if sample.id in shown]
        predictions = part.predictor.predict_paths([sample.image for sample in samples])
        for sample, (_, prediction) in zip(samples, predictions, strict=True):
            if isinstance(prediction, LexisegError):
                raise prediction
            drawn[sample.id] = (sample, prediction)
    return drawn
