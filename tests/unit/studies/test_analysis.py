"""Statistics of an audit: values computed by hand, and simulations where the truth is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lexiseg.studies.analysis import (
    adjusted,
    compare_arms,
    nested_interval,
    rank_biserial,
    seed_spread,
)
from lexiseg.studies.arms import known_arms
from lexiseg.studies.audit_file import ArmComparison, ModelVerdict
from lexiseg.studies.audit_page import axis_of
from lexiseg.studies.verdict import decide, sentence, verdicts

WITH_REPORTS, WITHOUT_REPORTS = known_arms(reports=True), known_arms(reports=False)

ARMS = ("none", "shuffled", "reports", "concepts")
PAIRS = (("shuffled", "none"), ("reports", "none"), ("concepts", "none"), ("reports", "shuffled"))
CASES = 60


def simulated(
    rng: np.random.Generator,
    *,
    seeds: int = 3,
    training: float = 0.0,
    gain: float = 0.0,
    arms: tuple[str, ...] = ARMS,
) -> dict[str, np.ndarray]:
    """Return Dice per arm `(seeds, cases)`: cases, seeds and single trainings differ by chance."""
    case = rng.normal(0.75, 0.15, CASES)
    block = rng.normal(0, 0.01, (seeds, 1))
    return {
        arm: case
        + block
        + rng.normal(0, training, (seeds, 1))
        + rng.normal(0, 0.05, (seeds, CASES))
        + (gain if arm == "reports" else 0.0)
        for arm in arms
    }


def everything(cases: int = CASES) -> dict[str, np.ndarray]:
    return {"all": np.ones(cases, dtype=bool)}


def compared(dice: dict[str, np.ndarray], pairs: Any = PAIRS, **options: Any) -> list[ArmComparison]:
    cases = next(iter(dice.values())).shape[1]
    pairs = [pair for pair in pairs if pair[0] in dice and pair[1] in dice]
    return adjusted(
        compare_arms(dice, pairs, everything(cases), [None] * cases, model="stpnet", resamples=400, **options)
    )


def test_seed_spread_by_hand() -> None:
    # Differences between the arms are 0.2, 0.4 and 0.6: variance 0.04, of which each arm has half.
    means = np.array([[0.5, 0.6, 0.7], [0.7, 1.0, 1.3]])
    square, freedom = seed_spread(means)
    assert freedom == 2
    assert square == pytest.approx(0.02)
    # What all arms of a seed share, and what all seeds of an arm share, is no spread.
    assert seed_spread(means + np.array([[1.0, 5.0, -3.0]]) + np.array([[2.0], [0.0]]))[0] == pytest.approx(
        0.02
    )
    assert seed_spread(np.array([[0.5], [0.9]])) == (0.0, 0)


def test_with_no_spread_of_cases_the_interval_is_that_of_a_paired_t_test() -> None:
    # Every case differs by 0.2, 0.4, 0.6 in the three seeds: mean 0.4, standard error 0.2 / sqrt(3), and
    # Student's quantile for two degrees of freedom is 4.3027.
    difference = np.repeat([[0.2], [0.4], [0.6]], 10, axis=1)
    interval = nested_interval(difference, [None] * 10, (0.02, 2), resamples=4000)
    assert interval is not None
    half = 4.3027 * 0.2 / np.sqrt(3)
    assert interval == pytest.approx((0.4 - half, 0.4 + half), abs=0.01)


def test_one_seed_gives_no_interval_and_no_verdict() -> None:
    dice = {"none": np.full((1, 20), 0.5), "reports": np.linspace(0.6, 0.7, 20)[None]}
    (found,) = compared(dice)
    assert found.ci95 is None
    assert found.ci95_trained[0] > 0.1
    assert found.p_value < 1e-4
    assert decide(found) == "undecided"
    assert "One seed does not show" in sentence(found, WITH_REPORTS)
    assert verdicts([found], WITH_REPORTS)[0].kind == "undecided"


def test_fields_by_hand() -> None:
    none = np.zeros((2, 4))
    reports = np.array([[0.1, 0.2, 0.3, -0.3], [0.3, 0.2, 0.5, -0.1]])
    (found,) = compared({"none": none, "reports": reports})
    # Per case: 0.2, 0.2, 0.4, -0.2.
    assert found.mean == pytest.approx(0.15)
    assert found.by_seed == pytest.approx((0.075, 0.225))
    assert (found.n, found.better, found.worse) == (4, 3, 1)
    # Ranks of 0.2, 0.2, 0.4, 0.2 are 2, 2, 4, 2: (2 + 2 + 4 - 2) / 10.
    assert found.ranks == pytest.approx(0.6)


def test_rank_biserial_leaves_no_difference_out() -> None:
    assert rank_biserial(np.array([0.0, 0.1, 0.2])) == 1.0
    assert rank_biserial(np.array([0.0, -0.1])) == -1.0
    assert rank_biserial(np.zeros(3)) == 0.0


def test_patients_are_drawn_whole() -> None:
    rng = np.random.default_rng(0)
    per_patient = rng.normal(0, 0.1, 20)
    difference = np.tile(np.repeat(per_patient, 5), (3, 1))
    spread = (1e-12, 2)
    whole = nested_interval(difference, np.repeat(np.arange(20), 5).tolist(), spread)
    alone = nested_interval(difference, [None] * 100, spread)
    assert whole is not None
    assert alone is not None
    assert (whole[1] - whole[0]) > 1.8 * (alone[1] - alone[0])


@pytest.mark.parametrize("seeds", [1, 3])
def test_one_patient_gives_no_interval(seeds: int) -> None:
    """Two images of one patient say nothing of other patients, however many trainings there are."""
    none = np.zeros((seeds, 2))
    reports = np.linspace(0.01, 0.1, 2 * seeds).reshape(seeds, 2)
    (found,) = compare_arms(
        {"none": none, "reports": reports},
        [("reports", "none")],
        {"all": np.ones(2, dtype=bool)},
        ["p1", "p1"],
        model="stpnet",
    )
    assert found.ci95 is None
    assert found.ci95_trained is None
    assert decide(found) == "undecided"
    assert "One patient does not show" in sentence(found, WITH_REPORTS)
    assert "one patient" in verdicts([found], WITH_REPORTS)[0].words
    assert axis_of([found]).reach >= found.mean


def test_groups_hold_their_cases_only_and_are_a_family_of_their_own() -> None:
    rng = np.random.default_rng(1)
    dice = {"none": rng.random((3, 40)), "reports": rng.random((3, 40))}
    small = np.arange(40) < 15
    groups = {"all": np.ones(40, dtype=bool), "small lesions": small, "large lesions": ~small}
    found = compare_arms(dice, [("reports", "none")], groups, [None] * 40, model="stpnet")
    means = [comparison.mean for comparison in found]
    difference = (dice["reports"] - dice["none"]).mean(axis=0)
    assert means == pytest.approx([difference.mean(), difference[small].mean(), difference[~small].mean()])
    after = adjusted(found)
    assert after[0].p_holm == found[0].p_value
    smaller = min(found[1].p_value, found[2].p_value)
    assert min(after[1].p_holm, after[2].p_holm) == pytest.approx(min(1.0, 2 * smaller))


def false_rates(*, training: float, rounds: int = 200, seeds: int = 3) -> tuple[float, float, float]:
    """Return how often nothing is called something: interval, interval over patients alone, verdict."""
    rng = np.random.default_rng(7)
    outside = patients = total = audits = 0
    for _ in range(rounds):
        found = compared(simulated(rng, training=training, seeds=seeds))
        audits += any(decide(comparison) in ("gain", "harm") for comparison in found)
        for comparison in found:
            assert comparison.ci95 is not None
            outside += not comparison.ci95[0] <= 0 <= comparison.ci95[1]
            patients += not comparison.ci95_trained[0] <= 0 <= comparison.ci95_trained[1]
            total += 1
    return outside / total, patients / total, audits / rounds


def test_null_where_trainings_differ_gives_five_percent() -> None:
    """The spread between trainings is twice that of the cases' mean: what the arms' seeds really do."""
    outside, patients, called = false_rates(training=0.015)
    assert 0.02 < outside < 0.08
    # Over patients alone, half of all comparisons of nothing with nothing would be something.
    assert patients > 0.3
    # A verdict needs the signed ranks too; one of four comparisons in an audit may be false.
    assert called < 0.15


def test_null_where_trainings_do_not_differ_errs_on_the_wide_side() -> None:
    outside, _, called = false_rates(training=0.0, rounds=120)
    assert outside < 0.05
    assert called < 0.06


def test_a_true_gain_is_found_and_named() -> None:
    rng = np.random.default_rng(3)
    kinds = []
    for _ in range(20):
        found = compared(simulated(rng, training=0.004, gain=0.03))
        kinds.append({(c.arm, c.against): decide(c) for c in found})
    assert np.mean([kind["reports", "none"] == "gain" for kind in kinds]) > 0.9
    assert np.mean([kind["reports", "shuffled"] == "gain" for kind in kinds]) > 0.9
    assert np.mean([kind["shuffled", "none"] == "no measurable gain" for kind in kinds]) > 0.9


def test_a_loss_is_harm() -> None:
    found = compared(simulated(np.random.default_rng(3), training=0.004, gain=-0.05))
    assert {(c.arm, c.against): decide(c) for c in found}["reports", "none"] == "harm"
    assert verdicts(found, WITH_REPORTS) == (
        ModelVerdict(model="stpnet", kind="harm", words="Harm: reports made the masks worse."),
    )


def comparison(**changes: Any) -> ArmComparison:
    given = {
        "model": "stpnet", "arm": "reports", "against": "none", "group": "all", "n": 100, "mean": 0.01,
        "over": "patients",
        "ci95": (0.002, 0.018), "ci95_trained": (0.004, 0.016), "by_seed": (0.01, 0.01, 0.01),
        "p_value": 0.001, "p_holm": 0.004, "ranks": 0.3, "better": 70, "worse": 30,
    }  # fmt: skip
    return ArmComparison(**{**given, **changes})


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, "gain"),
        ({"p_holm": 0.05}, "no measurable gain"),
        ({"ci95": (-0.001, 0.02)}, "no measurable gain"),
        ({"ranks": -0.1}, "no measurable gain"),
        ({"ci95": (-0.02, -0.001), "mean": -0.01, "ranks": -0.2}, "harm"),
        ({"ci95": (-0.02, -0.001), "mean": -0.01, "ranks": 0.2}, "no measurable gain"),
        ({"ci95": None}, "undecided"),
    ],
)
def test_the_rule(changes: dict[str, Any], kind: str) -> None:
    assert decide(comparison(**changes)) == kind


def test_sentences_name_the_size_of_the_effect() -> None:
    assert sentence(comparison(), WITH_REPORTS) == (
        "Reports against no text: a gain of 0.0100 mean per-case Dice (95 % interval +0.0020 to +0.0180, "
        "Wilcoxon with Holm p = 0.0040)."
    )
    loss = sentence(comparison(mean=-0.02, ci95=(-0.03, -0.01), ranks=-0.5, p_holm=1e-7), WITH_REPORTS)
    assert "a loss of 0.0200 mean" in loss
    assert "p below 0.0001" in loss
    nothing = sentence(
        comparison(mean=0.001, ci95=(-0.004, 0.006), p_holm=0.8, group="small lesions"), WITH_REPORTS
    )
    assert "Reports against no text, small lesions: no measurable gain" in nothing
    assert "A gain of more than 0.0060 and a loss of more than 0.0040 are unlikely." in nothing


UP, DOWN = {"ci95": (0.002, 0.018)}, {"ci95": (-0.018, -0.002), "mean": -0.01}
RANKS, P = "the signed ranks of the cases do not agree with it", "p after Holm is not below 0.05"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({**UP, "ranks": -0.1}, RANKS),
        ({**UP, "ranks": 0.0}, RANKS),
        ({**UP, "p_holm": 0.06}, P),
        ({**UP, "p_holm": 0.05}, P),
        ({**UP, "p_holm": 0.06, "ranks": -0.1}, f"{P} and {RANKS}"),
        ({**DOWN, "ranks": 0.1}, RANKS),
        ({**DOWN, "ranks": -0.3, "p_holm": 0.06}, P),
    ],
)
def test_an_interval_without_0_that_is_no_gain_says_what_is_missing(
    changes: dict[str, Any], why: str
) -> None:
    said = sentence(comparison(**changes), WITH_REPORTS)
    assert said.endswith(f" The interval does not include 0, but {why}.")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "The gain of reports comes from what the words say: they also beat the same words shuffled."),
        ({"p_holm": 0.3}, "the audit does not show that their gain comes from what the words say"),
    ],
)
def test_the_verdict_asks_whether_shuffled_words_do_as_well(changes: dict[str, Any], words: str) -> None:
    found = [comparison(), comparison(against="shuffled", **changes)]
    (verdict,) = verdicts(found, WITH_REPORTS)
    assert verdict.kind == "gain"
    assert words in verdict.words


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "Reports also beat pseudo labels without words. Reports have no shuffled control here, so"),
        (
            {"p_holm": 0.3},
            "But reports did not measurably beat pseudo labels without words, so the audit does not show",
        ),
        (
            {"mean": -0.01, "ci95": (-0.02, -0.001), "ranks": -0.3},
            "But reports did measurably worse than pseudo labels without words, so the audit does not show",
        ),
    ],
)
def test_the_verdict_asks_whether_pseudo_labels_do_as_well(changes: dict[str, Any], words: str) -> None:
    found = [comparison(), comparison(arm="pseudo_labels"), comparison(against="pseudo_labels", **changes)]
    (verdict,) = verdicts(found, WITH_REPORTS)
    assert (verdict.kind, words in verdict.words) == ("gain", True)
    assert " reports comes from what the words say" not in verdict.words
    assert verdict.words.count("the audit does not show that their gain comes from what the words say") == 1
    (verdict,) = verdicts([*found, comparison(against="shuffled")], WITH_REPORTS)
    if changes:  # one control that is not beaten is enough
        assert " reports comes from what the words say" not in verdict.words
    else:
        assert "beat the same words shuffled and pseudo labels without words." in verdict.words
    # A gain of pseudo labels alone is none of the words'.
    assert verdicts([comparison(arm="pseudo_labels")], WITH_REPORTS)[0].kind == "no measurable gain"


CONCEPTS = comparison(arm="concepts")
ALONE = (
    "have no shuffled control here, so the audit does not show that their gain comes from what the words say."
)


def test_the_verdict_says_which_words_had_no_shuffled_control() -> None:
    told = [comparison(), comparison(against="shuffled"), CONCEPTS]
    assert [verdict.words for verdict in verdicts(told, WITH_REPORTS)] == [
        "Gain: reports and measured concepts made the masks better. The gain of reports comes from what "
        f"the words say: they also beat the same words shuffled. Measured concepts {ALONE}"
    ]
    only_concepts = [comparison(p_holm=0.3), comparison(against="shuffled", p_holm=0.3), CONCEPTS]
    assert [verdict.words for verdict in verdicts(only_concepts, WITH_REPORTS)] == [
        f"Gain: measured concepts made the masks better. Measured concepts {ALONE}"
    ]
    no_shuffled = [comparison(), CONCEPTS]
    assert [verdict.words for verdict in verdicts(no_shuffled, WITH_REPORTS)] == [
        f"Gain: reports and measured concepts made the masks better. Reports and measured concepts {ALONE}"
    ]
    # Without reports, it is the measured words that are shuffled.
    shuffled_concepts = [CONCEPTS, comparison(arm="concepts", against="shuffled")]
    assert [verdict.words for verdict in verdicts(shuffled_concepts, WITHOUT_REPORTS)] == [
        "Gain: measured concepts made the masks better. The gain of measured concepts comes from what "
        "the words say: they also beat the same words shuffled."
    ]


def test_a_verdict_of_gain_and_harm() -> None:
    harm = comparison(arm="concepts", ci95=(-0.02, -0.01), mean=-0.015, ranks=-0.4)
    (verdict,) = verdicts([comparison(), comparison(against="shuffled"), harm], WITH_REPORTS)
    assert verdict.words.startswith("Gain: reports made the masks better. Measured concepts did harm. The ")
    assert "control" not in verdict.words


def test_the_verdict_can_be_no_measurable_gain() -> None:
    found = [comparison(p_holm=0.6), comparison(arm="shuffled")]
    (verdict,) = verdicts(found, WITH_REPORTS)
    assert verdict.kind == "no measurable gain"
    assert verdict.words.startswith("No measurable gain")
