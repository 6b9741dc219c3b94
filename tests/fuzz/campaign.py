"""Fuzzing: many changed inputs, and a table of what came of them.

Usage:
    python tests/fuzz/campaign.py [--count 10000] [--minutes 10] [--seed 0] [--keep FOLDER] [TARGET ...]

Without a target, the counts are those of the project's goal: 10,000 images, 5,000 sheets, 2,000 run folders,
2,000 YAML files, and 1,000 of each other kind. An input fails if it raises anything but an error of Lexiseg,
takes more than 5 s, or more than 1 GB.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st
from mutations import apply, changes
from reading_process import Outcome, ReadingProcess
from targets import TARGETS, Files

#: Inputs of each kind without --count.
GOAL = {"images": 10_000, "sheets": 5_000, "runs": 2_000, "yaml": 2_000}
OTHERS = 1_000

_FAULTS = ("fault", "slow", "memory")


class _OutOfTimeError(Exception):
    pass


@dataclass
class Table:
    """What came of the inputs of one kind.

    Attributes:
        target: The kind.
        results: Number of inputs per result.
        slowest: Most processor seconds of an input.
        largest: Most bytes of an input.
        faults: The inputs that failed, one per class of the error and place in the code.
    """

    target: str
    results: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    largest: int = 0
    faults: dict[str, tuple[Files, Outcome]] = field(default_factory=dict)

    def add(self, files: Files, outcome: Outcome) -> None:
        """Count one input."""
        self.results[outcome.result] += 1
        self.slowest = max(self.slowest, outcome.seconds)
        self.largest = max(self.largest, outcome.memory)
        if outcome.result in _FAULTS:
            lines = outcome.detail.strip().splitlines() or [outcome.result]
            places = [line.strip() for line in lines if line.strip().startswith("File ")]
            own = [place for place in places if "lexiseg" in place]
            place = (own or places or [""])[-1]
            self.faults.setdefault(f"{lines[-1].partition(':')[0]} at {place}", (files, outcome))

    @property
    def row(self) -> str:
        """The row of the table."""
        counts = " | ".join(str(self.results[name]) for name in ("read", "refused", *_FAULTS))
        total = self.results.total()
        return (
            f"| {self.target} | {total} | {counts} | {self.slowest:.2f} s | {self.largest / 2**20:.0f} MiB |"
        )


def inputs(target: str) -> st.SearchStrategy[Files]:
    """Return whole inputs of a kind with one to four changes in one of their files."""
    kind = TARGETS[target]

    @st.composite
    def changed(draw: st.DrawFn) -> Files:
        files = draw(st.sampled_from(seeds))
        name = draw(st.sampled_from(sorted(n for n in files if kind.changed(n) is not None)))
        strategy = kind.changed(name)
        assert strategy is not None
        return {**files, name: apply(files[name], draw(changes(strategy)))}

    seeds = kind.seeds()
    return changed()


def fuzz(target: str, count: int, *, start: int = 0, until: float | None = None) -> Table:
    """Read changed inputs of one kind.

    Args:
        target: The kind.
        count: Number of inputs.
        start: Seed.
        until: Value of the monotonic clock at which to stop; None: never.
    """
    table, process = Table(target), ReadingProcess(target)

    @seed(start)
    @settings(
        max_examples=count, phases=[Phase.generate], database=None, deadline=None,
        suppress_health_check=list(HealthCheck), verbosity=Verbosity.quiet,
    )  # fmt: skip
    @given(inputs(target))
    def read_all(files: Files) -> None:
        if until is not None and time.monotonic() > until:
            raise _OutOfTimeError
        table.add(files, process.read(files))

    try:
        read_all()
    except _OutOfTimeError:
        pass
    finally:
        process.close()
    return table


def main() -> int:
    """Print the table; return 1 if an input failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--count", type=int, help="inputs of each kind")
    parser.add_argument("--minutes", type=float, help="stop after so many minutes of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the inputs that failed")
    options = parser.parse_args()
    if unknown := sorted(set(options.targets) - set(TARGETS)):
        parser.error(f"there is no target {', '.join(unknown)}; expected some of {', '.join(TARGETS)}")
    print(f"seed {options.seed}", flush=True)
    print(
        "| kind | inputs | read | refused | faults | over 5 s | over 1 GB | slowest | largest |", flush=True
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    failed = False
    for target in options.targets or TARGETS:
        until = None if options.minutes is None else time.monotonic() + 60 * options.minutes
        count = options.count or GOAL.get(target, OTHERS)
        table = fuzz(target, count, start=options.seed, until=until)
        print(table.row, flush=True)
        for number, (name, (files, outcome)) in enumerate(table.faults.items()):
            failed = True
            print(f"  {outcome.result}: {name}: {outcome.detail.strip().splitlines()[-1][:200]}", flush=True)
            if options.keep is not None:
                for file, content in files.items():
                    path = options.keep / f"{target}-{number}" / file
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(content)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
