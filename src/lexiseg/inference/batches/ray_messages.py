"""What the processes of a Ray cluster send each other: JSON and safetensors, never Python objects."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import ConfigDict, ValidationError, field_validator
from safetensors import SafetensorError
from safetensors.numpy import load, save

from lexiseg.clinic.facts import ImageFacts
from lexiseg.clinic.view import View
from lexiseg.engines.engine import EngineChoice, PrecisionChoice
from lexiseg.engines.registry import engine_choices
from lexiseg.errors import LexisegError, ResourceError
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.reliability.training_images import Aspect
from lexiseg.inference.result import Prediction, RetrievedWord
from lexiseg.json_records import Record
from lexiseg.structured_text import UnusableTextError, parse_json
from lexiseg.words.description import Description, Side

_ERRORS = {kind.__name__: kind for kind in LexisegError.__subclasses__()}


class _Message(Record):
    # A confidence can be NaN where a network is damaged, and arrives as NaN.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class OptionsMessage(_Message):
    """The options of a predictor; see `PredictionOptions`."""

    device: str
    engine: EngineChoice
    precision: PrecisionChoice
    flip_average: bool
    average_with: str | None
    batch_size: int
    spacing_mm: tuple[float, float] | None
    view: View

    @field_validator("engine")
    @classmethod
    def _known_engine(cls, value: EngineChoice) -> EngineChoice:
        if value not in engine_choices():
            raise ValueError(f"there is no engine {value!r}")
        return value


class PredictionMessage(_Message):
    """A prediction without its arrays; see `Prediction`."""

    words: tuple[RetrievedWord, ...]
    measured: Description | None
    side: Side
    side_known: bool
    agreement: float | None
    flagged: bool
    area_px: dict[str, int]
    area_mm2: dict[str, float] | None
    reasons: tuple[str, ...]
    expected_dice: float | None
    unlike_training_images: tuple[Aspect, ...] | None
    signals: dict[str, float]
    facts: ImageFacts | None
    engine: str | None
    pixel_mm2: float | None
    exif_orientation: int


class ErrorMessage(_Message):
    """Why an image could not be predicted.

    Attributes:
        kind: Name of the class of the error.
        message: Its message, with Python's escapes: the name of a file can hold what JSON cannot.
        code: Its code.
    """

    kind: str
    message: str
    code: str


class ResultMessage(_Message):
    """What became of an image: a prediction or an error."""

    result: PredictionMessage | ErrorMessage


def encode_options(options: PredictionOptions, **changed: Any) -> str:
    """Return options as JSON.

    Args:
        options: The options.
        **changed: Fields of `OptionsMessage` with another value than that of the options; `average_with` is
            the name or the folder of the run.
    """
    fields = {name: getattr(options, name) for name in OptionsMessage.model_fields}
    return OptionsMessage(**(fields | changed)).model_dump_json()


def decode_options(message: str) -> PredictionOptions:
    """Return the options that `encode_options` was given.

    Raises:
        ResourceError: It is no such message.
    """
    try:
        found = OptionsMessage.model_validate(parse_json(message))
    except (UnusableTextError, ValidationError) as error:
        raise _not_understood(error) from error
    return PredictionOptions(**{name: getattr(found, name) for name in OptionsMessage.model_fields})


def encode_result(result: Prediction | LexisegError) -> tuple[str, bytes]:
    """Return a prediction or an error as JSON, and its arrays as safetensors (empty for an error)."""
    if isinstance(result, LexisegError):
        said = str(result).encode("unicode_escape").decode("ascii")
        error = ErrorMessage(kind=type(result).__name__, message=said, code=result.code)
        return ResultMessage(result=error).model_dump_json(), b""
    fields = {name: getattr(result, name) for name in PredictionMessage.model_fields}
    message = ResultMessage(result=PredictionMessage(**fields)).model_dump_json()
    arrays = {"mask": result.mask, "probability": result.probability}
    return message, save({name: np.ascontiguousarray(values) for name, values in arrays.items()})


def decode_result(message: str, arrays: bytes) -> Prediction | LexisegError:
    """Return what `encode_result` was given.

    Args:
        message: The JSON.
        arrays: The safetensors.

    Raises:
        ResourceError: They are no such messages.
    """
    try:
        result = ResultMessage.model_validate(parse_json(message, finite=False)).result
        if isinstance(result, ErrorMessage):
            said = result.message.encode("ascii").decode("unicode_escape")
            return _ERRORS.get(result.kind, LexisegError)(said, code=result.code)
        # Copies, as arrays in the bytes of a message cannot be written to.
        found = {name: values.copy() for name, values in load(arrays).items()}
        fields = {name: getattr(result, name) for name in PredictionMessage.model_fields}
        return Prediction(mask=found["mask"], probability=found["probability"], **fields)
    except (UnusableTextError, ValidationError, SafetensorError, KeyError, UnicodeError) as error:
        raise _not_understood(error) from error


def _not_understood(error: Exception) -> ResourceError:
    return ResourceError(
        f"A machine of the Ray cluster sent what this Lexiseg does not understand ({type(error).__name__}). "
        "Install the same version of Lexiseg on all machines. Finished images are kept: run the command "
        "again then.",
        code="LEX-RES-1480",
    )
