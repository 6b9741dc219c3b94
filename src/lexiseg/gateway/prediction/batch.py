"""Prediction of a few images by one rule: a folder with the results of each image."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lexiseg.errors import DataError
from lexiseg.files import disk_errors, make_folder, write_json
from lexiseg.gateway.configuration import GatewayConfiguration, Rule
from lexiseg.gateway.prediction.result_files import result_file_name
from lexiseg.inference.batches.batch import predict_to_files
from lexiseg.inference.formats.registry import format_named
from lexiseg.inference.inputs.target import Target
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.records.predictions_file import FailureRecord, PredictionRecord
from lexiseg.inference.writers.loading import make_writers
from lexiseg.structured_text import parse_json

#: The record of a prediction among the results of its image.
RECORD_FILE = "prediction.json"


@dataclass(frozen=True, kw_only=True)
class PredictedResults:
    """The results of one image.

    Attributes:
        folder: Folder that holds them: `FORMAT.SUFFIX` for each format that was written, and the record.
        record: The prediction without its pixels.
        refused: Why the first output that was not written was refused; None if all were written.
    """

    folder: Path
    record: PredictionRecord
    refused: DataError | None


@dataclass(frozen=True, kw_only=True)
class FailedImage:
    """An image that could not be predicted.

    Attributes:
        code: Stable code of the reason.
        reason: The reason.
    """

    code: str
    reason: str


def load_predictors(configuration: GatewayConfiguration) -> dict[str, Predictor]:
    """Return the predictor of each run that a rule names; also load the writers of all formats.

    Raises:
        RunError: A run is missing or damaged.
        WeightsError: Its weights are missing or damaged.
        UsageError: A format needs packages that are not installed.
    """
    # At the start, so that the first image does not wait for it.
    for rule in configuration.rules:
        make_writers(rule.write)
    runs = dict.fromkeys(rule.run for rule in configuration.rules)
    options = PredictionOptions(batch_size=configuration.batch)
    return {run: Predictor(run, options) for run in runs}


def predict_batch(
    images: Mapping[str, Path], rule: Rule, predictor: Predictor, work: Path
) -> dict[str, PredictedResults | FailedImage]:
    """Predict images and put the results of each into a folder of its own.

    Args:
        images: The files, by id.
        rule: The rule that they follow.
        predictor: That of the rule's run.
        work: A folder that does not exist yet; the caller removes it.

    Raises:
        DiskError: There is no space or no permission.
    """
    batch = work / "batch"
    targets = [Target(image=path, name=Path(id)) for id, path in images.items()]
    summary = predict_to_files(predictor, targets, batch, formats=rule.write)
    ids = {str(path): id for id, path in images.items()}
    found: dict[str, PredictedResults | FailedImage] = {}
    for line in summary.results.read_text(encoding="utf-8").splitlines():
        value = parse_json(line)
        id = ids[value["image"]]
        if "error" in value:
            failure = FailureRecord.model_validate(value)
            found[id] = FailedImage(code=failure.code, reason=failure.error)
        else:
            record = PredictionRecord.model_validate(value)
            found[id] = _results(id, record, batch, work / id, rule)
    return found


def _results(id: str, record: PredictionRecord, batch: Path, folder: Path, rule: Rule) -> PredictedResults:
    """Gather the results of one image in a folder."""
    with disk_errors(folder):
        make_folder(folder)
        for name in dict.fromkeys(rule.write):
            known = format_named(name)
            written = batch / str(known.folder) / f"{id}{known.suffix}"
            if name not in record.not_written:
                os.replace(written, folder / result_file_name(known))
    write_json(folder / RECORD_FILE, record.model_dump(mode="json"))
    return PredictedResults(folder=folder, record=record, refused=_refused(record))


def _refused(record: PredictionRecord) -> DataError | None:
    """Return why the first output that was not written was refused."""
    for name, why in record.not_written.items():
        error = DataError(f"The {name} is not written: {why.text}", code="LEX-DATA-1234")
        error.code = why.code or error.code  # that of the place that refused the output
        return error
    return None
