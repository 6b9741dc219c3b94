"""Tokens: who may use the server, and for what. A file holds their hashes; a token itself is shown once."""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

from pydantic import AwareDatetime, Field, ValidationError

from lexiseg.errors import DataError, DiskError, RequestError, UsageError
from lexiseg.files import write_text
from lexiseg.json_records import FileRecord, Record, reason, record_text
from lexiseg.outputs.folder_lock import FolderLock
from lexiseg.printable import command_word
from lexiseg.serving.records.common import Scope
from lexiseg.structured_text import UnusableTextError, read_json

_log = logging.getLogger("lexiseg.serving")

# Tells a person, and a scan for secrets, what a text is.
_PREFIX = "lxs_"
_BYTES = 32
# Seconds for which a file that cannot be read may be one that somebody is writing.
_MOMENT = 10.0
# Code of the error for a file that this user may not read.
_NO_PERMISSION_CODE = "LEX-DATA-1881"
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


class TokenRecord(Record):
    """One token.

    Attributes:
        name: Who uses it, as in the log of the server.
        scopes: What it may do.
        sha256: SHA-256 of the token. Tokens are 256 random bits, which nobody can guess from it.
        created: When it was made.
        expires: When it ends; None where it does not.
    """

    name: str = Field(pattern=_NAME)
    scopes: tuple[Scope, ...] = Field(min_length=1)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    created: AwareDatetime
    expires: AwareDatetime | None = None

    @property
    def has_ended(self) -> bool:
        """Whether its time is over."""
        return self.expires is not None and self.expires <= datetime.now(UTC)

    @property
    def holder(self) -> Holder:
        """Who sends requests with it."""
        return Holder(name=self.name, scopes=frozenset(self.scopes), sha256=self.sha256)


class TokenFile(FileRecord):
    """The token file.

    Attributes:
        schema_version: Version of this schema.
        tokens: The tokens, each name once.
    """

    tokens: tuple[TokenRecord, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who sends a request.

    Attributes:
        name: Name of the token; empty where the server asks for none.
        scopes: What the holder may do.
        sha256: SHA-256 of the token, which tells it from a later one of the same name.
    """

    name: str
    scopes: frozenset[Scope]
    sha256: str = ""


#: Everybody, where the server asks for no token.
ANYBODY = Holder(name="", scopes=frozenset(get_args(Scope)))


def read_token_file(path: Path) -> TokenFile:
    """Read a token file; one that does not exist holds no tokens.

    Raises:
        DataError: It is damaged, or this user may not read it.
    """
    return _found(path) or TokenFile()


def existing_token_file(path: Path) -> TokenFile:
    """Read a token file that must exist.

    Raises:
        UsageError: It does not exist.
        DataError: It is damaged, or this user may not read it.
    """
    found = _found(path)
    if found is None:
        raise UsageError(
            f"There is no token file {path}. Make one with "
            f"`lexiseg token new NAME --file {command_word(path)}`.",
            code="LEX-USE-1107",
        )
    return found


def _found(path: Path) -> TokenFile | None:
    """Return the content of a token file; None where there is no file."""
    try:
        return TokenFile.model_validate(read_json(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise DataError(
            f"The token file {path} cannot be read: this user may not read it. Give the file to the user of "
            "the server, or let its group read it (`chgrp GROUP`, `chmod 640`).",
            code="LEX-DATA-1881",
        ) from error
    except (OSError, UnusableTextError, ValidationError) as error:
        raise DataError(
            f"The token file {path} cannot be read ({reason(TokenFile, error)}). Restore it, or remove it "
            "and make new tokens with `lexiseg token new`.",
            code="LEX-DATA-1106",
        ) from error


def new_token(path: Path, name: str, scopes: tuple[Scope, ...], *, days: float | None = None) -> str:
    """Add a token to a token file and return it.

    Args:
        path: The file; it is made if it is missing.
        name: Who uses it.
        scopes: What it may do.
        days: Days after which it ends; None for one that does not.

    Raises:
        UsageError: The name is not possible or taken, the days are not above 0, or another process changes
            the file.
        DataError: The file is damaged, or this user may not read it.
        DiskError: It cannot be written, or not without another owner.
    """
    with _changing(path) as path:
        return _with_new_token(path, name, scopes, days)


def _with_new_token(path: Path, name: str, scopes: tuple[Scope, ...], days: float | None) -> str:
    found = read_token_file(path)
    if any(token.name == name for token in found.tokens):
        raise UsageError(
            f"{path} holds a token '{name}' already. Revoke it first, or choose another name.",
            code="LEX-USE-1103",
        )
    if days is not None and not 0 < days < 36500:
        raise UsageError(f"Expected a number of days above 0, got {days:g}.", code="LEX-USE-1104")
    token, now = _PREFIX + secrets.token_urlsafe(_BYTES), datetime.now(UTC).replace(microsecond=0)
    try:
        record = TokenRecord(
            name=name,
            scopes=scopes,
            sha256=_hash(token),
            created=now,
            expires=None if days is None else now + timedelta(days=days),
        )
    except ValidationError as error:
        raise UsageError(
            f"The token cannot be made ({reason(TokenRecord, error)}). A name has up to 64 letters, digits, "
            "dots, hyphens and underscores.",
            code="LEX-USE-1105",
        ) from error
    _write(path, (*found.tokens, record))
    return token


def revoke_token(path: Path, name: str) -> None:
    """Remove a token from a token file.

    Raises:
        UsageError: It does not exist, holds no such token, or another process changes it.
        DataError: It is damaged, or this user may not read it.
        DiskError: It cannot be written, or not without another owner.
    """
    with _changing(path) as path:
        found = existing_token_file(path)
        left = tuple(token for token in found.tokens if token.name != name)
        if len(left) == len(found.tokens):
            names = ", ".join(token.name for token in found.tokens) or "none"
            raise UsageError(f"{path} holds no token '{name}'. Its tokens: {names}.", code="LEX-USE-1106")
        _write(path, left)


def _write(path: Path, tokens: tuple[TokenRecord, ...]) -> None:
    """Write a token file; a server that could read it before can read it still."""
    write_text(path, record_text(TokenFile(tokens=tokens)), keeps_access=True)


@contextmanager
def _changing(path: Path) -> Iterator[Path]:
    """Let no other process change a token file meanwhile: it could bring a revoked token back.

    Yields:
        The file itself: where `path` is a link, a server may read the file by another path.
    """
    path = Path(os.path.realpath(path))

    def refusal(holder: str) -> UsageError:
        return UsageError(
            f"{path} is being changed by {holder}. Run the command again when that one has ended.",
            code="LEX-USE-1129",
        )

    with FolderLock.beside(path).hold(refusal):
        yield path


class Tokens:
    """The tokens of a file, read again whenever it changes.

    While the file cannot be read, nobody knows which tokens are revoked, so none is valid. A damaged file may
    be one that somebody is writing: for a moment, the tokens of before stay valid.

    Args:
        path: The file.

    Raises:
        UsageError: It does not exist.
        DataError: It is damaged, or this user may not read it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state = _state(path)
        self._tokens = existing_token_file(path).tokens
        self._failure: DataError | DiskError | None = None
        self._failing_since = 0.0

    def holder(self, token: str) -> Holder | None:
        """Return who holds a token; None for one that is unknown or has ended.

        Raises:
            RequestError: The file cannot be read.
        """
        problem = self.problem()
        if problem is not None:
            raise RequestError(
                "The server cannot read its token file, so it accepts no token. Whoever runs the server "
                f"finds the cause in its log ({problem.code}).",
                status=503,
                retry_after=30,
                code="LEX-REQ-1882",
            )
        given, found = _hash(token), None
        # All are compared, so that the time says nothing about any of them.
        for known in self._tokens:
            if hmac.compare_digest(given, known.sha256):
                found = known
        return None if found is None or found.has_ended else found.holder

    def knows(self, holder: Holder) -> bool:
        """Return whether the token of a holder is valid still."""
        if self.problem() is not None:
            return False
        return any(known.holder == holder and not known.has_ended for known in self._tokens)

    def problem(self) -> DataError | DiskError | None:
        """Return why no token is valid at present; None where tokens are."""
        self._read_again()
        if self._failure is None:
            return None
        # Nobody writes a file by taking the permission to read it.
        lasts = time.monotonic() - self._failing_since >= _MOMENT
        return self._failure if lasts or self._failure.code == _NO_PERMISSION_CODE else None

    def _read_again(self) -> None:
        state = _state(self._path)
        if state == self._state and self._failure is None:
            return
        self._state = state
        try:
            self._tokens = read_token_file(self._path).tokens
        except (DataError, DiskError) as error:
            if self._failure is None:
                self._failing_since = time.monotonic()
            if self._failure is None or self._failure.code != error.code:
                _log.error("the token file cannot be read", extra={"code": error.code})
            self._failure = error
            return
        self._failure = None
        _log.info("the token file is read again", extra={"tokens": len(self._tokens)})


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", errors="replace")).hexdigest()


def _state(path: Path) -> tuple[int, ...] | None:
    """Return what differs when a file changes; None where there is no file."""
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return (error.errno or -1,)
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino
