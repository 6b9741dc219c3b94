"""`calibration.json` of a run: temperature and review rule, fitted on validation cases, used in prediction.

Plain and flip-averaged prediction have a calibration each, as averaging changes how sure the network is.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field

from lexiseg.engines.engine import FloatArray
from lexiseg.errors import RunError
from lexiseg.extras import upgrade_hint
from lexiseg.inference.reliability.review import ReviewRule
from lexiseg.json_records import PartlyWritten, Record, reason, write_record
from lexiseg.printable import brief, command_word, counted
from lexiseg.runs.run import Run
from lexiseg.structured_text import read_json

#: Name of the file in the run folder.
CALIBRATION_FILE = "calibration.json"

#: Below this number of cases, a calibration is rough.
FEW_CASES = 30

_FORMAT_VERSION = 1


class CalibrationData(PartlyWritten, Record):
    """The cases a calibration was fitted on.

    Attributes:
        name: Name of the data set.
        split: The split, "val".
        samples: Number of cases.
        ids_sha256: SHA-256 of their ids.
        left_out: What the data set's folder holds, but is not used, one or two sentences per reason.
        leaks: Images and patients that the split shares with the training split, one sentence each.
        images_known: Whether all images are known that the runs before the run have learned, as far as they
            can be cases.
    """

    # As below: the hash stays that of early versions.
    LEFT_OUT = frozenset({"images_known"})

    name: str
    split: str
    samples: int
    ids_sha256: str
    left_out: tuple[str, ...] = ()
    leaks: tuple[str, ...] = ()
    images_known: bool = True


class Calibration(PartlyWritten, Record):
    """The calibration of plain, or of flip-averaged, prediction.

    Attributes:
        temperature: The mask's scores are divided by it before they become probabilities (Guo et al., *On
            calibration of modern neural networks*, ICML 2017). It changes no mask. It is 1 where fitted ones
            did not lower the calibration error of cases that they were not fitted on.
        ece_before: Expected calibration error on validation pixels without it, 0..1.
        ece_after: The same with it.
        nll_before: Mean negative log likelihood of the pixels without it.
        nll_after: The same with it.
        ece_unseen_before: Calibration error of cases without it, mean over folds of a cross-validation, 0..1;
            None where all cases are of one patient, or in a file of an early version.
        ece_unseen_after: Calibration error of cases with a temperature that was fitted on the others.
        pixels: Number of validation pixels that were drawn for these figures.
        review: Rule that flags predictions for review.
        data: The cases that were used.
        engine: What computed the network; None in a file of an early version.
        lexiseg_version: Version that fitted it.
        created: ISO date and time, UTC.
    """

    # Objects and unfinished batches hold the hash of a calibration: it stays that of early versions.
    LEFT_OUT = frozenset({"engine"})

    temperature: float = Field(ge=0.001, le=1000)
    ece_before: float
    ece_after: float
    nll_before: float
    nll_after: float
    ece_unseen_before: float | None = None
    ece_unseen_after: float | None = None
    pixels: int
    review: ReviewRule
    data: CalibrationData
    engine: str | None = None
    lexiseg_version: str
    created: str

    def __repr__(self) -> str:
        return brief(
            self,
            f"temperature {self.temperature:.3f}",
            f"{counted(self.data.samples, 'validation case')}",
            f"calibration error {self.ece_before:.4f} to {self.ece_after:.4f}",
        )

    def warnings(self) -> tuple[str, ...]:
        """Return what limits the calibration, one sentence each."""
        said = []
        before, after = self.ece_unseen_before, self.ece_unseen_after
        if self.data.samples < FEW_CASES:
            cases = counted(self.data.samples, "validation case is", "validation cases are")
            said.append(
                f"{cases} few for a calibration: below {FEW_CASES}, temperature, expected Dice and review "
                f"flag are rough."
            )
        if not self.data.images_known:
            said.append(
                "The run learned from earlier runs, and not all images that it has learned this way are "
                "known. Temperature, expected Dice and review flag say nothing of new images if validation "
                "images are among them."
            )
        if before is not None and after is not None and not after < before:
            said.append(
                f"The temperature stays 1: fitted ones did not lower the calibration error of cases that "
                f"they were not fitted on ({before:.4f} without, {after:.4f} with, cross-validation)."
            )
        if before is None and self.temperature == 1:
            said.append(
                "The temperature stays 1: all validation cases are of one patient, so no temperature could "
                "be tried on cases that it was not fitted on."
            )
        return tuple(said)

    def apply(self, logits: FloatArray) -> FloatArray:
        """Return the scores of a mask divided by the temperature.

        A sigmoid or softmax of the result gives calibrated probabilities.

        Args:
            logits: Scores of the network, of any shape.

        Returns:
            Scores of the same shape and dtype.
        """
        return logits / np.float32(self.temperature)


class CalibrationFile(Record):
    """Contents of `calibration.json`.

    Attributes:
        format_version: Version of the file's format, which is its schema version.
        weights_sha256: SHA-256 of the weights that it was fitted for.
        plain: Calibration of plain prediction; None if it was not fitted.
        flip_average: Calibration of flip-averaged prediction; None if it was not fitted.
    """

    format_version: int = _FORMAT_VERSION
    weights_sha256: str
    plain: Calibration | None = None
    flip_average: Calibration | None = None


def load_calibration(run: Run, *, flip_average: bool) -> Calibration | None:
    """Return the calibration of a run for plain, or for flip-averaged, prediction; None where there is none.

    Raises:
        RunError: The file is damaged, of a newer version, or was fitted for other weights.
    """
    file = run.path / CALIBRATION_FILE
    found = read_calibrations(run)
    if found is None:
        return None
    if found.weights_sha256 != run.weights_sha256():
        raise RunError(
            f"{file} was fitted for other weights than those in {run.weights_file}. Fit it again with "
            f"`lexiseg calibrate {command_word(run.path)} DATA`, or remove it.",
            code="LEX-RUN-009",
        )
    return found.flip_average if flip_average else found.plain


def with_calibration(run: Run, calibration: Calibration, *, flip_average: bool) -> CalibrationFile:
    """Return the calibrations of a run with a new one.

    The other one stays if it was fitted for the same weights.

    Raises:
        RunError: There is a file of a newer version, or a damaged one.
    """
    weights = run.weights_sha256()
    found = read_calibrations(run)
    if found is None or found.weights_sha256 != weights:
        found = CalibrationFile(weights_sha256=weights)
    return found.model_copy(update={"flip_average" if flip_average else "plain": calibration})


def write_calibrations(run: Run, file: CalibrationFile) -> None:
    """Write the calibrations of a run.

    Raises:
        DiskError: They cannot be written.
    """
    write_record(run.path / CALIBRATION_FILE, file)


def read_calibrations(run: Run) -> CalibrationFile | None:
    """Return the calibrations of a run, for whichever weights; None where there are none.

    Raises:
        RunError: The file is damaged, or of a newer version.
    """
    file = run.path / CALIBRATION_FILE
    if not file.is_file():
        return None
    try:
        value = read_json(file)
        version = int(value["format_version"])
        if version <= _FORMAT_VERSION:
            return CalibrationFile.model_validate(value)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{file} is damaged ({reason(CalibrationFile, error)}). Restore it, or remove it and calibrate "
            "again.",
            code="LEX-RUN-010",
        ) from error
    raise RunError(
        f"{file} was written by a newer Lexiseg (format {version}); this version reads formats up to "
        f"{_FORMAT_VERSION}. {upgrade_hint()}",
        code="LEX-RUN-011",
    )
