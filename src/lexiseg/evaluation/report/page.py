"""`report.html`: one self-contained file with the scores, figures and cases of an evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lexiseg.evaluation.report import figures
from lexiseg.evaluation.report.captions import (
    GROUP_HEADINGS,
    distribution_caption,
    size_caption,
    strata_tables,
)
from lexiseg.evaluation.report.case_figures import CaseFigure
from lexiseg.evaluation.report.case_rows import MOST_ROWS, case_anchors, case_rows
from lexiseg.evaluation.report.findings import findings
from lexiseg.evaluation.report.training_curves import training_curves
from lexiseg.evaluation.scores.cases import ScoredCase
from lexiseg.evaluation.scores.metrics_file import Metrics, RetrievalScores
from lexiseg.html_template import html_template, page_script
from lexiseg.inference.explanation.overlay import PREDICTED_COLOUR, TRUTH_COLOUR
from lexiseg.printable import counted, printable_json
from lexiseg.runs.manifest import DataRecord, TrainingRecord
from lexiseg.systems.registry import system_of
from lexiseg.words.description import SIDE_NOTES, names_sides

_TAUGHT = {
    "reports": "masks, and the sentences of a report sheet",
    "concepts": "masks, and words measured on them",
    "lmm": "masks, and words from a descriptions file",
    "none": "masks alone, no words",
}
# How an image fits the pictures of side {0} that the network sees.
_SEEN = {
    "stretch": "resized to {0} x {0} px",
    "pad": "resized to fit {0} x {0} px, its aspect ratio kept",
    "tiles": "in tiles of {0} x {0} px",
}
#: What a signal of the review rule measures, in words for people.
SIGNAL_TITLES = {
    "overlap": "how sure all pixels are",
    "inside": "how sure the pixels of the mask are",
    "size": "the size of the mask",
    "words": "how sure the words are",
    "agreement": "whether words and mask agree",
    "mirror": "whether the mirror image gets the same mask",
}


def build_report(
    metrics: Metrics,
    cases: Sequence[ScoredCase],
    shown: dict[str, list[CaseFigure]],
    *,
    history: Sequence[Mapping[str, str]] = (),
) -> str:
    """Return the report as HTML: no other files, no requests, and one script, for its tables.

    Args:
        metrics: The content of `metrics.json`.
        cases: The scored cases.
        shown: Figures of single cases, by title of their group.
        history: Rows of the run's `history.csv`.
    """
    filters: dict[str, Callable[..., Any]] = {
        "score": _score,
        "ci": _ci,
        "percents": _percents,
        "percent": _percent,
    }
    retrieval = metrics.retrieval
    anchors = case_anchors(shown)
    return html_template("lexiseg.evaluation.report", "report.html.j2", filters).render(
        m=metrics,
        findings=findings(metrics, cases),
        first_screen=_first_screen(shown),
        headings=GROUP_HEADINGS,
        anchors=anchors,
        rows=case_rows(cases, anchors),
        most_rows=MOST_ROWS,
        script=page_script("case_table.js"),
        words_side=SIDE_NOTES[metrics.side] if _names_sides(retrieval.values()) else None,
        notices=data_notices(metrics),
        signals=_signals(metrics.calibration.signals),
        training=_training(metrics.run.manifest.training),
        distribution=figures.dice_distribution(cases),
        distribution_caption=distribution_caption(cases),
        scatter=figures.size_against_dice(cases, metrics.by_size),
        scatter_caption=size_caption({stratum.tercile: stratum.n for stratum in metrics.by_size}),
        reliability=figures.reliability(metrics.calibration),
        empties=_empties(cases),
        about=_about(metrics),
        confusions={name: figures.confusion(scores) for name, scores in retrieval.items() if scores.n},
        constant_factors={name: _only_reference(scores) for name, scores in retrieval.items()},
        curves=training_curves(history, metrics.run.manifest.training.selected_step),
        distillation=figures.distillation(history),
        strata=strata_tables(metrics),
        shown=shown,
        manifest=printable_json(metrics.run.manifest.model_dump(mode="json"), indent=2),
        predicted_colour=PREDICTED_COLOUR,
        truth_colour=TRUTH_COLOUR,
    )


def _first_screen(shown: Mapping[str, Sequence[CaseFigure]]) -> list[tuple[str, CaseFigure]]:
    """Return the pictures of the first screen with titles: best, median and worst case, if they differ."""
    if "Same Dice" in shown:
        return [(f"Case {number}", figure) for number, figure in enumerate(shown["Same Dice"], start=1)]
    return [
        (title, shown[title][len(shown[title]) // 2 if title == "Median" else 0])
        for title in ("Only case", "Best", "Median", "Worst")
        if title in shown
    ]


def _names_sides(retrieval: Iterable[RetrievalScores]) -> bool:
    return names_sides(text for scores in retrieval for text in (scores.title, *scores.phrases))


def _only_reference(scores: RetrievalScores) -> str | None:
    """Return the reference phrase of a factor that is the same in all cases; None where there are several."""
    found = [phrase for phrase, row in zip(scores.phrases, scores.confusion, strict=True) if sum(row)]
    return found[0] if len(found) == 1 else None


def _about(metrics: Metrics) -> list[tuple[str, str]]:
    """Return what was run, as (name, value) for people."""
    manifest, execution = metrics.run.manifest, metrics.execution
    network = manifest.network
    size = f", {network.num_parameters / 1e6:.1f} million parameters" if network.num_parameters else ""
    temperature = metrics.calibration.temperature
    failed = len(metrics.failed)
    return [
        ("Network", f"{system_of(network).title}, {network.preset} preset, {network.encoder}{size}"),
        ("Input", f"one image, {_SEEN[manifest.fit].format(manifest.image_size)}, and nothing else"),
        ("Classes", ", ".join(metrics.class_names[1:])),
        ("Trained on", _trained_on(manifest.data)),
        *_earlier_runs(manifest.training),
        ("Taught by", _TAUGHT[manifest.text]),
        (
            "Prediction",
            ("image and mirror image averaged" if execution.flip_average else "one pass per image")
            + "".join(f"; answers averaged with those of {run}" for run in execution.average_with)
            + (
                "; not calibrated"
                if temperature is None
                else f"; calibrated on validation cases, temperature {temperature:.2f}"
            ),
        ),
        (
            "Data",
            f"{metrics.data.name}, {metrics.split} split: {counted(metrics.data.samples, 'image')}, "
            f"{metrics.num_cases} scored, {failed or 'none'} failed",
        ),
    ]


def _trained_on(data: DataRecord) -> str:
    """Return name and size of a run's training data, as far as its manifest has them."""
    if data.name is None:
        return "not known: the run does not say"
    images = ", ".join(f"{number:,} {split}" for split, number in data.samples.items())
    return f"{data.name}{f': {images} images' if images else ''}"


def _earlier_runs(training: TrainingRecord) -> list[tuple[str, str]]:
    """Return the runs that a run learned from, as (name, value) for people."""
    found = []
    if training.start is not None:
        data = f", trained on {training.start.data}" if training.start.data else ""
        found.append(("Started from", f"the weights of {training.start.name}{data}"))
    if training.distillation is not None:
        teachers = ", ".join(f"{one.name} (trained on {one.data})" for one in training.distillation.teachers)
        found.append(("Teachers", teachers))
    return found


def data_notices(metrics: Metrics) -> list[str]:
    """Return what a reader must know of the run and the data.

    The training is not finished; the data are other than those of the training, or shared by splits.

    Args:
        metrics: The scores.
    """
    manifest, name = metrics.run.manifest, metrics.data.name
    trained, ours = manifest.class_names[1:], metrics.class_names[1:]
    found = [] if metrics.unfinished is None else [metrics.unfinished]
    if manifest.data.name not in (None, name):
        found.append(
            f"The run was trained on data named {manifest.data.name}, and is scored on data named "
            f"{name}. If these are other data, the scores show how the run does on them. Lexiseg refuses "
            f"files that the run has learned, if the run holds their hashes. It does not notice copies in "
            f"other files."
        )
    if metrics.unknown_images is not None:
        found.append(metrics.unknown_images)
    if metrics.data.leaks:
        found.append(
            f"The {metrics.split} split is not independent of the splits before it, so the scores are too "
            f"high. {' '.join(metrics.data.leaks)}"
        )
    if manifest.data.leaks:
        found.append(f"The run was trained on splits that share data. {' '.join(manifest.data.leaks)}")
    if trained != ours:
        found.append(
            f"The run segments {', '.join(trained)}; the true masks are named {', '.join(ours)}. Scores mean "
            f"something only if both are the same structure. The names do not tell."
        )
    return found


def _signals(weights: Mapping[str, float] | None) -> str:
    """Say what predicts a low Dice: the signals that count in a run's calibration, heaviest first."""
    if not weights:
        return "the expected Dice is low"
    titles = ", ".join(SIGNAL_TITLES[name] for name in weights)
    return f"its own signals predict a low Dice: {titles} (heaviest first)"


def _training(training: TrainingRecord) -> list[tuple[str, str]]:
    """Return what a run's manifest says of its training, as (name, value) for people."""
    rows = []
    for name, value in training.model_dump(mode="json").items():
        if name == "finished":
            rows.append(("Training", "finished" if value else "not finished"))
        elif isinstance(value, str | int | float):
            rows.append((f"Training: {name.replace('_', ' ')}", str(value)))
    return rows


@dataclass(frozen=True, kw_only=True)
class _Empty:
    """Cases of one kind of emptiness."""

    title: str
    meaning: str
    ids: tuple[str, ...]


def _empties(cases: Sequence[ScoredCase]) -> list[_Empty]:
    """Return the cases in which prediction or true mask are empty, by kind; the kinds do not overlap."""
    nothing, something = (
        [case for case in cases if (case.predicted_px == 0) == empty] for empty in (True, False)
    )
    kinds = [
        ("Missed", "predicted empty, but there is a lesion", [c for c in nothing if c.truth_px]),
        ("Invented", "no lesion, but one is predicted", [c for c in something if not c.truth_px]),
        (
            "Class missed or invented",
            "a class is in only one of prediction and true mask",
            [c for c in something if c.truth_px and c.scores.one_sided_empty],
        ),
        ("Both empty", "no lesion, and none predicted", [c for c in nothing if not c.truth_px]),
    ]
    return [
        _Empty(title=title, meaning=meaning, ids=tuple(case.sample.id for case in found))
        for title, meaning, found in kinds
        if found
    ]


def _score(value: float | None, digits: int = 3) -> str:
    return "not known" if value is None else f"{value:.{digits}f}"


def _ci(interval: Sequence[float] | None, digits: int = 3) -> str:
    return "none" if interval is None else f"{interval[0]:.{digits}f} to {interval[1]:.{digits}f}"


def _percents(interval: Sequence[float] | None) -> str:
    return _ci(None if interval is None else [100 * end for end in interval], 1)


def _percent(value: float | None) -> str:
    # A no-break space keeps the figure and its sign on one line.
    return "not known" if value is None else f"{100 * value:.1f}\N{NO-BREAK SPACE}%"
