"""`report.html`: one self-contained file that a reader can judge the results by."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from lexiseg.evaluation import figures
from lexiseg.evaluation.cases import Case
from lexiseg.evaluation.overlays import Shown
from lexiseg.inference.overlay import PREDICTED_COLOUR, TRUTH_COLOUR
from lexiseg.words.description import Side

#: What "left" means, for every place where a word is shown to a person.
SIDE_NOTES: dict[Side, str] = {
    "image": "left means the left of the image, not of the patient",
    "patient": "left means the patient's left, which is on the right of the image",
}


def build_report(
    metrics: dict[str, Any],
    cases: Sequence[Case],
    shown: dict[str, list[Shown]],
    *,
    history: Sequence[Mapping[str, str]] = (),
) -> str:
    """Return the report as HTML: no scripts, no other files, no requests.

    Args:
        metrics: The content of `metrics.json`.
        cases: The evaluated cases.
        shown: Cases to show, by group title.
        history: Rows of the run's `history.csv`.
    """
    environment = Environment(
        loader=PackageLoader("lexiseg.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"score": _score, "ci": _ci, "percent": _percent}
    retrieval = metrics["retrieval"]
    return environment.get_template("report.html.j2").render(
        m=metrics,
        side_note=SIDE_NOTES[metrics["side"]],
        distribution=figures.dice_distribution(cases),
        scatter=figures.size_against_dice(cases, metrics["by_size"]),
        confusions={name: figures.confusion(scores) for name, scores in retrieval.items() if scores["n"]},
        distillation=figures.distillation(history),
        strata=_strata(metrics),
        shown=shown,
        manifest=json.dumps(metrics["run"]["manifest"], indent=2, ensure_ascii=False),
        predicted_colour=PREDICTED_COLOUR,
        truth_colour=TRUTH_COLOUR,
    )


def _strata(metrics: dict[str, Any]) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """Return the rows of each table by stratum: heading to (name, scores)."""
    tables = {
        "Lesion size (terciles)": [
            (f"{stratum['tercile']}: {_range(stratum['share'])}", stratum) for stratum in metrics["by_size"]
        ],
        "Lesions in the image": list(metrics["by_count"].items()),
    }
    if "sources" in metrics:
        tables["Source of the image"] = list(metrics["sources"].items())
    return tables


def _range(share: Sequence[float]) -> str:
    low, high = share
    if high == 0:
        return "empty mask"
    if high == 1:
        return f"above {100 * low:.2g} % of the image"
    if low == 0:
        return f"up to {100 * high:.2g} % of the image"
    return f"{100 * low:.2g} to {100 * high:.2g} % of the image"


def _score(value: float | None, digits: int = 3) -> str:
    return "not known" if value is None else f"{value:.{digits}f}"


def _ci(interval: Sequence[float] | None, digits: int = 3) -> str:
    return "" if interval is None else f"{interval[0]:.{digits}f} to {interval[1]:.{digits}f}"


def _percent(value: float | None) -> str:
    # A no-break space keeps the figure and its sign on one line.
    return "not known" if value is None else f"{100 * value:.1f}\N{NO-BREAK SPACE}%"
