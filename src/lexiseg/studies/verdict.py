"""The verdict of an audit in plain words, by a rule that is the same for every audit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lexiseg.evaluation.tables import ALL
from lexiseg.studies.arms import BASELINE, SHUFFLED, Arms
from lexiseg.studies.audit_file import ArmComparison, JudgedComparison, ModelVerdict, Verdict

#: Chance of calling any difference real, over all comparisons, where there is none.
ALPHA = 0.05

RULE = (
    "A gain needs all three conditions: the 95 % interval over patients and seeds lies above 0, the Wilcoxon "
    f"test after Holm has p below {ALPHA}, and the signed ranks favour the arm too. Harm needs the "
    "same three in the other direction. Every other result is no measurable gain. One seed gives no verdict."
)

_NOT_THEIRS = "the audit does not show that their gain comes from what the words say"


def decide(comparison: ArmComparison) -> Verdict:
    """Return the verdict on a comparison, by `RULE`."""
    if comparison.ci95 is None:
        return "undecided"
    low, high = comparison.ci95
    if comparison.p_holm < ALPHA:
        if low > 0 and comparison.ranks > 0:
            return "gain"
        if high < 0 and comparison.ranks < 0:
            return "harm"
    return "no measurable gain"


def judge(comparison: ArmComparison, arms: Arms) -> JudgedComparison:
    """Return a comparison with its verdict, by `RULE`.

    Args:
        comparison: The comparison, adjusted.
        arms: All arms by name.
    """
    return JudgedComparison(**dict(comparison), verdict=decide(comparison), words=sentence(comparison, arms))


def sentence(comparison: ArmComparison, arms: Arms) -> str:
    """Return one comparison as a sentence, with the size of the effect.

    Args:
        comparison: The comparison, adjusted.
        arms: All arms by name.
    """
    pair = f"{_capital(arms[comparison.arm].shown)} against {arms[comparison.against].shown}"
    where = "" if comparison.group == ALL else f", {comparison.group}"
    kind = decide(comparison)
    size = f"{comparison.mean:+.4f} mean per-case Dice"
    if comparison.ci95 is None:
        low, high = comparison.ci95_trained
        return (
            f"{pair}{where}: {size} for this one pair of trainings ({low:+.4f} to {high:+.4f} over patients)."
            f" One seed does not show the variation between trainings, so there is no verdict."
        )
    low, high = comparison.ci95
    facts = f"95 % interval {low:+.4f} to {high:+.4f}, Wilcoxon with Holm {_p(comparison.p_holm)}"
    if kind in ("gain", "harm"):
        effect = f"{'gain' if kind == 'gain' else 'loss'} of {abs(comparison.mean):.4f} mean per-case Dice"
        return f"{pair}{where}: a {effect} ({facts})."
    return f"{pair}{where}: no measurable gain ({size}; {facts}). {_excluded(comparison, low, high)}"


def _p(value: float) -> str:
    return "p below 0.0001" if value < 0.0001 else f"p = {value:.4f}"


def _excluded(comparison: ArmComparison, low: float, high: float) -> str:
    """Say what the interval leaves possible: no measurable gain is not the same as no gain."""
    if low <= 0 <= high:
        return f"A gain of more than {high:.4f} and a loss of more than {-low:.4f} are unlikely."
    against = [f"p after Holm is not below {ALPHA}"] if comparison.p_holm >= ALPHA else []
    if comparison.ranks * (1 if low > 0 else -1) <= 0:
        against.append("the signed ranks of the cases do not agree with it")
    return f"The interval does not include 0, but {' and '.join(against)}."


def verdicts(comparisons: Sequence[ArmComparison], arms: Arms) -> tuple[ModelVerdict, ...]:
    """Return the verdict on each model.

    Args:
        comparisons: All comparisons, adjusted.
        arms: All arms by name.
    """
    found = []
    for model in dict.fromkeys(comparison.model for comparison in comparisons):
        kinds = {(c.arm, c.against): decide(c) for c in comparisons if c.model == model and c.group == ALL}
        kind, words = _overall(kinds, arms)
        found.append(ModelVerdict(model=model, kind=kind, words=words))
    return tuple(found)


def _overall(kinds: dict[tuple[str, str], Verdict], arms: Arms) -> tuple[Verdict, str]:
    """Return the verdict on a model from its comparisons on all cases."""
    own_words = {
        arm: kind
        for (arm, against), kind in kinds.items()
        if against == BASELINE and arms[arm].words == "own"
    }
    if "undecided" in kinds.values():
        return "undecided", "Undecided: one seed per arm cannot separate the effect of the words from chance."
    gained = [arm for arm, kind in own_words.items() if kind == "gain"]
    harmed = _listed([arm for arm, kind in own_words.items() if kind == "harm"], arms)
    if not gained:
        if harmed:
            return "harm", f"Harm: {harmed} made the masks worse."
        return "no measurable gain", "No measurable gain: the audit found no measurable effect of the text."
    words = f"Gain: {_listed(gained, arms)} made the masks better."
    words += f" {_capital(harmed)} did harm." if harmed else ""
    return "gain", words + _causes(kinds, gained, arms)


def _causes(kinds: dict[tuple[str, str], Verdict], gained: Sequence[str], arms: Arms) -> str:
    """Return whether gains come from what the words say: then no arm without true words does as well."""
    sentences, untested = [], []
    for arm in gained:
        controls = {
            other: kind
            for (one, other), kind in sorted(
                kinds.items(), key=lambda item: arms[item[0][1]].words != SHUFFLED
            )
            if one == arm and other != BASELINE and arms[other].words != "own"
        }
        shuffled = any(arms[other].words == SHUFFLED for other in controls)
        if any(kind != "gain" for kind in controls.values()):
            sentences.append(_unbeaten(arm, controls, arms))
            continue
        beaten = _controls(controls, arms)
        if shuffled:
            sentences.append(
                f" The gain of {arms[arm].shown} comes from what the words say: they also beat {beaten}."
            )
            continue
        if controls:
            sentences.append(f" {_capital(arms[arm].shown)} also beat {beaten}.")
        untested.append(arm)
    if untested:
        listed = _capital(_listed(untested, arms))
        sentences.append(f" {listed} have no shuffled control here, so {_NOT_THEIRS}.")
    return "".join(sentences)


def _unbeaten(arm: str, controls: dict[str, Verdict], arms: Arms) -> str:
    """Return which controls an arm did not beat."""
    parts = []
    if equal := [other for other, kind in controls.items() if kind == "no measurable gain"]:
        parts.append(f"did not measurably beat {_controls(equal, arms)}")
    if better := [other for other, kind in controls.items() if kind == "harm"]:
        parts.append(f"did measurably worse than {_controls(better, arms)}")
    return f" But {arms[arm].shown} {' and '.join(parts)}, so {_NOT_THEIRS}."


def _controls(names: Iterable[str], arms: Arms) -> str:
    return " and ".join(arms[name].control_title or arms[name].shown for name in names)


def _listed(names: Sequence[str], arms: Arms) -> str:
    return " and ".join(arms[name].shown for name in names)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
