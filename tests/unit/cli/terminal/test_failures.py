"""Failures of the machine become one message with the exit code of their kind."""

import errno
import os

import pytest

from lexiseg.cli.terminal.failures import failure_of_the_machine
from lexiseg.errors import DiskError, LexisegError, ResourceError


def of_the_system(number: int) -> OSError:
    return OSError(number, os.strerror(number), "somewhere")


@pytest.mark.parametrize(
    ("error", "kind", "code", "words"),
    [
        (of_the_system(errno.ENOSPC), DiskError, "LEX-DISK-007", "No space left on the disk (somewhere)"),
        (of_the_system(errno.EDQUOT), DiskError, "LEX-DISK-007", "No space left"),
        (of_the_system(errno.EROFS), DiskError, "LEX-DISK-003", "No permission to write somewhere"),
        (of_the_system(errno.EIO), DiskError, "LEX-DISK-811", "cannot read or write somewhere"),
        (of_the_system(errno.EMFILE), DiskError, "LEX-DISK-740", "ulimit -n"),
        (of_the_system(errno.ENOMEM), ResourceError, "LEX-RES-813", "Not enough memory"),
        (MemoryError(), ResourceError, "LEX-RES-813", "--batch-size"),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
            ResourceError,
            "LEX-RES-813",
            "memory",
        ),
        (RuntimeError("could not create a primitive"), ResourceError, "LEX-RES-813", "memory"),
        (RuntimeError("can't start new thread"), ResourceError, "LEX-RES-814", "threads or processes"),
    ],
)
def test_kinds(error: Exception, kind: type[LexisegError], code: str, words: str) -> None:
    found = failure_of_the_machine(error)
    assert type(found) is kind
    assert found.code == code
    assert words in str(found)


def test_the_cause_counts() -> None:
    try:
        try:
            raise MemoryError
        except MemoryError as error:
            raise ValueError("no image") from error
    except ValueError as error:
        found = failure_of_the_machine(error)
    assert found is not None
    assert found.code == "LEX-RES-813"


@pytest.mark.parametrize("error", [ValueError("a defect"), FileNotFoundError(errno.ENOENT, "gone", "x")])
def test_a_defect_is_no_failure_of_the_machine(error: Exception) -> None:
    assert failure_of_the_machine(error) is None
