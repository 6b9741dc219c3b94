"""A short draw of the family with a fixed seed; `make faults` draws many."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.commands import BY_NAME, COMMANDS
from tests.faults.family import Family, Kind, Problem, can_mount
from tests.faults.fault_kinds import BY_FAULT
from tests.faults.model_server import serving_answers
from tests.faults.processes import ForkServer
from tests.faults.wholeness import broken_files, scraps
from tests.faults.workshop import Workshop, furnish

pytestmark = pytest.mark.slow

#: Each fault meets two commands at least, and each command a kill.
SHORT_DRAW = (
    *((case.name, "SIGKILL") for case in COMMANDS),
    ("train", "SIGTERM"),
    ("data describe", "SIGTERM"),
    ("predict", "Ctrl-C"),
    ("train", "Ctrl-C twice"),
    ("evaluate", "Ctrl-C twice"),
    ("data check", "closed pipe"),
    ("train --resume", "closed pipe"),
    ("predict", "full disk"),
    ("data import", "full disk"),
    ("train --resume", "read-only folder"),
    ("calibrate", "read-only folder"),
    ("predict", "few file handles"),
    ("data check", "few file handles"),
    ("predict", "little memory"),
    ("calibrate", "little memory"),
    ("train", "no /dev/shm"),
    ("data check", "no HOME"),
    ("data check", "40 columns"),
    ("data import", "LC_ALL=C"),
)


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Family]:
    """Return the commands with what they work on, each run once without a fault."""
    with serving_answers() as url, ForkServer() as server:
        made = Family(Workshop(tmp_path_factory.mktemp("faults"), url), server)
        furnish(made.shop)
        made.furnish()
        yield made


@pytest.mark.parametrize(("command", "fault"), SHORT_DRAW)
def test_nothing_is_lost(family: Family, command: str, fault: str) -> None:
    kind = BY_FAULT[fault]
    if kind.needs_mounts and not can_mount():
        pytest.skip("needs the right to mount, for a world without space, shared memory or permission")
    drawn = family.draw(BY_NAME[command], kind, random.Random(f"short:{command}:{fault}"))
    assert drawn.problems == ()


def test_a_prediction_that_is_killed_again_and_again(family: Family) -> None:
    """Each time the command goes on, and at the end the files are those of an unbroken command."""
    case, kill, rng = BY_NAME["predict"], BY_FAULT["SIGKILL"], random.Random(5)
    reference = family.references[case.name]
    finished = 0
    with family._place(case):
        for _ in range(6):
            family._under(case, kill, reference, rng)
            assert list(broken_files(family.shop.now)) == []
            partial = family.shop.out / "predictions.jsonl.partial"
            # Without it the batch had ended, perhaps right before the kill: the next one begins anew.
            before, finished = finished, partial.read_bytes().count(b"\n") if partial.is_file() else 0
            assert not partial.is_file() or finished >= before, "a finished image was lost"
        assert family._again(case, reference) == []


def test_a_file_that_is_cut_is_noticed(tmp_path: Path) -> None:
    """The family would notice what it looks for."""
    whole = {"a.json": '{"a": 1}', "b.csv": "x,y\n1,2\n", "c.html": "<p></p></html>", "d.jsonl": '{"a": 1}\n'}
    for name, text in whole.items():
        (tmp_path / name).write_text(text)
    assert not list(broken_files(tmp_path))
    for name, text in whole.items():
        (tmp_path / name).write_text(text[: len(text) // 2 + 1])
    assert [line.partition(":")[0] for line in broken_files(tmp_path)] == sorted(whole)
    (tmp_path / ".partial-1.png").write_bytes(b"no picture")
    assert scraps(tmp_path) == [".partial-1.png"]


def test_another_result_is_noticed(family: Family) -> None:
    case = BY_NAME["data import"]
    before = family.references[case.name]
    family.references[case.name] = type(before)(
        {**before.result, "more": 1}, before.seconds, before.kib, before.before_kib
    )
    try:
        drawn = family.draw(case, BY_FAULT["SIGKILL"], random.Random(0))
    finally:
        family.references[case.name] = before
    # A kill after the last file is judged twice: as it is, and after the person went on.
    assert set(drawn.problems) == {Problem(Kind.DIFFERENT, "more")}
