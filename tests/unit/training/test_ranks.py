"""Processes of one training: their places, and what they refuse."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from lexiseg.systems.configuration import TrainConfig
from lexiseg.training.config import make_config
from lexiseg.training.distributed import joining, ranks
from lexiseg.training.distributed.joining import LIMIT_VARIABLE, STARTED, join_limit, meet
from lexiseg.training.distributed.ranks import (
    ALONE,
    Ranks,
    check_devices,
    joined_rank,
    launched_ranks,
    process_group,
)
from lexiseg.training.inputs.sampler import StepSampler
from lexiseg.training.steps.progress import Progress
from refusals import refuses

TORCHRUN = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
SLURM = {
    "SLURM_PROCID": "3",
    "SLURM_NTASKS": "4",
    "SLURM_LOCALID": "1",
    "SLURM_NTASKS_PER_NODE": "2",
}


#: A configuration that computes on CUDA devices, which this machine need not have.
CUDA = {"accelerator": "cuda", "batch_size": 8}


def config(**fields: int) -> TrainConfig:
    return make_config({"accelerator": "cpu", **fields}, None)


@pytest.fixture(autouse=True)
def _no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    more = ("MASTER_ADDR", "MASTER_PORT", "SLURM_STEP_TASKS_PER_NODE", "SLURM_TASKS_PER_NODE")
    for name in (*TORCHRUN, *SLURM, *more):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("launcher", [TORCHRUN, SLURM])
def test_the_place_that_a_launcher_gives(monkeypatch: pytest.MonkeyPatch, launcher: dict[str, str]) -> None:
    assert launched_ranks() is None
    for name, value in launcher.items():
        monkeypatch.setenv(name, value)
    # A job of SLURM in which no training was launched has these variables too.
    assert launched_ranks() is None
    monkeypatch.setenv("MASTER_ADDR", "node1")
    monkeypatch.setenv("MASTER_PORT", "29500")
    assert launched_ranks() == Ranks(rank=3, size=4, local_rank=1, local_size=2)


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], Ranks | None]:
    """Read the place of a process with these variables; an empty one is not set."""

    def place(variables: dict[str, str]) -> Ranks | None:
        with monkeypatch.context() as patch:
            for name, value in {"MASTER_ADDR": "node1", "MASTER_PORT": "29500", **variables}.items():
                if value:
                    patch.setenv(name, value)
            return launched_ranks()

    return place


Place = Callable[[dict[str, str]], Ranks | None]


@pytest.mark.parametrize(
    "tasks",
    [
        {"SLURM_TASKS_PER_NODE": "2"},
        {"SLURM_TASKS_PER_NODE": "2(x2)"},
        {"SLURM_NTASKS_PER_NODE": "2(x2)"},
        # The layout of this srun is another one than that of the job.
        {"SLURM_STEP_TASKS_PER_NODE": "2(x2)", "SLURM_NTASKS_PER_NODE": "4", "SLURM_TASKS_PER_NODE": "4"},
    ],
)
def test_slurm_says_in_several_ways_how_many_processes_a_machine_has(
    launched: Place, tasks: dict[str, str]
) -> None:
    found = launched({**SLURM, "SLURM_NTASKS_PER_NODE": "", **tasks})
    assert found == Ranks(rank=3, size=4, local_rank=1, local_size=2)


def test_slurm_is_read_where_a_script_sets_some_variables_of_torchrun(launched: Place) -> None:
    found = launched({**SLURM, "WORLD_SIZE": "4"})
    assert found == Ranks(rank=3, size=4, local_rank=1, local_size=2)


@pytest.mark.parametrize("launcher", [TORCHRUN, SLURM])
def test_a_missing_variable_is_named(launched: Place, launcher: dict[str, str]) -> None:
    remedy = "srun" if launcher is SLURM else "torchrun"
    for name in launcher:
        if name == "SLURM_NTASKS":
            continue  # without it, SLURM started nothing
        with refuses("LEX-USE-1822", f"{name}: MASTER_ADDR is set", "not set", remedy):
            launched({**launcher, name: ""})
        with refuses("LEX-USE-1822", f"{name}: MASTER_ADDR is set", "it is 'many'", remedy):
            launched({**launcher, name: "many"})
    with refuses("LEX-USE-1822", "MASTER_PORT", "export MASTER_PORT=29500"):
        launched({**launcher, "MASTER_PORT": ""})


def test_one_process_needs_no_launcher(launched: Place) -> None:
    assert launched({}) is None
    assert launched({"WORLD_SIZE": "1", "RANK": "0", "MASTER_PORT": ""}) is None
    assert launched({"SLURM_NTASKS": "1", "MASTER_PORT": ""}) is None


@pytest.mark.parametrize(
    "numbers",
    [
        {"SLURM_NTASKS": "5"},
        {"SLURM_LOCALID": "2"},
        {"SLURM_PROCID": "4"},
        {"SLURM_NTASKS_PER_NODE": "0"},
    ],
)
def test_machines_with_different_numbers_of_processes_are_refused(
    launched: Place, numbers: dict[str, str]
) -> None:
    with refuses("LEX-USE-1823", "same number"):
        launched({**SLURM, **numbers})


def test_a_layout_of_slurm_that_differs_between_machines_is_refused(launched: Place) -> None:
    with refuses("LEX-USE-1822", "SLURM_STEP_TASKS_PER_NODE", "it is '3,1'", "--ntasks-per-node"):
        launched({**SLURM, "SLURM_STEP_TASKS_PER_NODE": "3,1"})


def test_numbers_that_do_not_fit() -> None:
    ranks = Ranks(rank=0, size=4, local_rank=0, local_size=2)
    check_devices(config(batch_size=8, devices=2), ranks)
    check_devices(config(batch_size=8), ranks)
    check_devices(config(batch_size=6, devices=3), None)
    with refuses("LEX-USE-1287", "2 processes", "devices is 3"):
        check_devices(config(batch_size=12, devices=3), ranks)
    with refuses("LEX-USE-1288", "4 processes", "got 6"):
        check_devices(config(batch_size=6), ranks)
    with refuses("LEX-USE-1289", "CUDA devices"):
        check_devices(make_config({"accelerator": "gpu", "devices": 64, "batch_size": 64}, None), None)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is asked of torch when a process joins the others, in order; nothing is done."""
    made: list[Any] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: made.append(("set_device", device)))
    monkeypatch.setattr(dist, "init_process_group", lambda backend, **_: made.append(backend))
    monkeypatch.setattr(dist, "destroy_process_group", lambda: made.append("end"))
    monkeypatch.setattr(dist, "TCPStore", lambda *_, **__: dist.HashStore())
    store = dist.HashStore()
    store.add(STARTED, 3)  # the others of four processes
    monkeypatch.setattr(joining, "rendezvous", lambda *_, **__: iter([(store, 0, 0)]))
    return made


def test_each_process_of_a_machine_uses_its_own_cuda_device(calls: list[Any]) -> None:
    with joined_rank(1, 2, 1, make_config(CUDA, None)):
        assert calls == [("set_device", 1), "nccl"]


def test_a_launched_process_uses_the_device_of_its_number_on_the_machine(
    monkeypatch: pytest.MonkeyPatch, calls: list[Any]
) -> None:
    for name, value in {**TORCHRUN, "MASTER_ADDR": "node1", "MASTER_PORT": "29500"}.items():
        monkeypatch.setenv(name, value)
    with process_group(make_config(CUDA, None), {"out": "run"}) as ranks:
        assert (ranks.rank, calls) == (3, [("set_device", 1), "nccl"])


@pytest.mark.usefixtures("calls")
def test_a_launched_process_that_loses_the_others_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {**TORCHRUN, "MASTER_ADDR": "node1", "MASTER_PORT": "29500"}.items():
        monkeypatch.setenv(name, value)
    lost = RuntimeError(
        "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:547] Connection closed by peer"
    )
    for error in (lost, dist.DistNetworkError("The client socket has timed out")):
        with (
            refuses("LEX-RES-1829", str(error), "Nothing was written"),
            process_group(make_config(CUDA, None), {"out": str(tmp_path / "run")}),
        ):
            raise error
    with (
        pytest.raises(RuntimeError, match="shapes"),
        process_group(make_config(CUDA, None), {"out": str(tmp_path / "run")}),
    ):
        raise RuntimeError("shapes differ")


def test_on_the_cpu_no_cuda_device_is_chosen(calls: list[Any]) -> None:
    with joined_rank(1, 2, 1, config(batch_size=8)):
        assert calls == ["gloo"]
    assert calls == ["gloo", "end"]


#: What the other two processes do: the second one fails, the first one waits.
FAILING = """
import json, sys, time
if json.load(sys.stdin)["rank"] == 2:
    sys.exit("no memory for me.")
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("code", "said"), [(FAILING, "no memory for me"), ("import os; os._exit(3)", "exit code 3")]
)
def test_a_process_that_ends_before_it_joins_is_said_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str, said: str
) -> None:
    monkeypatch.setattr(ranks, "_RANK_CODE", code)
    # Without the watch, this would be the time until the message.
    monkeypatch.setattr(ranks, "_PATIENCE", timedelta(seconds=50))
    threads = torch.get_num_threads()
    started = time.monotonic()
    with (
        refuses("LEX-RES-1282", said, "Nothing was written"),
        process_group(config(batch_size=6, devices=3), {"out": str(tmp_path / "run")}),
    ):
        pytest.fail("the processes did not join")
    torch.set_num_threads(threads)
    assert time.monotonic() - started < 40


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@pytest.mark.parametrize("rank", ["0", "1"])
def test_launched_processes_that_never_come_are_said_soon(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, rank: str
) -> None:
    variables = {**TORCHRUN, "RANK": rank, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "LOCAL_RANK": rank}
    variables |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), LIMIT_VARIABLE: "0.03"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    started = time.monotonic()
    with (
        refuses("LEX-RES-2010", "wait 2 s", "127.0.0.1", LIMIT_VARIABLE, "Nothing was written"),
        process_group(config(batch_size=8), {"out": str(tmp_path / "run")}),
    ):
        pytest.fail("the other process never comes")
    assert time.monotonic() - started < 30


def test_a_port_that_another_program_uses_is_said_at_once(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with refuses(
            "LEX-RES-2050", f"Process 0 of the training cannot meet the others at {address}", "EADDRINUSE"
        ):
            meet(0, 2, address, tmp_path / "run")


def test_a_process_of_this_machine_that_never_joins_is_said_soon(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(ranks, "_RANK_CODE", "import time; time.sleep(60)")
    monkeypatch.setenv(LIMIT_VARIABLE, "0.03")
    threads = torch.get_num_threads()
    with (
        refuses("LEX-RES-2010", "only 1 of 2 came", LIMIT_VARIABLE),
        process_group(config(batch_size=8, devices=2), {"out": str(tmp_path / "run")}),
    ):
        pytest.fail("the other process never joins")
    torch.set_num_threads(threads)


@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan", "1e9"])
def test_a_limit_that_is_no_time_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    assert join_limit() == timedelta(minutes=5)
    monkeypatch.setenv(LIMIT_VARIABLE, value)
    with refuses("LEX-USE-2011", LIMIT_VARIABLE, repr(value)):
        join_limit()


def test_one_process_agrees_with_itself() -> None:
    assert ALONE.is_first
    assert not ALONE.several
    assert ALONE.agree({"a": 1}) == {"a": 1}
    progress = Progress(total_steps=None, max_minutes=1)
    progress.agree(ALONE)
    assert progress._agreed is None


def test_parts_of_a_batch_are_disjoint_and_complete() -> None:
    def batches(part: tuple[int, int]) -> list[list[tuple[int, int]]]:
        return list(StepSampler(10, batch_size=4, segment_steps=5, seed=1, total_steps=None, part=part))

    whole, first, second = batches((0, 1)), batches((0, 2)), batches((1, 2))
    for batch, a, b in zip(whole, first, second, strict=True):
        assert len(a) == len(b) == 2
        assert sorted(a + b) == sorted(batch)
