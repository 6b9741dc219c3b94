"""The family: a command, a fault at a random moment, the same command again, and what must hold."""

from __future__ import annotations

import random
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from tests.faults.commands import BY_NAME, COMMANDS, CommandCase, Result
from tests.faults.fault_kinds import DONE, Fault
from tests.faults.fork_server import Order
from tests.faults.processes import Ended, ForkServer, run_cold
from tests.faults.wholeness import broken_files, scraps
from tests.faults.workshop import Workshop

from lexiseg.outputs.manifest import OUTPUTS_FILE
from lexiseg.outputs.output_folder import LOCK_FILE

_TRACEBACK = re.compile(r"Traceback \(most recent|Exception ignored|Error in atexit|Fatal Python error")
#: A second Ctrl-C comes within this many seconds.
_SECOND_SIGNAL_S = 0.15
#: Files that are settled after the last one of the result; the next command settles them after a kill.
_UNSETTLED = (LOCK_FILE, OUTPUTS_FILE)


class Kind(StrEnum):
    """What went wrong."""

    TRACEBACK = "traceback"
    EXIT_CODE = "exit code"
    NO_MESSAGE = "message"
    HALF_WRITTEN = "half-written"
    SCRAP = "left over"
    LOST = "lost"
    DIFFERENT = "different result"
    HANG = "hang"


@dataclass(frozen=True)
class Problem:
    """One thing that must not happen.

    Attributes:
        kind: What it is.
        detail: What was seen.
    """

    kind: Kind
    detail: str


@dataclass(frozen=True)
class Drawn:
    """One draw.

    Attributes:
        hit: Whether the fault came before the command was done.
        problems: What must not have happened.
    """

    hit: bool
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Reference:
    """A command without a fault.

    Attributes:
        result: What it makes.
        seconds: How long it takes.
        kib: Space that its files need.
        before_kib: Space that they take before it starts.
    """

    result: Result
    seconds: float
    kib: int
    before_kib: int


@dataclass
class Family:
    """Commands, faults, and the place where they meet.

    Attributes:
        shop: What the commands work on.
        server: Forks for each command.
        references: What each command does without a fault, by its name.
    """

    shop: Workshop
    server: ForkServer
    references: dict[str, Reference] = field(default_factory=dict)

    def furnish(self, cases: tuple[CommandCase, ...] = COMMANDS) -> None:
        """Train what the commands need, and run each once without a fault.

        Args:
            cases: The commands that will be drawn.
        """
        training = BY_NAME["train"].arguments(self.shop)
        for run, seed in ((self.shop.run, "3"), (self.shop.other_run, "4")):
            made = self._run((*training, "--seed", seed))
            assert made.code == 0, made.stderr
            self.shop.out.rename(run)
        self._train_half(training)
        for case in cases:
            with self._place(case):
                before = _kib(self.shop.now)
                ended = self._run(case.arguments(self.shop))
                assert ended.code == 0, ended.stdout + ended.stderr
                result = case.result(self.shop, ended.stdout)
                seconds = ended.seconds
                self.references[case.name] = Reference(result, seconds, _kib(self.shop.now), before)

    def _train_half(self, training: tuple[str, ...]) -> None:
        """Kill a training after its first checkpoint."""
        with self._folder():
            running = self.server.start(self._order(training))
            while not (self.shop.out / "checkpoint.ckpt").is_file():
                assert not running.has_ended(0.002)
            running.signal(signal.SIGKILL)
            running.wait()
            self.shop.out.rename(self.shop.half_run)

    def draw(self, case: CommandCase, fault: Fault, rng: random.Random) -> Drawn:
        """Run a command under a fault, run it again as a person would, and return what went wrong.

        Args:
            case: The command.
            fault: The fault.
            rng: Chooses the moment, or how little is left.
        """
        reference = self.references[case.name]
        with self._place(case, rng if fault.small_disk else None) as disk:
            ended = self._under(case, fault, reference, rng)
            problems = [*_judge(ended, case, fault)]
            problems += [Problem(Kind.HALF_WRITTEN, text) for text in broken_files(self.shop.now)]
            if not fault.scraps:
                left = scraps(self.shop.now, kept=case.kept)
                problems += [Problem(Kind.SCRAP, text) for text in left]
            is_heard = case.writes or not fault.unheard
            if is_heard and (ended.code == DONE or case.is_finished(self.shop)):
                ignored = () if ended.code == DONE else _UNSETTLED
                problems += self._compare(case, reference, ended, ignored=ignored)
            if disk is not None:
                disk.grow()
            if ended.code != DONE:
                problems += self._again(case, reference)
        return Drawn(ended.code != DONE, tuple(problems))

    def _under(self, case: CommandCase, fault: Fault, reference: Reference, rng: random.Random) -> Ended:
        arguments = (*case.arguments(self.shop), *fault.options.get(case.name, ()))
        order = fault.world(self._order(arguments), rng, self.shop)
        if fault.environment is not None:
            return run_cold(order, **fault.environment)
        running = self.server.start(order)
        if fault.signals and not running.has_ended(rng.uniform(0, 1.05 * reference.seconds)):
            for number in fault.signals:
                running.signal(number)
                if running.has_ended(rng.uniform(0, _SECOND_SIGNAL_S)):
                    break
        return running.wait()

    def _again(self, case: CommandCase, reference: Reference) -> list[Problem]:
        """Go on as a person would, and compare with what an unbroken command makes."""
        arguments = case.follow_up(self.shop)
        ended = None if arguments is None else self._run(arguments)
        if ended is not None and ended.code != DONE:
            return [Problem(Kind.LOST, f"exit code {ended.code} the second time: {ended.stderr[-1500:]}")]
        problems = self._compare(case, reference, ended)
        return problems + [Problem(Kind.SCRAP, text) for text in scraps(self.shop.now)]

    def _compare(
        self,
        case: CommandCase,
        reference: Reference,
        ended: Ended | None,
        *,
        ignored: tuple[str, ...] = (),
    ) -> list[Problem]:
        try:
            result = case.result(self.shop, "" if ended is None else ended.stdout)
        except Exception as error:
            return [Problem(Kind.DIFFERENT, f"no result: {error!r}")]
        names = sorted((result.keys() | reference.result.keys()) - set(ignored))
        differing = [name for name in names if result.get(name) != reference.result.get(name)]
        return [Problem(Kind.DIFFERENT, ", ".join(differing))] if differing else []

    def _order(self, arguments: tuple[str, ...]) -> Order:
        said = self.shop.folder / "said"
        return Order(
            arguments=arguments, folder=str(self.shop.folder), stdout=f"{said}.out", stderr=f"{said}.err"
        )

    def _run(self, arguments: tuple[str, ...]) -> Ended:
        self.shop.now.mkdir(exist_ok=True)
        return self.server.start(self._order(arguments)).wait()

    @contextmanager
    def _folder(self) -> Iterator[None]:
        """Make the folder in which commands write, and remove it."""
        shutil.rmtree(self.shop.now, ignore_errors=True)
        self.shop.now.mkdir()
        yield
        shutil.rmtree(self.shop.now)

    @contextmanager
    def _place(self, case: CommandCase, rng: random.Random | None = None) -> Iterator[SmallDisk | None]:
        """Make the folder and what the command needs in it, on a disk that is too small if told so."""
        with self._folder():
            if rng is None:
                case.prepare(self.shop)
                yield None
                return
            with small_disk(self.shop.now) as disk:
                case.prepare(self.shop)
                reference = self.references[case.name]
                needed = max(8, reference.kib - reference.before_kib)
                disk.shrink(_kib(self.shop.now) + rng.randint(4, needed))
                yield disk


def _judge(ended: Ended, case: CommandCase, fault: Fault) -> Iterator[Problem]:
    """Yield what is wrong with how a command ended."""
    said = f"{ended.stdout}\n{ended.stderr}"
    if ended.code is None:
        yield Problem(Kind.HANG, said[-1500:])
        return
    if _TRACEBACK.search(said):
        yield Problem(Kind.TRACEBACK, said[-2500:])
    if ended.code not in fault.codes | {DONE}:
        yield Problem(Kind.EXIT_CODE, f"{ended.code}: {said[-800:]}")
    elif ended.code > 0 and fault.says is not None and fault.says not in ended.stderr:
        yield Problem(Kind.NO_MESSAGE, ended.stderr[-800:] or "nothing was said")
    if ended.stderr.count("Error: ") > 1:
        yield Problem(Kind.NO_MESSAGE, ended.stderr[-800:])


def _kib(folder: Path) -> int:
    """Return the space that files and folders take on a disk of pages of 4 KiB."""
    return sum(4 * (-(-path.stat().st_size // 4096) if path.is_file() else 1) for path in folder.rglob("*"))


class SmallDisk:
    """A disk in memory whose size can change."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def shrink(self, kib: int) -> None:
        """Leave room for some KiB in all."""
        self._mount("-o", f"remount,size={kib}k")

    def grow(self) -> None:
        """Make room for everything."""
        self.shrink(1 << 20)

    def _mount(self, *options: str) -> None:
        subprocess.run(["mount", *options, "-t", "tmpfs", "tmpfs", str(self._place)], check=True)


@contextmanager
def small_disk(place: Path) -> Iterator[SmallDisk]:
    """Mount a disk of its own at a folder; it has room for everything at first."""
    disk = SmallDisk(place)
    disk._mount("-o", f"size={1 << 20}k")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def can_mount() -> bool:
    """Return whether this process has the right to mount."""
    done = subprocess.run(["unshare", "--mount", "true"], capture_output=True)
    return done.returncode == 0
