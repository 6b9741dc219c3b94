"""Public data sets: download where no login is needed, and conversion to Lexiseg's folder layout."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lexiseg._version import __version__
from lexiseg.data.archives import extract, is_archive
from lexiseg.data.public.download import Download, download
from lexiseg.data.public.importers.chaos import read_chaos_ct, read_chaos_mr
from lexiseg.data.public.importers.glas import read_glas
from lexiseg.data.public.importers.nifti import read_acdc, read_camus
from lexiseg.data.public.importers.pictures import read_chest, read_clinicdb, read_pairs
from lexiseg.data.public.importers.source import SourceDataset
from lexiseg.data.public.importers.ultrasound import read_busi, read_ddti
from lexiseg.data.public.importers.write import write_dataset
from lexiseg.data.public.registry import Entry, Importer, RemoteFile, find_entry
from lexiseg.data.sample import Split
from lexiseg.errors import DataError, UsageError
from lexiseg.files import atomic_folder, refuse_blocked, temporary_folder, write_json
from lexiseg.outputs.new_folder import reserve_folder
from lexiseg.printable import brief, command_word

__all__ = ["ImportResult", "get_dataset", "import_dataset"]

#: File with the provenance of an imported data set, in its folder.
RECORD = "import.json"

_READERS: dict[Importer, Callable[[Path, Entry], SourceDataset]] = {
    "pairs": read_pairs,
    "clinicdb": read_clinicdb,
    "busi": read_busi,
    "ddti": read_ddti,
    "chest": read_chest,
    "glas": read_glas,
    "camus": read_camus,
    "acdc": read_acdc,
    "chaos-mr": read_chaos_mr,
    "chaos-ct": read_chaos_ct,
}


@dataclass(frozen=True, kw_only=True)
class ImportResult:
    """An imported data set.

    Attributes:
        folder: Its folder.
        entry: Its entry in the registry.
        counts: Images per split.
        notes: What was assumed, changed or left out, one sentence each.
        downloads: The downloaded archives with their checksums; empty if the user downloaded them.
    """

    folder: Path
    entry: Entry
    counts: dict[Split, int]
    notes: tuple[str, ...]
    downloads: tuple[Download, ...] = ()

    def __repr__(self) -> str:
        return brief(
            self,
            self.entry.name,
            *(f"{count} {split}" for split, count in self.counts.items()),
            str(self.folder),
        )


def import_dataset(
    name: str,
    folder: str | Path,
    out: str | Path,
    *,
    seed: int = 0,
    published_split: bool = False,
    progress: Callable[[int, int | None], None] | None = None,
) -> ImportResult:
    """Convert a published data set to Lexiseg's folder layout.

    Args:
        name: Name or alias in the registry.
        folder: The downloaded and extracted folder, or the archive itself.
        out: The folder to create; it may exist if it is empty.
        seed: Seed of the splits made here.
        published_split: Whether to keep the published split even if splits share patients.
        progress: Called with the number of converted images and, where known, of all images.

    Returns:
        The imported data set.

    Raises:
        UsageError: The data set is not in the registry, `out` is in use, or an extra is not installed.
        DataError: The folder is not that data set, or a file in it cannot be read.
        DiskError: There is no space, or no permission; no partial result is left.
    """
    entry, folder, out = find_entry(name), Path(folder), _free(out)
    if not folder.exists():
        raise DataError(
            f"{folder} does not exist; expected the folder or archive of {entry.title}.", code="LEX-DATA-059"
        )
    with reserve_folder(out), _unpacked(folder, out) as unpacked:
        return _convert(entry, unpacked, out, seed, published_split, progress, ())


def get_dataset(
    name: str,
    out: str | Path,
    *,
    seed: int = 0,
    published_split: bool = False,
    keep_archives: bool = False,
    on_bytes: Callable[[str, int, int | None], None] | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> ImportResult:
    """Download a data set that needs no login, and convert it.

    Archives are stored in the folder `out` + `.download`; an interrupted download is resumed.

    Args:
        name: Name or alias in the registry.
        out: The folder to create; it may exist if it is empty.
        seed: Seed of the splits made here.
        published_split: As in `import_dataset`.
        keep_archives: Whether to keep the archives.
        on_bytes: Called with a file's name, the number of bytes received and, where known, its size.
        progress: As in `import_dataset`.

    Raises:
        UsageError: The data set is not in the registry, it cannot be downloaded (the message says how to get
            it), or `out` is in use.
        DataError: A download fails, has another size or checksum than expected, or cannot be converted.
        DiskError: There is no space, or no permission.
    """
    entry = find_entry(name)
    if not entry.downloads:
        steps = " ".join(f"{number}. {step}" for number, step in enumerate(entry.steps, 1))
        raise UsageError(
            f"{entry.title} cannot be downloaded without a login. {steps} Then run: lexiseg data import "
            f"{entry.name} FOLDER --out {command_word(out)}",
            code="LEX-USE-008",
        )
    out = _free(out)
    with reserve_folder(out):
        return _downloaded(entry, out, seed, published_split, keep_archives, on_bytes, progress)


def _downloaded(
    entry: Entry,
    out: Path,
    seed: int,
    published_split: bool,
    keep_archives: bool,
    on_bytes: Callable[[str, int, int | None], None] | None,
    progress: Callable[[int, int | None], None] | None,
) -> ImportResult:
    """Download the archives of a data set and convert it."""
    store = out.with_name(f"{out.name}.download")
    found = []
    for file in entry.downloads:
        shown = _progress_of(on_bytes, file.name)
        found.append(
            download(file.url, store / file.name, size=file.size, sha256=file.sha256, progress=shown)
        )
    unpacked = store / "unpacked"
    try:
        shutil.rmtree(unpacked, ignore_errors=True)
        for file, archive in zip(entry.downloads, found, strict=True):
            _extract(file, archive, unpacked)
        imported = _convert(entry, unpacked, out, seed, published_split, progress, tuple(found))
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
    if not keep_archives:
        shutil.rmtree(store)
    return imported


def _progress_of(
    on_bytes: Callable[[str, int, int | None], None] | None, name: str
) -> Callable[[int, int | None], None] | None:
    """Return the progress callback of one file."""
    if on_bytes is None:
        return None
    call = on_bytes
    return lambda done, total: call(name, done, total)


def _extract(file: RemoteFile, archive: Download, folder: Path) -> None:
    """Extract a download; if that fails, one of unknown checksum is removed, to be downloaded again."""
    try:
        extract(archive.path, folder)
    except DataError:
        if file.sha256 is None:
            archive.path.unlink()
        raise


def _free(out: str | Path) -> Path:
    """Return the folder to create; it is renamed to its final name, so it needs one."""
    out = Path(out)
    if out.name in ("", ".."):
        raise UsageError(
            f"{out} has no name of its own. Give the name of the folder to create with --out.",
            code="LEX-USE-009",
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(
            f"{out} exists and is not an empty folder. Choose another --out.", code="LEX-USE-010"
        )
    refuse_blocked(out.parent)
    return out


@contextmanager
def _unpacked(folder: Path, out: Path) -> Iterator[Path]:
    """Yield the folder itself, or a temporary one with the contents of an archive."""
    if folder.is_dir():
        yield folder
        return
    if not is_archive(folder):
        raise DataError(
            f"{folder} is neither a folder nor a .zip or .tar archive. Extract it first.", code="LEX-DATA-060"
        )
    with temporary_folder(out) as beside:
        extract(folder, beside)
        yield beside


def _convert(
    entry: Entry,
    folder: Path,
    out: Path,
    seed: int,
    published_split: bool,
    progress: Callable[[int, int | None], None] | None,
    downloads: tuple[Download, ...],
) -> ImportResult:
    source = _READERS[entry.importer](folder, entry)
    with atomic_folder(out, private=False) as beside:
        written = write_dataset(
            source, entry, beside, seed=seed, keep_published=published_split, progress=progress
        )
        write_json(
            beside / RECORD,
            {
                "data_set": entry.name,
                "lexiseg_version": __version__,
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
                "home": entry.home,
                "licence": entry.licence,
                "downloads": [
                    {"url": file.url, "size": found.size, "sha256": found.sha256}
                    for file, found in zip(entry.downloads, downloads, strict=False)
                ],
                "said": list(written.notes),
            },
            private=False,
        )
    return ImportResult(
        folder=out, entry=entry, counts=written.counts, notes=written.notes, downloads=downloads
    )
