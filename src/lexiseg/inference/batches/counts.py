"""What the counts of a batch of images and of a batch of volumes have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lexiseg.inference.records.not_written import NotWritten


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Counts and failures of a batch of inputs.

    Attributes:
        done: Number of inputs segmented.
        flagged: Number of them that a person should look at.
        failed: Inputs that could not be predicted, with the reason. Inputs are called as in the results.
        results: The file with one line per input.
        assumptions: What was assumed, a sentence per kind, with the number of inputs.
        refused: Outputs that were not written although their input was segmented: input, format and reason.
        resumed: Number of inputs segmented that an interrupted command had finished before.
    """

    done: int
    flagged: int
    failed: tuple[tuple[str, str], ...]
    results: Path
    assumptions: tuple[tuple[str, int], ...] = ()
    refused: tuple[tuple[str, str, str], ...] = ()
    resumed: int = 0


@dataclass
class Counts:
    """The counts of a batch while it runs; they keep nothing of an input that has no fault."""

    done: int = 0
    flagged: int = 0
    resumed: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    assumptions: Counter[str] = field(default_factory=Counter)
    refused: list[tuple[str, str, str]] = field(default_factory=list)

    def count(
        self,
        label: str,
        *,
        flagged: bool,
        resumed: bool,
        assumptions: Iterable[str],
        refused: Mapping[str, NotWritten],
    ) -> None:
        """Count an input that was segmented.

        Args:
            label: What it is called in the results.
            flagged: Whether a person should look at it.
            resumed: Whether an interrupted command had finished it.
            assumptions: What was assumed of it.
            refused: Why an output was not written, by format.
        """
        self.done += 1
        self.flagged += flagged
        self.resumed += resumed
        self.assumptions.update(assumptions)
        self.refused.extend((label, name, str(why)) for name, why in refused.items())

    def common(self, results: Path) -> dict[str, Any]:
        """Return the fields of a `Summary`.

        Args:
            results: The file with one line per input.
        """
        return {
            "done": self.done,
            "flagged": self.flagged,
            "failed": tuple(self.failed),
            "results": results,
            "assumptions": tuple(self.assumptions.items()),
            "refused": tuple(self.refused),
            "resumed": self.resumed,
        }
