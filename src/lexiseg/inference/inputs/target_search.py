"""The images of a batch, found by files, folders, glob patterns, tar archives and URLs."""

from __future__ import annotations

import glob
import logging
import os
import posixpath
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from lexiseg.data.archives import is_archive
from lexiseg.data.decode import IMAGE_SUFFIXES, is_image_file
from lexiseg.data.volumes.volume_names import is_volume_file
from lexiseg.errors import DataError
from lexiseg.inference.formats.earlier_outputs import EarlierOutputs
from lexiseg.inference.formats.registry import image_folders, image_formats, result_files
from lexiseg.inference.inputs.duplicate_targets import (
    refuse_doubled,
    refuse_same_names,
    replaced_positions,
    without_doubles,
)
from lexiseg.inference.inputs.folder_walk import FoundFile, files_below, is_broken_link
from lexiseg.inference.inputs.image_sources import RemoteFile, TarMember
from lexiseg.inference.inputs.mask_folders import ListedMasks, MaskFolders
from lexiseg.inference.inputs.tar_archives import archive_images, is_plain_tar, is_tar_copy
from lexiseg.inference.inputs.target import Target
from lexiseg.inference.inputs.target_list import SHARD_FOLDER, TargetList, check_several
from lexiseg.inference.inputs.target_names import named_target, output_name
from lexiseg.inference.inputs.unread_files import UnreadFiles
from lexiseg.inference.remote.file_systems import is_url, is_web_address, shown_url, web_file_name
from lexiseg.inference.remote.listing import names_one_file, remote_files
from lexiseg.inference.remote.outputs import RemoteOutputs
from lexiseg.renamed_arguments import renamed

_log = logging.getLogger(__name__)

#: What lies in an output folder beside pictures.
_RESULTS = {*(str(known.folder) for known in image_formats()), *result_files()}


@dataclass(frozen=True, kw_only=True)
class FoundImages:
    """What files, folders and glob patterns name.

    Attributes:
        targets: The images to predict, as a compact list.
        unread: The files that are not predicted.
    """

    targets: TargetList
    unread: UnreadFiles


@renamed(patterns="inputs")
def find_targets(inputs: Sequence[str | Path], *, out: str | Path | None = None) -> tuple[Target, ...]:
    """Turn files, folders and glob patterns into a list of images; see `find_images`.

    Raises:
        DataError: Nothing is found, or two images would write the same mask.
    """
    return tuple(all_images(inputs, out=out))


def all_images(inputs: Sequence[str | Path | Target], *, out: str | Path | None = None) -> Sequence[Target]:
    """Return the images that inputs name, and log what is not read.

    Args:
        inputs: Files, folders and glob patterns, as for `find_images`; and targets, which come first.
        out: The output folder, as for `find_images`.

    Raises:
        DataError: As for `find_images`.
        UsageError: `inputs` is a single text, or as for `find_images`.
    """
    check_several(inputs)
    if isinstance(inputs, TargetList):  # which has no paths, and may be long
        return inputs
    inputs = tuple(inputs)  # a generator is read once
    given = tuple(one for one in inputs if isinstance(one, Target))
    paths = [one for one in inputs if not isinstance(one, Target)]
    if given and not paths:
        return given
    found = find_images(paths, out=out)
    for note in found.unread.notes():
        _log.warning(note)
    if not given:
        return found.targets
    refuse_doubled((*given, *found.targets))
    return (*given, *found.targets)


def find_images(
    patterns: Sequence[str | Path],
    *,
    out: str | Path | None = None,
    of_volumes: frozenset[Path] = frozenset(),
    labels: Mapping[Path, str] | None = None,
    same_names: bool = False,
) -> FoundImages:
    """Turn files, folders and glob patterns into a list of images.

    Folders are searched with their subfolders; their structure is kept below the output folder. Hidden
    files and folders in them are left out, and so are the outputs of earlier predictions, unless the pattern
    is the path of a single file, and the masks of a data set (`lexiseg.inference.inputs.mask_folders`),
    unless the pattern names their folder. A link that cannot be followed is listed where its ending is that
    of an image: it fails when it is read. An image that several patterns name is taken once, under its first
    name.

    An archive (.tar) stands for the images in it; of several members of one name the last one counts. A URL
    stands for a file, a folder or a pattern elsewhere.

    Args:
        patterns: Files, folders, glob patterns, archives and URLs.
        out: The output folder: pictures that an earlier batch wrote there are never taken for images, so that
            a batch may be predicted again into a folder below its images.
        of_volumes: Resolved paths of the files that belong to volumes; they are no images of their own.
        labels: What the folders of private copies are called (`lexiseg.inference.sources.local_sources`).
        same_names: Whether several images may have one name of outputs; the caller then gives them others.

    Raises:
        DataError: Nothing is found, two images would write the same mask, the manifest of earlier outputs
            is damaged, or a folder, an archive or a URL cannot be read.
        UsageError: A URL needs credentials or packages that are missing, or `patterns` is a single text.
    """
    listing = _Listing(
        None if out is None else Path(out), frozenset(map(str, of_volumes)), labels or dict[Path, str]()
    )
    unread = UnreadFiles()
    check_several(patterns)
    for pattern in map(str, patterns):
        before = len(listing.targets), listing.volume_files
        listing.unread = UnreadFiles()
        listing.add(pattern)
        if (len(listing.targets), listing.volume_files) == before:
            raise listing.unread.nothing_found(shown_url(pattern), listing.out)
        unread.add(listing.unread)
    targets = without_doubles(listing.targets, listing.real_paths, listing.dropped_positions)
    if not same_names:
        refuse_same_names(targets)
    return FoundImages(targets=targets, unread=unread)


@dataclass
class _Listing:
    """Images that are being listed.

    Attributes:
        out: The output folder.
        of_volumes: Resolved paths of the files that belong to volumes.
        labels: What the folders of private copies are called.
        volume_files: Number of files of volumes that were met.
        targets: The images so far, also those that several patterns name.
        real_paths: A number per image that tells its path without symbolic links.
        unread: Files of the pattern at hand that are not predicted.
        dropped_positions: Positions in `targets` of masks, and of members of archives that later ones
            replace.
    """

    out: Path | None
    of_volumes: frozenset[str]
    labels: Mapping[Path, str]
    volume_files: int = 0
    targets: TargetList = field(default_factory=TargetList)
    real_paths: array[int] = field(default_factory=lambda: array("q"))
    unread: UnreadFiles = field(default_factory=UnreadFiles)
    dropped_positions: array[int] = field(default_factory=lambda: array("q"))

    def __post_init__(self) -> None:
        self._outputs, self._masks = EarlierOutputs(), MaskFolders()
        self._real_folder = cache(os.path.realpath)
        self._files = self.targets.add_kind(lambda path: named_target(Path(path), os.path.basename(path)))
        place = None if self.out is None else os.path.realpath(self.out)
        self._out = None if place is None else os.path.join(place, "")
        self._written = () if place is None else tuple(os.path.join(place, n, "") for n in image_folders())

    def add(self, text: str) -> None:
        """Add the images that a file, folder, glob pattern or URL names, sorted."""
        if is_url(text):
            self._add_url(text)
            return
        pattern = Path(text)
        searched = str(_literal_folder(pattern))
        if pattern.is_dir():
            label, of_tar = self.labels.get(pattern), is_tar_copy(pattern, self.labels)

            def of_folder(name: str) -> Target:
                source = None if label is None else f"{label}/{name}"
                return named_target(pattern / name, name, source=source, copied_from=label)

            kind = self.targets.add_kind(of_folder, output_name)
            for file in files_below(str(pattern)):
                if of_tar and self.unread.leave_written(file.name):
                    continue
                if file.real in self.of_volumes:
                    self.volume_files += 1
                elif not _is_image(file):
                    self._skip(file, searched)
                elif self._is_input(file, searched):
                    self._take(kind, file.name, file.real)
            return
        for file in self._matches(pattern, searched):
            if file.real in self.of_volumes:
                self.volume_files += 1
            elif is_plain_tar(file.path) and not file.is_broken:
                self._add_archive(file.path)
            elif self._is_input(file, searched):
                self._take(self._files, file.path, file.real)

    def _add_url(self, url: str) -> None:
        kind = self.targets.add_kind(_remote_target)
        listing, is_address = remote_files(url), names_one_file(url)
        outputs, masks = RemoteOutputs(listing), ListedMasks()
        for found, name, is_meant in listing.files():
            # The path of a single file says that it is meant.
            if not is_meant and outputs.holds(found):
                self.unread.earlier[shown_url(found)] = None
            elif is_plain_tar(found):
                self._add_archive(found)
            elif is_address and is_archive(Path(urlsplit(url).path)):
                raise DataError(
                    f"{shown_url(url)} is an archive that cannot be read where it is. Expected a .tar "
                    "archive that is not compressed. Download this one, and predict the copy.",
                    code="LEX-DATA-1479",
                )
            # What is at an address decides whether it is an image.
            elif is_address or Path(name).suffix.lower() in IMAGE_SUFFIXES:
                masks.add(len(self.targets), found.removeprefix(listing.root))
                self._take(kind, f"{found}\0{name}", found)
            else:
                self.unread.leave(name)
        self._drop_masks(masks)

    def _add_archive(self, archive: str) -> None:
        def target(text: str) -> Target:
            name, offset, size = text.split("\0")
            source = TarMember(archive, name, int(offset), int(size))
            # Archives of one data set can hold the same names.
            file = web_file_name(archive) if is_web_address(archive) else os.path.basename(archive)
            folder = file[: -len(".tar")]
            return named_target(Path(source.label), f"{folder}/{name}", origin=source)

        kind, first, shown = self.targets.add_kind(target), len(self.targets), shown_url(archive)
        masks = ListedMasks()
        for member in archive_images(archive, self.unread):
            masks.add(len(self.targets), posixpath.normpath(member.name))
            file = f"{shown}::{posixpath.normpath(member.name)}"
            self._take(kind, f"{member.name}\0{member.offset}\0{member.size}", file)
        replaced = replaced_positions(self.real_paths, first)
        if replaced:
            self.dropped_positions.extend(replaced)
            self.unread.replaced[shown] = len(replaced)
        self._drop_masks(masks)

    def _matches(self, pattern: Path, searched: str) -> Iterator[FoundFile]:
        """Yield the file of this path, or the images that a glob pattern names; count other masks."""
        if pattern.is_file():
            yield _found(str(pattern), self._real_folder)
            return
        for match in sorted(glob.glob(_literal_folders(pattern), recursive=True)):
            hidden = os.path.basename(match).startswith(".")
            if hidden or not (os.path.isfile(match) or is_broken_link(match)):
                continue
            file = _found(match, self._real_folder)
            if file.real in self.of_volumes or is_plain_tar(match) or _is_image(file):
                yield file
            else:
                self._is_mask(file, searched)

    def _is_input(self, file: FoundFile, searched: str) -> bool:
        """Return whether a file is no mask, and no prediction wrote it; note the file otherwise.

        Args:
            file: The file.
            searched: The folder that was searched for it; the file itself where its path was given.
        """
        if self._is_own(file.real):
            self.unread.own += 1
            return False
        # The path of a single file says that it is meant.
        if searched != file.path and self._outputs.holds(file.path):
            self.unread.earlier[Path(file.path)] = None
            return False
        return not self._is_mask(file, searched)

    def _is_mask(self, file: FoundFile, searched: str) -> bool:
        """Return whether a file is a mask of a data set, and count it then."""
        is_mask = self._masks.hold(file.path, searched)
        if is_mask:
            self.unread.leave_mask(file.path)
        return is_mask

    def _is_own(self, real: str) -> bool:
        """Return whether a file lies in the folders of results of this command, which it may replace."""
        return real.startswith(self._written) or self._is_of_shard(real)

    def _is_of_shard(self, real: str) -> bool:
        """Return whether a file lies in the folder of a shard, which another process may write to now."""
        if self._out is None or not real.startswith(self._out):
            return False
        return SHARD_FOLDER.fullmatch(real.removeprefix(self._out).split(os.sep)[0]) is not None

    def _take(self, kind: int, text: str, real: str) -> None:
        self.targets.append(kind, text)
        self.real_paths.append(hash(real))

    def _skip(self, file: FoundFile, searched: str) -> None:
        if self._is_own(file.real):
            self.unread.own += 1
        elif not (self._is_mask(file, searched) or is_volume_file(Path(file.path)) or self._is_result(file)):
            self.unread.skip(file.path)

    def _drop_masks(self, masks: ListedMasks) -> None:
        """Drop the masks of data sets among the files of an archive or at a URL."""
        for position in masks.positions():
            self.dropped_positions.append(position)
            self.unread.leave_mask(self.targets[position].label)

    def _is_result(self, file: FoundFile) -> bool:
        """Return whether a file that is no image belongs to the results in the output folder."""
        if self._out is None or not file.real.startswith(self._out):
            return False
        first = file.real.removeprefix(self._out).split(os.sep)[0]
        # The manifest, which can be long, is read for files with other names alone.
        return first in _RESULTS or first.endswith(".partial") or self._outputs.holds(file.path)


def _found(path: str, real_folder: Callable[[str], str]) -> FoundFile:
    """Return a file by its path."""
    folder, name = os.path.split(path)
    place, is_broken = real_folder(folder or "."), is_broken_link(path)
    is_followed = os.path.islink(path) and not is_broken
    real = os.path.realpath(path) if is_followed else os.path.join(place, name)
    return FoundFile(path=path, name=name, real=real, folder=place, is_broken=is_broken)


def _is_image(file: FoundFile) -> bool:
    """Return whether a file is read as an image; a broken link that may stand for one fails then."""
    # The usual endings are known without an object for each path.
    if os.path.splitext(file.path)[1].lower() in IMAGE_SUFFIXES:
        return True
    path = Path(file.path)
    return is_volume_file(path) or is_archive(path) if file.is_broken else is_image_file(path)


def expand(
    pattern: Path, is_wanted: Callable[[str], bool], unread: UnreadFiles | None = None
) -> Iterator[Target]:
    """Yield the files that a file, folder or glob pattern names, sorted; without hidden files and masks.

    Args:
        pattern: The file, folder or glob pattern.
        is_wanted: Returns whether a file of a folder or glob pattern counts; a file by its path always does.
        unread: Masks that would count are added to it.
    """
    masks, searched = MaskFolders(), str(_literal_folder(pattern))

    def is_left(file: str) -> bool:
        is_mask = masks.hold(file, searched)
        if is_mask and unread is not None:
            unread.leave_mask(file)
        return is_mask

    if pattern.is_dir():
        for found in files_below(str(pattern)):
            if not found.is_broken and is_wanted(found.path) and not is_left(found.path):
                yield named_target(pattern / found.name, found.name)
    elif pattern.is_file():
        yield named_target(pattern, pattern.name)
    else:
        for match in sorted(glob.glob(_literal_folders(pattern), recursive=True)):
            file = Path(match)
            is_known = not file.name.startswith(".") and file.is_file() and is_wanted(match)
            if is_known and not is_left(match):
                yield named_target(file, file.name)


def _literal_folders(pattern: Path) -> str:
    """Return a glob pattern in which the folders that exist stand for themselves, as in "scan[1]/*.png"."""
    place = _literal_folder(pattern)
    return str(Path(glob.escape(str(place)), pattern.relative_to(place)))


def _literal_folder(pattern: Path) -> Path:
    """Return the folder that a glob pattern searches: its beginning that exists."""
    place, parts = Path(pattern.anchor), list(pattern.parts[1 if pattern.anchor else 0 :])
    while parts and (place / parts[0]).exists():
        place /= parts.pop(0)
    return place


def _remote_target(text: str) -> Target:
    url, name = text.split("\0")
    return named_target(Path(name), name, origin=RemoteFile(url))
