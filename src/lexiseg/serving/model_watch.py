"""Watching of run folders: a model whose files have changed is loaded again, and replaced."""

from __future__ import annotations

import asyncio
import logging

from lexiseg.errors import LexisegError, RunError
from lexiseg.serving.model_files import FolderState, folder_state
from lexiseg.serving.models import Models, ServedModel

_log = logging.getLogger("lexiseg.serving")


class ModelWatch:
    """Looks at the run folders of a server every few seconds.

    A folder is read when its files differ from those that are loaded, and are the same in two looks one after
    the other: files that are being copied are not complete.

    Args:
        models: The models.
        seconds: Seconds between two looks; 0 for none.
    """

    def __init__(self, models: Models, seconds: float) -> None:
        self._models, self._seconds = models, seconds
        self._seen: dict[str, FolderState | None] = {}
        self._refused: dict[str, FolderState | None] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look, in the running loop."""
        if self._seconds > 0:
            self._task = asyncio.create_task(self._run())

    def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()

    async def look(self) -> None:
        """Look at all folders once."""
        for model in self._models.all():
            name = model.record.name
            state = await asyncio.to_thread(folder_state, model.folder)
            is_steady = name in self._seen and self._seen[name] == state
            self._seen[name] = state
            if state == model.files:
                self._models.problems.pop(name, None)
                self._refused.pop(name, None)
            elif is_steady and not (name in self._refused and self._refused[name] == state):
                await self._replace(model, state)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._seconds)
            try:
                await self.look()
            except Exception as error:
                _log.error("the run folders cannot be looked at, for a defect of the server", exc_info=error)

    async def _replace(self, model: ServedModel, state: FolderState | None) -> None:
        """Load a model again; where that fails, the one that is loaded stays, and the log says why."""
        name = model.record.name
        try:
            if state is None:
                gone = RunError(
                    f"The run folder of the model {name} is gone, or cannot be read.", code="LEX-RUN-1450"
                )
                self._models.note_problem(name, gone)
                raise gone
            replaced = await self._models.reload(name)
        except LexisegError as error:
            self._refused[name] = state
            _log.error("a model is not replaced", extra={"model": name, "code": error.code})
        except Exception as error:
            self._refused[name] = state
            _log.error(
                "a model is not replaced, for a defect of the server", exc_info=error, extra={"model": name}
            )
        else:
            self._refused.pop(name, None)
            if replaced:
                version = self._models.get(name).record.version[:12]
                _log.info("a model is replaced", extra={"model": name, "version": version})
