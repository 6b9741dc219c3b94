from __future__ import annotations

import base64
import hashlib
import html
import importlib
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from html_page import Page
from lexiseg.data import Sample
from lexiseg.evaluation.options import EvaluationOptions
from lexiseg.evaluation.report import figures
from lexiseg.evaluation.report.case_figures import choose_cases
from lexiseg.evaluation.report.case_rows import MOST_ROWS, case_rows
from lexiseg.evaluation.report.findings import findings
from lexiseg.evaluation.report.page import SIGNAL_TITLES, build_report
from lexiseg.evaluation.report.training_curves import training_curves
from lexiseg.evaluation.scores.cases import ScoredCase
from lexiseg.evaluation.scores.metrics import case_metrics
from lexiseg.evaluation.scores.metrics_file import ConfusionMatrix, EvaluatedRun, MeanScore, Metrics
from lexiseg.evaluation.scores.reliability import Reliability
from lexiseg.evaluation.scores.summary import summarise
from lexiseg.inference.reliability.review import DOUBTS
from lexiseg.json_records import read_record
from lexiseg.runs.manifest import (
    DataRecord,
    DistillationRecord,
    StartRecord,
    TeacherRunRecord,
    TrainingRecord,
)
from lexiseg.words.description import SIDE_NOTES


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: Any, write_case: Any, disc: Any, fake_run: Any, fake_predictor: Any) -> Path:
    """Return the folder of an evaluation with all kinds of cases."""
    evaluate_on = importlib.import_module("lexiseg.evaluation.evaluate").evaluate_on
    from lexiseg.data import open_dataset

    root: Path = tmp_path_factory.mktemp("report")
    answers = {}
    nothing = np.zeros((64, 64), np.uint8)
    for name, truth, predicted in (
        ("missed", disc(64, 20, 14, 6), nothing),
        ("invented", nothing, disc(64, 20, 14, 6)),
        ("clean", nothing, nothing),
    ):
        write_case(root / "data", name, truth)
        answers[name] = (predicted, (0, 0, 2, 7))
    write_case(root / "data", "unreadable", disc(64, 20, 14, 6))
    for number in range(8):
        mask = disc(64, 40, 14, 4 + number) | disc(64, 40, 50, 5)
        write_case(root / "data", f"case{number}", mask)
        answers[f"case{number}"] = (disc(64, 40, 14, 5), (number % 2, 0, 2, 7))
    run = fake_run(text_source="concepts", side="patient")
    index = open_dataset(root / "data")
    return evaluate_on(index, fake_predictor(run, answers), EvaluationOptions(), out=root).out


@pytest.fixture(scope="module")
def report(evaluated: Path) -> str:
    return (evaluated / "report.html").read_text()


@pytest.fixture(scope="module")
def metrics(evaluated: Path) -> Metrics:
    return read_record(evaluated / "metrics.json", Metrics, remedy="")


def test_distillation_is_drawn_where_there_was_some() -> None:
    rows = [
        {"step": "25", "train/distillation": "2.5", "val/gap": "0.9", "val/dice": "0.1"},
        {"step": "50", "train/distillation": "1.25", "val/gap": "0.375", "val/dice": "0.2"},
    ]
    picture = figures.distillation(rows)
    assert picture is not None
    assert "from 2.500 to 1.250" in picture.alt
    assert "from 0.900 to 0.375" in picture.alt
    assert figures.distillation([]) is None
    assert figures.distillation([{"step": "25", "train/dice": "0.5", "val/dice": "0.1"}]) is None


@pytest.mark.parametrize(
    ("dice", "said"),
    [
        ((0.1, 0.5, 0.6, 0.65), "The Dice still rises at the end: its best value in the last quarter of the "
         "steps is 0.050 higher than the best value before."),
        ((0.1, 0.5, 0.6, 0.605), "The Dice hardly changes at the end: its best value in the last quarter of "
         "the steps is 0.005 higher than the best value before."),
        ((0.1, 0.5, 0.6, 0.6), "its best value in the last quarter of the steps is the same as the best"),
        ((0.1, 0.7, 0.6, 0.5), "The Dice falls at the end: its best value in the last quarter of the steps "
         "is 0.200 lower than the best value before."),
        ((0.1, 0.5, 0.9), "3 validations are too few to say whether the Dice still rises at the end."),
        ((0.1,), "1 validation is too few to say"),
    ],
)  # fmt: skip
def test_the_caption_of_a_training_is_true_of_its_curve(dice: tuple[float, ...], said: str) -> None:
    rows = [
        {"step": str(10 * number), "val/dice": str(value), "train/total": "0.5"}
        for number, value in enumerate(dice, start=1)
    ]
    curves = training_curves(rows, 20)
    assert curves is not None
    assert said in curves.caption
    assert curves.caption.startswith("Above: Dice of validation images. Below: loss of training images.")
    assert ("marks step 20, whose weights the run holds" in curves.caption) == (len(dice) > 1)
    assert f"last {dice[-1]:.3f}, highest {max(dice):.3f}" in curves.picture.alt
    alone = training_curves([{key: row[key] for key in ("step", "val/dice")} for row in rows], None)
    assert alone is not None
    assert alone.caption.startswith("Dice of validation images. ")
    assert "loss" not in alone.picture.alt


def test_a_history_with_gaps_is_drawn_as_far_as_it_is_known() -> None:
    rows = [
        {"step": "10", "val/dice": "nan", "train/total": ""},
        {"val/dice": "0.5"},
        {"step": "20.0", "val/dice": "0.25", "train/total": "inf"},
    ]
    curves = training_curves(rows, 10)
    assert curves is not None
    assert "Validation Dice at 1 step: first 0.250" in curves.picture.alt
    assert "dashed line" not in curves.caption
    assert training_curves([], None) is None
    assert training_curves([{"step": "10", "train/total": "0.5"}], None) is None


def test_one_file_without_requests_and_with_one_script(report: str) -> None:
    page = Page(report)
    assert not {"link", "iframe", "object"} & {tag for tag, _ in page.elements}
    assert page.all("script") == [{}]
    [script] = re.findall(r"<script>(.*?)</script>", report, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    [policy] = [m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert f"script-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none';")
    assert not re.search(r"\son\w+=", report.replace(script, ""))
    assert not re.search(r"https?://|url\(|@import|src=\"(?!data:)", report)
    assert page.all("html")[0]["lang"] == "en"
    assert any(meta.get("name") == "viewport" for meta in page.all("meta"))


def test_every_image_is_inline_with_alternative_text(report: str) -> None:
    images = Page(report).all("img")
    # best, median and worst; distribution, scatter, reliability, four factors; four groups of two cases each
    assert len(images) == 3 + 3 + 4 + 4 * 2
    for image in images:
        assert len(image["alt"] or "") > 30
        kind, content = (image["src"] or "").split(";base64,")
        data = base64.b64decode(content)
        assert kind in ("data:image/svg+xml", "data:image/jpeg")
        if kind.endswith("xml"):
            ElementTree.fromstring(data)
        else:
            assert data[:2] == b"\xff\xd8"


def test_the_first_screen_says_the_finding_and_shows_three_cases(report: str, metrics: Metrics) -> None:
    head = report[: report.index('<section id="run">')]
    sentences = [html.unescape(text) for text in re.findall(r'<p class="finding">(.*?)</p>', head)]
    low, high = metrics.dice.ci95 or (0, 0)
    assert metrics.review is not None
    assert metrics.review.dice_flagged is not None
    assert metrics.review.dice_rest is not None
    assert sentences == [
        f"The mean Dice of 11 cases is {metrics.dice.mean:.3f} (95 % interval: {low:.3f} to {high:.3f}).",
        "The median is 0.451, the lowest 0.000, the highest 1.000; 2 cases have a Dice of 0.",
        f"The review flag marks {metrics.review.n} cases: their mean Dice is "
        f"{metrics.review.dice_flagged.mean:.3f}, the mean of the others "
        f"{metrics.review.dice_rest.mean:.3f}.",
    ]
    captions = re.findall(r"<strong>(\w+): Dice ([\d.]+)</strong>", head)
    assert captions == [("Best", "1.000"), ("Median", "0.451"), ("Worst", "0.000")]


def test_the_finding_says_nothing_that_is_not_known(metrics: Metrics) -> None:
    cases = [make_case("c", 0.4, size=20)]
    one = metrics.model_copy(update={"num_cases": 1, "review": None})
    one = one.model_copy(update={"dice": MeanScore(mean=0.5, ci95=None)})
    assert findings(one, cases) == (
        "The mean Dice of 1 case is 0.500.",
        "One case does not show how much cases differ.",
        "This run cannot flag cases for review.",
    )
    assert metrics.review is not None
    flags = metrics.review.model_copy(update={"n": 0, "dice_flagged": None})
    unmarked = metrics.model_copy(update={"review": flags})
    assert findings(unmarked, cases)[2] == "The review flag marks no case."
    one_flag = metrics.review.model_copy(update={"n": 1, "dice_flagged": MeanScore(mean=0.2, ci95=None)})
    said = findings(metrics.model_copy(update={"review": one_flag}), cases)[2]
    assert said.startswith("The review flag marks 1 case: its Dice is 0.200, the mean of the others ")
    all_flags = one_flag.model_copy(update={"dice_rest": None})
    assert findings(metrics.model_copy(update={"review": all_flags}), cases)[2].endswith("the only case.")


def test_the_finding_of_cases_without_lesions_says_so(metrics: Metrics) -> None:
    level, spread, _ = findings(metrics, [make_case("a", 1.0, size=0), make_case("b", 1.0, size=0)])
    assert level.endswith("; no case has a lesion (empty predictions: 2 of 2).")
    assert spread == "Every case has a Dice of 1.000."


def test_the_table_holds_every_case_and_links_to_its_picture(report: str) -> None:
    table = sections(report)["table"]
    rows = re.findall(
        r'<tr(?: data-flagged)?><th scope="row">(.*?)</th><td class="n" data-value="(.+?)">', table
    )
    assert len(rows) == 11
    dice = [float(value) for _, value in rows]
    assert dice == sorted(dice)
    links = re.findall(r'<a href="#(case-\d+)">', table)
    assert len(links) == len(set(links)) > 4
    for anchor in links:
        assert report.count(f' id="{anchor}"') == 1


def test_a_large_table_holds_the_worst_cases(metrics: Metrics) -> None:
    good, bad = make_case("good", 0.9, size=20), make_case("bad", 0.4, size=20)
    rows = case_rows([good] * MOST_ROWS + [bad], {"bad": "case-0"})
    assert len(rows) == MOST_ROWS
    assert (rows[0].case.sample.id, rows[0].anchor, rows[0].predicted_share) == ("bad", "case-0", 0.05)
    assert rows[1].anchor is None


def test_says_what_must_be_said(report: str) -> None:
    for sentence in (
        "Research software, not a medical device, not for clinical use.",
        "Mean of cases: every case counts the same",
        "Pooled: the pixels of all cases are summed first",
        "Why the two differ.",
        "Dice of each case. ",
        "Majority of training",
        "lexiseg evaluate runs/fake",
        "numpy " + np.__version__,
        "STPNet, compact preset",
        "masks, and words measured on them",
        "one pass per image; not calibrated",
    ):
        assert sentence in report
    for title in ("Best by Dice", "Median by Dice", "Worst by Dice", "Most disagreeing"):
        assert title in report


def sections(report: str) -> dict[str, str]:
    return dict(re.findall(r'<section id="(\w+)">(.*?)</section>', report, re.DOTALL))


def test_names_the_side_convention_once_per_section_with_words(report: str) -> None:
    note = f"Sides: {SIDE_NOTES['patient']}".replace("'", "&#39;")
    told = {name: text.count(note) for name, text in sections(report).items() if note in text}
    assert told == {"words": 1, "cases": 1}
    assert report.count(note) == 2
    assert SIDE_NOTES["image"] not in report
    # "right" must only ever be a side here, never praise.
    assert not re.search(r"&check; right|of \d+ right", report)


SECTIONS = (
    "run",
    "scores",
    "spread",
    "calibration",
    "review",
    "words",
    "cases",
    "table",
    "failures",
    "reproduce",
)


def test_every_section_is_there_and_linked(report: str) -> None:
    page = Page(report)
    assert tuple(section["id"] for section in page.all("section")) == SECTIONS
    navigation = report[report.index("<nav") : report.index("</nav>")]
    assert re.findall(r'href="#(\w+)"', navigation) == [*SECTIONS[1:]]


def test_a_run_with_a_history_shows_its_training(metrics: Metrics) -> None:
    rows = [{"step": str(n), "val/dice": str(n / 10), "train/total": "1"} for n in range(1, 9)]
    cases = [make_case(f"c{n}", 0.5 + n / 20, size=1 + n) for n in range(9)]
    page = build_report(metrics, cases, {}, history=rows)
    assert "The Dice still rises at the end" in sections(page)["training"]
    assert '<a href="#training">' in page


def test_every_drawing_in_the_text_has_a_title(report: str) -> None:
    drawings = re.findall(r"<svg.*?</svg>", report, re.DOTALL)
    # A legend on the first screen and one above the cases.
    assert len(drawings) == 4
    assert all(re.search(r"<title>.{10,}</title>", drawing) for drawing in drawings)


def test_figures_in_the_text_are_those_of_metrics_json(report: str, metrics: Metrics) -> None:
    """Every score of `metrics.json` that the report shows, found again in its table."""
    text = " ".join(re.sub(r"<[^>]+>", " ", report).split())
    for name, title, digits in (
        ("dice", "Dice", 3), ("iou", "IoU", 3), ("surface_dice", "Surface Dice", 3), ("hd95", "HD95", 1),
    ):  # fmt: skip
        score = getattr(metrics, name)
        mean, (low, high) = score.mean, score.ci95
        assert f"{title} {mean:.{digits}f} {low:.{digits}f} to {high:.{digits}f}" in text
    for name, title in (("dice", "Dice"), ("iou", "IoU")):
        pooled, mean = getattr(metrics, f"pooled_{name}"), getattr(metrics, name).mean
        low, high = getattr(metrics, f"pooled_{name}_ci95")
        assert f"{title} {pooled:.3f} {low:.3f} to {high:.3f} {mean:.3f} {pooled - mean:+.3f}" in text
    assert f"Expected calibration error: {metrics.calibration.ece:.4f}" in text.replace(" :", ":")
    assert f"over {metrics.calibration.pixels:,} pixels" in text
    review = metrics.review
    low, high = review.dice_flagged.ci95
    assert (
        f"Flagged {100 * review.flagged:.1f}\N{NO-BREAK SPACE}% {review.n} "
        f"{review.dice_flagged.mean:.3f} {low:.3f} to {high:.3f}"
    ).replace("\N{NO-BREAK SPACE}", " ") in text
    for stratum in metrics.by_size:
        assert f"{stratum.n} {stratum.dice.mean:.3f}" in text
    for scores in metrics.retrieval.values():
        assert f"{scores.title} {100 * scores.accuracy:.1f}" in text


def test_failures_are_listed(report: str, metrics: Metrics) -> None:
    failures = report[report.index('id="failures"') : report.index('id="reproduce"')]
    assert [failed.id for failed in metrics.failed] == ["unreadable"]
    assert "unreadable.png cannot be read as an image." in failures
    assert (metrics.empty_predictions, metrics.one_sided_empty) == (2, 2)
    listed = dict(re.findall(r"<summary>([\w ]+): \d+ .*?</summary>\s*<p class=\"ids\">(.*?)</p>", failures))
    assert listed == {"Missed": "missed", "Invented": "invented", "Both empty": "clean"}


def test_foreign_text_is_escaped(report: str) -> None:
    assert "&lt;fake &amp; tested&gt;" in report
    assert "<fake" not in report


def test_phone_and_print_styles(report: str) -> None:
    # Without `screen` a sheet of paper, which is narrower, would get the layout of a phone.
    kinds = ["screen and (max-width: 900px)", "screen and (max-width: 720px)", "print"]
    assert re.findall(r"@media ([^{]+) \{", report) == kinds
    assert "@page { margin:" in report
    paper = report[report.index("@media print") : report.index("</style>")]
    assert ".cards { grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 4mm; }" in paper
    assert ":root { color-scheme: light; }" in paper
    assert "h2, h3, h4, caption, thead, summary, .lead { break-after: avoid; }" in paper
    # What stands between the heading and the first cards must keep with them.
    between = sections(report)["cases"].split("<h3>")[0]
    assert all("lead" in classes for classes in re.findall(r'<p class="([^"]*)"', between))


def rebuilt(metrics: Metrics, **changes: Any) -> str:
    """Return the text of the report with some metrics changed, without cases shown."""
    cases = [make_case(f"c{n}", 0.5 + n / 20, size=1 + n) for n in range(9)]
    report = build_report(metrics.model_copy(update=changes), cases, {})
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", report)).split())


def with_manifest(metrics: Metrics, **changes: Any) -> EvaluatedRun:
    manifest = metrics.run.manifest.model_copy(update=changes)
    return metrics.run.model_copy(update={"manifest": manifest})


def test_says_what_the_run_was_trained_on(metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "_svg_uri", lambda figure: "data:image/svg+xml;base64,")
    assert "Trained on not known: the run does not say" in rebuilt(metrics)
    data = DataRecord(name="data", samples={"train": 5713, "val": 1429})
    run = with_manifest(metrics, data=data, training=TrainingRecord(finished=True, seed=5))
    text = rebuilt(metrics, run=run)
    assert "Trained on data: 5,713 train, 1,429 val images" in text
    assert "Training finished Training: seed 5" in text
    assert "Started from" not in text
    assert "True" not in text[: text.index("The manifest of the run")]
    for notice in ("is scored on data named", "The run segments", "is not finished"):
        assert notice not in text


def test_names_the_runs_that_the_run_learned_from(metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "_svg_uri", lambda figure: "data:image/svg+xml;base64,")
    start = StartRecord(name="first", data="chest", weights_sha256="0", images_known=True)
    teacher = TeacherRunRecord(name="third", data="lungs", encoder="e", image_size=64, weights_sha256="1")
    training = TrainingRecord(
        finished=True, start=start, distillation=DistillationRecord(teachers=(teacher,), share=0.5)
    )
    text = rebuilt(metrics, run=with_manifest(metrics, training=training))
    assert "Started from the weights of first, trained on chest" in text
    assert "Teachers third (trained on lungs)" in text
    assert "are known" not in text
    data = metrics.data.model_copy(update={"unknown_runs": ("first", "third")})
    said = "The run learned from first, third, and not all images that it has learned this way are known."
    text = rebuilt(metrics, data=data)
    assert f"{said} The scores say nothing if images of the test split are among them." in text
    other = with_manifest(
        metrics,
        data=DataRecord(name="Elsewhere"),
        class_names=("background", "tumour"),
        training=TrainingRecord(),
    )
    text = rebuilt(metrics, run=other)
    assert "The run was trained on data named Elsewhere, and is scored on data named data." in text
    assert "The run segments tumour; the true masks are named lesion." in text
    assert "Training not finished" in text
    assert "is not finished: these are scores of weights that it kept on the way." in text


def test_the_flag_names_the_signals_that_count(metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "_svg_uri", lambda figure: "data:image/svg+xml;base64,")
    assert set(SIGNAL_TITLES) == set(DOUBTS)
    assert "if words and mask disagree too much." in rebuilt(metrics)
    assert metrics.review is not None
    expected = metrics.review.model_copy(update={"expected_dice": 0.7})

    def said(signals: dict[str, float]) -> str:
        calibration = metrics.calibration.model_copy(update={"temperature": 1.5, "signals": signals})
        return rebuilt(metrics, review=expected, calibration=calibration)

    titles = f"{SIGNAL_TITLES['inside']}, {SIGNAL_TITLES['size']} (heaviest first)."
    text = said({"inside": 0.5, "size": 0.3})
    assert f"if its own signals predict a low Dice: {titles}" in text
    assert SIGNAL_TITLES["agreement"] not in text
    assert "if the expected Dice is low." in said({})
    # A calibrated run knows no expected Dice where all images are unlike the training images.
    expected = metrics.review.model_copy(update={"expected_dice": None, "unlike_training_images": 4})
    assert f"if its own signals predict a low Dice: {titles}" in said({"inside": 0.5, "size": 0.3})


def test_an_empty_prediction_has_no_outline(report: str) -> None:
    alt = {image["alt"] or "" for image in Page(report).all("img")}
    assert any(text.startswith("Image missed with no predicted outline") for text in alt)


def test_the_legend_of_a_histogram_lies_above_the_axes(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    monkeypatch.setattr(figures, "_svg_uri", lambda figure: drawn.append(figure) or "")
    figures.dice_distribution([make_case(f"c{n}", n / 20) for n in range(1, 9)])
    (figure,) = drawn
    figure.draw_without_rendering()
    (axes,) = figure.axes
    assert axes.get_legend().get_window_extent().y0 >= axes.bbox.y1
    assert axes.get_legend().get_window_extent().x1 <= figure.bbox.x1


def make_case(name: str, dice: float, agreement: float | None = None, size: int = 10) -> ScoredCase:
    truth = np.zeros((10, 100), np.uint8)
    truth.flat[: size * 10] = 1
    predicted = np.zeros_like(truth)
    predicted.flat[: round(size * 10 * dice / (2 - dice))] = 1
    return ScoredCase(
        sample=Sample(id=name, image=Path(name), mask=None, split="test"),
        scores=case_metrics(predicted, truth, num_classes=2),
        image_px=truth.size,
        lesions=1,
        retrieved=(),
        confidence=(),
        reference=(),
        agreement=agreement,
        flagged=False,
    )


def names(groups: dict[str, list[ScoredCase]]) -> dict[str, list[str]]:
    return {title: [case.sample.id for case in cases] for title, cases in groups.items()}


def test_choice_of_cases() -> None:
    cases = [make_case(f"c{n:02d}", n / 20, 1.0 if n else 0.0) for n in range(13)]
    assert names(choose_cases(cases)) == {
        "Best": ["c12", "c11", "c10"],
        "Median": ["c05", "c06", "c07"],
        "Worst": ["c00", "c01", "c02"],
        "Most disagreeing": ["c00"],
    }


def test_most_disagreeing_prefers_the_worse_mask_and_few_cases_give_few() -> None:
    cases = [make_case("good", 0.9, 0.5), make_case("bad", 0.2, 0.5), make_case("sure", 0.1, 1.0)]
    chosen = names(choose_cases(cases))
    assert chosen["Most disagreeing"] == ["bad"]
    assert (chosen["Best"], chosen["Median"], chosen["Worst"]) == (["good"], ["bad"], ["sure"])
    assert "Most disagreeing" not in choose_cases([make_case("only", 0.5)])


def test_groups_of_cases_have_titles_that_are_true() -> None:
    one, other = make_case("one", 0.5, 0.0), make_case("other", 0.25, 1.0)
    assert names(choose_cases([one])) == {"Only case": ["one"]}
    assert names(choose_cases([one, other])) == {
        "Best": ["one"], "Worst": ["other"], "Most disagreeing": ["one"],
    }  # fmt: skip
    equal = [make_case(f"c{number}", 0.5) for number in range(9)]
    assert names(choose_cases(equal)) == {"Same Dice": ["c0", "c1", "c2"]}


def matrix(title: str, counts: list[list[int]]) -> ConfusionMatrix:
    phrases = tuple(f"phrase {number}" for number, _ in enumerate(counts))
    return ConfusionMatrix(
        title=title, phrases=phrases, n=sum(map(sum, counts)), confusion=tuple(map(tuple, counts))
    )


def test_figures_state_their_numbers() -> None:
    cases = [make_case(f"c{n}", 0.5 + n / 20, size=1 + n) for n in range(9)]
    summary = summarise(cases, class_names=("background", "lesion"), seed=0)
    distribution = figures.dice_distribution(cases)
    assert f"mean {summary.dice.mean:.3f}" in distribution.alt
    scatter = figures.size_against_dice(cases, summary.by_size)
    assert scatter is not None
    assert "9 cases" in scatter.alt
    confusion = figures.confusion(matrix("Side", [[3, 1], [0, 2]]))
    assert "5 of 6 cases lie on the diagonal" in confusion.alt
    large = figures.confusion(matrix("Sentence", np.eye(32, dtype=int).tolist()))
    assert "32 of 32" in large.alt


def test_figures_of_differences_state_their_numbers() -> None:
    differences = np.array([-0.25, 0.0, 0.0, 0.75])
    spread = figures.difference_distribution(differences)
    assert "difference in Dice over 4 cases: mean +0.125, median +0.000, half of the cases" in spread.alt
    assert "lowest -0.250, highest +0.750" in spread.alt
    scatter = figures.size_against_difference(
        np.array([0.0, 0.01, 0.1, 0.2]), differences, cuts=[0.05, 0.15], means={"small": 0.0, "large": 0.75}
    )
    assert scatter is not None
    assert "for 3 cases; dashed lines at 5 % and 15 %" in scatter.alt
    assert "small +0.000, large +0.750" in scatter.alt
    # No difference at all has a figure too.
    assert "mean +0.000" in figures.difference_distribution(np.zeros(3)).alt


def test_the_reliability_diagram_states_its_numbers() -> None:
    reliability = Reliability()
    reliability.add(np.array([[[0.1, 0.1], [0.9, 0.9]]]), np.array([[0, 0], [0, 1]]))
    picture = figures.reliability(reliability.scores())
    assert "Expected calibration error 0.2500" in picture.alt
    assert "the probability is 0.90 and the share 0.50" in picture.alt


def test_figures_are_the_same_every_time() -> None:
    cases = [make_case(f"c{n}", 0.5 + n / 20) for n in range(9)]
    assert figures.dice_distribution(cases) == figures.dice_distribution(cases)


def test_many_points_do_not_make_a_huge_file() -> None:
    cases = [make_case("c", 0.7, size=1 + n % 90) for n in range(90)] * 60
    summary = summarise(cases[:90], class_names=("background", "lesion"), seed=0)
    scatter = figures.size_against_dice(cases, summary.by_size)
    assert scatter is not None
    assert len(scatter.uri) < 200_000


def test_pictures_follow_the_colours_of_the_page() -> None:
    """The page's own policy reaches no picture: its dark colours are inside it."""
    picture = figures.dice_distribution([make_case(f"c{n}", 0.5 + n / 20) for n in range(9)])
    svg = base64.b64decode(picture.uri.split(",")[1]).decode()
    ElementTree.fromstring(svg)
    [style] = re.findall(r"<style>(:root.*?)</style>", svg)
    light, dark = style.split("@media (prefers-color-scheme:dark)")
    assert (
        dict(re.findall(r"(--c\d):(#\w+)", light)).keys() == dict(re.findall(r"(--c\d):(#\w+)", dark)).keys()
    )
    drawn = set(re.findall(r"(?:fill|stroke): ([^;\"]+)", svg.replace(style, "")))
    assert {"var(--c0)", "none"} < drawn
    # What has no colour for the dark is one that both show: of lines that stand out on light and on dark.
    assert {colour for colour in drawn if colour.startswith("#")} == {figures.ORANGE}


def test_without_lesions_there_is_no_scatter() -> None:
    assert figures.size_against_dice([make_case("empty", 1.0, size=0)], []) is None
