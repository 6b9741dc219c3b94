"""What is said where a process of a training on several devices is lost."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import torch.distributed as dist

from lexiseg.errors import LexisegError, ResourceError
from lexiseg.runs.manifest import MANIFEST_FILE


@contextlib.contextmanager
def lost_said(out: Path) -> Iterator[None]:
    """Say in one message that another process that a launcher started is lost.

    Args:
        out: The run folder.

    Raises:
        ResourceError: It is.
    """
    try:
        yield
    except RuntimeError as error:
        # Gloo raises bare RuntimeErrors, which begin with the file of its code.
        of_group = isinstance(error, dist.DistError) or "/gloo/" in str(error)
        if isinstance(error, LexisegError) or not of_group:
            raise
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ResourceError(
            f"The processes of the training lost each other: {said.rstrip('.')}. What the launcher prints of "
            f"the others says why. {remedy_of(out)}",
            code="LEX-RES-1829",
        ) from error


def remedy_of(out: Path) -> str:
    """Return what to do after a process of a training ended, given the run folder."""
    if (out / MANIFEST_FILE).is_file():
        return "The state of the last segment is kept: continue with --resume."
    return "Nothing was written: remove the cause, and give the command again."
