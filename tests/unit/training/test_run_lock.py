"""Two trainings never share a run folder."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lexiseg.errors import DataError
from lexiseg.runs.run import Run
from lexiseg.training.distributed.ranks import Ranks
from lexiseg.training.run_lock import training_lock
from lexiseg.training.train import train
from refusals import refuses

QUIET = Console(quiet=True)


def test_a_second_training_is_refused_before_it_reads_data(tmp_path: Path) -> None:
    out = tmp_path / "runs" / "first"
    with training_lock(out, QUIET):
        with refuses("LEX-RUN-740", str(out), "process"):
            train(tmp_path / "no data", out)
        with training_lock(tmp_path / "runs" / "second", QUIET):
            pass
    assert not out.parent.exists()
    with pytest.raises(DataError, match="no data"):
        train(tmp_path / "no data", out)


def test_so_is_one_that_would_continue_it(tiny_run: Run, tmp_path: Path) -> None:
    with training_lock(tiny_run.path, QUIET), refuses("LEX-RUN-740", "in use"):
        train(tmp_path, tiny_run.path, resume=True)


def test_a_very_long_name_can_be_locked(tmp_path: Path) -> None:
    with training_lock(tmp_path / ("x" * 255), QUIET), training_lock(tmp_path / ("x" * 254), QUIET):
        assert len(list(tmp_path.iterdir())) == 2


def test_what_a_killed_training_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".partial-run-abcd1234").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".partial-abcd1234.safetensors").write_text("half")
    (tmp_path / "run" / "history.csv").write_text("whole")
    with training_lock(tmp_path / "run", QUIET):
        assert sorted(path.name for path in tmp_path.iterdir()) == [".run.lock", "run"]
        assert [path.name for path in (tmp_path / "run").iterdir()] == ["history.csv"]


def test_a_disk_without_locks_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object, **__: object) -> bool:
        raise OSError("Function not implemented")

    monkeypatch.setattr("filelock.lock_descriptor", unsupported)
    console = Console(record=True, width=200)
    with training_lock(tmp_path / "run", console):
        assert "supports no locks" in console.export_text()


def test_all_processes_of_a_launcher_end_where_the_first_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    said: list[Any] = []

    class Joined(Ranks):
        def agree(self, value: Any) -> Any:
            said.extend([value] if self.is_first else [])
            return said[-1]

    def refused(code: str, out: Path) -> None:
        for number in range(2):
            ranks = Joined(rank=number, size=2, local_rank=number, local_size=2)
            monkeypatch.setattr("lexiseg.training.train.launched_ranks", lambda ranks=ranks: ranks)
            joined = lambda *_, ranks=ranks: nullcontext(ranks)  # noqa: E731
            monkeypatch.setattr("lexiseg.training.train.process_group", joined)
            with refuses(code):
                train(tmp_path / "no data", out)

    refused("LEX-RUN-006", tmp_path / "run")
    with training_lock(tmp_path / "used", QUIET):
        refused("LEX-RUN-740", tmp_path / "used")
