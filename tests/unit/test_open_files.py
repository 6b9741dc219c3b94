"""Too many open files: the message says so, and blames no file."""

from __future__ import annotations

import errno
import os
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from lexiseg.errors import DiskError, WeightsError
from lexiseg.models.encoder_weights import read_state_dict
from lexiseg.models.network_weights import load_weights, read_weights
from lexiseg.models.text_bank import TextBank
from lexiseg.open_files import too_many_open
from lexiseg.structured_text import read_json
from lexiseg.training.soft_masks import StoredMasks


@contextmanager
def no_handle_left() -> Iterator[None]:
    """Open files until this process may open no more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as opened:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
        try:
            while True:
                try:
                    opened.enter_context(open(os.devnull))
                except OSError:
                    break
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
@pytest.mark.parametrize("read", [read_weights, read_state_dict, TextBank.load, StoredMasks.load, read_json])
def test_no_file_is_blamed_for_the_want_of_a_handle(read: Callable[[Path], Any], tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    save_file({"a": np.zeros(3, np.float32)}, file)
    with no_handle_left(), pytest.raises(DiskError, match="too many files are open") as caught:
        read(file)
    assert caught.value.code == "LEX-DISK-740"
    assert str(file) in str(caught.value)


def test_errors_of_libraries_are_recognised() -> None:
    said = f"unable to open file <a> in read-only mode: {os.strerror(errno.EMFILE)} (24)"
    assert too_many_open("a", RuntimeError(said)) is not None
    assert too_many_open("a", OSError(errno.ENFILE, os.strerror(errno.ENFILE), "a")) is not None
    assert too_many_open("a", OSError(errno.ENOENT, os.strerror(errno.ENOENT), "a")) is None
    assert too_many_open("a", RuntimeError("size mismatch")) is None


def test_damaged_weights_are_still_blamed(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"x")
    with pytest.raises(WeightsError):
        read_weights(tmp_path / "a.safetensors")
    save_file({"b": np.zeros(3, np.float32)}, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError) as caught:
        load_weights(torch.nn.Linear(2, 2), tmp_path / "a.safetensors")
    assert caught.value.code == "LEX-WEIGHTS-019"
