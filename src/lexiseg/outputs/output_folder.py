"""An output folder with an owner: one process writes to it, and replaces only what Lexiseg wrote."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lexiseg.errors import DataError, UsageError
from lexiseg.files import atomic_path, disk_errors, file_mode, remove_leftovers, write_bytes
from lexiseg.outputs.folder_lock import FolderLock
from lexiseg.outputs.manifest import OutputManifest

#: Name of the lock file in an output folder.
LOCK_FILE = ".lexiseg.lock"

#: Files that a message names at most.
_NAMED = 5


class OutputFolder:
    """A folder that this process owns while it writes results there; see `owned_folder`.

    Args:
        path: The folder.
        locked: Whether other processes are kept out; False where the disk supports no locks.
        earlier: Finds the files of a version that wrote no manifest.

    Attributes:
        path: The folder.
        locked: As given.
        is_new: Whether Lexiseg has written nothing into it before.

    Raises:
        DataError: The manifest of the folder is damaged.
    """

    def __init__(
        self, path: Path, *, locked: bool, earlier: Callable[[Path, frozenset[str]], Iterable[Path]]
    ) -> None:
        self.path, self.locked = path, locked
        self._manifest = OutputManifest(path)
        for file in earlier(path, self._manifest.names):
            self._manifest.add(self._name(file), file)
        self.is_new = self._manifest.is_empty

    def refuse_others(self, written: Iterable[Path], removed: Iterable[Path] = ()) -> None:
        """Refuse the work if it would replace or remove a file that is not as Lexiseg wrote it.

        Args:
            written: Files that the work writes.
            removed: Files that it removes if they are those of Lexiseg; others stay.

        Raises:
            DataError: A file is not from Lexiseg, or was changed since.
        """
        # Of a million files only those are kept that stand in the way.
        foreign, changed = dict[Path, None](), dict[Path, None]()
        for file in written:
            if os.path.lexists(file):
                if not self._knows(file):
                    foreign[file] = None
                elif not self.owns(file):
                    changed[file] = None
        if foreign:
            raise DataError(
                f"Lexiseg did not write {_listed(list(foreign))} and does not replace what it did not write. "
                "Nothing was changed. Choose another --out folder, or move these files away.",
                code="LEX-DATA-740",
            )
        for file in removed:
            if os.path.lexists(file) and self._knows(file) and not self.owns(file):
                changed[file] = None
        if changed:
            raise DataError(
                f"Somebody changed {_listed(list(changed))} after Lexiseg wrote it, and the change would be "
                "lost. Nothing was replaced. Choose another --out folder, or move these files away.",
                code="LEX-DATA-741",
            )

    def owns(self, file: Path) -> bool:
        """Return whether Lexiseg wrote a file and nobody has changed it since."""
        return self._manifest.matches(self._name(file), file)

    @contextmanager
    def writing(self, file: Path) -> Iterator[Path]:
        """Yield a temporary path; it becomes `file`, which the manifest then names.

        Raises:
            DataError: A file that Lexiseg did not write is in its place.
            DiskError: There is no space or no permission.
        """
        self._refuse_replacing(file)
        with atomic_path(file) as beside:
            yield beside
            self._manifest.add(self._name(file), beside)
        self._manifest.confirm(self._name(file))

    def note(self, file: Path) -> None:
        """Name a file in the manifest that grows line by line, from its beginning on.

        Raises:
            DiskError: There is no space or no permission.
        """
        self._manifest.add(self._name(file), file)

    def rename(self, written: Path, file: Path) -> None:
        """Give a file that was written line by line its final name, which the manifest then names.

        Raises:
            DataError: A file that Lexiseg did not write is in its place.
            DiskError: There is no space or no permission.
        """
        self._refuse_replacing(file)
        with disk_errors(file):
            os.chmod(written, file_mode())
            self._manifest.add(self._name(file), written)
            os.replace(written, file)
        self._manifest.confirm(self._name(file))

    def write_text(self, file: Path, text: str) -> None:
        """Write a text file as UTF-8, see `write_bytes` and `lexiseg.files.write_text`."""
        self.write_bytes(file, text.encode("utf-8", errors="backslashreplace"))

    def write_bytes(self, file: Path, content: bytes) -> None:
        """Write a file whose content is in memory, which costs less than `writing`.

        Raises:
            DataError: A file that Lexiseg did not write is in its place.
            DiskError: There is no space or no permission.
        """
        self._refuse_replacing(file)
        name = self._name(file)
        self._manifest.add_bytes(name, content)
        write_bytes(file, content)
        self._manifest.confirm(name)

    def remove(self, file: Path) -> None:
        """Remove a file if it is as Lexiseg wrote it; any other stays.

        Raises:
            DiskError: There is no permission.
        """
        if self.owns(file):
            with disk_errors(file):
                file.unlink(missing_ok=True)
            self._manifest.forget(self._name(file))

    def discard(self, file: Path) -> None:
        """Remove a file that grew line by line (`note`), whatever it holds.

        Raises:
            DiskError: There is no permission.
        """
        with disk_errors(file):
            file.unlink(missing_ok=True)
        if self._knows(file):
            self._manifest.forget(self._name(file))

    def close(self, *, finished: bool) -> None:
        """End the work."""
        if finished:
            self._manifest.settle()
        else:
            self._manifest.close()

    def _refuse_replacing(self, file: Path) -> None:
        """Refuse to replace a file that appeared, or was changed, after the work began."""
        if os.path.lexists(file) and not self.owns(file):
            raise DataError(
                f"{file} exists, but is not as Lexiseg wrote it, so it is not replaced. Move it away, or "
                "choose another --out folder.",
                code="LEX-DATA-744",
            )

    def _knows(self, file: Path) -> bool:
        return self._manifest.knows(self._name(file))

    def _name(self, file: Path) -> str:
        return file.relative_to(self.path).as_posix()


def no_earlier_files(folder: Path, known: frozenset[str]) -> Iterable[Path]:
    """Return the files of versions without a manifest in a folder that no such version wrote to: none."""
    return ()


@contextmanager
def owned_folder(
    path: Path, *, earlier: Callable[[Path, frozenset[str]], Iterable[Path]] = no_earlier_files
) -> Iterator[OutputFolder]:
    """Own an output folder: create it if needed, and keep other processes of Lexiseg out.

    Args:
        path: The folder.
        earlier: Finds the files that a version without a manifest wrote there; it is given the folder and the
            files that the manifest names.

    Raises:
        UsageError: Another process writes to it, or a file is in its place.
        DataError: Its manifest is damaged.
        DiskError: There is no space or no permission.
    """
    lock = FolderLock(path / LOCK_FILE)
    holder = lock.take()
    if holder is not None:
        raise UsageError(
            f"{path} is in use: {holder} writes its results there. Wait until it ends, or choose another "
            "--out folder.",
            code="LEX-USE-740",
        )
    try:
        remove_leftovers(path)
        folder = OutputFolder(path, locked=lock.supported, earlier=earlier)
        finished = False
        try:
            yield folder
            finished = True
        finally:
            folder.close(finished=finished)
    finally:
        lock.release()


def _listed(files: list[Path]) -> str:
    named = ", ".join(map(str, files[:_NAMED]))
    more = len(files) - _NAMED
    return f"{named} and {more} more" if more > 0 else named
