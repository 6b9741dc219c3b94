"""The verdict of an audit in plain words, by a rule that is the same for every audit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from lexiseg.evaluation.scores.case_table import ALL
from lexiseg.studies.arms import BASELINE, SHUFFLED, Arms
from lexiseg.studies.audit_file import ArmComparison, JudgedComparison, ModelVerdict, Unit, Verdict

#: Chance of calling any difference real, over all comparisons, where there is none.
ALPHA = 0.05

#: Why arms have not learned enough to be compared, by model and arm.
Undertrained = Mapping[tuple[str, str], str]
ALL_LEARNED: Undertrained = MappingProxyType({})

_NOT_THEIRS = "the audit does not show that their gain comes from what the words say"


def rule(over: Unit) -> str:
    """Return the rule of all verdicts as sentences.

    Args:
        over: What intervals and tests are over.
    """
    return (
        f"A gain needs all three conditions: the 95 % interval over {over} and seeds lies above 0, the "
        f"Wilcoxon test after Holm has p below {ALPHA}, and the signed ranks favour the arm too. Harm needs "
        "the same three in the other direction. Every other result is no measurable gain. One seed or one "
        f"{_one(over)} gives no verdict. An arm is undertrained, and nothing is decided about it, if it is "
        "no better than the best mask that is the same for all images, or if its validation Dice still rises "
        "at the end of the training, or has too few values to tell."
    )


def _one(over: Unit) -> str:
    return over.removesuffix("s")


def decide(comparison: ArmComparison, weak: Undertrained = ALL_LEARNED) -> Verdict:
    """Return the verdict on a comparison, by `rule`.

    Args:
        comparison: The comparison, adjusted.
        weak: The arms that have not learned enough.
    """
    if any((comparison.model, arm) in weak for arm in (comparison.arm, comparison.against)):
        return "undertrained"
    if comparison.ci95 is None:
        return "undecided"
    low, high = comparison.ci95
    if comparison.p_holm < ALPHA:
        if low > 0 and comparison.ranks > 0:
            return "gain"
        if high < 0 and comparison.ranks < 0:
            return "harm"
    return "no measurable gain"


def judge(comparison: ArmComparison, arms: Arms, weak: Undertrained = ALL_LEARNED) -> JudgedComparison:
    """Return a comparison with its verdict, by `rule`.

    Args:
        comparison: The comparison, adjusted.
        arms: All arms by name.
        weak: The arms that have not learned enough.
    """
    return JudgedComparison(
        **dict(comparison), verdict=decide(comparison, weak), words=sentence(comparison, arms, weak)
    )


def sentence(comparison: ArmComparison, arms: Arms, weak: Undertrained = ALL_LEARNED) -> str:
    """Return one comparison as a sentence, with the size of the effect.

    Args:
        comparison: The comparison, adjusted.
        arms: All arms by name.
        weak: The arms that have not learned enough.
    """
    pair = f"{_capital(arms[comparison.arm].shown)} against {arms[comparison.against].shown}"
    where = "" if comparison.group == ALL else f", {comparison.group}"
    kind = decide(comparison, weak)
    size = f"{comparison.mean:+.4f} mean per-case Dice"
    if kind == "undertrained":
        return f"{pair}{where}: undertrained, not decided ({size})."
    if comparison.ci95_trained is None:
        return (
            f"{pair}{where}: {size}. One {_one(comparison.over)} does not show the variation between "
            f"{comparison.over}, so there is no verdict."
        )
    if comparison.ci95 is None:
        low, high = comparison.ci95_trained
        return (
            f"{pair}{where}: {size} for this one pair of trainings ({low:+.4f} to {high:+.4f} over "
            f"{comparison.over})."
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


def verdicts(
    comparisons: Sequence[ArmComparison], arms: Arms, weak: Undertrained = ALL_LEARNED
) -> tuple[ModelVerdict, ...]:
    """Return the verdict on each model.

    Args:
        comparisons: All comparisons, adjusted.
        arms: All arms by name.
        weak: The arms that have not learned enough.
    """
    found = []
    for model in dict.fromkeys(comparison.model for comparison in comparisons):
        whole = [c for c in comparisons if c.model == model and c.group == ALL]
        kinds = {(c.arm, c.against): decide(c, weak) for c in whole}
        if "undecided" in kinds.values():
            kind, words = "undecided", _undecided(whole)
        else:
            kind, words = _overall(kinds, arms)
        reasons = [f"{arms[arm].shown} ({why})" for (of, arm), why in weak.items() if of == model]
        if reasons:
            words += f" Undertrained: {'; '.join(reasons)}. Train longer, and audit again."
        found.append(ModelVerdict(model=model, kind=kind, words=words))
    return tuple(found)


def _undecided(comparisons: Sequence[ArmComparison]) -> str:
    units = [_one(c.over) for c in comparisons if c.ci95_trained is None]
    one = units[0] if units else "seed per arm"
    return f"Undecided: one {one} cannot separate the effect of the words from chance."


def _overall(kinds: dict[tuple[str, str], Verdict], arms: Arms) -> tuple[Verdict, str]:
    """Return the verdict on a model from its comparisons on all cases, of which none is undecided."""
    own_words = {
        arm: kind
        for (arm, against), kind in kinds.items()
        if against == BASELINE and arms[arm].words == "own"
    }
    gained = [arm for arm, kind in own_words.items() if kind == "gain"]
    if not gained and "undertrained" in own_words.values():
        return "undertrained", "Undertrained, not decided: an arm has not learned enough to be compared."
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
    if equal := [other for other, kind in controls.items() if kind in ("no measurable gain", "undertrained")]:
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
