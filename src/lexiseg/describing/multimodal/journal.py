"""The journal: replies are stored on disk at once, so that an interrupted run does not ask again."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from lexiseg.errors import DataError, UsageError
from lexiseg.files import disk_errors, make_folder, private_opener
from lexiseg.structured_text import UnusableTextError, parse_json

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_FORMAT = 1


class JournalHead(BaseModel):
    """First line of a journal: model and question; only the same model and question may resume it.

    Attributes:
        format: Version of the journal's format.
        model: Name of the model.
        server: Address of its server; None: local.
        prompt_version: Version of the question.
        vocabulary: Name of the vocabulary.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = _FORMAT
    model: str
    server: str | None
    prompt_version: int
    vocabulary: str


class JournalEntry(BaseModel):
    """One reply in the journal.

    Attributes:
        key: Hash of the question and of the picture that was sent.
        reply: The model's text.
        tokens: Input and output tokens.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    reply: str
    tokens: tuple[int, int]


def journal_path(out: Path) -> Path:
    """Return the path of the journal of a description file."""
    return out.with_name(f"{out.name}.journal")


class Journal:
    """Replies by key, appended to a file one by one; each is on the disk before the next question.

    The file is locked while it is open, so that two processes never write the same file. The operating system
    releases the lock when the process ends.

    Args:
        path: The file; resumed if it exists.
        head: Model and question.

    Attributes:
        locked: Whether it is locked; False if the system does not support locks.
        resumed: Number of replies found in it.

    Raises:
        UsageError: Another process has it open, or it belongs to another model, question or vocabulary.
        DataError: The file is damaged before its last line.
        DiskError: There is no space or no permission.
    """

    def __init__(self, path: Path, head: JournalHead) -> None:
        self.path = path
        self._kept: dict[str, list[JournalEntry]] = {}
        self._file, self.locked = _opened(path)
        try:
            whole = self._read(head)
            self.resumed = sum(map(len, self._kept.values()))
            with disk_errors(path):
                self._file.truncate(whole)  # an incomplete line of a killed process
            if whole == 0:
                self._append(head.model_dump())
        except BaseException:
            with disk_errors(path):
                self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file.closed:
            return  # removed
        if not self._kept:
            self.remove()
        else:
            with disk_errors(self.path):  # closing may write buffered data
                self._file.close()

    def replies(self, key: str) -> tuple[JournalEntry, ...]:
        """Return the replies to one question in order."""
        return tuple(self._kept.get(key, ()))

    def add(self, kept: JournalEntry) -> None:
        """Append a reply; it is on the disk when this returns."""
        self._append(kept.model_dump())
        self._kept.setdefault(kept.key, []).append(kept)

    def remove(self) -> None:
        """Delete the file, after the description file is written."""
        if self.locked:  # without the lock, the file may belong to another process
            self.path.unlink(missing_ok=True)
        with disk_errors(self.path):
            self._file.close()
        if not self.locked:
            self.path.unlink(missing_ok=True)

    def _append(self, value: dict[str, Any]) -> None:
        with disk_errors(self.path):
            self._file.write(json.dumps(value).encode("ascii") + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())

    def _read(self, head: JournalHead) -> int:
        """Read the complete lines of the file; return the number of bytes to keep."""
        content = self._file.read()
        whole = content.rfind(b"\n") + 1
        found = None
        for number, line in enumerate(content[:whole].splitlines(), start=1):
            try:
                if number == 1:
                    found = JournalHead.model_validate(parse_json(line))
                else:
                    kept = JournalEntry.model_validate(parse_json(line))
                    self._kept.setdefault(kept.key, []).append(kept)
            except (UnusableTextError, ValidationError) as error:
                raise DataError(
                    f"{self.path}, line {number}: not a journal of `lexiseg data describe`. Remove it to ask "
                    f"all questions again.",
                    code="LEX-DATA-114",
                ) from error
        if found is None or not self._kept:
            return 0
        self._same(found, head)
        return whole

    def _same(self, found: JournalHead, wanted: JournalHead) -> None:
        differing = [
            f"{name} {getattr(found, name)!r} instead of {getattr(wanted, name)!r}"
            for name in JournalHead.model_fields
            if getattr(found, name) != getattr(wanted, name)
        ]
        if differing:
            raise UsageError(
                f"{self.path} holds replies of an interrupted run with {', '.join(differing)}. Use the "
                f"same options, choose another --out, or remove it to start again.",
                code="LEX-USE-053",
            )


def _opened(path: Path) -> tuple[IO[bytes], bool]:
    """Open a file for reading and appending, created if needed; return it and whether it is locked."""
    while True:
        with disk_errors(path):
            make_folder(path.parent)
            file: IO[bytes] = open(path, "a+b", opener=private_opener)  # noqa: SIM115
        try:
            locked = _lock(file)
        except BlockingIOError as error:
            file.close()
            raise UsageError(
                f"Another process is writing the same description file: it has locked {path}. Wait until it "
                f"ends, or choose another --out.",
                code="LEX-USE-054",
            ) from error
        if not locked or _is_at(file, path):
            file.seek(0)
            return file, locked
        file.close()  # another process removed the file before it was locked


def _lock(file: IO[bytes]) -> bool:
    """Lock a file for this process; return False if the system or the disk does not support locks.

    Raises:
        BlockingIOError: Another process holds the lock.
    """
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # for example a network disk without locks
        return False
    return True


def _is_at(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
