"""Find masks and reports of a data set that look wrong to a run that did not learn from them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

from lexiseg.data import DatasetIndex, Sample
from lexiseg.errors import DataError, LexisegError, RunError
from lexiseg.evaluation.checks import check_classes
from lexiseg.evaluation.evaluation_data import open_for_runs
from lexiseg.evaluation.options import PredictionKeywords, Progress, prediction_options
from lexiseg.evaluation.result_folder import result_folder
from lexiseg.evaluation.suspicions.case_check import check_case
from lexiseg.evaluation.suspicions.page import MOST_SHOWN, build_page
from lexiseg.evaluation.suspicions.ranking import CaseFindings, rank
from lexiseg.evaluation.suspicions.report_words import not_looked_for, report_references
from lexiseg.evaluation.suspicions.run_samples import RunSamples, not_learned
from lexiseg.evaluation.suspicions.suspicion_file import SuspicionFailure, Suspicions
from lexiseg.files import refuse_blocked
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.result import Prediction
from lexiseg.json_records import record_text
from lexiseg.outputs.output_folder import OutputFolder
from lexiseg.printable import counted
from lexiseg.runs.learned_images import LearnedImages
from lexiseg.runs.run import Run

#: The files that are written.
SUSPICION_FILES = ("suspicions.csv", "suspicions.html", "suspicions.json")


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
    references = [report_references(index, part.predictor.run) for part in parts]
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
        + not_looked_for(index, run)
        + tuple(dict.fromkeys(one.note for one in references if one and one.note))
        + _unlike_images(cases),
        cases=rank(cases, index),
        failed=tuple(failed),
    )


def _unlike_images(cases: Sequence[CaseFindings]) -> tuple[str, ...]:
    """Say how many images are unlike the training images of the run that checks them."""
    number = sum(case.unlike for case in cases)
    if not number:
        return ()
    of_all = counted(number, f"of {len(cases)} images is", f"of {len(cases)} images are")
    return (f"{of_all} unlike the training images of the run, so the run's answers to them say little.",)


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
