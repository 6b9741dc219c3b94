"""Prediction on a Ray cluster: the machines decode and compute, and this process writes.

What is sent between them is text and bytes (`lexiseg.inference.batches.ray_messages`); Ray itself sends the
code.
"""

from __future__ import annotations

import logging
import os
import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow
import ray
import ray.data

from lexiseg.chunks import chunks
from lexiseg.errors import LexisegError, ResourceError, UsageError
from lexiseg.inference.batches.ray_messages import (
    decode_options,
    decode_result,
    encode_options,
    encode_result,
)
from lexiseg.inference.inputs.target import Target
from lexiseg.inference.inputs.temporary_images import named
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.result import Prediction
from lexiseg.runs.run import Run

#: Processor cores of each actor, which loads the network once.
CORES_PER_ACTOR = 2

# Images of one data set of Ray: this process holds their paths. Each data set starts actors of its own, which
# takes seconds, so it is large.
_IMAGES_AT_A_TIME = 200_000

# An error of Lexiseg on another machine, at the end of what Ray says about it.
_REFUSAL = re.compile(r"^lexiseg\.errors\.\w+: (.+)$", re.MULTILINE)

# Seconds in which the head of a cluster must answer.
_CONNECTION_S = 10


class RayPredictor(Predictor):
    """A predictor whose `predict_paths` runs on a cluster, with an actor per set of cores, or per GPU.

    An actor that is killed is started again, and its images are predicted again, so none is lost or comes
    twice. Results come in the order of the images, and are those of the predictor itself.

    Args:
        predictor: The predictor; all machines of the cluster see its run at the same path.
        address: Address of the cluster, such as "10.0.0.1:6379"; "auto" is the cluster of this machine.
        cores: Processor cores of each actor; None: `CORES_PER_ACTOR`. An actor has at most those of the
            smallest machine.

    Raises:
        ResourceError: There is no cluster at the address, or it has no GPU for `device="cuda"`.
    """

    def __init__(self, predictor: Predictor, address: str, *, cores: int | None = None) -> None:
        # It is the same predictor, except for the way in which many files are predicted.
        self.__dict__.update(predictor.__dict__)
        self._address, self._cores = address, cores or CORES_PER_ACTOR
        _connect(address)
        with self._cluster_errors():
            self._placement()

    def predict_paths(
        self,
        paths: Iterable[str | Path],
        *,
        batch_size: int | None = None,
        spacing_mm: tuple[float, float] | None = None,
    ) -> Iterator[tuple[Path, Prediction | LexisegError]]:
        """Segment many files on the cluster; see `Predictor.predict_paths`.

        Memory stays flat however many files there are, but the first result comes after the paths of many are
        known.

        Raises:
            ResourceError: The cluster is gone, or fails.
        """
        for part in chunks(map(Path, paths), _IMAGES_AT_A_TIME):
            results = self._results(part, batch_size or self.options.batch_size, spacing_mm)
            for path, result in zip(part, results, strict=True):
                if isinstance(result, LexisegError):
                    # The machines know the image by its whole path.
                    yield path, named(result, path.absolute(), str(path))
                else:
                    yield path, result

    def _results(
        self, paths: list[Path], batch_size: int, spacing_mm: tuple[float, float] | None
    ) -> Iterator[Prediction | LexisegError]:
        options = encode_options(
            self.options,
            # What was chosen here is used everywhere.
            engine=self.engine.description.name,
            precision=self.engine.description.precision,
            average_with=_address_of(self.runs[1]) if len(self.runs) > 1 else None,
            spacing_mm=spacing_mm or self.options.spacing_mm,
        )
        context = ray.data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        with self._cluster_errors():
            actors = self._placement()
            rows = (
                ray.data.from_items(
                    [{"path": os.fsencode(path.absolute())} for path in paths],
                    override_num_blocks=max(1, min(-(-len(paths) // batch_size), 1000)),
                )
                .map_batches(
                    _Actor,
                    fn_constructor_args=(_address_of(self.run), options),
                    batch_size=batch_size,
                    concurrency=actors.count,
                    num_cpus=actors.cores,
                    num_gpus=actors.gpus,
                )
                .iter_rows()
            )
            for row in rows:
                yield decode_result(row["message"], row["arrays"])

    def _placement(self) -> _Placement:
        """Return the actors for which the cluster has room now.

        Raises:
            ResourceError: The network is to be computed on GPUs, and the cluster has none.
        """
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if self.options.device.startswith("cuda"):
            gpus = sum(int(machine.get("GPU", 0)) for machine in machines)
            if not gpus:
                raise ResourceError(
                    f"The Ray cluster {self._address} has no GPU, and --device is {self.options.device}. Add "
                    "a machine with a GPU to the cluster, or leave --device out.",
                    code="LEX-RES-1832",
                )
            return _Placement(count=gpus, cores=0, gpus=1)
        # A machine without cores, such as the head of some clusters, takes no actor; every other one does.
        found = [cores for machine in machines if (cores := int(machine.get("CPU", 0))) > 0] or [1]
        each = min(self._cores, *found)
        return _Placement(count=sum(cores // each for cores in found), cores=each, gpus=None)

    @contextmanager
    def _cluster_errors(self) -> Iterator[None]:
        """Turn errors of Ray into errors meant for the user.

        Raises:
            ResourceError: The cluster is gone, or fails, or one of its machines cannot predict.
        """
        try:
            yield
        except (ray.exceptions.RayError, ConnectionError) as error:
            said = _REFUSAL.findall(str(error))
            if said:
                raise ResourceError(
                    f"A machine of the Ray cluster {self._address} cannot predict: {said[-1]} All machines "
                    "need the run and the images at the same paths, and the same version of Lexiseg. "
                    "Finished images are kept: run the command again then.",
                    code="LEX-RES-1833",
                ) from error
            raise ResourceError(
                f"The Ray cluster {self._address} is gone or fails ({_first_line(error)}). "
                "Finished images are kept: start the cluster and run the command again.",
                code="LEX-RES-1280",
            ) from error


@dataclass(frozen=True, kw_only=True)
class _Placement:
    """How many actors there are, and the cores and GPUs of each."""

    count: int
    cores: int
    gpus: int | None


class _Actor:
    """Predicts batches of files in a process of the cluster.

    Args:
        run: The run folder, or the name of a shipped run.
        options: How images are predicted, as `encode_options` returns it.
    """

    def __init__(self, run: str, options: str) -> None:
        self._predictor = Predictor(run, decode_options(options))

    def __call__(self, batch: Mapping[str, Any]) -> pyarrow.Table:
        paths = [os.fsdecode(path) for path in batch["path"]]
        results = [encode_result(result) for _, result in self._predictor.predict_paths(paths)]
        return pyarrow.table(
            {
                "message": pyarrow.array([message for message, _ in results], pyarrow.large_string()),
                "arrays": pyarrow.array([arrays for _, arrays in results], pyarrow.large_binary()),
            }
        )


def refuse_sources(targets: Iterable[Target]) -> None:
    """Refuse images that are no files, as each machine must open them itself.

    Raises:
        UsageError: An image is at a URL or in an archive.
    """
    other = next((target for target in targets if target.origin is not None), None)
    if other is not None:
        raise UsageError(
            f"With --ray, images are files on a disk that all machines share; {other.label} is none. Use "
            "--shard on each machine instead.",
            code="LEX-USE-1286",
        )


def _address_of(run: Run) -> str:
    """Return what the machines open a run by: a shipped one by its name, others by their whole path."""
    return run.shown if run.shipped else str(run.path.absolute())


def _connect(address: str) -> None:
    """Connect to a cluster, unless this process is connected to one.

    Raises:
        ResourceError: There is none.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    if ray.is_initialized():
        return
    _refuse_unreachable(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        raise ResourceError(
            f"There is no Ray cluster at {address} ({_first_line(error)}). Start one with "
            "`ray start --head`, or give its address.",
            code="LEX-RES-1281",
        ) from error


def _refuse_unreachable(address: str) -> None:
    """Refuse an address at which nothing listens; Ray itself tries it for minutes.

    Raises:
        ResourceError: There is no connection within some seconds.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECTION_S).close()
    except (OSError, OverflowError, UnicodeError) as error:
        raise ResourceError(
            f"There is no Ray cluster at {address} ({_first_line(error)}). Start one with `ray start "
            f"--head`, give the address that this command prints, or check the network.",
            code="LEX-RES-1711",
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
