"""The metrics of the server, in the format of Prometheus."""

from __future__ import annotations

from collections.abc import Collection

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from lexiseg._version import __version__
from lexiseg.inference.result import Prediction
from lexiseg.inference.volumes.prediction import VolumePrediction
from lexiseg.prometheus_text import prometheus_text

_SECONDS = (0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12, 0.2, 0.4, 0.8, 1.5, 3, 6, 15, 60)
# A client may send any word as its method, and each value of a label stays in memory.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SHARES = tuple(step / 10 for step in range(1, 11))


class Metrics:
    """What the server counts; no value names a person or an image."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own = self.registry
        self._about = Gauge("lexiseg_info", "Version of Lexiseg.", ["version"], registry=own)
        self._about.labels(__version__).set(1)
        self._requests = Counter(
            "lexiseg_requests", "Requests by route and status.", ["route", "method", "status"], registry=own
        )
        self._seconds = Histogram(
            "lexiseg_request_seconds", "Time of requests.", ["route"], buckets=_SECONDS, registry=own
        )
        self._in_flight = Gauge("lexiseg_requests_in_flight", "Requests that are worked on.", registry=own)
        self._refusals = Counter(
            "lexiseg_refusals", "Refused requests and images by code.", ["code"], registry=own
        )
        self._waiting = Gauge(
            "lexiseg_waiting_images", "Images that wait for a model.", ["model"], registry=own
        )
        self._batches = Histogram(
            "lexiseg_batch_images", "Images per batch.", ["model"], buckets=(1, 2, 4, 8, 16, 32), registry=own
        )
        self._computing = Histogram(
            "lexiseg_batch_seconds", "Time of a batch.", ["model"], buckets=_SECONDS, registry=own
        )
        labels = ["model", "version"]
        self._images = Counter("lexiseg_images", "Images that were predicted.", labels, registry=own)
        self._failed = Counter("lexiseg_failed_images", "Images that were not.", labels, registry=own)
        self._flagged = Counter(
            "lexiseg_flagged_images", "Predictions that a person should see.", labels, registry=own
        )
        self._unlike = Counter(
            "lexiseg_unlike_images", "Images that are unlike the training images.", labels, registry=own
        )
        self._words = Counter(
            "lexiseg_words", "Retrieved phrases.", [*labels, "factor", "phrase"], registry=own
        )
        self._expected = Histogram(
            "lexiseg_expected_dice", "Dice that is expected of masks.", labels, buckets=_SHARES, registry=own
        )
        self._refined = Counter("lexiseg_refined_images", "Masks that words corrected.", labels, registry=own)
        self._jobs = Counter("lexiseg_jobs", "Jobs by their end.", ["state"], registry=own)
        self._loads = Counter("lexiseg_model_loads", "Loaded models.", ["model", "result"], registry=own)
        self._problems = Gauge(
            "lexiseg_model_problem",
            "1 if the present files of a model cannot be loaded, and the model of before answers.",
            ["model"],
            registry=own,
        )
        self._volumes = Counter("lexiseg_volumes", "Volumes that were predicted.", labels, registry=own)
        self._slices = Counter("lexiseg_slices", "Slices of these volumes.", labels, registry=own)
        self._flagged_volumes = Counter(
            "lexiseg_flagged_volumes", "Volumes that a person should see.", labels, registry=own
        )

    def text(self, waiting: dict[str, int], *, problems: Collection[str] = ()) -> bytes:
        """Return all metrics.

        Args:
            waiting: Images that wait, by model.
            problems: Names of the models whose present files cannot be loaded.
        """
        for model, images in waiting.items():
            self._waiting.labels(model).set(images)
            self._problems.labels(model).set(model in problems)
        return prometheus_text(self.registry)

    def in_flight(self, requests: int) -> None:
        """Take the number of requests that are worked on."""
        self._in_flight.set(requests)

    def request_ends(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request.

        Args:
            route: Its route, with placeholders.
            method: Its method; one that HTTP does not define counts as "other".
            status: Status of the answer.
            seconds: Its time.
        """
        known = method if method in _METHODS else "other"
        self._requests.labels(route, known, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def refused(self, code: str) -> None:
        """Count a request or an image that was refused."""
        self._refusals.labels(code).inc()

    def batch(self, model: str, images: int, seconds: float) -> None:
        """Count a batch."""
        self._batches.labels(model).observe(images)
        self._computing.labels(model).observe(seconds)

    def predicted(self, model: str, version: str, prediction: Prediction) -> None:
        """Count a prediction, with its words: a change of their shares over weeks shows other images."""
        version = version[:12]
        self._images.labels(model, version).inc()
        self._flagged.labels(model, version).inc(int(prediction.flagged))
        self._unlike.labels(model, version).inc(int(bool(prediction.unlike_training_images)))
        for word in prediction.words:
            self._words.labels(model, version, word.factor, word.phrase).inc()
        if prediction.expected_dice is not None:
            self._expected.labels(model, version).observe(prediction.expected_dice)

    def predicted_volume(self, model: str, version: str, prediction: VolumePrediction) -> None:
        """Count a volume and its slices."""
        version = version[:12]
        self._volumes.labels(model, version).inc()
        self._slices.labels(model, version).inc(len(prediction.slices))
        self._flagged_volumes.labels(model, version).inc(int(prediction.flagged))

    def failed(self, model: str, version: str) -> None:
        """Count an image that could not be predicted."""
        self._failed.labels(model, version[:12]).inc()

    def refined(self, model: str, version: str) -> None:
        """Count a mask that words corrected."""
        self._refined.labels(model, version[:12]).inc()

    def model_loaded(self, model: str, loaded: bool) -> None:
        """Count that a model was loaded, or could not be."""
        self._loads.labels(model, "done" if loaded else "failed").inc()

    def job_ended(self, state: str) -> None:
        """Count a job."""
        self._jobs.labels(state).inc()
