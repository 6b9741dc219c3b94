"""What a data set holds, but Lexiseg does not use: counted by reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

#: Why something is not used:
#: "subfolder": images or masks in a folder below the one that is read;
#: "beside-splits": images or masks beside the folders of the splits;
#: "other-folder": images in a folder that is no part of the layout;
#: "ending": files whose ending is of no format that is read;
#: "broken-link": links whose target does not exist;
#: "closed-folder": folders that cannot be opened;
#: "table": a table that is not the report sheet;
#: "worksheet": further worksheets of an Excel file;
#: "column": further columns of sentences;
#: "no-sentence": rows of a report sheet without a sentence;
#: "orphan-report": rows of a report sheet that belong to no image;
#: "orphan-mask": masks that belong to no image;
#: "unlisted": images that `splits.json` or the CSVs do not name;
#: "absent-data-set": rows of CSVs whose data set has no folder.
Reason = Literal[
    "subfolder",
    "beside-splits",
    "other-folder",
    "ending",
    "broken-link",
    "closed-folder",
    "table",
    "worksheet",
    "column",
    "no-sentence",
    "orphan-report",
    "orphan-mask",
    "unlisted",
    "absent-data-set",
]

#: Number of names that are kept; the count is always of all.
MAX_NAMES = 20


@dataclass(frozen=True, kw_only=True)
class Omission:
    """What is not used for one reason.

    Attributes:
        reason: The reason.
        count: Number of files, rows or images.
        names: The first `MAX_NAMES` of them, or of the folders that hold them.
        sentence: One or two sentences for the user: the count, some names, and what to do to use them.
    """

    reason: Reason
    count: int
    names: tuple[str, ...]
    sentence: str

    @classmethod
    def of(cls, reason: Reason, names: Sequence[str], sentence: str, *, count: int | None = None) -> Omission:
        """Return what is not used for a reason; `count` is the number of names unless it is given."""
        return cls(
            reason=reason,
            count=len(names) if count is None else count,
            names=tuple(names[:MAX_NAMES]),
            sentence=sentence,
        )
