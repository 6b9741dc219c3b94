"""Draw the whole family and print a table: `make faults`.

python -m tests.faults [--kills 100] [--draws 10] [--seed 0] [--only COMMAND] [--fault FAULT]
"""

from __future__ import annotations

import argparse
import platform
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tests.faults.commands import COMMANDS, CommandCase
from tests.faults.family import Family, can_mount
from tests.faults.fault_kinds import FAULTS, KILL, Fault
from tests.faults.model_server import serving_answers
from tests.faults.processes import ForkServer
from tests.faults.workshop import Workshop, furnish

#: Share of `--kills` that each command gets; a fifth where none is named.
_SHARES = {"train": 1.0, "predict": 1.0, "audit": 0.5, "data describe": 0.5, "data import": 0.5}


def plan(
    kills: int, draws: int, only: str | None, fault: str | None
) -> Iterator[tuple[CommandCase, Fault, int]]:
    """Yield which command meets which fault how often."""
    mounts = can_mount()
    # The kills first: they are the most, and the table is worth something if it is cut short.
    for kind in FAULTS:
        for case in COMMANDS:
            if only not in (None, case.name) or fault not in (None, kind.name) or not kind.meets(case):
                continue
            if kind.needs_mounts and not mounts:
                print(f"{case.name}: {kind.name} is left out, as it needs the right to mount.", flush=True)
                continue
            number = draws
            if kind is KILL:
                number = round(kills * _SHARES.get(case.name, 0.2))
            if kind.environment is not None:
                number = min(draws, 1)  # nothing about it is random
            if number:
                yield case, kind, number


def main() -> int:
    """Draw, print a row per command and fault, and return 1 if anything went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Fault injection.")
    parser.add_argument("--kills", type=int, default=100, help="SIGKILLs of train and predict")
    parser.add_argument("--draws", type=int, default=10, help="draws of every other fault")
    parser.add_argument("--seed", type=int, default=0, help="seed of all moments")
    parser.add_argument("--only", help="one command", choices=[case.name for case in COMMANDS])
    parser.add_argument("--fault", help="one fault", choices=[fault.name for fault in FAULTS])
    given = parser.parse_args()
    planned = list(plan(given.kills, given.draws, given.only, given.fault))
    begun, totals = time.monotonic(), Counter[str]()
    print(f"Seed {given.seed}, {datetime.now(UTC):%Y-%m-%d}, {platform.platform()}, {platform.machine()}")
    print("| command | fault | draws | before the end | problems |\n|" + " --- |" * 5, flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="faults-") as folder,
        serving_answers() as url,
        ForkServer() as server,
    ):
        shop = Workshop(Path(folder), url)
        furnish(shop)
        family = Family(shop, server)
        family.furnish(tuple(dict.fromkeys(case for case, _, _ in planned)))
        for case, fault, number in planned:
            rng = random.Random(f"{given.seed}:{case.name}:{fault.name}")
            drawn = [family.draw(case, fault, rng) for _ in range(number)]
            problems = [problem for one in drawn for problem in one.problems]
            counts = Counter(problem.kind for problem in problems)
            totals.update(counts)
            hits = sum(one.hit for one in drawn)
            shown = ", ".join(f"{count} {kind}" for kind, count in counts.items()) or "0"
            print(f"| {case.name} | {fault.name} | {number} | {hits} | {shown} |", flush=True)
            for problem in list(dict.fromkeys(problems))[:4]:
                print(f"    {problem.kind}: {problem.detail}", file=sys.stderr, flush=True)
    print(f"{sum(totals.values())} problems in {(time.monotonic() - begun) / 60:.1f} minutes.")
    return 1 if totals else 0


if __name__ == "__main__":
    sys.exit(main())
