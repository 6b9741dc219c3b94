"""The files of a run that are shared, and the record that lists them with their checksums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from lexiseg._version import __version__
from lexiseg.engines.registry import ONNX_FILE, model_files
from lexiseg.errors import DataError, RunError
from lexiseg.file_hashes import file_sha256
from lexiseg.inference.reliability.calibration import CALIBRATION_FILE
from lexiseg.inference.reliability.training_images import TRAINING_IMAGES_FILE
from lexiseg.json_records import FileRecord, Record
from lexiseg.printable import command_word, counted
from lexiseg.runs.manifest import CARD_FILE, MANIFEST_FILE
from lexiseg.runs.run import Run
from lexiseg.runs.splits import MASKS_FILE, SPLITS_FILE
from lexiseg.sharing.without_names import copies_without_names

#: The record of a bundle, in the bundle.
BUNDLE_FILE = "bundle.json"

#: The weights of a run.
WEIGHTS_FILE = "weights.safetensors"

#: The settings of the training.
CONFIG_FILE = "config.yaml"

#: Files with the names of images.
NAMES_FILES = (SPLITS_FILE, MASKS_FILE)

#: The files of a run that are shared, where the run has them. States of trainings are not: they are large,
#: only --resume needs them, and their format can carry code.
SHARED_FILES = (
    MANIFEST_FILE,
    CONFIG_FILE,
    WEIGHTS_FILE,
    "bank.safetensors",
    "zone_atlas.safetensors",
    "history.csv",
    *NAMES_FILES,
    CALIBRATION_FILE,
    TRAINING_IMAGES_FILE,
    CARD_FILE,
    *model_files(),
)

#: Largest file of a bundle, in bytes.
MAX_FILE_BYTES = 8 << 30

_Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class SharedFileRecord(Record):
    """One file of a bundle.

    Attributes:
        bytes: Its size.
        sha256: SHA-256 of its content.
    """

    bytes: int = Field(ge=0, le=MAX_FILE_BYTES)
    sha256: _Sha256


class LicencesRecord(Record):
    """The licences that hold for a bundle.

    Attributes:
        model: Licence of the weights, as an SPDX identifier such as "CC-BY-4.0"; None where the owner states
            none.
        lexiseg: Licence of Lexiseg.
    """

    model: str | None = None
    lexiseg: Literal["Apache-2.0"] = "Apache-2.0"


class BundleRecord(FileRecord):
    """Contents of `bundle.json`.

    Attributes:
        kind: What the record describes.
        name: Name of the run.
        lexiseg_version: Version of Lexiseg that wrote the bundle.
        created: When the run was made: ISO date and time, UTC.
        licences: The licences.
        files: Size and checksum of each file, by its name in the run folder.
        left_out: Files of the run that hold the names of images and were left out; and fields, as
            "FILE: FIELD", whose sentences are shared without the names.
    """

    kind: Literal["lexiseg run"] = "lexiseg run"
    name: str
    lexiseg_version: str
    created: str
    licences: LicencesRecord
    files: dict[str, SharedFileRecord]
    left_out: tuple[str, ...] = ()

    @field_validator("files")
    @classmethod
    def _known_files(cls, value: dict[str, SharedFileRecord]) -> dict[str, SharedFileRecord]:
        unknown = sorted(value.keys() - set(SHARED_FILES))
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no file of a run that is shared")
        missing = sorted({MANIFEST_FILE, WEIGHTS_FILE} - value.keys())
        if missing:
            raise ValueError(f"a run needs {missing[0]}")
        return value


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What is shared of a run.

    Attributes:
        record: The record of the bundle.
        paths: Each file by its name in the bundle.
    """

    record: BundleRecord
    paths: Mapping[str, Path]

    @property
    def num_bytes(self) -> int:
        """Bytes of all files together."""
        return sum(entry.bytes for entry in self.record.files.values())


def contents_of(
    run: Run, folder: Path, *, license: str | None = None, image_names: bool = True, onnx: Path | None = None
) -> Contents:
    """Return what is shared of a run.

    Args:
        run: The run.
        folder: An existing folder for copies of files, as long as the contents are used.
        license: Licence of its weights, as an SPDX identifier.
        image_names: Whether the names of images, patients and folders are among it.
        onnx: The ONNX file of the network, where the run folder has none.

    Raises:
        RunError: Its training is not finished, or a file cannot be read.
    """
    if not run.manifest.training.finished:
        raise RunError(
            f"The training of {run.shown} is not finished. Finish it with `lexiseg train DATA --out "
            f"{command_word(run.shown)} --resume`, then share it.",
            code="LEX-RUN-1050",
        )
    left_out = () if image_names else tuple(name for name in NAMES_FILES if (run.path / name).is_file())
    copies, fields = ({}, ()) if image_names else copies_without_names(run, folder)
    paths = {
        name: run.path / name for name in SHARED_FILES if name not in left_out and (run.path / name).is_file()
    }
    paths |= copies
    if onnx is not None:
        paths[ONNX_FILE] = onnx
    try:
        files = {name: _described(path) for name, path in paths.items()}
    except OSError as error:
        raise RunError(
            f"A file of {run.shown} cannot be read: {error}. Restore it, then share the run.",
            code="LEX-RUN-1051",
        ) from error
    record = BundleRecord.model_validate(
        {
            "name": run.path.resolve().name,
            "lexiseg_version": __version__,
            "created": run.manifest.created,
            "licences": LicencesRecord(model=license),
            "files": files,
            "left_out": (*left_out, *fields),
        }
    )
    return Contents(record=record, paths=paths)


def model_card(contents: Contents) -> str:
    """Return the model card of what is shared; the name of the run as a title where it has none."""
    file = contents.paths.get(CARD_FILE)
    return f"# {contents.record.name}\n" if file is None else file.read_text(encoding="utf-8")


def check_file(path: Path, name: str, expected: SharedFileRecord, *, source: str) -> None:
    """Refuse a file that is not the one that the record of its bundle describes.

    Args:
        path: The file.
        name: Its name in the bundle.
        expected: Its size and checksum.
        source: The bundle or repository, for the message.

    Raises:
        DataError: It has another size or content.
    """
    found = _described(path)
    if found != expected:
        raise DataError(
            f"{name} of {source} is not the file that {BUNDLE_FILE} describes: expected "
            f"{counted(expected.bytes, 'byte')} with SHA-256 {expected.sha256[:12]}..., got "
            f"{counted(found.bytes, 'byte')} with {found.sha256[:12]}... The copy is damaged or was changed. "
            "Get it again from its owner.",
            code="LEX-DATA-1050",
        )


def _described(path: Path) -> SharedFileRecord:
    return SharedFileRecord(bytes=path.stat().st_size, sha256=file_sha256(path))
