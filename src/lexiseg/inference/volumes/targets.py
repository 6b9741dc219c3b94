"""The volumes of a batch: volume files, DICOM series in folders, and DICOM files of several frames."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from lexiseg.data.decode import is_image_file
from lexiseg.data.volumes.data_files import data_files
from lexiseg.data.volumes.volume_names import is_volume_file
from lexiseg.errors import DataError
from lexiseg.files import fitting_name
from lexiseg.inference.formats.earlier_outputs import EarlierOutputs
from lexiseg.inference.formats.registry import image_folders
from lexiseg.inference.inputs.tar_archives import is_tar_copy
from lexiseg.inference.inputs.target import Target
from lexiseg.inference.inputs.target_names import source_of
from lexiseg.inference.inputs.target_search import expand
from lexiseg.inference.inputs.unread_files import UnreadFiles, output_ending
from lexiseg.inference.inputs.volume_target import VolumeTarget

if TYPE_CHECKING:
    from lexiseg.clinic.series import SliceHeader

_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"})
_LONGEST_SUFFIX = len(".nii.gz")


@dataclass(frozen=True, kw_only=True)
class FoundVolumes:
    """The volumes that files, folders and glob patterns name.

    Attributes:
        targets: The volumes.
        files: Resolved paths of the files that belong to them; they are no images of their own.
        without_volume: The files, folders and glob patterns that name no volume.
        loose_slices: How many slices of DICOM series a glob pattern names one by one; they are images. Those
            that another pattern names by their folder do not count.
        unread: The masks of data sets that are left out.
    """

    targets: tuple[VolumeTarget, ...]
    files: frozenset[Path]
    without_volume: tuple[Path, ...] = ()
    loose_slices: Mapping[Path, int] = field(default_factory=dict)
    unread: UnreadFiles = field(default_factory=UnreadFiles)


def find_volumes(
    patterns: Sequence[str | Path],
    *,
    out: str | Path | None = None,
    with_dicom: bool = True,
    labels: Mapping[Path, str] | None = None,
    read_headers: Callable[[Path], tuple[SliceHeader, ...]] | None = None,
    same_names: bool = False,
    beside_only: bool = False,
) -> FoundVolumes:
    """Find the volumes that files, folders and glob patterns name.

    Slices of a DICOM series form a volume if they lie in a folder that is named; DICOM files that are named
    one by one, and series of one slice, are images. The outputs of earlier predictions are left
    out, and so are the masks of data sets (`lexiseg.inference.inputs.mask_folders`).

    Args:
        patterns: Files, folders and glob patterns.
        out: The output folder, whose files are left out.
        with_dicom: Whether DICOM series and files of several frames count.
        labels: What the folders of private copies are called (`lexiseg.inference.sources.local_sources`).
        read_headers: Returns the slices in a DICOM file; None takes `lexiseg.clinic.series.slice_headers`.
        same_names: Whether several volumes may have one name of outputs; the caller then gives them others.
        beside_only: Whether headers may name one data file beside them alone, as of
            `lexiseg.data.volumes.data_files.check_data_files`; the volumes of others count, without files.

    Raises:
        DataError: Two volumes would write the same files, or a manifest of earlier outputs is damaged.
    """
    written = [] if out is None else [Path(out).resolve() / name for name in image_folders()]
    earlier = EarlierOutputs()
    targets: list[VolumeTarget] = []
    without_volume: list[Path] = []
    loose: dict[Path, frozenset[Path]] = {}
    seen: set[Path] = set()
    unread = UnreadFiles()
    for pattern in map(Path, patterns):
        found: list[VolumeTarget] = []
        dicom: list[Target] = []
        is_named_again, of_tar = False, is_tar_copy(pattern, labels)
        for target in expand(pattern, may_belong, unread):
            real = target.image.resolve()
            is_file = is_volume_file(target.image)
            if real in seen:
                is_named_again = True
                continue
            if not (is_file or may_belong(target.image)):
                continue
            if any(real.is_relative_to(folder) for folder in written):
                continue
            if of_tar and output_ending(target.image.name) is not None:
                continue
            if not pattern.is_file() and earlier.holds(target.image):
                continue
            if is_file:
                seen.update((real, *_data_files(target.image, beside_only)))
                found.append(VolumeTarget(path=target.image, name=target.name))
            else:
                dicom.append(target)
        # Pictures alone do not load pydicom, which takes longer than the prediction of one.
        if with_dicom and dicom and find_spec("pydicom") is not None:
            series, loose[pattern] = _series(pattern, dicom, read_headers)
            seen.update(header.path.resolve() for target in series for header in target.slices)
            found += series
        copied_from = (labels or {}).get(pattern)
        targets += [
            replace(one, source=source_of(one.path, pattern, labels), copied_from=copied_from)
            for one in found
        ]
        if not found and not is_named_again:
            without_volume.append(pattern)
    if not same_names:
        check_names(targets)
    return FoundVolumes(
        targets=tuple(targets),
        files=frozenset(seen),
        without_volume=tuple(without_volume),
        loose_slices={one: len(files - seen) for one, files in loose.items() if files - seen},
        unread=unread,
    )


def check_apart(volumes: Sequence[VolumeTarget], images: Iterable[Target]) -> None:
    """Refuse volumes and images that would write the same files.

    Raises:
        DataError: A volume and an image have the same name.
    """
    wanted = {volume.name for volume in volumes}
    if not wanted:
        return
    by_name = {image.name: image for image in images if image.name in wanted}
    for volume in volumes:
        if volume.name in by_name:
            raise DataError(
                f"{volume.path} and {by_name[volume.name].image} would both write files of the name "
                f"'{volume.name}'. Predict them with two commands and two --out folders.",
                code="LEX-DATA-1201",
            )


def may_belong(file: str | Path) -> bool:
    """Return whether a file may be a volume or a slice of one; pictures are known by their endings.

    Args:
        file: Its path.
    """
    # Pictures, which may be many, are known without an object for each path.
    if os.path.splitext(file)[1].lower() in _PICTURES:
        return False
    path = Path(file)
    return is_volume_file(path) or is_image_file(path)


def _data_files(volume: Path, beside_only: bool) -> set[Path]:
    """Return the resolved paths of the data files that a header names, without images and volumes."""
    named = data_files(volume, beside_only=beside_only)
    return {file.resolve() for file in named if not (is_image_file(file) or is_volume_file(file))}


def _series(
    pattern: Path,
    files: Sequence[Target],
    read_headers: Callable[[Path], tuple[SliceHeader, ...]] | None,
) -> tuple[list[VolumeTarget], frozenset[Path]]:
    """Return the series among the files of one pattern, and the slices of those that it does not name whole.

    The slices are resolved paths. A folder names its series whole, a glob pattern names slices one by one.
    """
    from lexiseg.clinic.series import group_series, slice_headers

    names = {target.image: target.name for target in files}
    read = read_headers or slice_headers
    headers = [header for target in files for header in read(target.image)]
    groups = group_series(headers)
    of_folders: list[tuple[Path, tuple[SliceHeader, ...]]] = []
    found: list[VolumeTarget] = []
    loose: set[Path] = set()
    for group in groups:
        paths = list(dict.fromkeys(header.path for header in group))
        if len(paths) == 1:
            found.append(VolumeTarget(path=paths[0], name=names[paths[0]], slices=group))
        elif pattern.is_dir():
            of_folders.append((Path(os.path.commonpath([path.parent for path in paths])), group))
        else:
            loose.update(path.resolve() for path in paths)
    shared = Counter(folder for folder, _ in of_folders)
    numbers = Counter((folder, group[0].series_number) for folder, group in of_folders)
    for place, (folder, group) in enumerate(of_folders, 1):
        inside = folder.relative_to(pattern)
        name = inside if inside.parts else Path(folder.resolve().name or "series")
        if shared[folder] > 1:
            number = group[0].series_number
            is_unique = number is not None and numbers[(folder, number)] == 1
            name = name.with_name(f"{name.name}-series-{number if is_unique else f'{number}-{place}'}")
        name = name.with_name(fitting_name(name.name, room=_LONGEST_SUFFIX))
        found.append(VolumeTarget(path=folder, name=name, slices=group))
    return found, frozenset(loose)


def check_names(targets: Iterable[VolumeTarget]) -> None:
    """Refuse volumes that would write the same files.

    Raises:
        DataError: Two volumes have the same name.
    """
    by_name: dict[Path, VolumeTarget] = {}
    for target in targets:
        other = by_name.setdefault(target.name, target)
        if other is not target:
            raise DataError(
                f"{other.path} and {target.path} would both write files of the name '{target.name}'. Predict "
                "them with two commands and two --out folders, or give their parent folder.",
                code="LEX-DATA-1200",
            )
