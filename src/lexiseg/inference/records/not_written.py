"""Why an output was not written: a text and a code, which files of results hold as one text."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from lexiseg.errors import DataError

_STORED = re.compile(r"(?P<text>.*) \[(?P<code>LEX-[A-Z]+-\d+)\]", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class NotWritten:
    """Why an output was not written; as text, it ends with the code in brackets.

    Attributes:
        text: The reason.
        code: Stable code of the error, such as "LEX-DATA-984"; empty where nothing failed.
    """

    text: str
    code: str = ""

    @classmethod
    def of(cls, error: DataError) -> NotWritten:
        """Return the reason that an error states."""
        return cls(text=str(error), code=error.code)

    @classmethod
    def stored(cls, said: str) -> NotWritten:
        """Return a reason that a file of results holds.

        Args:
            said: What `str` returned for it.
        """
        found = _STORED.fullmatch(said)
        return cls(text=said) if found is None else cls(text=found["text"], code=found["code"])

    def said(self, change: Callable[[str], str]) -> NotWritten:
        """Return the reason with another text and the same code.

        Args:
            change: What is done with the text.
        """
        return NotWritten(text=change(self.text), code=self.code)

    def __str__(self) -> str:
        return f"{self.text} [{self.code}]" if self.code else self.text


def _checked(value: Any) -> NotWritten:
    if isinstance(value, NotWritten):
        return value
    if isinstance(value, str):
        return NotWritten.stored(value)
    raise ValueError("expected a text")


#: A reason as a field of a record, which is a text in its file.
StoredReason = Annotated[
    NotWritten,
    PlainValidator(_checked),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string"}),
]
