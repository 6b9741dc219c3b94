"""`audit.json` and `audit.html`, made of results whose truth is known."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest

from html_page import Page
from lexiseg.evaluation.comparison.change_figures import CaseChange, CaseMask
from lexiseg.evaluation.report import figures
from lexiseg.evaluation.report.interval_axis import Axis
from lexiseg.json_records import read_record, write_record
from lexiseg.schemas import schema
from lexiseg.studies.arm_summary import ArmResults
from lexiseg.studies.audit import all_cases
from lexiseg.studies.audit_file import ArmSummary, AuditResult
from lexiseg.studies.audit_findings import audit_findings, key_figures
from lexiseg.studies.audit_options import AuditOptions
from lexiseg.studies.audit_page import AuditPictures, axis_of, build_page
from lexiseg.studies.results import same_cases
from lexiseg.words.description import SIDE_NOTES
from refusals import refuses

Compared = Callable[[list[ArmResults]], AuditResult]


@pytest.fixture(autouse=True, scope="module")
def _no_pictures() -> Iterator[None]:
    """Leave out the writing of figures, which costs most of the time; test_report.py looks at them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "_svg_uri", lambda figure: "data:image/svg+xml;base64,")
        yield


def test_content_holds_every_comparison(content: AuditResult) -> None:
    whole = [c for c in content.comparisons if c.group == "all"]
    pairs = [("shuffled", "none"), ("reports", "none"), ("concepts", "none"), ("reports", "shuffled")]
    assert [(c.arm, c.against) for c in whole] == pairs * 2
    assert {c.group for c in content.comparisons} == {
        "all", "small lesions", "medium lesions", "large lesions", "one lesion", "several lesions",
    }  # fmt: skip
    # Holm over the eight comparisons of all cases: the smallest of them is multiplied by eight.
    smallest = min(whole, key=lambda c: c.p_value)
    assert smallest.p_holm == pytest.approx(8 * smallest.p_value)
    assert content.cases.model_dump(exclude={"terciles"}) == {
        "split": "test", "n": 90, "patients": 45, "few_cases": None, "constant_dice": 0.0,
        "failed": ({"id": "broken", "error": "broken.png cannot be read <at all>."},),
    }  # fmt: skip
    assert content.seeds == 3


def test_audit_json_is_read_back_as_it_was_written(content: AuditResult, tmp_path: Path) -> None:
    file = tmp_path / "audit.json"
    write_record(file, content)
    assert read_record(file, AuditResult, remedy="") == content
    assert json.loads(file.read_text())["schema_version"] == 1
    jsonschema.validate(json.loads(file.read_text()), schema("audit"))
    file.write_text(file.read_text().replace('"gain"', '"win"', 1))
    with refuses("LEX-DATA-550", "be read (verdicts.0.kind:") as bad:
        read_record(file, AuditResult, remedy="Again.")
    assert bad.value.code == "LEX-DATA-550"


def test_verdicts_follow_the_truth(content: AuditResult) -> None:
    stpnet, cotexnet = content.verdicts
    assert (stpnet.model, stpnet.kind) == ("stpnet", "gain")
    assert "beat the same words shuffled" in stpnet.words
    assert (cotexnet.model, cotexnet.kind) == ("cotexnet", "no measurable gain")


def test_summary_of_an_arm(content: AuditResult, results: Callable[..., list[ArmResults]]) -> None:
    (found,) = [a for a in content.arms if (a.model, a.arm) == ("stpnet", "reports")]
    (ours,) = [r for r in results() if r.arm.name == "stpnet-reports"]
    assert found.dice.by_seed == pytest.approx([trial.cases["dice"].mean() for trial in ours.trials])
    assert found.dice.mean == pytest.approx(np.mean(found.dice.by_seed))
    assert found.steps == (715,) * 3
    assert found.changes == {"text": "reports"}
    assert list(found.retrieval) == ["side"]
    assert found.retrieval["side"].model_dump() == {
        "title": "side", "accuracy": pytest.approx(0.8), "majority": 0.6,
    }  # fmt: skip
    (none,) = [a for a in content.arms if (a.model, a.arm) == ("stpnet", "none")]
    assert none.retrieval == {}


ASKED = AuditOptions(models=("stpnet", "cotexnet"), epochs=2, image_size=160, limit=1500)


def command(options: AuditOptions, *arms: str) -> str:
    return options.command(Path("data/chest"), Path("audits/my chest"), arms)


def test_the_command_repeats_the_audit() -> None:
    assert command(ASKED, "none", "shuffled", "reports", "concepts") == (
        "lexiseg audit data/chest --models stpnet,cotexnet --arms none,shuffled,reports,concepts --seeds 3 "
        "--epochs 2 --image-size 160 --limit 1500 --out 'audits/my chest'"
    )


def test_the_command_names_steps_masks_and_files() -> None:
    few = replace(
        ASKED, epochs=None, steps=600, masks=0.05, limit=None, arms_file=Path("a.yaml"), split="val"
    )
    assert command(few, "none", "pseudo_labels", "reports") == (
        "lexiseg audit data/chest --models stpnet,cotexnet --arms none,pseudo_labels,reports --seeds 3 "
        "--arms-file a.yaml --steps 600 --image-size 160 --masks 0.05 --split val --out 'audits/my chest'"
    )


def test_page_says_that_masks_were_hidden(content: AuditResult) -> None:
    settings = content.settings
    training = settings.training.model_copy(update={"epochs": None, "steps": 600, "masks": 0.05})
    data = settings.data.model_copy(update={"without_mask": 1425})
    hidden = settings.model_copy(update={"data": data, "training": training})
    text = Page(build_page(content.model_copy(update={"settings": hidden}))).text
    assert "1425 of the 1500 training images have no mask (hidden by the seed)" in text
    assert "order of images" not in text
    assert "600 steps in every arm" in text
    plain = Page(build_page(content)).text
    assert "have no mask" not in plain
    assert "order of images" in plain


def test_cases_of_all_arms(results: Callable[..., list[ArmResults]]) -> None:
    lines = all_cases(results()).splitlines()
    assert lines[0] == "model,arm,seed,id,image,patient,dice,truth_share,tercile,lesions"
    assert len(lines) == 1 + 2 * 4 * 3 * 90
    assert lines[1].startswith("stpnet,none,0,c0,images/c0.png,p0,")


def test_the_table_of_all_cases_holds_ids_of_any_bytes(results: Callable[..., list[ArmResults]]) -> None:
    first, *rest = results(models=("stpnet",), seeds=1)
    ids = pd.Index([f"c{n}\xad\udcff" for n in range(90)], dtype=object, name="id")
    cases = first.trials[0].cases.set_axis(ids)
    cases["patient"] = pd.Series([None, *(["p\udcff"] * 89)], index=ids, dtype=object)
    hostile = replace(first, trials=(replace(first.trials[0], cases=cases),))
    lines = all_cases([hostile, *rest]).splitlines()
    assert lines[1].startswith(r"stpnet,none,0,c0\xad\udcff,images/c0.png,,")
    assert lines[2].startswith(r"stpnet,none,0,c1\xad\udcff,images/c1.png,p\udcff,")


def test_arms_on_other_cases_are_refused(results: Callable[..., list[ArmResults]]) -> None:
    trials = [trial for result in results() for trial in result.trials]
    trials[3] = replace(trials[3], cases=trials[3].cases.iloc[1:])
    with refuses("LEX-RUN-018", "on 90, and these are not the same cases"):
        same_cases(trials)


def test_page(content: AuditResult) -> None:
    page = build_page(content)
    read = Page(page)
    # Self-contained: nothing is fetched, and only the script of the tables runs; it links to reports.
    assert page.count("<script") == 1
    assert "default-src 'none'; script-src 'sha256-" in html.unescape(page)
    assert all(
        (a["src"] or "").startswith("data:image/svg+xml;base64,") for _, a in read.elements if "src" in a
    )
    links = [a["href"] for _, a in read.elements if "href" in a and not (a["href"] or "").startswith("#")]
    assert len(links) == len(set(links)) == 2 * 4 * 3
    assert all(re.fullmatch(r"arms/[a-z]+-[a-z]+-s\d/test/report\.html", link or "") for link in links)
    assert "url(" not in page
    drawings = [a for tag, a in read.elements if tag == "svg"]
    assert len(drawings) == len(content.comparisons) + 3
    assert all(a["role"] == "img" and a["aria-label"] for a in drawings)
    text = read.text
    assert "Research software, not a medical device, not for clinical use." in text
    assert "Chest <images>" in text
    for verdict in content.verdicts:
        assert verdict.words in text
    for comparison in content.comparisons:
        if comparison.group == "all":
            assert comparison.words in text
    assert content.rule in text
    assert content.execution.command in text
    assert "2 passes over the training images, the same steps in every arm" in text
    assert "took different numbers of steps" not in text
    assert not re.search(r"\bnan\b|None|\{\{", text)


def test_differences_are_of_true_words_case_by_case(
    compared: Compared, three_cases: list[ArmResults]
) -> None:
    found = compared(three_cases).differences
    assert found.model_dump(mode="json") == {
        "ids": ["a", "b", "c"],
        "sizes": [0.25, 0.0, 0.5],
        "pairs": [
            {
                "model": "stpnet", "arm": "reports", "against": "none", "values": [0.375, -0.5, 0.0],
                "most": {
                    "better": [{"id": "a", "difference": 0.375, "a": 0.875, "b": 0.5}],
                    "worse": [{"id": "b", "difference": -0.5, "a": 0.25, "b": 0.75}],
                },
            }
        ],
    }  # fmt: skip


def test_page_shows_the_cases(compared: Compared, three_cases: list[ArmResults]) -> None:
    page = Page(build_page(compared(three_cases)))
    spread, over_size = [image["alt"] or "" for image in page.all("img")][:2]
    assert "difference in Dice over 3 cases: mean -0.042, median +0.000" in spread
    assert "lowest -0.500, highest +0.375" in spread
    assert "difference in Dice over lesion size for 2 cases" in over_size
    assert "lines at 5 % and 15 %" in over_size
    assert "Mean by tercile: small +0.375, large +0.000." in over_size
    assert "Gained most: a (+0.3750: from 0.5000 to 0.8750)." in page.text
    assert "Lost most: b (-0.5000: from 0.7500 to 0.2500)." in page.text


def test_page_shows_each_arms_first_training(content: AuditResult) -> None:
    page = Page(build_page(content))
    alt = [image["alt"] or "" for image in page.all("img")]
    # Two figures per model and arm with true words, a calibration per arm, a confusion per arm with words.
    assert len(alt) == 2 * 2 * 2 + 2 * 4 + 2 * 3
    calibration = (
        "Expected calibration error 0.2500; farthest from the diagonal where the probability is 0.25"
    )
    assert sum(calibration in found for found in alt) == 2 * 4
    assert sum("72 of 90 cases lie on the diagonal" in found for found in alt) == 2 * 3
    assert page.text.count(f"Sides: {SIDE_NOTES['image']}.") == 2 * 3
    assert page.text.count("left lung (54 of 54 retrieved)") == 2 * 3
    assert len(page.all("details")) == 2 * 4 + 1
    assert not any("open" in details for details in page.all("details"))
    (arm,) = [a for a in content.arms if (a.model, a.arm) == ("cotexnet", "shuffled")]
    assert arm.first_seed.seed == 0
    assert list(arm.first_seed.confusions) == ["side"]
    assert arm.report_files == tuple(f"arms/cotexnet-shuffled-s{seed}/test/report.html" for seed in range(3))


def test_page_says_why_cases_failed(content: AuditResult) -> None:
    assert Page(build_page(content)).text.count("broken.png cannot be read <at all>.") == 1
    whole = content.model_copy(update={"cases": content.cases.model_copy(update={"failed": ()})})
    text = Page(build_page(whole)).text
    assert "Every case of the split was read, predicted and scored in every arm." in text
    assert "could not be scored" not in text


def test_page_without_any_lesion(content: AuditResult) -> None:
    sizes = content.differences.model_copy(update={"sizes": (0.0,) * 90})
    none = content.model_copy(update={"differences": sizes})
    text = Page(build_page(none)).text
    assert text.count("No case has a lesion, so there is no figure by lesion size.") == 4


def test_page_says_that_steps_differ(content: AuditResult, tmp_path: Path) -> None:
    arms = tuple(arm.model_copy(update={"steps": (715, 700, 690)}) for arm in content.arms)
    training = content.settings.training.model_copy(update={"epochs": None, "max_minutes": 30.0})
    settings = content.settings.model_copy(update={"training": training})
    changed = content.model_copy(update={"arms": arms, "settings": settings})
    text = Page(build_page(changed)).text
    assert "The trainings took different numbers of steps." in text
    assert "690 to 715" in text
    assert "30 min of wall-clock time per arm" in text


def test_page_of_one_seed(compared: Compared, results: Callable[..., list[ArmResults]]) -> None:
    found = compared(results(models=("stpnet",), seeds=1))
    text = Page(build_page(found)).text
    assert "Undecided: one seed per arm" in text
    assert "1 seed per arm" in text


def test_the_page_on_a_phone_and_on_paper(content: AuditResult) -> None:
    page = build_page(content)
    # Without `screen` a sheet of paper, which is narrower, would get the layout of a phone.
    kinds = ["screen and (max-width: 900px)", "screen and (max-width: 720px)", "print"]
    assert re.findall(r"@media ([^{]+) \{", page) == [*kinds, *kinds[1:]]
    assert "@page { margin:" in page
    # On a phone the label stands beside the drawing, where an axis must not read as an interval.
    labels = re.findall(r'<td class="draw" data-label="([^"]*)"', page)
    assert len(labels) == len(content.comparisons)
    assert all(re.fullmatch(r"axis -\S+ to \S+", label) for label in labels)


def test_sides_are_told_where_words_speak_of_them(content: AuditResult) -> None:
    def count_alone(arm: ArmSummary) -> ArmSummary:
        first = arm.first_seed
        confusions = {
            name: scores.model_copy(
                update={
                    "title": "count",
                    "phrases": tuple(f"{n} areas" for n, _ in enumerate(scores.phrases)),
                }
            )
            for name, scores in first.confusions.items()
        }
        return arm.model_copy(update={"first_seed": first.model_copy(update={"confusions": confusions})})

    changed = content.model_copy(update={"arms": tuple(count_alone(arm) for arm in content.arms)})
    assert "Sides:" not in Page(build_page(changed)).text


def test_page_says_what_arms_of_a_file_change(content: AuditResult) -> None:
    changed = {"arm": "sure_labels", "title": "sure labels", "changes": {"pseudo_confidence": 0.75}}
    arms = (*content.arms, content.arms[0].model_copy(update=changed))
    text = Page(build_page(content.model_copy(update={"arms": arms}))).text
    assert "Sure labels, an arm from a file: pseudo_confidence: 0.75." in text
    assert "an arm from a file" not in Page(build_page(content)).text


def test_axis_holds_every_interval(content: AuditResult) -> None:
    one = content.comparisons[0].model_copy(update={"ci95": (-0.012, 0.03), "mean": 0.01})
    axis = axis_of([one])
    assert axis.reach == pytest.approx(0.03)
    assert [axis.x(value) for value in (-0.03, 0.0, 0.03, 9.0)] == [0.0, 150.0, 300.0, 300.0]
    assert axis_of([]) == Axis(reach=0.001)


def test_groups_without_an_effect_are_folded(content: AuditResult) -> None:
    none = tuple(
        c.model_copy(update={"verdict": "no measurable gain"}) if c.group == "one lesion" else c
        for c in content.comparisons
    )
    folded = re.findall(r"<summary>(.*?): no comparison shows a gain or harm</summary>", build_page(content))
    assert folded == []
    page = build_page(content.model_copy(update={"comparisons": none}))
    folded = re.findall(r"<summary>(.*?) \(\d+ cases\): no comparison shows a gain or harm</summary>", page)
    assert folded == ["One lesion"]


def test_the_first_screen_says_the_finding_in_three_sentences(content: AuditResult) -> None:
    whole = [c for c in content.comparisons if c.group == "all"]
    means = [c.mean for c in whole if c.arm in ("reports", "concepts") and c.against == "none"]
    kinds = [c.verdict for c in whole]
    assert [kinds.count(kind) for kind in ("gain", "harm", "no measurable gain")] == [3, 1, 4]
    assert audit_findings(content) == (
        "STPNet: gain; CoTexNet: no measurable gain.",
        f"With true words, the mean Dice differs by {min(means):+.4f} to {max(means):+.4f} from that without "
        "text, in 4 comparisons.",
        "Of 8 comparisons on 90 cases, 3 show a gain, 1 shows harm and 4 show no measurable gain.",
    )
    page = build_page(content)
    head = page[: page.index('<section id="verdict">')]
    assert [html.unescape(found) for found in re.findall(r'<p class="finding">(.*?)</p>', head)] == [
        *audit_findings(content)
    ]
    figures_of = {figure.title: figure for figure in key_figures(content)}
    assert figures_of["Trainings"].value == "24"
    assert figures_of["Trainings"].note == "8 arms, 3 seeds each"
    best = max((a for a in content.arms if a.model == "stpnet"), key=lambda arm: arm.dice.mean)
    assert figures_of["Dice of STPNet, reports"].value == f"{best.dice.mean:.4f}"
    assert figures_of["Failed cases"].value == "1"


def test_the_finding_of_one_pair_gives_its_interval(
    compared: Compared, results: Callable[..., list[ArmResults]]
) -> None:
    few = [arm for arm in results(models=("stpnet",)) if arm.arm.spec.name in ("none", "concepts")]
    found = compared(few)
    (comparison,) = [c for c in found.comparisons if c.group == "all"]
    assert comparison.ci95 is not None
    low, high = comparison.ci95
    _, effect, counted = audit_findings(found)
    assert effect.endswith(
        f"differs by {comparison.mean:+.4f} from that without text "
        f"(95 % interval: {low:+.4f} to {high:+.4f})."
    )
    assert counted.startswith("Of 1 comparison on 90 cases, 1 ")


def test_an_audit_without_true_words_says_so(content: AuditResult) -> None:
    bare = content.model_copy(
        update={
            "differences": content.differences.model_copy(update={"pairs": ()}),
            "comparisons": tuple(c for c in content.comparisons if c.arm == "shuffled"),
        }
    )
    assert audit_findings(bare)[1].startswith("No arm with true words was trained")
    page = Page(build_page(bare))
    assert "No arm with true words was trained." in page.text
    assert "Table of cases" not in page.text


def test_the_table_of_cases_holds_every_difference(content: AuditResult) -> None:
    picture = figures.Picture(uri="data:,", alt="both outlines")
    shown = CaseChange(
        title="Largest gain", id="c7", difference=0.25,
        masks=tuple(CaseMask(title=name, dice=0.5, picture=picture) for name in ("no text", "reports")),
    )  # fmt: skip
    page = build_page(content, AuditPictures(pair=content.differences.pairs[0], cases=(shown,)))
    table = page[page.index('<table class="cases"') :]
    table = table[: table.index("</table>")]
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', table)
    assert len(rows) == 90
    links = [name for name, _ in rows if name.startswith("<a")]
    assert links == ['<a href="#case-0">c7</a>']
    assert page.count(' id="case-0"') == 1
    position = content.differences.ids.index("c7")
    (cells,) = [cells for name, cells in rows if ">c7<" in name]
    values = re.findall(r'data-value="([^"]+)"', cells)[1:]
    assert [float(value) for value in values] == [pair.values[position] for pair in content.differences.pairs]
    assert "Largest gain: +0.2500" in Page(page).text
    assert "mean over the seeds; the pictures show one seed" in Page(page).text


def test_page_names_shuffled_words_that_no_arm_learns_unshuffled(
    compared: Compared, results: Callable[..., list[ArmResults]]
) -> None:
    without = compared([found for found in results() if not found.arm.name.endswith("-reports")])
    assert without.shuffled_words_of == "reports"
    assert "each training image given another image's words (reports)" in Page(build_page(without)).text
