"""The images of a batch, found by files, folders and glob patterns."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lexiseg.clinic.detection import may_be_dicom
from lexiseg.data.decode import IMAGE_SUFFIXES, is_image_file
from lexiseg.data.volumes.volume_names import VOLUME_SUFFIXES, is_volume_file, volume_stem
from lexiseg.errors import DataError
from lexiseg.files import fitting_name
from lexiseg.inference.earlier_outputs import EarlierOutputs
from lexiseg.inference.writers.base import Target
from lexiseg.inference.writers.registry import image_folders, image_formats

_LONGEST_SUFFIX = max(len(known.suffix) for known in image_formats())


@dataclass(frozen=True, kw_only=True)
class FoundImages:
    """What files, folders and glob patterns name.

    Attributes:
        targets: The images to predict.
        earlier_outputs: Pictures that an earlier prediction wrote; they are not predicted.
    """

    targets: tuple[Target, ...]
    earlier_outputs: tuple[Path, ...]


def find_targets(patterns: Sequence[str | Path], *, out: str | Path | None = None) -> tuple[Target, ...]:
    """Turn files, folders and glob patterns into a list of images; see `find_images`.

    Raises:
        DataError: Nothing is found, or two images would write the same mask.
    """
    return find_images(patterns, out=out).targets


def find_images(
    patterns: Sequence[str | Path],
    *,
    out: str | Path | None = None,
    of_volumes: frozenset[Path] = frozenset(),
    labels: Mapping[Path, str] | None = None,
) -> FoundImages:
    """Turn files, folders and glob patterns into a list of images.

    Folders are searched with their subfolders; their structure is kept below the output folder. Hidden
    files and folders in them are left out, and so are the outputs of earlier predictions, unless the pattern
    is the path of a single file. An image that several patterns name is taken once, under its first name.

    Args:
        patterns: Files, folders and glob patterns.
        out: The output folder: pictures that an earlier batch wrote there are never taken for images, so that
            a batch may be predicted again into a folder below its images.
        of_volumes: Resolved paths of the files that belong to volumes; they are no images of their own.
        labels: What the folders of private copies are called (`lexiseg.inference.sources.local_sources`).

    Raises:
        DataError: Nothing is found, two images would write the same mask, or the manifest of earlier outputs
            is damaged.
    """
    targets: dict[Path, Target] = {}
    seen: set[Path] = set()
    written = [] if out is None else [Path(out).resolve() / name for name in image_folders()]
    earlier, left_out = EarlierOutputs(), dict[Path, None]()
    for pattern in map(Path, patterns):
        found, before, has_volume = [], len(left_out), False
        for target in expand(pattern, lambda file: is_image_file(file) or file.resolve() in of_volumes):
            real = target.image.resolve()
            if real in of_volumes:
                has_volume = True
                continue
            if any(real.is_relative_to(folder) for folder in written):
                continue
            if not pattern.is_file() and earlier.holds(target.image):
                left_out[target.image] = None
                continue
            found.append((target, real))
        if not found and not has_volume:
            raise DataError(_nothing_found(pattern, len(left_out) - before), code="LEX-DATA-099")
        for target, real in found:
            if real in seen:  # named by two patterns
                continue
            seen.add(real)
            target = replace(target, source=source_of(target.image, pattern, labels))
            other = targets.setdefault(target.name, target)
            if other is not target:
                together = other.image.parent.resolve() == target.image.parent.resolve()
                raise DataError(
                    f"{other.image} and {target.image} would both write the mask '{target.name}.png'. "
                    "Predict them with two commands and two --out folders"
                    + ("." if together else ", or give their parent folder."),
                    code="LEX-DATA-100",
                )
    return FoundImages(targets=tuple(targets.values()), earlier_outputs=tuple(left_out))


def source_of(file: Path, folder: Path, labels: Mapping[Path, str] | None) -> str | None:
    """Return what results call a private copy; None for other files.

    Args:
        file: The file, or a folder of a series.
        folder: The folder that was searched.
        labels: What folders of private copies are called.
    """
    label = (labels or {}).get(folder)
    if label is None:
        return None
    inside = file.relative_to(folder).as_posix()
    return label if inside == "." else f"{label}/{inside}"


def _nothing_found(pattern: Path, earlier: int) -> str:
    if earlier:
        return (
            f"No image found at {pattern}: an earlier prediction wrote the pictures there (number of them: "
            f"{earlier}). To predict such a picture, give its path."
        )
    return (
        f"No image found at {pattern}. Expected an image file, a folder with images, or a quoted glob "
        f"pattern; known endings: {', '.join(sorted(IMAGE_SUFFIXES | set(VOLUME_SUFFIXES)))}."
    )


def skipped_files(patterns: Sequence[str | Path], *, out: str | Path | None = None) -> dict[str, list[Path]]:
    """Return the files in folders of images that are not read because of their ending.

    Args:
        patterns: Files, folders and glob patterns, as for `find_targets`; only folders can hold such files.
        out: The output folder, which is left out.

    Returns:
        The files by ending in lower case, such as ".heic"; without hidden files.
    """
    skipped: dict[str, list[Path]] = {}
    for folder in filter(Path.is_dir, map(Path, patterns)):
        for file in sorted(folder.rglob("*")):
            hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
            written = out is not None and file.resolve().is_relative_to(Path(out).resolve())
            if (
                not hidden
                and not written
                and file.is_file()
                and not (is_image_file(file) or is_volume_file(file))
            ):
                skipped.setdefault(file.suffix.lower(), []).append(file)
    return skipped


def expand(pattern: Path, is_wanted: Callable[[Path], bool]) -> Iterator[Target]:
    """Yield the files that a file, folder or glob pattern names, sorted; without hidden files.

    Args:
        pattern: The file, folder or glob pattern.
        is_wanted: Returns whether a file of a folder or glob pattern counts; a file by its path always does.
    """
    if pattern.is_dir():
        for file in sorted(pattern.rglob("*")):
            name = file.relative_to(pattern)
            if any(part.startswith(".") for part in name.parts):
                continue  # such as "._a.png", which macOS puts beside a.png
            if file.is_file() and is_wanted(file):
                yield _target(file, name)
    elif pattern.is_file():
        yield _target(pattern, Path(pattern.name))
    else:
        for match in sorted(glob.glob(_literal_folders(pattern), recursive=True)):
            file = Path(match)
            if not file.name.startswith(".") and file.is_file() and is_wanted(file):
                yield _target(file, Path(file.name))


def _literal_folders(pattern: Path) -> str:
    """Return a glob pattern in which the folders that exist stand for themselves, as in "scan[1]/*.png"."""
    place, parts = Path(pattern.anchor), list(pattern.parts[1 if pattern.anchor else 0 :])
    while parts and (place / parts[0]).exists():
        place /= parts.pop(0)
    return str(Path(glob.escape(str(place)), *parts))


def _target(image: Path, name: Path) -> Target:
    """Return an image under its name without suffix, shortened so that every output of it can be stored."""
    # The last number of an UID is no ending.
    stem = volume_stem(name.name) if is_volume_file(name) else name.name if may_be_dicom(name) else name.stem
    return Target(image=image, name=name.with_name(fitting_name(stem, room=_LONGEST_SUFFIX)))
