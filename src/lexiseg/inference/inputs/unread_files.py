"""Files that folders, archives and URLs hold and that are not predicted, counted by the reason."""

from __future__ import annotations

import glob
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from lexiseg.clinic.detection import may_be_dicom
from lexiseg.data.archives import is_archive
from lexiseg.data.decode import IMAGE_SUFFIXES
from lexiseg.data.volumes.volume_names import DATA_SUFFIXES, VOLUME_SUFFIXES, volume_ending
from lexiseg.errors import DataError
from lexiseg.inference.formats.registry import format_names, image_formats
from lexiseg.inference.inputs.duplicate_targets import replaced_note
from lexiseg.inference.inputs.mask_folders import MASKS_ADVICE
from lexiseg.inference.remote.file_systems import is_url
from lexiseg.printable import counted

#: What links in archives, and files stored with gaps, are counted under, in place of an ending.
LINKED, SPARSE = "linked", "sparse"

#: What to do with files that are read from folders of this computer only.
ELSEWHERE_ADVICE = (
    "If they are volumes, DICOM images or links to images, download or unpack them, and give the folder."
)

#: What to do with files that are not read because of their ending.
SAVE_ADVICE = "Save images as PNG or JPEG."

#: What to do with members of tar archives that have names of outputs.
WRITTEN_ADVICE = "To predict such a picture, unpack it, and give its path."

_OUTPUT_ENDINGS = tuple(f".{known.name}{known.suffix}" for known in image_formats())


@dataclass(frozen=True, kw_only=True)
class SkippedFiles:
    """Files of one ending that are not read because of it.

    Attributes:
        count: Number of files.
        example: The first of them.
    """

    count: int
    example: Path


@dataclass
class UnreadFiles:
    """Files that are not predicted.

    Attributes:
        skipped: Files that are not read because of their ending, by the ending in lower case, such as
            ".heic"; without hidden files and results in the output folder.
        elsewhere: Files at URLs and in tar archives that may be volumes or DICOM images, by their ending; ""
            for DICOM names. They are read from folders of this computer only.
        written: Files in tar archives that earlier predictions wrote, as their names say, by their ending,
            such as ".mask.png".
        masks: Masks of data sets, by their ending (`lexiseg.inference.inputs.mask_folders`).
        earlier: Pictures that earlier predictions wrote, each a path or a URL.
        own: Number of files in the folders of results of this command.
        replaced: Number of images of each archive, as messages call it, that a later member of the same name
            replaces, as when `tar` unpacks it; without archives that hold each name once.
    """

    skipped: dict[str, SkippedFiles] = field(default_factory=dict)
    elsewhere: dict[str, SkippedFiles] = field(default_factory=dict)
    written: dict[str, SkippedFiles] = field(default_factory=dict)
    masks: dict[str, SkippedFiles] = field(default_factory=dict)
    earlier: dict[Path | str, None] = field(default_factory=dict)
    own: int = 0
    replaced: dict[str, int] = field(default_factory=dict)

    def skip(self, file: str) -> None:
        """Count a file that is not read because of its ending, which is the last one of its path."""
        _count(self.skipped, file, Path(file).suffix.lower())

    def leave_written(self, file: str) -> bool:
        """Return whether a file of a tar archive has the name of an output, and count it then."""
        ending = output_ending(file)
        if ending is not None:
            _count(self.written, file, ending)
        return ending is not None

    def leave_mask(self, file: str) -> None:
        """Count a mask of a data set."""
        _count(self.masks, file, volume_ending(Path(file).name) or Path(file).suffix.lower())

    def leave(self, file: str) -> None:
        """Count a file at a URL or in a tar archive that has no ending of images."""
        path = Path(file)
        volume = volume_ending(path.name)
        if may_be_dicom(path):
            # A UID as name has a number as ending, and each file another one.
            _count(self.elsewhere, file, "")
        elif volume or path.suffix.lower() in DATA_SUFFIXES or is_archive(path):
            _count(self.elsewhere, file, volume or path.suffix.lower())
        else:
            self.skip(file)

    def leave_as(self, file: str, kind: str) -> None:
        """Count a member of a tar archive that cannot be read there, as `LINKED` or `SPARSE`."""
        _count(self.elsewhere, file, kind)

    def add(self, other: UnreadFiles) -> None:
        """Add other files."""
        for mine, theirs in (
            (self.skipped, other.skipped),
            (self.elsewhere, other.elsewhere),
            (self.written, other.written),
            (self.masks, other.masks),
        ):
            for ending, files in theirs.items():
                known = mine.get(ending, files)
                count = files.count + (known.count if ending in mine else 0)
                mine[ending] = SkippedFiles(count=count, example=known.example)
        self.earlier |= other.earlier
        self.replaced |= other.replaced
        self.own += other.own

    def notes(self) -> tuple[str, ...]:
        """Return what is not read, and why, a sentence per reason."""
        return (
            *_note(self.skipped, f"because of the ending: {listed(self.skipped)}. {SAVE_ADVICE}"),
            *_note(
                self.elsewhere, f"at a URL or in a .tar archive: {listed(self.elsewhere)}. {ELSEWHERE_ADVICE}"
            ),
            *self._earlier_note(),
            *_note(
                self.written,
                "in a .tar archive because an earlier prediction wrote them: "
                f"{listed(self.written)}. {WRITTEN_ADVICE}",
            ),
            *_note(
                self.masks,
                "because a folder beside that of the images holds the masks of a data set: "
                f"{_first(self.masks)}. {MASKS_ADVICE}",
            ),
            *(replaced_note(archive, count) for archive, count in self.replaced.items()),
        )

    def _earlier_note(self) -> tuple[str, ...]:
        if not self.earlier:
            return ()
        pictures_are = counted(len(self.earlier), "picture is", "pictures are")
        others = " and others" if len(self.earlier) > 1 else ""
        return (
            f"{pictures_are} not read because an earlier prediction wrote them: {next(iter(self.earlier))}"
            f"{others}. To predict such a picture, give its path.",
        )

    def nothing_found(self, pattern: str, out: Path | None) -> DataError:
        """Return the error of a path at which nothing is predicted, where these are all its files.

        Args:
            pattern: The path, as messages show it.
            out: The output folder.
        """
        others = self.skipped or self.elsewhere or self.written or self.masks
        if self.own and not (others or self.earlier):
            return DataError(
                f"No image is read at {pattern}: the files there (number of them: {self.own}) lie in the "
                f"folders of results of the output folder {out}, and a new result may replace them. To "
                "predict such a picture, choose another --out.",
                code="LEX-DATA-1850",
            )
        reason = _missing(pattern) or self._reason(out)
        return DataError(f"No image found at {pattern}{reason}", code="LEX-DATA-099")

    def _reason(self, out: Path | None) -> str:
        """Return why no image is found, as the rest of a message."""
        others = self.skipped or self.elsewhere or self.written or self.masks
        if self.earlier and not (others or self.own):
            return (
                f": an earlier prediction wrote the pictures there (number of them: {len(self.earlier)}). To "
                "predict such a picture, give its path."
            )
        endings = ", ".join(sorted(IMAGE_SUFFIXES | set(VOLUME_SUFFIXES)))
        there = ", ".join(filter(None, (listed(self.skipped), listed(self.elsewhere))))
        return (
            ". Expected an image file, a folder with images, a quoted glob pattern, an archive (.zip, .tar), "
            f"a DICOMDIR or a URL; known endings: {endings}."
            + (f" Files there that are not read: {there}." if there else "")
            + (f" {ELSEWHERE_ADVICE}" if self.elsewhere else "")
            + self._results_there(out)
        )

    def _results_there(self, out: Path | None) -> str:
        """Return which results are not read, as sentences that follow others; empty where there are none."""
        said = ""
        if self.written:
            said += f" An earlier prediction wrote files there: {listed(self.written)}. {WRITTEN_ADVICE}"
        if self.masks:
            said += f" Masks of a data set there are not read: {listed(self.masks)}. {MASKS_ADVICE}"
        if self.earlier:
            said += (
                f" An earlier prediction wrote pictures there (number of them: {len(self.earlier)}). To "
                "predict such a picture, give its path."
            )
        if self.own:
            said += (
                f" Other files there (number of them: {self.own}) lie in the folders of results of the "
                f"output folder {out}. To predict such a picture, choose another --out."
            )
        return said


def _missing(pattern: str) -> str | None:
    """Return that there is no file at a path, as the rest of a message; None if files are there.

    Args:
        pattern: The path, as messages show it; of a URL nothing is known here.
    """
    path = Path(pattern)
    if is_url(pattern) or path.is_file() or path.is_symlink():
        return None
    if path.is_dir():
        return None if any(path.iterdir()) else ": the folder is empty."
    if not glob.has_magic(pattern):
        return ": it does not exist. Check the path."
    matches = glob.iglob(pattern, recursive=True)
    return None if any(True for _ in matches) else ": no file matches the pattern. Check the pattern."


def listed(files: Mapping[str, SkippedFiles]) -> str:
    """Return files as a message names them, such as "2 .heic (a.heic), 1 without ending (README)"."""
    return ", ".join(
        f"{found.count} {ending or 'without ending'} ({found.example.name})"
        for ending, found in sorted(files.items())
    )


def _note(files: Mapping[str, SkippedFiles], why: str) -> tuple[str, ...]:
    """Return the sentence that files are not read; none without files."""
    if not files:
        return ()
    return (f"{counted(_number(files), 'file is', 'files are')} not read {why}",)


def _first(files: Mapping[str, SkippedFiles]) -> str:
    """Return the path of the first of some files, and whether there are others."""
    found = next(iter(files.values()), None)
    return "" if found is None else f"{found.example}{' and others' if _number(files) > 1 else ''}"


def _number(files: Mapping[str, SkippedFiles]) -> int:
    return sum(found.count for found in files.values())


def output_ending(name: str) -> str | None:
    """Return the ending of an output in an archive, such as ".mask.png"; None for other names.

    A picture has the name of an output with any ending of images, a volume with that of its format alone.
    """
    path = PurePosixPath(name)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        kind = PurePosixPath(path.stem).suffix
        return kind + path.suffix.lower() if kind.removeprefix(".") in format_names() else None
    return next((ending for ending in _OUTPUT_ENDINGS if path.name.endswith(ending)), None)


def _count(counts: dict[str, SkippedFiles], file: str, ending: str) -> None:
    known = counts.get(ending)
    counts[ending] = (
        SkippedFiles(count=1, example=Path(file))
        if known is None
        else SkippedFiles(count=known.count + 1, example=known.example)
    )
