"""The prediction worker: it takes waiting images from the queue and keeps their results in the spool."""

from __future__ import annotations

import secrets
import shutil
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path

from lexiseg.errors import DataError, DiskError, LexisegError, ResourceError
from lexiseg.gateway.configuration import Rule
from lexiseg.gateway.prediction.batch import FailedImage, PredictedResults, predict_batch
from lexiseg.gateway.prediction.classification import classify
from lexiseg.gateway.prediction.result_files import dicom_objects
from lexiseg.gateway.queue.durable_queue import QueuedImage
from lexiseg.gateway.state import GatewayState
from lexiseg.inference.predictor import Predictor

#: What says nothing about an image: it is predicted later.
MACHINE_FAILURES = (DiskError, ResourceError, OSError, MemoryError, sqlite3.OperationalError)


class PredictionWorker:
    """Predicts waiting images, batch by batch.

    Args:
        state: The shared parts of the gateway.
        predictors: The predictor of each run.
    """

    def __init__(self, state: GatewayState, predictors: Mapping[str, Predictor]) -> None:
        self._state, self._predictors = state, predictors

    def step(self) -> bool:
        """Predict the next batch; return whether there was one.

        Raises:
            DiskError: There is no space or no permission; the images still wait.
            ResourceError: There is too little memory; the images still wait.
        """
        images = self._state.queue.begin(self._state.configuration.batch)
        if not images:
            return False
        try:
            self._predict(images)
        except MACHINE_FAILURES:
            self._state.queue.give_back([image.id for image in images])
            raise
        return True

    def _predict(self, images: list[QueuedImage]) -> None:
        by_rule: dict[str, tuple[Rule, list[QueuedImage]]] = {}
        for image in images:
            rule = self._rule_of(image)
            if rule is not None:
                by_rule.setdefault(rule.name, (rule, []))[1].append(image)
        for rule, chosen in by_rule.values():
            began = time.monotonic()
            work = self._state.spool.work(secrets.token_hex(8))
            try:
                paths = {image.id: self._state.spool.image(image.id) for image in chosen}
                found = predict_batch(paths, rule, self._predictors[rule.run], work)
                for image in chosen:
                    self._keep(image, rule, found[image.id])
            finally:
                shutil.rmtree(work, ignore_errors=True)
            self._state.log.write(
                "predicted", rule=rule.name, count=len(chosen), seconds=time.monotonic() - began
            )

    def _rule_of(self, image: QueuedImage) -> Rule | None:
        """Return the rule of an image; one without is settled here."""
        state = self._state
        try:
            if image.attempts >= state.configuration.retries.predictions:
                raise DataError(
                    f"The prediction of the object was begun {image.attempts} times, and the process ended "
                    "each time. The object may be damaged in a way that ends a decoder.",
                    code="LEX-DATA-1235",
                )
            found = classify(state.spool.image(image.id), state.configuration.rules)
        except MACHINE_FAILURES:
            raise
        except LexisegError as error:
            state.quarantine(image.id, error, source=image.source)
            return None
        header = found.header
        state.log.write(
            "routed" if found.rule is not None else "left_out_own" if header.is_own else "left_out_no_rule",
            image=image.id,
            source=image.source,
            rule=None if found.rule is None else found.rule.name,
            patient=state.key.hashed(header.patient_id) or None,
            study=state.key.hashed(header.study_uid) or None,
        )
        if found.rule is None:
            state.queue.settle(image.id, "left_out")
            state.figures.left_out.inc()
        return found.rule

    def _keep(self, image: QueuedImage, rule: Rule, found: PredictedResults | FailedImage) -> None:
        """Keep the results of an image and note who shall get them."""
        state = self._state
        if isinstance(found, FailedImage):
            error = DataError(found.reason, code="LEX-DATA-1236")
            error.code = found.code
            state.quarantine(image.id, error, source=image.source, rule=rule.name)
            return
        destinations = [name for name in rule.send_to if self._takes_any(name, found.folder)]
        state.spool.keep_results(image.id, found.folder)
        refused = found.refused
        if refused is not None:
            state.explain(image.id, refused, source=image.source, rule=rule.name)
        settled = state.queue.predicted(
            image.id,
            rule=rule.name,
            code="" if refused is None else refused.code,
            destinations=destinations,
        )
        state.figures.predicted.labels(rule.name).inc()
        if settled == "quarantined" and refused is not None:
            state.note_quarantine(image.id, refused.code, source=image.source, rule=rule.name)

    def _takes_any(self, destination: str, folder: Path) -> bool:
        """Return whether there is something to send: an archive takes DICOM objects only."""
        if self._state.configuration.destinations[destination].kind == "folder":
            return True
        return bool(dicom_objects(folder))
