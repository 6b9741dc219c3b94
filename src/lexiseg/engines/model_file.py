"""Model files: what `lexiseg export` writes and the engines without torch read.

A model file is an ONNX model with two entries of metadata, or, for OpenVINO, a zip archive of its model files
with the same entries beside them:

lexiseg.record    a `ModelRecord` as JSON
lexiseg.sha256    SHA-256 of the whole file, computed with 64 zeros in its own place
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from lexiseg.choices import WeightsType as WeightsType
from lexiseg.data.image_fit import Fit
from lexiseg.errors import WeightsError
from lexiseg.json_records import PartlyWritten, Record, reason
from lexiseg.open_files import open_errors
from lexiseg.printable import command_word
from lexiseg.runs.run import Run
from lexiseg.structured_text import MAX_JSON_BYTES, UnusableTextError, parse_json
from lexiseg.words.description import Side
from lexiseg.words.vocabulary import Vocabulary

#: Version of the format of model files. It rises when an older Lexiseg could not read a newer file correctly.
MODEL_FORMAT: Literal[1] = 1
#: Keys of the metadata.
RECORD_KEY, HASH_KEY = "lexiseg.record", "lexiseg.sha256"
#: What stands in the place of the hash while it is computed.
NO_HASH = "0" * 64
#: Names of the files in the archive for OpenVINO.
ARCHIVE_XML, ARCHIVE_WEIGHTS, ARCHIVE_RECORD = "model.xml", "model.bin", "lexiseg.json"
#: Names of the input and of the output with the mask scores; phrase probabilities follow by factor.
INPUT_NAME, LOGITS_NAME = "image", "logits"
#: Name of the second input: where pictures show the image; the model of a run that stretches images lacks it.
INSIDE_NAME = "inside"
#: Name of the last output, the image features; the model of a network that gives none lacks it.
FEATURES_NAME = "lexiseg.image_features"

# In both containers the hash follows its key like this: as the next field of the same protobuf entry.
_HASH_MARK = HASH_KEY.encode("ascii") + b"\x12\x40"
_RECORD_MARK = RECORD_KEY.encode("ascii") + b"\x12"
_ZIP = b"PK"
# Bytes of a length in a protobuf.
_LONGEST_VARINT = 10


class ModelRecord(PartlyWritten, Record):
    """What a model file says about itself.

    Attributes:
        format_version: Version of the format of model files.
        lexiseg_version: Version of Lexiseg that wrote it.
        created: ISO date and time, UTC.
        run: Name of the run.
        system: Name and preset of the system.
        weights_sha256: SHA-256 of the run's weights.
        weights: Type of the numbers that hold the weights; "shared": those of the run, beside the file.
        image_size: Height and width in pixels of the pictures that the network takes.
        fit: How images fit these pictures (`lexiseg.data.image_fit`); not written where it is "stretch".
        mean: Per channel, subtracted after scaling pixels to 0..1.
        std: Per channel, divided by.
        class_names: Name per label; index 0 is the background.
        side: Side convention of every word.
        vocabulary: The vocabulary of the words that it names; None where it names none.
        calibration: Content of the run's `calibration.json`; None where the run is not calibrated.
    """

    LEFT_OUT = frozenset({"fit"})

    format_version: Literal[1] = MODEL_FORMAT
    lexiseg_version: str
    created: str
    run: str
    system: tuple[str, str]
    weights_sha256: str
    weights: WeightsType
    image_size: int
    fit: Fit = "stretch"
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    class_names: tuple[str, ...]
    side: Side
    vocabulary: Vocabulary | None
    calibration: str | None


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """A model file that has been checked.

    Attributes:
        path: The file.
        content: Its bytes.
        record: What it says about itself.
    """

    path: Path
    content: bytes
    record: ModelRecord

    @classmethod
    def open(cls, path: Path) -> ModelFile:
        """Read and check a model file.

        Raises:
            WeightsError: It cannot be read, was changed or cut off, or another version of Lexiseg wrote it.
        """
        try:
            with open_errors(path):
                content = path.read_bytes()
        except OSError as error:
            raise WeightsError(
                f"The model file {path} cannot be read ({error}). Write it again with `lexiseg export`.",
                code="LEX-WEIGHTS-862",
            ) from error
        place = content.rfind(_HASH_MARK)
        if place < 0:
            raise WeightsError(
                f"{path} is no model file of Lexiseg, or its end is missing. Write it again with "
                f"`lexiseg export`.",
                code="LEX-WEIGHTS-863",
            )
        stated = content[place + len(_HASH_MARK) :][:64]
        if _digest(content).encode("ascii") != stated:
            raise WeightsError(
                f"The model file {path} was changed after it was written: its content does not match its own "
                f"SHA-256. Write it again with `lexiseg export`.",
                code="LEX-WEIGHTS-864",
            )
        return cls(path=path, content=content, record=_record(content, path))

    def check_run(self, run: Run) -> None:
        """Refuse a file that was written for other weights than those of the run, or for another fit.

        Raises:
            WeightsError: Weights or fit differ.
        """
        if self.record.weights_sha256 != run.weights_sha256():
            raise WeightsError(
                f"The model file {self.path} was written for other weights than those in {run.weights_file}. "
                f"Write it again with `lexiseg export {command_word(run.shown)}`, or remove it.",
                code="LEX-WEIGHTS-867",
            )
        if self.record.fit != run.manifest.fit:
            raise WeightsError(
                f"The model file {self.path} was written for the fit {self.record.fit}, but "
                f"{run.path}/run.json says {run.manifest.fit}. Write it again with `lexiseg export "
                f"{command_word(run.shown)}`, or restore run.json.",
                code="LEX-WEIGHTS-1331",
            )

    @property
    def is_archive(self) -> bool:
        """Whether it is the archive for OpenVINO, not an ONNX model."""
        return self.content.startswith(_ZIP)

    def archived(self, name: str) -> bytes:
        """Return a file of the archive."""
        with zipfile.ZipFile(io.BytesIO(self.content)) as archive:
            return archive.read(name)


def with_hash(content: bytes) -> bytes:
    """Return a model file with its hash in the place of `NO_HASH`."""
    place = content.rfind(_HASH_MARK) + len(_HASH_MARK)
    assert content[place : place + 64] == NO_HASH.encode("ascii")
    return content[:place] + _digest(content).encode("ascii") + content[place + 64 :]


def archive_comment() -> bytes:
    """Return the comment of an archive, which holds the place of the hash."""
    return _HASH_MARK + NO_HASH.encode("ascii")


def _digest(content: bytes) -> str:
    place = content.rfind(_HASH_MARK) + len(_HASH_MARK)
    view = memoryview(content)
    digest = hashlib.sha256(view[:place])
    digest.update(NO_HASH.encode("ascii"))
    digest.update(view[place + 64 :])
    return digest.hexdigest()


def _record(content: bytes, path: Path) -> ModelRecord:
    try:
        text = _archived_record(content) if content.startswith(_ZIP) else _onnx_entry(content)
        return ModelRecord.model_validate(parse_json(text))
    except (UnusableTextError, ValidationError) as error:
        raise WeightsError(
            f"The model file {path} was written by another version of Lexiseg, whose format this version "
            f"does not read ({reason(ModelRecord, error)}). Write it again with `lexiseg export`.",
            code="LEX-WEIGHTS-866",
        ) from error


def _archived_record(content: bytes) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if archive.getinfo(ARCHIVE_RECORD).file_size > MAX_JSON_BYTES:
                raise UnusableTextError(f"its record is larger than {MAX_JSON_BYTES} bytes")
            return archive.read(ARCHIVE_RECORD)
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, RuntimeError) as error:
        raise UnusableTextError(f"it has no record: {error}") from error


def _onnx_entry(content: bytes) -> bytes:
    """Return the record of an ONNX model: the value of a protobuf entry, whose length is a varint."""
    found = content.rfind(_RECORD_MARK)
    if found < 0:
        raise UnusableTextError("it has no record")
    place, length = found + len(_RECORD_MARK), 0
    for position, byte in enumerate(content[place : place + _LONGEST_VARINT]):
        length |= (byte & 0x7F) << (7 * position)
        if byte < 0x80:
            return content[place + position + 1 :][:length]
    raise UnusableTextError("its record has no length")
