"""The site key: a secret with which ids of patients and images are hashed for queue and log."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path

from lexiseg.errors import UsageError
from lexiseg.files import write_text
from lexiseg.open_files import open_errors

#: Name of the file in the state folder.
KEY_FILE = "site.key"

_LEAST_CHARACTERS = 32
_DIGITS = 32


class KeyedHash:
    """The hash of a text or of a file that comes piece by piece.

    Args:
        secret: The secret.
    """

    def __init__(self, secret: bytes) -> None:
        self._hash, self._is_empty = hmac.new(secret, digestmod=hashlib.sha256), True

    def update(self, piece: bytes | memoryview) -> None:
        """Add the next piece."""
        self._hash.update(piece)
        self._is_empty = self._is_empty and len(piece) == 0

    def text(self) -> str:
        """Return the hash of all pieces, 32 hexadecimal digits; without any content, it is empty."""
        return "" if self._is_empty else self._hash.hexdigest()[:_DIGITS]


class SiteKey:
    """Hashes texts with a secret (HMAC-SHA256).

    The same text gives the same hash, and only who has the secret can tell which text it was.

    Args:
        secret: The secret.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @classmethod
    def of_file(cls, file: Path | None, state: Path) -> SiteKey:
        """Return the key of a file, or that of the state folder, which is made if it is missing.

        Args:
            file: The file that the user named; None for that of the state folder.
            state: The state folder.

        Raises:
            UsageError: The file is missing or too short.
            DiskError: There is no space or no permission.
        """
        if file is None:
            file = state / KEY_FILE
            if not file.exists():
                write_text(file, secrets.token_hex(_LEAST_CHARACTERS) + "\n")
        try:
            with open_errors(file):
                secret = file.read_bytes().strip()
        except OSError as error:
            raise UsageError(
                f"The site key {file} cannot be read: {error.strerror or error}.", code="LEX-USE-1233"
            ) from error
        if len(secret) < _LEAST_CHARACTERS:
            raise UsageError(
                f"The site key {file} is too short: expected at least {_LEAST_CHARACTERS} characters, found "
                f"{len(secret)}.",
                code="LEX-USE-1234",
            )
        return cls(secret)

    def hashed(self, text: str) -> str:
        """Return the hash of a text, 32 hexadecimal digits; an empty text stays empty."""
        found = self.hashing()
        found.update(text.encode(errors="surrogateescape"))
        return found.text()

    def hashing(self) -> KeyedHash:
        """Return the hash of nothing, to which content is added piece by piece."""
        return KeyedHash(self._secret)
