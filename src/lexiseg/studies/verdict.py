"""From figures to plain words, by a rule that was fixed before any figure was seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from lexiseg.evaluation.tables import ALL
from lexiseg.studies.analysis import Comparison
from lexiseg.studies.arms import BASELINE, WITHOUT_TRUE_WORDS

Kind = Literal["gain", "harm", "no measurable gain", "undecided"]

#: Chance of calling any difference real, over all comparisons, where there is none.
ALPHA = 0.05

RULE = (
    "A gain needs three things at once: the 95 % interval over patients and seeds lies above 0, the Wilcoxon "
    f"test after Holm has p below {ALPHA}, and the signed ranks favour the arm too. Harm is the same "
    "downwards. Everything else is no measurable gain. With one seed nothing is decided."
)

_TITLES = {
    "none": "no text",
    "pseudo_labels": "pseudo labels without words",
    "shuffled": "shuffled words",
    "reports": "reports",
    "concepts": "measured concepts",
}

#: What true words are held against, besides no text.
_CONTROLS = {"shuffled": "the same words shuffled", "pseudo_labels": "pseudo labels without words"}
_NOT_THEIRS = "their gain cannot be put down to what the words say"


def title(arm: str) -> str:
    """Return an arm's name for a reader."""
    return _TITLES[arm]


def decide(comparison: Comparison) -> Kind:
    """Return what a comparison comes to, by `RULE`."""
    if comparison.ci95 is None:
        return "undecided"
    low, high = comparison.ci95
    if comparison.p_holm < ALPHA:
        if low > 0 and comparison.ranks > 0:
            return "gain"
        if high < 0 and comparison.ranks < 0:
            return "harm"
    return "no measurable gain"


def sentence(comparison: Comparison) -> str:
    """Return one comparison in plain words, with the size of the effect."""
    pair = f"{_capital(title(comparison.arm))} against {title(comparison.against)}"
    where = "" if comparison.group == ALL else f", {comparison.group}"
    kind = decide(comparison)
    size = f"{comparison.mean:+.4f} mean per-case Dice"
    if comparison.ci95 is None:
        low, high = comparison.ci95_trained
        return (
            f"{pair}{where}: {size} for this one pair of trainings ({low:+.4f} to {high:+.4f} over patients)."
            f" One seed cannot tell what another training would give, so nothing is decided."
        )
    low, high = comparison.ci95
    facts = f"95 % interval {low:+.4f} to {high:+.4f}, Wilcoxon with Holm {_p(comparison.p_holm)}"
    if kind in ("gain", "harm"):
        effect = f"{'gain' if kind == 'gain' else 'loss'} of {abs(comparison.mean):.4f} mean per-case Dice"
        return f"{pair}{where}: a {effect} ({facts})."
    return f"{pair}{where}: no measurable gain ({size}; {facts}). {_excluded(comparison, low, high)}"


def _p(value: float) -> str:
    return "p below 0.0001" if value < 0.0001 else f"p = {value:.4f}"


def _excluded(comparison: Comparison, low: float, high: float) -> str:
    """Say what the interval leaves possible: no measurable gain is not the same as no gain."""
    if low <= 0 <= high:
        return f"A gain of more than {high:.4f} and a loss of more than {-low:.4f} are unlikely."
    against = [f"p after Holm is not below {ALPHA}"] if comparison.p_holm >= ALPHA else []
    if comparison.ranks * (1 if low > 0 else -1) <= 0:
        against.append("the ranks of the cases do not bear it out")
    return f"The interval leaves 0 out, but {' and '.join(against)}."


def verdicts(comparisons: Sequence[Comparison], *, true: str) -> list[dict[str, str]]:
    """Return the verdict on each model: one sentence on top, and one per comparison.

    Args:
        comparisons: All comparisons, adjusted.
        true: The arm whose words the shuffled arm gives to other images.

    Returns:
        Per model: `model`, `kind`, and `words`; the comparisons themselves carry their own verdicts.
    """
    found = []
    for model in dict.fromkeys(comparison.model for comparison in comparisons):
        kinds = {(c.arm, c.against): decide(c) for c in comparisons if c.model == model and c.group == ALL}
        kind, words = _overall(kinds, true=true)
        found.append({"model": model, "kind": kind, "words": words})
    return found


def _overall(kinds: dict[tuple[str, str], Kind], *, true: str) -> tuple[Kind, str]:
    """Return the verdict on a model from its comparisons on all cases."""
    against_none = {arm: kind for (arm, against), kind in kinds.items() if against == BASELINE}
    told = {arm: kind for arm, kind in against_none.items() if arm not in WITHOUT_TRUE_WORDS}
    if "undecided" in kinds.values():
        return "undecided", "Undecided: one seed per arm cannot tell the words from chance of training."
    gained = [arm for arm, kind in told.items() if kind == "gain"]
    harmed = _listed([arm for arm, kind in told.items() if kind == "harm"])
    if not gained:
        if harmed:
            return "harm", f"Harm: {harmed} made the masks worse."
        return "no measurable gain", "No measurable gain: the text bought nothing that this audit could see."
    words = f"Gain: {_listed(gained)} made the masks better."
    words += f" {_capital(harmed)} did harm." if harmed else ""
    return "gain", words + _whose(kinds, gained, true=true)


def _whose(kinds: dict[tuple[str, str], Kind], gained: Sequence[str], *, true: str) -> str:
    """Say whether gains are the words' own: no arm without true words may do as well."""
    controls = {name: kinds[true, name] for name in _CONTROLS if (true, name) in kinds}
    untested = [arm for arm in gained if (arm, "shuffled") not in kinds]
    told = ""
    if true in gained and controls:
        beaten = [_CONTROLS[name] for name, kind in controls.items() if kind == "gain"]
        others = [_CONTROLS[name] for name, kind in controls.items() if kind == "no measurable gain"]
        better = [_CONTROLS[name] for name, kind in controls.items() if kind == "harm"]
        if len(beaten) < len(controls):
            parts = [f"did not measurably beat {' and '.join(others)}"] if others else []
            parts += [f"did measurably worse than {' and '.join(better)}"] if better else []
            told = f" But {title(true)} {' and '.join(parts)}, so {_NOT_THEIRS}."
            untested = [arm for arm in untested if arm != true]
        elif true in untested:
            told = f" {_capital(title(true))} also beat {' and '.join(beaten)}."
        else:
            told = f" The gain of {title(true)} is the words' own: they also beat {' and '.join(beaten)}."
    if untested:
        told += f" {_capital(_listed(untested))} have no shuffled control here, so {_NOT_THEIRS}."
    return told


def _listed(arms: Sequence[str]) -> str:
    return " and ".join(title(arm) for arm in arms)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
