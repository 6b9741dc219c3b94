"""The files of one folder, found by a name as a CSV from any system writes it."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path

from lexiseg.data.layouts.pairing import is_foreign_path


@dataclass(frozen=True, kw_only=True)
class NamedFiles:
    """The files of a folder of images or masks.

    Attributes:
        folder: The folder.
        by_name: File by its path below the folder, with "/" and in the composed Unicode form (NFC).
    """

    folder: Path
    by_name: dict[str, Path]

    @classmethod
    def of(cls, folder: Path) -> NamedFiles:
        """Return the files in and below a folder; links to folders are not followed."""
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()] if folder.is_dir() else []
        return cls(
            folder=folder,
            by_name={
                unicodedata.normalize("NFC", path.relative_to(folder).as_posix()): path for path in files
            },
        )

    def find(self, name: str) -> tuple[Path | None, bool]:
        """Return the file that a name means, and whether folders of another machine were ignored.

        A name may be a path below the folder, the same with the folder's own name in front ("images/a.png"),
        or an absolute path of another machine, of which only the file name counts. Folders are separated by
        "/", or by a backslash.
        """
        wanted = unicodedata.normalize("NFC", name)
        if wanted in self.by_name:
            return self.by_name[wanted], False
        wanted = wanted.replace("\\", "/")
        own = self.folder.name.lower() + "/"
        shortened = wanted[len(own) :] if wanted.lower().startswith(own) else wanted
        if shortened in self.by_name:
            return self.by_name[shortened], False
        found = self.by_name.get(wanted.rsplit("/", 1)[-1]) if is_foreign_path(wanted) else None
        return found, found is not None
