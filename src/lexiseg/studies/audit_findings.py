"""The finding of an audit in three sentences, and its key figures, for the first screen of the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lexiseg.evaluation.scores.case_table import ALL
from lexiseg.printable import counted
from lexiseg.studies.arms import BASELINE
from lexiseg.studies.audit_file import ArmSummary, AuditResult, JudgedComparison, Verdict
from lexiseg.systems.registry import get

# The verdicts in the order in which a sentence names them, and how it does for one and for several.
_COUNTED: dict[Verdict, tuple[str, str]] = {
    "gain": ("shows a gain", "show a gain"),
    "harm": ("shows harm", "show harm"),
    "no measurable gain": ("shows no measurable gain", "show no measurable gain"),
    "undertrained": ("is undertrained", "are undertrained"),
    "undecided": ("is undecided", "are undecided"),
}


@dataclass(frozen=True, kw_only=True)
class KeyFigure:
    """A key figure of the first screen.

    Attributes:
        title: What it is.
        value: The figure.
        note: A few words on it.
    """

    title: str
    value: str
    note: str


def audit_findings(result: AuditResult) -> tuple[str, str, str]:
    """Return the verdicts, the size of the effect, and what was compared, as three sentences.

    Args:
        result: The content of `audit.json`.
    """
    whole = [c for c in result.comparisons if c.group == ALL]
    return _verdicts(result), _effect(result, whole), _compared(result, whole)


def _verdicts(result: AuditResult) -> str:
    """Return the kind of each model's verdict; the page gives the whole verdict below."""
    return f"{'; '.join(f'{get(v.model).title}: {v.kind}' for v in result.verdicts)}."


def _effect(result: AuditResult, whole: Sequence[JudgedComparison]) -> str:
    true_words = {(pair.model, pair.arm, pair.against) for pair in result.differences.pairs}
    found = [c for c in whole if (c.model, c.arm, c.against) in true_words]
    if not found:
        return "No arm with true words was trained, so nothing is known about their effect."
    means = [c.mean for c in found]
    if len(found) == 1:
        ends = found[0].ci95
        interval = "" if ends is None else f" (95 % interval: {ends[0]:+.4f} to {ends[1]:+.4f})"
        return f"With true words, the mean Dice differs by {means[0]:+.4f} from that without text{interval}."
    return (
        f"With true words, the mean Dice differs by {min(means):+.4f} to {max(means):+.4f} from that without "
        f"text, in {len(found)} comparisons."
    )


def _compared(result: AuditResult, whole: Sequence[JudgedComparison]) -> str:
    counts = Counter(c.verdict for c in whole)
    parts = [counted(counts[kind], *forms) for kind, forms in _COUNTED.items() if counts[kind]]
    cases = counted(result.cases.n, "case")
    return f"Of {counted(len(whole), 'comparison')} on {cases}, {_listed(parts)}."


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def key_figures(result: AuditResult) -> list[KeyFigure]:
    """Return the Dice without text and the best one with true words per model, and the size of the audit.

    Args:
        result: The content of `audit.json`.
    """
    trainings = sum(len(arm.dice.by_seed) for arm in result.arms)
    failed = len(result.cases.failed)
    return [
        *(figure for verdict in result.verdicts for figure in _dice(result, verdict.model)),
        KeyFigure(
            title="Trainings",
            value=str(trainings),
            note=f"{counted(len(result.arms), 'arm')}, {counted(result.seeds, 'seed')} each",
        ),
        KeyFigure(title="Cases", value=f"{result.cases.n:,}", note=f"{result.cases.split} split"),
        KeyFigure(
            title="Failed cases",
            value=str(failed),
            note="listed below" if failed else "every case was scored",
        ),
    ]


def _dice(result: AuditResult, model: str) -> list[KeyFigure]:
    of_model = {arm.arm: arm for arm in result.arms if arm.model == model}
    spoken = [pair.arm for pair in result.differences.pairs if pair.model == model]
    title = get(model).title
    found = []
    if BASELINE in of_model:
        found.append(_figure(title, of_model[BASELINE]))
    if spoken:
        best = max((of_model[arm] for arm in spoken), key=lambda arm: arm.dice.mean)
        found.append(_figure(title, best, "the highest with true words" if len(spoken) > 1 else "true words"))
    return found


def _figure(model: str, arm: ArmSummary, note: str = "mean of cases") -> KeyFigure:
    return KeyFigure(title=f"Dice of {model}, {arm.title}", value=f"{arm.dice.mean:.4f}", note=note)
