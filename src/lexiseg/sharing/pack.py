"""Packing: a run as one file that needs no network, and back.

A bundle is a zip file with `bundle.json` and the files that it lists, stored without a folder. The same run
gives the same bytes. Unpacking writes nothing unless every file is the one that the record describes.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from lexiseg.data.archives import BROKEN
from lexiseg.engines.registry import ONNX_FILE
from lexiseg.errors import DataError
from lexiseg.extras import load_module
from lexiseg.files import atomic_folder, atomic_path
from lexiseg.json_records import read_record, record_text
from lexiseg.outputs.new_folder import reserve_folder
from lexiseg.runs.run import Run
from lexiseg.sharing.contents import BUNDLE_FILE, BundleRecord, Contents, check_file, contents_of

#: How the name of a bundle ends.
BUNDLE_SUFFIX = ".lexiseg.zip"

#: Largest `bundle.json` in bytes.
_MAX_RECORD_BYTES = 1 << 20
_COPY_BYTES = 1 << 20
#: Zip files state a time for each file; this is the earliest that they can state.
_NO_TIME = (1980, 1, 1, 0, 0, 0)


def pack(
    run: Run | str | Path,
    out: str | Path | None = None,
    *,
    license: str | None = None,
    image_names: bool = True,
) -> Path:
    """Write a run as one file.

    The file holds the network for prediction without torch too: if the run has no `model.onnx`, it is
    exported, which needs torch.

    Args:
        run: The run, or its folder or name.
        out: The file; None: the name of the run, with ".lexiseg.zip", in the current folder. A file there is
            replaced.
        license: Licence of the weights, as an SPDX identifier such as "CC-BY-4.0"; None: not stated.
        image_names: Whether the names of the training images are among it. Lexiseg then recognises these
            images when a model is evaluated; but names of files can identify patients.

    Returns:
        The file.

    Raises:
        RunError: The folder is no run, or its training is not finished.
        WeightsError: The network cannot be exported.
        UsageError: The run has no `model.onnx`, and torch is not installed.
        DiskError: There is no space or no permission.
    """
    run = Run.of(run)
    file = Path(f"{run.path.resolve().name}{BUNDLE_SUFFIX}") if out is None else Path(out)
    with (
        shared_contents(run, license=license, image_names=image_names) as contents,
        atomic_path(file) as beside,
        zipfile.ZipFile(beside, "w") as archive,
    ):
        archive.writestr(_entry(BUNDLE_FILE), record_text(contents.record))
        for name, path in contents.paths.items():
            # Weights hardly shrink, so nothing is compressed.
            with path.open("rb") as source, archive.open(_entry(name), "w", force_zip64=True) as target:
                shutil.copyfileobj(source, target, _COPY_BYTES)
    return file


@contextmanager
def shared_contents(run: Run, *, license: str | None, image_names: bool) -> Iterator[Contents]:
    """Yield what is shared of a run, with an ONNX file of its network.

    Args:
        run: The run.
        license: Licence of its weights, as an SPDX identifier.
        image_names: Whether the names of the training images are among it.

    Raises:
        RunError: See `pack`.
        WeightsError: See `pack`.
        UsageError: See `pack`.
    """
    with tempfile.TemporaryDirectory(prefix="lexiseg-") as made:
        folder = Path(made)
        # First without the ONNX file: a run that cannot be shared is refused before the export.
        contents = contents_of(run, folder, license=license, image_names=image_names)
        if ONNX_FILE not in contents.paths:
            onnx = folder / ONNX_FILE
            load_module("lexiseg.deployment.export").export(run, to="onnx", out=onnx)
            contents = contents_of(run, folder, license=license, image_names=image_names, onnx=onnx)
        yield contents


def unpack(bundle: str | Path, out: str | Path) -> Run:
    """Make a run folder from a bundle.

    Args:
        bundle: The file that `pack` wrote.
        out: The run folder, which must not exist yet, or be empty.

    Returns:
        The run.

    Raises:
        DataError: The file is no bundle, is damaged, or was changed: nothing is written then.
        RunError: `out` holds something already, or the run is of a newer version.
        UsageError: Another process makes the folder.
        DiskError: There is no space or no permission.
    """
    bundle, out = Path(bundle), Path(out)
    Run.refuse_existing(out)
    with _opened(bundle) as archive, reserve_folder(out), atomic_folder(out) as folder:
        record = _record(archive, bundle, folder)
        for name, expected in record.files.items():
            with archive.open(name) as source, (folder / name).open("wb") as target:
                # One byte more than stated is enough to notice a larger file.
                _copy(source, target, expected.bytes + 1)
            check_file(folder / name, name, expected, source=str(bundle))
        # A run of a newer version is refused before the folder appears.
        Run.open(folder)
    return Run.open(out)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, date_time=_NO_TIME)
    entry.external_attr = 0o644 << 16
    return entry


@contextmanager
def _opened(bundle: Path) -> Iterator[zipfile.ZipFile]:
    """Open a bundle; every error of its content names it."""
    if not bundle.is_file():
        raise DataError(
            f"Expected a bundle at {bundle}, but there is no such file. `lexiseg pack RUN` makes one.",
            code="LEX-DATA-1051",
        )
    try:
        with zipfile.ZipFile(bundle) as archive:
            yield archive
    except BROKEN as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the disk, not of the file
        raise DataError(
            f"{bundle} is not a zip file, or is damaged: {error}. Get it again from its owner.",
            code="LEX-DATA-1052",
        ) from error


def _record(archive: zipfile.ZipFile, bundle: Path, folder: Path) -> BundleRecord:
    """Return the record of a bundle; refuse a bundle with other files than the record lists."""
    names = archive.namelist()
    if BUNDLE_FILE not in names:
        raise DataError(
            f"{bundle} is no bundle of Lexiseg: it holds no {BUNDLE_FILE}. `lexiseg pack RUN` makes one.",
            code="LEX-DATA-1053",
        )
    with archive.open(BUNDLE_FILE) as source, (folder / BUNDLE_FILE).open("wb") as target:
        _copy(source, target, _MAX_RECORD_BYTES)
    record = read_record(folder / BUNDLE_FILE, BundleRecord, remedy="Get the bundle again from its owner.")
    others = sorted(set(names) - record.files.keys() - {BUNDLE_FILE})
    missing = sorted(record.files.keys() - set(names))
    if others or missing or len(names) != len(set(names)):
        problem = (
            f"it holds {others[0]!r} besides"
            if others
            else f"it lacks {missing[0]!r}"
            if missing
            else ("it holds a file twice")
        )
        raise DataError(
            f"{bundle} does not hold the files that its {BUNDLE_FILE} lists: {problem}. Nothing was "
            f"unpacked. Get it again from its owner.",
            code="LEX-DATA-1054",
        )
    return record


def _copy(source: IO[bytes], target: IO[bytes], most: int) -> None:
    """Copy at most so many bytes."""
    while most > 0 and (piece := source.read(min(most, _COPY_BYTES))):
        target.write(piece)
        most -= len(piece)
