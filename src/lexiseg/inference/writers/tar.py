"""Tar archives: the outputs of many images in few files, as WebDataset names them."""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lexiseg.errors import DataError, LexisegError, UsageError
from lexiseg.files import TEMPORARY_PREFIX, disk_errors
from lexiseg.inference.formats.file_names import ARCHIVE_FOLDER
from lexiseg.inference.inputs.target import Target
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.records.predictions_file import PredictionRecord
from lexiseg.inference.writers.base import Batch, ImageWriter, PredictedImage, Writer
from lexiseg.inference.writers.loading import make_writers
from lexiseg.outputs.private_folder import PrivateFolder
from lexiseg.printable import printable_json


def into_archives(formats: Sequence[str], images: int) -> tuple[Writer, ...]:
    """Return the writers of some formats, of which those of one file per image write into archives.

    Args:
        formats: Names of formats.
        images: Images per archive.

    Raises:
        UsageError: A format is unknown, or none of them writes files of images.
    """
    writers = make_writers(formats)
    files = [writer for writer in writers if isinstance(writer, ImageWriter)]
    if not files:
        raise UsageError(
            f"Expected a format that writes a file per image, such as mask, for the archives of --tar; got "
            f"{', '.join(formats)}.",
            code="LEX-USE-1285",
        )
    return (TarWriter(files, images=images), *(w for w in writers if not isinstance(w, ImageWriter)))


class TarWriter:
    """Writes the files of some formats to `archives/000000.tar` and so on, a fixed number of images in each.

    A member is called KEY.FORMAT.SUFFIX, such as "exam/a.mask.png"; KEY is the name of the image, with "%2E"
    for each full stop in its last part, as WebDataset takes all after the first one for the kind of file.
    "KEY.json" is the record of the image. Archives of the same predictions are equal to the last bit.

    Args:
        writers: The formats.
        images: Images per archive, at least 1.
    """

    def __init__(self, writers: Sequence[ImageWriter], *, images: int) -> None:
        self._writers, self._images = tuple(writers), images
        #: Tells other formats and sizes of archives apart, so that none goes on with those of another.
        self.name = f"tar of {images}: {', '.join(writer.name for writer in writers)}"
        self._number = self._count = 0
        self._open: tuple[Path, tarfile.TarFile] | None = None
        self._members: dict[str, npt.NDArray[np.int64]] = {}
        self._private = PrivateFolder("outputs")

    def file(self, out: Path, number: int) -> Path:
        """Return the path of an archive, by its number from 0."""
        return out / ARCHIVE_FOLDER / f"{number:06}.tar"

    def check(self, predictor: Predictor) -> None:
        """Refuse a predictor that a format refuses; see `CheckingWriter`.

        Raises:
            UsageError: No output of a format can be made of its predictions.
        """
        for writer in self._writers:
            writer.check(predictor)

    def open(self, batch: Batch) -> None:
        """Keep the archives of an interrupted batch; those of an earlier one are removed already.

        Raises:
            DataError: A file that Lexiseg did not write is in the place of an archive.
        """
        batch.folder.refuse_others(sorted((batch.out / ARCHIVE_FOLDER).glob("*.tar")))
        self._skip_taken(batch.out)

    def remove_stale(self, target: Target, batch: Batch) -> None:
        """Do nothing: the archives of an earlier batch are removed when a batch begins."""

    def is_whole(self, target: Target, record: PredictionRecord, batch: Batch) -> bool:
        """Return whether the files of an image are in the archive that its line names.

        The name of the archive alone does not tell: an interrupted batch leaves no archive that is not
        finished, and the next batch gives its number to another one. See `ResumableWriter`.
        """
        if record.archive is None:
            return False
        # Each archive is read once; 8 bytes of memory per image.
        if record.archive not in self._members:
            self._members[record.archive] = _members(batch, batch.out / record.archive)
        members, member = self._members[record.archive], hash(f"{_key(target)}.json")
        position = int(np.searchsorted(members, member))
        return position < len(members) and int(members[position]) == member

    def write(self, image: PredictedImage, batch: Batch) -> None:
        """Add the files of one image to the archive.

        Raises:
            DataError: The image cannot be read any more.
            DiskError: There is no space or no permission.
        """
        # All files are made before the first one is added: an image that fails leaves nothing.
        made = [(writer, self._content(writer, image, batch)) for writer in self._writers]
        path = self.file(batch.out, self._number)
        image.archive.append(path.relative_to(batch.out).as_posix())
        key = _key(image.target)
        with disk_errors(path):
            archive = self._archive(path)
            for writer, content in made:
                if content is not None:
                    _add(archive, f"{key}.{writer.name}{writer.suffix}", content)
            line = printable_json(image.record(None).model_dump(mode="json"))
            _add(archive, f"{key}.json", line.encode("utf-8", "backslashreplace"))
        self._count += 1
        if self._count == self._images:
            self._end(batch)

    def write_failure(self, target: Target, error: LexisegError, batch: Batch) -> None:
        """Do nothing: an image without prediction is in no archive."""

    def close(self, batch: Batch, *, finished: bool) -> None:
        """Finish the last archive; one of an interrupted batch is removed, and its images are done again.

        Raises:
            DiskError: There is no space or no permission.
        """
        self._private.remove()
        if self._open is None:
            return
        if finished:
            self._end(batch)
        else:
            beside, archive = self._open
            self._open = None
            archive.close()
            beside.unlink(missing_ok=True)

    def _content(self, writer: ImageWriter, image: PredictedImage, batch: Batch) -> bytes | None:
        """Return the file of one format; None if it was refused."""
        path = self._private.path / f"output{writer.suffix}"
        try:
            writer.save(image, batch, path)
            return path.read_bytes()
        except DataError as error:
            if not writer.can_refuse:
                raise
            image.refuse(writer.name, error)
            return None
        finally:
            path.unlink(missing_ok=True)

    def _archive(self, path: Path) -> tarfile.TarFile:
        """Return the archive that is being written."""
        if self._open is None:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=TEMPORARY_PREFIX, suffix=".tar")
            os.close(handle)
            self._open = Path(name), tarfile.open(name, "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115
        return self._open[1]

    def _end(self, batch: Batch) -> None:
        """Give the archive that is being written its name."""
        assert self._open is not None
        beside, archive = self._open
        path, self._open = self.file(batch.out, self._number), None
        with disk_errors(path):
            archive.close()
        batch.folder.rename(beside, path)
        self._count = 0
        self._skip_taken(batch.out)

    def _skip_taken(self, out: Path) -> None:
        """Go on to the next number that no archive has; there can be gaps where archives were moved away."""
        while os.path.lexists(self.file(out, self._number)):
            self._number += 1


def _key(target: Target) -> str:
    folder, _, last = target.name.as_posix().rpartition("/")
    last = last.replace("%", "%25").replace(".", "%2E")
    return f"{folder}/{last}" if folder else last


def _members(batch: Batch, archive: Path) -> npt.NDArray[np.int64]:
    """Return the sorted hashes of the names in an archive; none of one that is not as Lexiseg wrote it."""
    if not batch.folder.owns(archive):
        return np.array([], np.int64)
    with disk_errors(archive), tarfile.open(archive, "r:") as members:
        return np.sort(np.array([hash(name) for name in members.getnames()], np.int64))


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add a file without time and owner, so that equal content makes equal archives."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o600
    archive.addfile(member, io.BytesIO(content))
