"""The volumes that callers name by paths: one volume at a path, or all volumes at several paths."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from lexiseg.clinic.detection import is_dicom_file, require_dicom
from lexiseg.clinic.view import View
from lexiseg.data.archives import is_archive
from lexiseg.data.volumes.volume_names import VOLUME_SUFFIXES, is_volume_file
from lexiseg.errors import DataError, UsageError
from lexiseg.inference.inputs.target_list import check_several
from lexiseg.inference.inputs.target_search import expand
from lexiseg.inference.inputs.unread_files import UnreadFiles
from lexiseg.inference.inputs.volume_target import VolumeTarget
from lexiseg.inference.remote.file_systems import is_url, shown_url
from lexiseg.inference.volumes.targets import check_names, find_volumes, may_belong
from lexiseg.printable import counted

_log = logging.getLogger(__name__)

#: How many of several volumes a message names.
_NAMED = 5


def one_volume(path: str | Path, view: View) -> VolumeTarget:
    """Return the only volume at a path.

    Args:
        path: A volume file, a DICOM file of several frames, or a folder with one volume.
        view: The view of the predictor; a frame in it makes DICOM files images.

    Raises:
        DataError: There is nothing, no volume, or more than one.
        UsageError: It is a URL, or a package is missing.
    """
    _refuse_url(path)
    place = Path(path)
    if not place.exists():
        raise _nothing(place)
    _require_dicom_of([place], view)
    found = find_volumes([place], with_dicom=view.frame is None, same_names=True).targets
    if not found:
        raise _no_volume(place, view)
    if len(found) > 1:
        raise DataError(
            f"{place} holds {len(found):,} volumes, and predict_volume takes one: "
            f"{'; '.join(map(_shown, found[:_NAMED]))}{'; and others' if len(found) > _NAMED else ''}. Give "
            "a path that holds one of them alone, or one of the targets of "
            "lexiseg.inference.volumes.targets.find_volumes, or predict all of them with "
            "lexiseg.predict_volumes_to_files.",
            code="LEX-DATA-1907",
        )
    return found[0]


def all_volumes(
    inputs: Iterable[str | Path | VolumeTarget], out: Path, view: View
) -> tuple[VolumeTarget, ...]:
    """Return the volumes that inputs name; each input names one at least.

    Args:
        inputs: Files, folders and glob patterns; and targets, which come first.
        out: The output folder, whose results are left out.
        view: The view of the predictor; a frame in it makes DICOM files images.

    Raises:
        DataError: A path names no volume, a glob pattern names slices of a series one by one, or two volumes
            would write the same files.
        UsageError: A path is a URL, `inputs` is a single text, or a package is missing.
    """
    check_several(inputs)
    inputs = tuple(inputs)  # a generator is read once
    given = tuple(one for one in inputs if isinstance(one, VolumeTarget))
    paths = [one for one in inputs if not isinstance(one, VolumeTarget)]
    for path in paths:
        _refuse_url(path)
    _require_dicom_of(paths, view)
    found = find_volumes(paths, out=out, with_dicom=view.frame is None)
    for pattern in found.without_volume:
        masks = UnreadFiles()
        exists = pattern.exists() or any(expand(pattern, lambda file: True, masks)) or masks.masks
        raise _no_volume(pattern, view) if exists else _nothing(pattern)
    for pattern, slices in found.loose_slices.items():
        raise DataError(
            f"{pattern} names {counted(slices, 'slice')} of a DICOM series one by one. Such slices are "
            "images, and volumes alone are predicted here. Give the folder of the series instead of the "
            "pattern, or a pattern that does not name them.",
            code="LEX-DATA-2030",
        )
    for note in found.unread.notes():
        _log.warning(note)
    targets = (*given, *found.targets)
    check_names(targets)
    return targets


def _shown(target: VolumeTarget) -> str:
    """Return a volume as a message names it, such as "ct (series 3, 120 slices)"."""
    if not target.slices:
        return str(target.path)
    number = target.slices[0].series_number
    series = "" if number is None else f"series {number}, "
    return f"{target.path} ({series}{counted(len(target.slices), 'slice')})"


def _refuse_url(path: str | Path) -> None:
    if is_url(str(path)):
        raise UsageError(
            f"{shown_url(str(path))} is a URL, and volumes are read from this computer only. Download the "
            "volume, and give the path of the copy.",
            code="LEX-USE-1909",
        )


def _nothing(place: Path) -> DataError:
    return DataError(
        f"There is no file or folder {place}. Expected a volume file or a folder with a DICOM series; check "
        "the path.",
        code="LEX-DATA-1905",
    )


def _no_volume(place: Path, view: View) -> DataError:
    """Return the error of a path at which there is no volume.

    Raises:
        UsageError: There are DICOM files, and the package that reads them is missing.
    """
    dicom = _first_dicom_file(place)
    if dicom is not None and view.frame is None:
        require_dicom(dicom)
    if dicom is not None and view.frame is not None:
        advice = (
            f"The view of the predictor chooses frame {view.frame} of DICOM files, so they are images: load "
            "the run without a frame."
        )
    elif is_archive(place):
        advice = "This is an archive: unpack it, and give the folder."
    else:
        advice = (
            "A DICOM file of one frame is a slice: give the folder of its series. Images are predicted by "
            "the method predict of the predictor. In a folder, results of earlier predictions are left out, "
            "and so are the masks of a data set: give their own folder."
        )
    return DataError(
        f"No volume found at {place}. Expected a volume file ({', '.join(VOLUME_SUFFIXES)}), a folder with a "
        f"DICOM series of CT, MR, PT or NM, or a DICOM file of several frames of them. {advice}",
        code="LEX-DATA-1906",
    )


def _require_dicom_of(paths: Iterable[str | Path], view: View) -> None:
    """Refuse DICOM files that would be left out unsaid, as the package that reads them is missing.

    Raises:
        UsageError: pydicom is missing, and there is a DICOM file.
    """
    if view.frame is not None or find_spec("pydicom") is not None:
        return
    for path in paths:
        for target in expand(Path(path), may_belong):
            if not is_volume_file(target.image) and is_dicom_file(target.image):
                require_dicom(target.image)


def _first_dicom_file(place: Path) -> Path | None:
    """Return a file of a path that may be a DICOM file; None without one."""
    files = (target.image for target in expand(place, may_belong))
    return next((file for file in files if may_belong(file) and not is_volume_file(file)), None)
