"""What `lexiseg predict` says at its end, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lexiseg.cli.commands.predict.volumes import volume_failure
from lexiseg.cli.terminal.messages import say, warn
from lexiseg.cli.terminal.output_mode import show_result
from lexiseg.cli.terminal.side_lines import side_line
from lexiseg.errors import PartialFailureError
from lexiseg.printable import counted
from lexiseg.words.description import ShownSide

if TYPE_CHECKING:
    from lexiseg.inference.batches.batch_summary import BatchSummary
    from lexiseg.inference.batches.counts import Summary
    from lexiseg.inference.predictor import Predictor
    from lexiseg.inference.volumes.volume_summary import VolumeSummary


@dataclass(frozen=True, kw_only=True)
class PredictOutcome:
    """What was done.

    Attributes:
        images: The counts of images; None if only volumes were predicted.
        named_images: Number of images that the paths name.
        results: The file or the URL of the lines of images.
        volumes: The counts of volumes; None without volumes.
        volume_results: The file or the URL of the lines of volumes.
        named: Returns a message in which private copies have the names of their sources.
    """

    images: BatchSummary | None
    named_images: int
    results: str | None
    volumes: VolumeSummary | None
    volume_results: str | None
    named: Callable[[str], str]

    @property
    def volume_failure(self) -> PartialFailureError | None:
        """The error of the volumes, or of their outputs, that failed; None without one."""
        return None if self.volumes is None else volume_failure(self.volumes, str(self.volume_results))


def say_outcome(outcome: PredictOutcome, predictor: Predictor, place: Path) -> None:
    """Say what was done; with --json, print it.

    Args:
        outcome: What was done.
        predictor: The predictor.
        place: The output folder on this computer.
    """
    summary = outcome.images
    if summary is None:
        show_result(_record(outcome, predictor))
        if predictor.run.spoken_side == "unknown":
            say(side_line("unknown", dicom=False, others=True))
        return
    _say_tries(summary)
    show_result(_record(outcome, predictor))
    _say_counts(outcome, summary, predictor)
    if predictor.run.spoken_vocabulary is not None:
        _say_sides(predictor.run.shown_side, summary)
    if not summary.locked:
        warn(f"The disk of {place} supports no locks: start no second prediction into this folder meanwhile.")
    if summary.turned:
        say(
            f"{counted(summary.turned, 'image has', 'images have')} an EXIF orientation, with which viewers "
            "rotate or mirror images. It is not applied: masks and sizes are those of the image as the file "
            "stores it (see exif_orientation in the results)."
        )
    for image, name, reason in summary.refused:
        warn(f"The {name} of {outcome.named(str(image))} is not written: {reason}")
    failure = outcome.volume_failure
    if failure is not None and (summary.refused or summary.failed):
        warn(str(failure))


def raise_for_failures(outcome: PredictOutcome) -> None:
    """Raise the error of what failed.

    Raises:
        PartialFailureError: An image, a volume or an output failed.
    """
    summary = outcome.images
    if summary is not None and summary.refused and not summary.failed:
        raise PartialFailureError(
            f"{counted(len(summary.refused), 'output was', 'outputs were')} not written; each is named above "
            f"and in {outcome.results}.",
            code="LEX-PART-940",
        )
    if summary is not None and summary.failed:
        raise PartialFailureError(
            f"{len(summary.failed)} of {counted(outcome.named_images, 'image')} could not be read; "
            f"each is named above and in {outcome.results}.",
            code="LEX-PART-005",
        )
    failure = outcome.volume_failure
    if failure is not None:
        raise failure


def _record(outcome: PredictOutcome, predictor: Predictor) -> dict[str, object]:
    """Return what --json prints: the counts of images, of volumes, or of both."""

    def lists(summary: Summary) -> dict[str, object]:
        named = outcome.named
        failed = [{"image": named(str(image)), "error": named(error)} for image, error in summary.failed]
        refused = [
            {"image": named(str(image)), "format": name, "reason": reason}
            for image, name, reason in summary.refused
        ]
        return {"failed": failed, "refused": refused}

    found: dict[str, object] = {"engine": str(predictor.engine.description)}
    images, volumes = outcome.images, outcome.volumes
    if images is not None:
        found |= {"done": images.done, "flagged": images.flagged, "unlike": images.unlike, **lists(images)}
        found |= {"results": outcome.results, "resumed": images.resumed, "recovered": images.recovered}
    if volumes is not None:
        counts = {"done": volumes.done, "slices": volumes.slices, "flagged": volumes.flagged}
        more = {"results": outcome.volume_results, "resumed": volumes.resumed}
        found["volumes"] = {**counts, **lists(volumes), **more}
    return found


def _say_tries(summary: BatchSummary) -> None:
    """Say how many images were finished before, and how many needed a second try."""
    if summary.resumed:
        images = counted(summary.resumed, "image")
        say(f"Not predicted again, as an interrupted command had finished them: {images}.")
    if summary.recovered:
        images = counted(summary.recovered, "image")
        say(f"{images} failed at first and succeeded at the second try.")


def _say_counts(outcome: PredictOutcome, summary: BatchSummary, predictor: Predictor) -> None:
    """Say how many images were segmented, what was assumed, and which are unlike the training images."""
    compares = predictor.compares_images
    can_flag = predictor.run.spoken_vocabulary is not None or predictor.calibration is not None or compares
    review = f"; {summary.flagged} flagged for review" if can_flag else ""
    images = counted(outcome.named_images, "image")
    say(f"{summary.done} of {images} segmented{review}. Results: {outcome.results}")
    for sentence, count in summary.assumptions:
        say(f"{sentence} ({counted(count, 'image')})")
    if summary.unlike:
        say(
            f"{counted(summary.unlike, 'image is', 'images are')} unlike the training images of the run: "
            "flagged, and the expected Dice is unknown."
        )
    if not compares:
        from lexiseg.inference.reliability.training_images import FEWEST_IMAGES

        say(
            "The run holds no description of its training images, so images unlike them are not noticed. "
            f"`lexiseg calibrate RUN DATA` adds it, from at least {FEWEST_IMAGES} training and "
            f"{FEWEST_IMAGES} validation images."
        )


def _say_sides(side: ShownSide, summary: BatchSummary) -> None:
    """Say whose left and right the words mean; nothing where the side of all words is unknown.

    Args:
        side: Whose left the words of the run mean.
        summary: The counts of images. An assumption names the reason of each unknown side.
    """
    # Sentences whose side nothing states have none in any image, so none is an exception.
    unknown = 0 if side == "unknown" else summary.sides_unknown
    if summary.done == unknown:
        return
    images = counted(unknown, "image")
    but = f", except in the {images} whose side is unknown" if unknown else ""
    # The side is unknown in DICOM images only.
    dicom, others = summary.dicom > unknown, summary.done > summary.dicom
    say(side_line(side, dicom=dicom, others=others, but=but))
