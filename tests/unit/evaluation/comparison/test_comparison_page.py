"""`comparison.html`: what it says of two runs, by hand."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest

from html_page import Page
from lexiseg.evaluation.comparison.change_figures import CaseChange, CaseMask, choose_changes
from lexiseg.evaluation.comparison.comparison_file import (
    ComparedRun,
    Comparison,
    ExtremeCases,
    GroupDifference,
    RunPair,
)
from lexiseg.evaluation.comparison.page import build_comparison, clear, comparison_findings
from lexiseg.evaluation.report import figures


@pytest.fixture(autouse=True, scope="module")
def _no_pictures() -> Iterator[None]:
    """Leave out the writing of figures, which costs most of the time; test_report.py looks at them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "_svg_uri", lambda figure: "data:image/svg+xml;base64,")
        yield


def group(name: str = "all", **changes: Any) -> GroupDifference:
    facts: dict[str, Any] = {
        "group": name, "n": 4, "mean_a": 0.7, "mean_b": 0.6, "mean": 0.1, "ci95": (0.05, 0.15),
        "p_value": 0.01, "p_holm": 0.01, "better": 3, "worse": 0, "equal": 1,
    }  # fmt: skip
    return GroupDifference(**(facts | changes))


def compared(*groups: GroupDifference, **changes: Any) -> Comparison:
    facts: dict[str, Any] = {
        "runs": RunPair(
            a=ComparedRun(name="<a> & 1", folder="runs/a"), b=ComparedRun(name="b", folder="runs/b")
        ),
        "data": "my-data", "split": "test", "flip_average": False, "n": groups[0].n, "pooled": (0.75, 0.65),
        "groups": groups, "most": ExtremeCases(better=(), worse=()), "failed": (),
    }  # fmt: skip
    return Comparison(**(facts | changes))


def table(dice: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "dice": dice,
            "truth_share": [0.1, 0.0, 0.2, 0.3],
            "tercile": ["small", "no lesion", "medium", "large"],
        },
        index=["one", "two", "three <3>", "four"],
    )


def build(comparison: Comparison, changes: tuple[CaseChange, ...] = ()) -> str:
    return build_comparison(
        comparison, (table([0.9, 1.0, 0.5, 0.4]), table([0.8, 1.0, 0.25, 0.35])), by_size=(), changes=changes,
        command="lexiseg compare runs/a runs/b my-data",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "found", "said"),
    [
        ({}, "gain", "p = 0.0100): A is better."),
        ({"ci95": (-0.2, -0.1), "mean": -0.15}, "harm", "B is better."),
        ({"ci95": (-0.1, 0.1), "mean": 0.0}, "none", "there is no clear difference."),
        ({"p_holm": 0.05, "p_value": 0.05}, "none", "there is no clear difference."),
        ({"p_value": 0.00001, "p_holm": 0.00001}, "gain", "Wilcoxon p below 0.0001): A is better."),
        ({"ci95": None, "p_value": 1.0, "p_holm": 1.0}, "none", "a single patient or case tells nothing"),
    ],
)
def test_a_difference_is_clear_by_interval_and_test(changes: dict[str, Any], found: str, said: str) -> None:
    assert clear(group(**changes)) == found
    assert said in comparison_findings(compared(group(**changes)))[1]


def test_the_finding_counts_cases() -> None:
    first, _, counts = comparison_findings(compared(group()))
    assert first == "On the same 4 cases, the mean Dice of A is 0.7000, that of B is 0.6000."
    assert counts == "A is better in 3 cases, B in 0 cases, and 1 case is equal."
    assert comparison_findings(compared(group(better=0, equal=4)))[2] == (
        "Every case has the same Dice with both runs."
    )
    alone = compared(group(n=1, better=1, equal=0, ci95=None))
    assert comparison_findings(alone)[0].startswith("On the same case, ")
    assert comparison_findings(alone)[2] == "A is better in 1 case, B in 0 cases."


@pytest.mark.parametrize(
    ("differences", "chosen"),
    [
        ({"a": 0.5, "b": -0.5, "c": 0.0}, {"Largest gain": "a", "Median": "c", "Largest loss": "b"}),
        ({"a": 0.5, "b": 0.25}, {"Largest gain": "a", "Smallest gain": "b"}),
        ({"a": -0.5, "b": -0.25, "c": -0.3}, {"Smallest loss": "b", "Median": "c", "Largest loss": "a"}),
        ({"a": 0.5, "b": 0.0}, {"Largest gain": "a", "No change": "b"}),
        ({"a": 0.5}, {"Only case": "a"}),
        ({"a": 0.0, "b": 0.0}, {"One of the cases, which all have this difference": "a"}),
    ],
)
def test_the_titles_of_pictures_are_true(differences: dict[str, float], chosen: dict[str, str]) -> None:
    assert choose_changes(differences) == chosen


def test_page() -> None:
    picture = figures.Picture(uri="data:,", alt="the outlines of both masks")
    masks = tuple(CaseMask(title=name, dice=0.5, picture=picture) for name in "AB")
    change = CaseChange(title="Largest gain", id="three <3>", difference=0.25, masks=masks)
    found = compared(group(), group("small lesions", ci95=(-0.1, 0.1)), failed=("broken",), few_cases="Few.")
    source = build(found, (change,))
    page = Page(source)
    assert page.all("script") == [{}]
    assert "<a> & 1" in page.text
    assert "<a>" not in source
    assert [link["href"] for link in page.all("a")] == [
        "%3Ca%3E%20%26%201/report.html", "b/report.html", "#case-0",
    ]  # fmt: skip
    sentences = [html.unescape(found) for found in re.findall(r'<p class="finding">(.*?)</p>', source)]
    assert sentences == [*comparison_findings(found)]
    body = source[source.index("<tbody>", source.index('<table class="cases"')) :]
    rows = re.findall(r'<tr><th scope="row">(?:<a [^>]*>)?(.*?)(?:</a>)?</th>.*?</tr>', body)
    assert [html.unescape(name) for name in rows] == ["three <3>", "one", "four", "two"]
    for said in ("Few.", "1 case could not be scored for both runs, and is in no figure: broken",
                 "Largest gain: +0.2500", "lexiseg compare runs/a runs/b my-data"):  # fmt: skip
        assert said in page.text
    assert not re.search(r"\bnan\b|None|\{\{", page.text)


def test_groups_without_a_clear_difference_are_folded() -> None:
    folded = "By lesion size and number of lesions: no group shows a clear difference"
    unclear = group("small lesions", ci95=(-0.1, 0.1))
    assert folded in Page(build(compared(group(), unclear))).text
    page = Page(build(compared(group(), unclear, group("one lesion"))))
    assert folded not in page.text
    assert page.all("details") == []
    assert "By lesion size" not in Page(build(compared(group()))).text
