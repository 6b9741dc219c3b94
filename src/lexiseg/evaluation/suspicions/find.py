"""Find masks and reports of a data set that look wrong to a run that did not learn from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

import numpy as np
import numpy.typing as npt

from lexiseg.data import DatasetIndex, Sample
from lexiseg.data.readers import read_image_with_facts, read_labels
from lexiseg.errors import DataError, LexisegError, RunError, UsageError
from lexiseg.evaluation.checks import check_classes
from lexiseg.evaluation.evaluation_data import open_for_runs
from lexiseg.evaluation.options import PredictionKeywords, prediction_options
from lexiseg.evaluation.predictor_protocol import PathPredictor
from lexiseg.evaluation.result_folder import result_folder
from lexiseg.evaluation.scores.retrieval import References
from lexiseg.evaluation.suspicions.page import MOST_SHOWN, build_page
from lexiseg.evaluation.suspicions.ranking import CaseFindings, rank
from lexiseg.evaluation.suspicions.signs import (
    KINDS,
    Expectation,
    Kind,
    count_differences,
    mask_signs,
    report_signs,
)
from lexiseg.evaluation.suspicions.suspicion_file import SuspicionFailure, Suspicions
from lexiseg.files import refuse_blocked
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.result import Prediction
from lexiseg.json_records import record_text
from lexiseg.mask_overlap import region_dice
from lexiseg.outputs.output_folder import OutputFolder
from lexiseg.printable import counted
from lexiseg.runs.learned_images import LearnedImages, unknown_images
from lexiseg.runs.run import Run
from lexiseg.words.description import UNKNOWN
from lexiseg.words.measure import measure_indices
from lexiseg.words.vocabulary import Vocabulary, load_vocabulary

#: The files that are written.
SUSPICION_FILES = ("suspicions.csv", "suspicions.html", "suspicions.json")

NO_WORDS = "Reports are not checked: the run names no words."
NO_REPORTS = "Reports are not checked: the data set has none."

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class RunSamples:
    """A run, and the samples of a data set that it did not learn from.

    Attributes:
        predictor: The run, loaded.
        samples: The samples.
    """

    predictor: PathPredictor
    samples: tuple[Sample, ...]


def find_suspicions(
    run: Run | str | Path,
    data: str | Path,
    out: str | Path,
    *,
    progress: Progress | None = None,
    **options: Unpack[PredictionKeywords],
) -> Suspicions:
    """Rank the cases of a data set by how wrong their mask or report looks to a run.

    Images that the run was trained on are left out and counted: it has learned their errors. They are
    recognised by their names, where the data set has the name of that of the training, and by the hashes of
    their files, where the run holds them.

    Args:
        run: A trained run, its folder, or the name of a model that comes with Lexiseg.
        data: The data set's folder.
        out: Folder for `suspicions.csv`, `suspicions.json` and `suspicions.html`.
        progress: Called after each case with the number of cases done and in all.
        **options: Fields of `PredictionOptions`, such as `device`.

    Returns:
        The content of `suspicions.json`.

    Raises:
        RunError: The run cannot be used, or does not say which images it was trained on.
        DataError: The data set cannot be used with the run, or the run was trained on all of its images.
        UsageError: The data set states another vocabulary than that of the run.
        DiskError: The files cannot be written.
    """
    settings = prediction_options(options)
    run = Run.of(run)
    refuse_blocked(out)
    if not LearnedImages(run).knows_names:
        raise RunError(
            f"{run.shown} does not say which images it was trained on, so it cannot be told which images it "
            "can check. Use --folds 5 instead, which trains runs on parts of the data set.",
            code="LEX-RUN-904",
        )
    index = open_for_runs((run,), data, "train")
    samples, notes = not_learned(run, index.samples, index.name)
    if not samples:
        raise DataError(
            f"{run.shown} was trained on {counted(len(index.samples), 'image')}, all of {index.root}, so it "
            "cannot check any. Use --folds 5 instead, which trains runs on parts of the data set.",
            code="LEX-DATA-901",
        )
    part = RunSamples(predictor=Predictor(run, settings), samples=samples)
    with result_folder(Path(out), SUSPICION_FILES) as folder:
        found = check_cases(
            index, [part], left_out=len(index.samples) - len(samples), notes=notes, progress=progress
        )
        write_suspicions(found, index, [part], folder)
    return found


def not_learned(run: Run, samples: Sequence[Sample], data: str) -> tuple[tuple[Sample, ...], tuple[str, ...]]:
    """Return the samples that a run was not trained on, and notes where it may have learned some.

    Args:
        run: The run; it holds its splits.
        samples: The samples.
        data: Name of their data set.

    Raises:
        RunError: The hashes of the run's images are damaged.
    """
    learned, notes = LearnedImages(run), tuple[str, ...]()
    known = {sample.id for sample in (*learned.by_file(samples), *learned.by_name(samples, data=data))}
    if not learned.same_data(data) and not learned.knows_files:
        notes = (
            f"Images that {run.shown} was trained on may be among the cases: the name of its data "
            f"set is {run.manifest.data.name or 'not known'}, not {data}, so the names of images cannot be "
            "compared, and it holds no hashes of its images.",
        )
    earlier = learned.unknown_runs(data)
    if earlier:
        then = "It has learned the errors of those that are among the cases."
        notes += (unknown_images(earlier, then, run=run.shown),)
    return tuple(sample for sample in samples if sample.id not in known), notes


def check_cases(
    index: DatasetIndex,
    parts: Sequence[RunSamples],
    *,
    left_out: int = 0,
    notes: tuple[str, ...] = (),
    progress: Progress | None = None,
) -> Suspicions:
    """Rank the cases of a data set that is already open; nothing is written. See `find_suspicions`.

    Args:
        index: The data set.
        parts: Runs with the samples that each checks; all runs have the same classes and words.
        left_out: Number of images that are in no part.
        notes: What is to be said of the parts.
        progress: As for `find_suspicions`.
    """
    run = parts[0].predictor.run
    for part in parts:
        check_classes(index, part.predictor.run)
    # The vocabulary of each run is its own: one that is made from report sentences differs between folds.
    references = [_references(index, part.predictor.run) for part in parts]
    cases: list[CaseFindings] = []
    failed: list[SuspicionFailure] = []
    done, total, empty = 0, sum(len(part.samples) for part in parts), 0
    for part, reference in zip(parts, references, strict=True):
        predictions = part.predictor.predict_paths([sample.image for sample in part.samples])
        for sample, (_, prediction) in zip(part.samples, predictions, strict=True):
            try:
                if isinstance(prediction, LexisegError):
                    raise prediction
                case = check_case(sample, prediction, index, reference)
                empty += not case.signs
                cases += [case] if case.signs else []
            except LexisegError as error:
                failed.append(SuspicionFailure(id=sample.id, image=str(sample.image), error=str(error)))
            done += 1
            if progress is not None:
                progress(done, total)
    return Suspicions(
        data=index.name,
        runs=tuple(part.predictor.run.shown for part in parts),
        engine=str(parts[0].predictor.engine.description),
        side=run.spoken_side,
        checked=len(cases),
        left_out=left_out,
        nothing_to_check=empty,
        notes=notes
        + _notes(index, run)
        + tuple(dict.fromkeys(one.note for one in references if one and one.note)),
        cases=rank(cases, index),
        failed=tuple(failed),
    )


def check_case(
    sample: Sample, prediction: Prediction, index: DatasetIndex, references: References | None
) -> CaseFindings:
    """Return the signs of one case.

    Raises:
        LexisegError: Its mask cannot be read, or differs from the image in size.
    """
    expectation = Expectation(
        probability=prediction.probability.sum(axis=0),
        words=tuple(np.array(word.probabilities) for word in prediction.words),
    )
    given = None
    if sample.mask is not None:
        given = read_labels(sample, index.coding)
        if given.shape != prediction.mask.shape:
            raise DataError(
                f"The mask {sample.mask} and its image {sample.image} differ in size. Export both at one "
                "size.",
                code="LEX-DATA-902",
            )
    told = measured = None
    if references is not None:
        image = read_image_with_facts(sample.image)
        if sample.report is not None:
            read = references.of(sample, prediction.mask, image.pixels).indices
            told = read if any(position != UNKNOWN for position in read) else None
        if given is not None:
            # As displayed: reports and the run name the sides of the usual display.
            measured = measure_indices(
                image.turn.apply(given), references.vocabulary, image=image.displayed, side=references.side
            )
    return judge(
        sample,
        given,
        expectation,
        told=told,
        measured=measured,
        vocabulary=None if references is None else references.vocabulary,
    )


def judge(
    sample: Sample,
    given: npt.NDArray[np.integer] | None,
    expectation: Expectation,
    *,
    told: tuple[int, ...] | None = None,
    measured: tuple[int, ...] | None = None,
    vocabulary: Vocabulary | None = None,
) -> CaseFindings:
    """Return the signs of a case from what its files hold and what the run expects.

    Args:
        sample: The case.
        given: Labels of its mask `(H, W)`; None without a mask.
        expectation: What the run predicts.
        told: Phrases of its report; None without.
        measured: Phrases measured on its mask; None without.
        vocabulary: The vocabulary of the phrases; None where reports are not checked.
    """
    signs: dict[Kind, float] = {}
    dice = missing = doubted = None
    if given is not None:
        lesion, probability = given > 0, expectation.probability
        expected = probability > 0.5
        differences = 0 if told is None else count_differences(told, measured)
        signs.update(mask_signs(lesion, probability, differences=differences))
        dice = region_dice(lesion, expected)
        missing = float((expected & ~lesion).mean())
        doubted = float(probability[lesion].mean()) if lesion.any() else None
    if told is not None and expectation.words and vocabulary is not None:
        signs.update(report_signs(told, expectation.words, vocabulary, measured=measured))
    return CaseFindings(
        sample=sample,
        signs={kind: signs[kind] for kind in KINDS if kind in signs},
        told=told,
        measured=measured,
        retrieved=expectation.words if vocabulary is not None else (),
        vocabulary=vocabulary,
        dice=dice,
        missing=missing,
        doubted=doubted,
    )


def write_suspicions(
    found: Suspicions, index: DatasetIndex, parts: Sequence[RunSamples], folder: OutputFolder
) -> None:
    """Write table, page and record; the record last.

    Raises:
        DiskError: They cannot be written.
    """
    table, page, record = (folder.path / name for name in SUSPICION_FILES)
    folder.write_text(table, found.table())
    folder.write_text(page, build_page(found, _to_draw(found, parts), index))
    folder.write_text(record, record_text(found))


def _to_draw(found: Suspicions, parts: Sequence[RunSamples]) -> dict[str, tuple[Sample, Prediction]]:
    """Predict the cases that the page shows again, by id."""
    shown = {case.id for case in found.cases[:MOST_SHOWN]}
    drawn: dict[str, tuple[Sample, Prediction]] = {}
    for part in parts:
        samples = [sample for sample in part.samples if sample.id in shown]
        predictions = part.predictor.predict_paths([sample.image for sample in samples])
        for sample, (_, prediction) in zip(samples, predictions, strict=True):
            if isinstance(prediction, LexisegError):
                raise prediction
            drawn[sample.id] = (sample, prediction)
    return drawn


def _notes(index: DatasetIndex, run: Run) -> tuple[str, ...]:
    """Return what is not looked for, and why."""
    if run.spoken_vocabulary is None:
        return (NO_WORDS,)
    return () if any(sample.report for sample in index.samples) else (NO_REPORTS,)


def stated_otherwise(index: DatasetIndex, name: str) -> str | None:
    """Return the name of the vocabulary that a data set states, where reports are read with another one.

    The name that counts is the one in the vocabulary's file; the file may be called otherwise.

    Args:
        index: The data set.
        name: Name of the vocabulary that its reports are read with.

    Returns:
        The name; None where it is the same, where no vocabulary is stated, and without reports.

    Raises:
        DataError: The file that is stated is no vocabulary.
        UsageError: It does not exist.
    """
    if index.vocabulary is None or not any(sample.report for sample in index.samples):
        return None
    stated = load_vocabulary(index.vocabulary).name
    return None if stated == name else stated


def check_vocabulary(index: DatasetIndex, run: Run) -> None:
    """Refuse a run whose words are those of another vocabulary than the data set states.

    Raises:
        DataError: The file that the data set states is no vocabulary.
        UsageError: The run's words are those of another vocabulary, or the file does not exist.
    """
    vocabulary = run.spoken_vocabulary
    stated = None if vocabulary is None else stated_otherwise(index, vocabulary.name)
    if vocabulary is not None and stated is not None:
        raise UsageError(
            f"{index.root} states the vocabulary '{stated}' in dataset.yaml ({index.vocabulary}), but the "
            f"words of {run.shown} are those of '{vocabulary.name}'. Choose a run with the vocabulary of the "
            "data set; with --folds, choose another --out.",
            code="LEX-USE-900",
        )


def _references(index: DatasetIndex, run: Run) -> References | None:
    """Return how reports are read; None where none are checked.

    Raises:
        UsageError: The data set states another vocabulary than that of the run.
    """
    vocabulary = run.spoken_vocabulary
    if vocabulary is None or _notes(index, run):
        return None
    check_vocabulary(index, run)
    return References.of_reports(run, vocabulary, index)
