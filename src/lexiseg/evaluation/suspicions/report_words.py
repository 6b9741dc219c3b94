"""Which reports of a data set are checked, with the words of a run."""

from __future__ import annotations

from lexiseg.data import DatasetIndex
from lexiseg.errors import UsageError
from lexiseg.evaluation.scores.retrieval import References
from lexiseg.runs.run import Run
from lexiseg.words.vocabulary import load_vocabulary

NO_WORDS = "Reports are not checked: the run names no words."
NO_REPORTS = "Reports are not checked: the data set has none."


def not_looked_for(index: DatasetIndex, run: Run) -> tuple[str, ...]:
    """Return what is not looked for, and why."""
    if run.spoken_vocabulary is None:
        return (NO_WORDS,)
    return () if any(sample.report for sample in index.samples) else (NO_REPORTS,)


def report_references(index: DatasetIndex, run: Run) -> References | None:
    """Return how reports are read; None where none are checked.

    Raises:
        UsageError: The data set states another vocabulary than that of the run.
    """
    vocabulary = run.spoken_vocabulary
    if vocabulary is None or not_looked_for(index, run):
        return None
    check_vocabulary(index, run)
    return References.of_reports(run, vocabulary, index)


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
