"""The predictor: it takes an image and no text, and returns a mask and the words the model retrieves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from lexiseg.data.decoded_image import DecodedImage
from lexiseg.data.image_fit import Placement
from lexiseg.engines.choice import load_engine
from lexiseg.engines.engine import Engine, FloatArray
from lexiseg.errors import LexisegError
from lexiseg.inference.dicom_images import on_stored_grid
from lexiseg.inference.ensemble import (
    Member,
    NetworkAnswers,
    averaged_answers,
    check_alike,
    joined_features,
    network_answers,
)
from lexiseg.inference.inputs.image_inputs import ImageInput, Pixels, decoded_image, image_pixels
from lexiseg.inference.inputs.image_reading import ReadImage, read_batches
from lexiseg.inference.options import PredictionOptions, check_spacing
from lexiseg.inference.reliability.calibration import load_calibration
from lexiseg.inference.reliability.review import Review, disagreement, share_of_agreement, word_signals
from lexiseg.inference.reliability.training_images import (
    Aspect,
    load_training_images,
    unlike_any,
    unlike_reason,
)
from lexiseg.inference.result import Prediction, RetrievedWord
from lexiseg.inference.words.retrieved_words import retrieved_words
from lexiseg.printable import brief
from lexiseg.runs.run import Run
from lexiseg.words.measure import measure

#: Plain prediction on the CPU.
DEFAULT_OPTIONS = PredictionOptions()


class Predictor:
    """Segments images with a trained run.

    Args:
        run: The run folder, or its path.
        options: How images are predicted; `lexiseg.load` takes its fields as keywords.
        calibrated: Whether to use what `lexiseg calibrate` fitted for this way of predicting, where the run
            holds it: calibrated probabilities, an expected Dice, and the flag made of it; and whether to
            compare images with the training images, where the run describes them.
        engine: Computes the (first) network; None loads the one that the options name.

    Attributes:
        run: The (first) run.
        options: How images are predicted.
        calibration: The calibration in use; None without one.
        training_images: What the training images of each run look like; None for a run that does not say.
        compares_images: Whether images are compared with the training images.

    Raises:
        RunError: The folder is no run this version can read, or what it holds besides its weights was made
            with others.
        WeightsError: Its weights, bank or model file are missing or damaged.
        UsageError: The device or engine does not exist here, or the second run has other classes or words.

    Examples:
        >>> predictor = Predictor("runs/chest")  # doctest: +SKIP
        >>> prediction = predictor.predict("image.png")  # doctest: +SKIP
    """

    def __repr__(self) -> str:
        return brief(self, *(run.path.name for run in self.runs), str(self.engine.description))

    def __init__(
        self,
        run: Run | str | Path,
        options: PredictionOptions = DEFAULT_OPTIONS,
        *,
        calibrated: bool = True,
        engine: Engine | None = None,
    ) -> None:
        self.run, self.options = Run.of(run), options
        # What was fitted for one network does not hold for an average of two.
        fitted = calibrated and options.average_with is None
        self.calibration = load_calibration(self.run, flip_average=options.flip_average) if fitted else None
        others = [] if options.average_with is None else [Run.of(options.average_with)]
        for other in others:
            check_alike(self.run, other)
        self._members = (
            Member(self.run, self._load(self.run) if engine is None else engine, options.batch_size),
            *(Member(other, self._load(other), options.batch_size) for other in others),
        )
        self.training_images = tuple(
            load_training_images(member.run) if calibrated else None for member in self._members
        )
        self.compares_images = any(found is not None for found in self.training_images)

    def _load(self, run: Run) -> Engine:
        options = self.options
        return load_engine(run, options.engine, device=options.device, precision=options.precision)

    def predict(self, image: ImageInput, *, spacing_mm: tuple[float, float] | None = None) -> Prediction:
        """Segment one image.

        Args:
            image: A path, the bytes of a file, an open binary file, a PIL image, a numpy array, or a torch
                tensor; `lexiseg.inference.inputs.image_inputs` says which shapes and types.
            spacing_mm: Height and width of a pixel in millimetres, for areas in mm2; by default that of the
                predictor's options.

        Returns:
            The prediction, on the image's own grid.

        Raises:
            DataError: The file cannot be read.
            UsageError: The array is not an image.
        """
        return self.predict_decoded([decoded_image(image, self.options.view)], spacing_mm=spacing_mm)[0]

    def predict_decoded(
        self, images: Sequence[DecodedImage], *, spacing_mm: tuple[float, float] | None = None
    ) -> list[Prediction]:
        """Segment images of files that are decoded already, each on the grid that its file stores.

        Args:
            images: The images.
            spacing_mm: As for `predict`.

        Raises:
            UsageError: The spacing is not above 0.
        """
        check_spacing(spacing_mm)
        if len(images) == 0:
            return []
        return self._of_files(images, self._answers([image.displayed for image in images]), spacing_mm)

    def _of_files(
        self, images: Sequence[DecodedImage], answers: _Answers, spacing_mm: tuple[float, float] | None
    ) -> list[Prediction]:
        """Return the predictions of images of files, each on the grid that its file stores."""
        found = self._predictions(answers, spacing_mm)
        has_spacing = (spacing_mm or self.options.spacing_mm) is not None
        return [
            on_stored_grid(prediction, image, has_spacing=has_spacing)
            for prediction, image in zip(found, images, strict=True)
        ]

    def predict_arrays(
        self,
        images: Sequence[Image.Image | npt.NDArray[Any]],
        *,
        spacing_mm: tuple[float, float] | None = None,
    ) -> list[Prediction]:
        """Segment a batch of images, which may differ in size.

        Args:
            images: PIL images, numpy arrays or torch tensors; see `lexiseg.inference.inputs.image_inputs`.
            spacing_mm: As for `predict`.

        Raises:
            UsageError: One is not an image, or the spacing is not above 0.
        """
        check_spacing(spacing_mm)
        if len(images) == 0:
            return []
        return self._predictions(self._answers([image_pixels(image) for image in images]), spacing_mm)

    def _answers(self, images: Sequence[Pixels]) -> _Answers:
        """Return what the networks say of `(H, W, 3)` uint8 images."""
        pictures = [member.whole_images.pictures(images) for member in self._members]
        flips = self.options.flip_average
        return _Answers(images, network_answers(self._members, pictures, flip_average=flips))

    def _predictions(self, answers: _Answers, spacing_mm: tuple[float, float] | None) -> list[Prediction]:
        """Return the predictions of images of which the networks have spoken; no network is computed."""
        spacing_mm = spacing_mm or self.options.spacing_mm
        # Those of the images themselves, before any averaging.
        features = [joined_features(of_member) for of_member in answers.said.plain]
        unlike = unlike_any(self.training_images, answers.images, features)
        averaged = averaged_answers(self._members, answers.said)
        return [
            self._result(
                image,
                output.logits,
                [factor[0] for factor in output.words],
                signals,
                unlike=None if unlike is None else unlike[i],
                spacing_mm=spacing_mm,
            )
            for i, (image, (output, signals)) in enumerate(zip(answers.images, averaged, strict=True))
        ]

    def prepare(self, images: Sequence[Pixels]) -> FloatArray:
        """Return the pictures of `(H, W, 3)` uint8 images that the (first) network sees, `(B, 3, S, S)`.

        Each shows its image whole.
        """
        return self._members[0].whole_images.pictures(images).images

    def place(self, size: tuple[int, int]) -> Placement:
        """Return where an image of `size` (H, W) lies in the picture of `prepare`."""
        return self._members[0].whole_images.place(size)

    @property
    def engine(self) -> Engine:
        """The engine that computes the (first) network."""
        return self._members[0].engine

    @property
    def engines(self) -> tuple[Engine, ...]:
        """The engine of each run."""
        return tuple(member.engine for member in self._members)

    @cached_property
    def weights_sha256(self) -> tuple[str, ...]:
        """The SHA-256 of the weights of each run, computed once: DICOM objects of each image name it.

        Raises:
            WeightsError: A file of weights is missing or cannot be read.
        """
        return tuple(run.weights_sha256() for run in self.runs)

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs whose answers are averaged: one, or two."""
        return tuple(member.run for member in self._members)

    def predict_paths(
        self,
        paths: Iterable[str | Path],
        *,
        batch_size: int | None = None,
        spacing_mm: tuple[float, float] | None = None,
    ) -> Iterator[tuple[Path, Prediction | LexisegError]]:
        """Segment many files; memory stays flat however many there are.

        Files are read ahead in the background, and while the network computes a batch, a thread makes the
        predictions of the batch before it; with torch on a CPU, the network waits for them.

        Args:
            paths: Image files.
            batch_size: Images per pass through the network; by default that of the predictor's options.
            spacing_mm: Height and width of a pixel in millimetres, the same for all images; by default that
                of the predictor's options.

        Yields:
            Each path, in order, with its prediction, or with the error that its file raised.
        """
        check_spacing(spacing_mm)
        batch_size = batch_size or self.options.batch_size
        computes_alone = self.engine.description.needs_all_cores
        waiting: Future[list[tuple[Path, Prediction | LexisegError]]] | None = None
        with ThreadPoolExecutor(1, thread_name_prefix="lexiseg-predict") as pool:
            for batch in read_batches(paths, self.options.view, batch_size=batch_size):
                images = [image for _, image in batch if not isinstance(image, LexisegError)]
                try:
                    answers = self._answers([image.displayed for image in images]) if images else None
                except LexisegError:
                    if waiting is not None:  # what is predicted already is not lost
                        yield from waiting.result()
                    raise
                if computes_alone:
                    yield from self._of_batch(batch, answers, spacing_mm)
                    continue
                following = pool.submit(self._of_batch, batch, answers, spacing_mm)
                if waiting is not None:
                    yield from waiting.result()
                waiting = following
            if waiting is not None:
                yield from waiting.result()

    def _of_batch(
        self, batch: Sequence[ReadImage], answers: _Answers | None, spacing_mm: tuple[float, float] | None
    ) -> list[tuple[Path, Prediction | LexisegError]]:
        """Return each path with its prediction or error; without answers, no image could be read."""
        images = [image for _, image in batch if not isinstance(image, LexisegError)]
        predictions = iter(self._of_files(images, answers, spacing_mm) if answers is not None else [])
        return [
            (path, image if isinstance(image, LexisegError) else next(predictions)) for path, image in batch
        ]

    def _result(
        self,
        image: Pixels,
        logits: FloatArray,
        scores: list[npt.NDArray[np.float32]],
        signals: dict[str, float],
        *,
        unlike: tuple[Aspect, ...] | None,
        spacing_mm: tuple[float, float] | None,
    ) -> Prediction:
        """Turn logits `(1, C, h, w)` and phrase probabilities `N_f x (N_f,)` into a prediction."""
        mask, probability = self.on_grid(logits, (image.shape[0], image.shape[1]))
        area_px = {
            name: int(np.count_nonzero(mask == label))
            for label, name in enumerate(self.run.class_names)
            if label > 0
        }
        lesion, words = bool(mask.any()), self._words(scores)
        measured, share, disagrees = None, None, None
        vocabulary = self.run.spoken_vocabulary
        if words and vocabulary is not None:
            measured = measure(mask, vocabulary, image=image, side=self.run.side)
            share = share_of_agreement(vocabulary, [word.index for word in words], measured, lesion=lesion)
            if share is not None:
                disagrees = disagreement(words, measured, vocabulary, lesion=lesion)
        signals = {**signals, **word_signals(words, share)}
        review = self.review(signals, share, lesion=lesion)
        if unlike:
            # What was fitted on images like those of the training says nothing of this one.
            review = Review(flagged=True, doubt=unlike_reason(unlike))
        pixel_mm2 = spacing_mm[0] * spacing_mm[1] if spacing_mm is not None else None
        return Prediction(
            mask=mask,
            probability=probability,
            words=words,
            measured=measured,
            side=self.run.side,
            side_known=self.run.shown_side != "unknown",
            agreement=share,
            flagged=review.flagged,
            reasons=tuple(r for r in (review.doubt if review.flagged else None, disagrees) if r),
            expected_dice=review.expected_dice,
            unlike_training_images=unlike,
            signals=signals,
            engine=str(self.engine.description),
            area_px=area_px,
            area_mm2=None if pixel_mm2 is None else {name: n * pixel_mm2 for name, n in area_px.items()},
            pixel_mm2=pixel_mm2,
        )

    def on_grid(
        self, logits: FloatArray, size: tuple[int, int]
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
        """Return labels `(H, W)` and probabilities `(C, H, W)` for mask scores of one image.

        Args:
            logits: Of the image, `(1, C, h, w)` float32, on any grid.
            size: Height and width of the image.
        """
        scores = self.engine.resize(logits, size)[0]
        # The mask is taken from the scores themselves, so that no temperature can move it.
        scaled = scores if self.calibration is None else self.calibration.apply(scores)
        labels = scores[0] > 0 if len(scores) == 1 else scores.argmax(axis=0)
        return np.asarray(labels, dtype=np.uint8), self.engine.probability(scaled)

    def review(self, signals: dict[str, float], share: float | None, *, lesion: bool) -> Review:
        """Return whether a person should look at a mask, and why; only a calibrated run expects a Dice.

        Args:
            signals: The signals of the mask and its words, by name.
            share: Share of factors on which words and mask agree, 0..1; None without such factors.
            lesion: Whether the mask holds any.
        """
        if self.calibration is None:
            return Review(flagged=share is not None and share < self.run.manifest.review_below)
        rule = self.calibration.review
        expected = rule.expected_dice(signals)
        return Review(
            expected_dice=expected, flagged=expected < rule.below, doubt=rule.reason(signals, lesion=lesion)
        )

    def _words(self, scores: list[npt.NDArray[np.float32]]) -> tuple[RetrievedWord, ...]:
        """Name the best phrase of every factor; nothing without scores or vocabulary."""
        if not scores or self.run.spoken_vocabulary is None:
            return ()
        return retrieved_words(self.run.spoken_vocabulary, scores)


def predictor_of(predictor: Predictor | Run | str | Path, *, needs_torch: bool = False) -> Predictor:
    """Return a predictor as it is, or load a run with the default options.

    Args:
        predictor: The predictor, a run folder, or the name of a run.
        needs_torch: Whether a run is loaded with the engine that explains predictions.

    Raises:
        RunError: The run cannot be loaded; also a `WeightsError`.
    """
    if isinstance(predictor, Run | str | Path):
        return Predictor(predictor, DEFAULT_OPTIONS.explaining() if needs_torch else DEFAULT_OPTIONS)
    return predictor


class _Answers(NamedTuple):
    """Images `(H, W, 3)` uint8, and what the networks say of them."""

    images: Sequence[Pixels]
    said: NetworkAnswers
