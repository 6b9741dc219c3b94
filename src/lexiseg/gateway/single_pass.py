"""One pass over a folder, without a queue: the contract of a processing module of mercure.

mercure starts a container with a folder of images (MERCURE_IN_DIR) and takes what it finds in another one
(MERCURE_OUT_DIR): DICOM objects, and `result.json`.
"""

from __future__ import annotations

import filecmp
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from lexiseg.clinic.dataset import read_dataset
from lexiseg.clinic.result_content import NOT_FOR_DIAGNOSIS
from lexiseg.data.content import read_content
from lexiseg.data.portable_names import portable_name
from lexiseg.errors import DataError, LexisegError
from lexiseg.files import disk_errors, fitting_name, remove_leftovers, temporary_folder, write_json
from lexiseg.gateway.configuration import GatewayConfiguration, Rule
from lexiseg.gateway.header import Header
from lexiseg.gateway.prediction.batch import (
    RECORD_FILE,
    FailedImage,
    PredictedResults,
    load_predictors,
    predict_batch,
)
from lexiseg.gateway.prediction.classification import classify
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.records.predictions_file import PredictionRecord
from lexiseg.json_records import FileRecord, Record
from lexiseg.outputs.new_folder import reserve_folder
from lexiseg.printable import counted

#: What mercure keeps of a pass.
RESULT_FILE = "result.json"

#: Where the results of a pass are made, in the folder for results; its name is temporary.
_WORK = "pass"
#: Files that mercure puts beside the images.
_NOT_IMAGES = (".json", ".tags", ".error")


class Notification(Record):
    """What mercure writes into its messages.

    Attributes:
        text: The text.
    """

    text: str


class ImageOutcome(Record):
    """What became of one file.

    Attributes:
        file: Its name in the folder of images.
        state: It was predicted; no rule fits it, Lexiseg made it, or another file holds the same; or it
            failed.
        rule: Name of its rule; empty without one.
        code: Stable code of the reason why it failed, or why an object was not written; empty without one.
        reason: The reason why it failed or was left out, or why an object was not written.
        objects: Names of the files that were written of it.
        prediction: The prediction without its pixels; None where there is none.
    """

    file: str
    state: Literal["predicted", "left_out", "failed"]
    rule: str = ""
    code: str = ""
    reason: str = ""
    objects: tuple[str, ...] = ()
    prediction: PredictionRecord | None = None


class PassRecord(FileRecord):
    """Contents of `result.json`.

    Attributes:
        schema_version: Version of this schema.
        notice: What the results are not for.
        images: What became of each file.
        notification: What mercure writes into its messages.
    """

    notice: str = NOT_FOR_DIAGNOSIS
    images: tuple[ImageOutcome, ...]
    notification: Notification = Field(serialization_alias="__mercure_notification")


@dataclass(frozen=True, kw_only=True)
class PassSummary:
    """Counts of a pass.

    Attributes:
        predicted: Files that were predicted.
        flagged: Those of them that a person should look at.
        left_out: Files that no rule fits, that Lexiseg made, or that hold the same as another one.
        failed: Names and reasons of the files that failed, and of objects that were not written.
    """

    predicted: int
    flagged: int
    left_out: int
    failed: tuple[tuple[str, str], ...]


def predict_folder(configuration: GatewayConfiguration, images: Path, out: Path) -> PassSummary:
    """Segment the images of a folder by the rules, and write the objects and `result.json`.

    Args:
        configuration: Its rules are used; its sources and destinations are not.
        images: The folder of images; it is only read.
        out: The folder for results; objects are named `SERIES#OBJECT.dcm` by their UIDs, as mercure does.

    Raises:
        DataError: The folder of images does not exist.
        RunError: A run is missing or damaged.
        UsageError: Another pass writes to `out`.
        DiskError: There is no space or no permission.
    """
    if not images.is_dir():
        raise DataError(f"The folder of images {images} does not exist.", code="LEX-DATA-1250")
    predictors = load_predictors(configuration)
    work = out / _WORK
    with disk_errors(out), reserve_folder(work), temporary_folder(work) as folder:
        remove_leftovers(out)
        found = list(_outcomes(configuration, predictors, images, out, folder))
    summary = _summary(found)
    text = (
        f"{counted(summary.predicted, 'image')} segmented, {summary.flagged} to be looked at, "
        f"{summary.left_out} left out, {counted(len(summary.failed), 'problem')}. {NOT_FOR_DIAGNOSIS}"
    )
    record = PassRecord(images=tuple(found), notification=Notification(text=text))
    write_json(out / RESULT_FILE, record.model_dump(mode="json", by_alias=True))
    return summary


def _outcomes(
    configuration: GatewayConfiguration,
    predictors: dict[str, Predictor],
    images: Path,
    out: Path,
    work: Path,
) -> Iterator[ImageOutcome]:
    """Yield what becomes of each file; results of a batch get their place when all of it is written."""
    by_rule: dict[str, list[tuple[Path, Header]]] = {}
    # The first file of each SOP instance UID that is predicted; of each series for files without one.
    first_of: dict[tuple[str, str], Path] = {}
    for file in _files(images):
        first = file
        try:
            found = classify(file, configuration.rules)
            if found.rule is not None:
                sop_uid = found.header.sop_uid
                first = first_of.setdefault((sop_uid, "" if sop_uid else found.header.series_uid), file)
                _refuse_shared(file, first)
        except LexisegError as error:
            yield ImageOutcome(file=file.name, state="failed", code=error.code, reason=str(error))
            continue
        if first != file:
            reason = f"It holds the same as {first.name}."
            yield ImageOutcome(file=file.name, state="left_out", reason=reason)
        elif found.rule is None:
            reason = "It is a result of Lexiseg." if found.header.is_own else "No rule fits it."
            yield ImageOutcome(file=file.name, state="left_out", reason=reason)
        else:
            by_rule.setdefault(found.rule.name, []).append((file, found.header))
    for rule in configuration.rules:
        chosen = by_rule.get(rule.name, [])
        for at in range(0, len(chosen), configuration.batch):
            batch = chosen[at : at + configuration.batch]
            place = work / f"{configuration.rules.index(rule)}-{at}"
            yield from _batch(batch, rule, predictors[rule.run], out, place)


def _refuse_shared(file: Path, first: Path) -> None:
    """Refuse a file whose SOP instance UID another file has: its results would replace those of the other.

    Raises:
        DataError: It is not the first file of its UID, and holds something else.
    """
    if file != first and not filecmp.cmp(file, first, shallow=False):
        raise DataError(
            f"{file.name} has the SOP instance UID of {first.name}, so their results would have the same "
            f"UIDs or names. Only {first.name} is segmented. Give each image a UID of its own in the system "
            "that made it.",
            code="LEX-DATA-2034",
        )


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder that may be images, sorted, without hidden ones and links."""
    for file in sorted(folder.iterdir()):
        plain = file.is_file() and not file.is_symlink() and not file.name.startswith(".")
        if plain and file.suffix.lower() not in _NOT_IMAGES:
            yield file


def _batch(
    batch: list[tuple[Path, Header]], rule: Rule, predictor: Predictor, out: Path, work: Path
) -> Iterator[ImageOutcome]:
    ids = {str(number): file for number, (file, _) in enumerate(batch)}
    headers = {str(number): header for number, (_, header) in enumerate(batch)}
    for id, found in predict_batch(ids, rule, predictor, work).items():
        name = ids[id].name
        if isinstance(found, FailedImage):
            yield ImageOutcome(
                file=name, state="failed", rule=rule.name, code=found.code, reason=found.reason
            )
            continue
        yield ImageOutcome(
            file=name,
            state="predicted",
            rule=rule.name,
            code="" if found.refused is None else found.refused.code,
            reason="" if found.refused is None else str(found.refused),
            objects=tuple(_placed(found, headers[id], out)),
            prediction=found.record,
        )
    shutil.rmtree(work, ignore_errors=True)


def _placed(found: PredictedResults, header: Header, out: Path) -> Iterator[str]:
    """Give the results of one image their names in the output folder; yield them."""
    for file in sorted(found.folder.iterdir()):
        if file.name == RECORD_FILE:
            continue
        if file.suffix == ".dcm":
            written = Header.of(read_dataset(read_content(file), file))
            name = f"{written.series_uid}#{written.sop_uid}.dcm"
        else:
            # The UIDs of an image can be any text.
            uids = portable_name(f"{header.series_uid}#{header.sop_uid}")
            name = f"{fitting_name(uids, room=len(file.name) + 1)}-{file.name}"
        os.replace(file, out / name)
        yield name


def _summary(found: list[ImageOutcome]) -> PassSummary:
    predicted = [image for image in found if image.state == "predicted"]
    return PassSummary(
        predicted=len(predicted),
        flagged=sum(image.prediction is not None and image.prediction.flagged for image in predicted),
        left_out=sum(image.state == "left_out" for image in found),
        failed=tuple(
            (image.file, image.reason) for image in found if image.reason and image.state != "left_out"
        ),
    )
