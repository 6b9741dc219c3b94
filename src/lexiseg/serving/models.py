"""The models of a server: loaded at the start, and replaced while it runs without dropping a request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lexiseg._version import __version__
from lexiseg.data.decoded_image import DecodedImage
from lexiseg.errors import LexisegError, RequestError, RunError, UsageError
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.result import Prediction
from lexiseg.printable import printable
from lexiseg.runs.run import Run
from lexiseg.serving.batching import Batcher, BatchSettings, Places
from lexiseg.serving.isolated_decoding import IsolatedDecoding
from lexiseg.serving.model_card import model_record
from lexiseg.serving.model_files import FolderState, folder_state, run_version
from lexiseg.serving.records.common import ErrorRecord, ModelVersion
from lexiseg.serving.records.models import ModelRecord
from lexiseg.serving.served_predictor import ServedPredictor

#: Places in the queue of a model.
ModelPlaces = Places[DecodedImage, Prediction]
#: Told the name of a model, and the number of images and the seconds of a batch.
OnBatch = Callable[[str, int, float], None]
#: Told the name of a model, and whether it was loaded.
OnLoad = Callable[[str, bool], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class ServedModel:
    """A model that is loaded.

    A request keeps the model with which it began, also where the server replaces it meanwhile.

    Attributes:
        predictor: The predictor.
        record: What the server says of it.
        batcher: Its queue.
        files: State of its files before they were read.
    """

    predictor: ServedPredictor
    record: ModelRecord
    batcher: Batcher[DecodedImage, Prediction]
    files: FolderState | None

    @property
    def folder(self) -> Path:
        """Its run folder."""
        return self.predictor.run.path

    @property
    def version(self) -> ModelVersion:
        """What answers say of it."""
        return ModelVersion(name=self.record.name, version=self.record.version, lexiseg_version=__version__)


class Models:
    """The models of a server.

    Args:
        runs: Run folders, or names of models that come with Lexiseg; the first one is the default.
        options: How images are predicted.
        batches: How images are put together.
        executor: Its one thread computes.
        finishing: Its threads make predictions of what was computed.
        decoding: Decodes the images of jobs.
        on_batch: Told of each batch.
        on_load: Told of each model that is loaded, or that cannot be.

    Attributes:
        problems: By name, why the present files of a model are not used: the one before them answers.

    Raises:
        UsageError: No run is given, or two have the same name.
    """

    def __init__(
        self,
        runs: Sequence[str | Path],
        options: PredictionOptions,
        batches: BatchSettings,
        *,
        executor: Executor,
        finishing: Executor,
        decoding: IsolatedDecoding,
        on_batch: OnBatch,
        on_load: OnLoad = lambda name, loaded: None,
    ) -> None:
        self._runs = _by_name(runs)
        self._options, self._batches = options, batches
        self._executor, self._finishing, self._decoding = executor, finishing, decoding
        self._on_batch = on_batch
        self._on_load = on_load
        self._loaded: dict[str, ServedModel] = {}
        self.problems: dict[str, ErrorRecord] = {}
        self._one_load = asyncio.Lock()

    async def load(self) -> None:
        """Load all models, and then replace those that were loaded before.

        Where a model cannot be loaded, all that were loaded before stay.

        Raises:
            LexisegError: A run cannot be loaded, or its files changed while they were read.
        """
        loop = asyncio.get_running_loop()
        # One after the other: else the models of an earlier signal could replace those of a later one.
        async with self._one_load:
            loaded = {}
            for name, run in self._runs.items():
                # Not in the thread that computes: requests go on meanwhile.
                model = loaded[name] = await self._noted(name, run, loop)
                if not await _is_current(model):
                    changed = RunError(
                        f"The files of the run {run} changed while they were read. Wait until they are "
                        "complete, and load them again.",
                        code="LEX-RUN-1592",
                    )
                    self.note_problem(name, changed)
                    raise changed
                self._on_load(name, True)
            self._loaded = loaded
            self.problems.clear()

    async def reload(self, name: str) -> bool:
        """Load one model again, and then replace it; where it cannot be loaded, it stays.

        Args:
            name: Its name.

        Returns:
            Whether it was replaced; not if its files changed while they were read.

        Raises:
            LexisegError: The run cannot be loaded.
        """
        async with self._one_load:
            loop = asyncio.get_running_loop()
            model = await self._noted(name, self._runs[name], loop)
            if not await _is_current(model):
                return False
            self._on_load(name, True)
            # Another dictionary: who goes through the models meanwhile sees those of before.
            self._loaded = {**self._loaded, name: model}
            self.problems.pop(name, None)
            return True

    async def _noted(self, name: str, run: str | Path, loop: asyncio.AbstractEventLoop) -> ServedModel:
        """Load a model; note why, where that fails."""
        try:
            return await asyncio.to_thread(self._load, name, run, loop)
        except Exception as error:
            self.note_problem(name, error)
            raise

    def note_problem(self, name: str, error: Exception) -> None:
        """Note why the present files of a model are not used; places on the disk of the server are left out.

        Args:
            name: Name of the model.
            error: Why.
        """
        code = error.code if isinstance(error, LexisegError) else "LEX-REQ-1113"
        self.problems[name] = ErrorRecord(
            code=code,
            message="The files of this model have changed and cannot be loaded. The model that was loaded "
            "before answers. See the list of error codes for the cause, and correct the run folder.",
        )
        self._on_load(name, False)

    def all(self) -> tuple[ServedModel, ...]:
        """Return the models, the default one first; empty until they are loaded."""
        return tuple(self._loaded.values())

    def get(self, name: str | None) -> ServedModel:
        """Return a model; None takes the default one.

        Raises:
            RequestError: There is no such model.
        """
        if name is None:
            return next(iter(self._loaded.values()))
        if name not in self._loaded:
            raise RequestError(
                f"There is no model {printable(name)[:80]!r}. The models are: {', '.join(self._loaded)}.",
                status=404,
                code="LEX-REQ-1109",
            )
        return self._loaded[name]

    def _load(self, name: str, path: str | Path, loop: asyncio.AbstractEventLoop) -> ServedModel:
        # Before the first file is read: a file that is replaced from here on is noticed.
        folder = Run.open(path).path
        files = folder_state(folder)
        run = Run.open(folder)
        version = run_version(run.path)
        predictor = ServedPredictor(
            run, self._options, executor=self._executor, decoding=self._decoding, loop=loop
        )
        record = model_record(
            predictor,
            name=name,
            version=version,
            loaded=datetime.now(UTC).isoformat(timespec="seconds"),
            is_default=name == next(iter(self._runs)),
        )
        batcher = Batcher(
            predictor.compute,
            self._batches,
            computing=self._executor,
            finishing=self._finishing,
            on_batch=lambda images, seconds: self._on_batch(name, images, seconds),
        )
        return ServedModel(predictor=predictor, record=record, batcher=batcher, files=files)


async def _is_current(model: ServedModel) -> bool:
    """Return whether the files of a model are those that were read."""
    return await asyncio.to_thread(folder_state, model.folder) == model.files


def _by_name(runs: Sequence[str | Path]) -> dict[str, str | Path]:
    if not runs:
        raise UsageError("Expected at least one run to serve.", code="LEX-USE-1101")
    found: dict[str, str | Path] = {}
    for run in runs:
        name = Path(run).resolve().name
        if name in found:
            raise UsageError(
                f"{found[name]} and {run} have the same name '{name}', by which requests choose a model. "
                "Rename one of the folders.",
                code="LEX-USE-1102",
            )
        found[name] = run
    return found
