"""Names of runs in one table, groups of cases, and the comparison of two tables by hand."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest

from lexiseg.cli.terminal.result_tables import show_comparison, show_runs
from lexiseg.data import open_dataset, splits
from lexiseg.errors import DataError, DiskError
from lexiseg.evaluation import compare, compare_on, evaluate, evaluate_on, evaluate_runs, evaluation_data
from lexiseg.evaluation.comparison import run_table
from lexiseg.evaluation.comparison.comparison_file import (
    CaseDifference,
    Comparison,
    ExtremeCases,
    RunRow,
    RunTable,
)
from lexiseg.evaluation.comparison.extreme_cases import most_different
from lexiseg.evaluation.comparison.run_table import run_names
from lexiseg.evaluation.options import EvaluationOptions
from lexiseg.evaluation.report import figures
from lexiseg.evaluation.scores.case_table import case_groups, patients_of, read_cases
from lexiseg.inference.ensemble import check_alike
from lexiseg.json_records import read_record
from lexiseg.runs.manifest import DataRecord, StartRecord, TrainingRecord
from lexiseg.runs.run import Run
from lexiseg.schemas import schema
from refusals import refuses

TABLE = """id,image,patient,dice,truth_share,tercile,lesions
007,a.png,,0.5,0.01,small,1
2,b.png,3,0.6,0.02,small,2
3,c.png,3,0.7,0.2,large,1
4,d.png,4,1,0,no lesion,0
"""


@pytest.fixture
def cases(tmp_path: Path) -> pd.DataFrame:
    (tmp_path / "cases.csv").write_text(TABLE)
    return read_cases(tmp_path / "cases.csv")


def test_cases_keep_their_names_and_patients(cases: pd.DataFrame) -> None:
    assert list(cases.index) == ["007", "2", "3", "4"]
    assert patients_of(cases) == [None, "3", "3", "4"]


def test_groups_of_cases(cases: pd.DataFrame) -> None:
    assert {name: list(cases.index[members]) for name, members in case_groups(cases).items()} == {
        "all": ["007", "2", "3", "4"],
        "small lesions": ["007", "2"],
        "large lesions": ["3"],
        "one lesion": ["007", "3"],
        "several lesions": ["2"],
        "no lesion": ["4"],
    }


@pytest.mark.parametrize("text", ["", "id,dice\na,1\n", TABLE + "4,e.png,,0.1,0.01,small,1\n", None])
def test_a_table_of_something_else_is_refused(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "cases.csv"
    if text is not None:
        file.write_text(text)
    with refuses("LEX-DATA-147", "is not a table of evaluated cases"):
        read_cases(file)


def test_cases_that_differ_most() -> None:
    a = {"up": 0.75, "top": 1.0, "same": 0.5, "down": 0.25, "low": 0.0}
    b = dict.fromkeys(a, 0.5)
    assert most_different(a, b, shown=1) == ExtremeCases(
        better=(CaseDifference(id="top", difference=0.5, a=1.0, b=0.5),),
        worse=(CaseDifference(id="low", difference=-0.5, a=0.0, b=0.5),),
    )
    every = most_different(a, b, shown=9)
    assert [case.id for case in every.better] == ["top", "up"]
    assert [case.id for case in every.worse] == ["low", "down"]


def test_names_of_runs(tmp_path: Path) -> None:
    assert run_names([Path("/r/a"), Path("/r/b")]) == ["a", "b"]
    assert run_names([Path("/r/a/last"), Path("/r/b/last")]) == ["a-last", "b-last"]
    assert run_names([Path("/x/a/last"), Path("/y/a/last")]) == ["x-a-last", "y-a-last"]
    with refuses("LEX-USE-088", "is named twice"):
        run_names([Path("/r/a"), Path("/r/../r/a")])


@pytest.fixture
def data(tmp_path: Path, write_case: Any, disc: Any) -> Path:
    for split in ("train", "val", "test"):
        write_case(tmp_path / "lungs", f"{split}-1", disc(32, 16, 8, 5), split)
    return tmp_path / "lungs"


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[EvaluationOptions]:
    """Stop at the first run that would be scored, and keep how."""
    calls: list[EvaluationOptions] = []

    def evaluate_on(index: object, run: object, options: EvaluationOptions, **_: object) -> None:
        calls.append(options)
        raise InterruptedError

    monkeypatch.setattr(run_table, "evaluate_on", evaluate_on)
    return calls


def test_all_runs_are_checked_before_one_is_scored(
    data: Path, tmp_path: Path, fake_run: Any, scored: list[EvaluationOptions]
) -> None:
    fits = replace(fake_run(), path=tmp_path / "fits")
    other = replace(fake_run(class_names=("background", "left lung", "right lung")), path=tmp_path / "other")
    said = rf"^The run {other.path} segments left lung, right lung, but the masks of {data} hold "
    with pytest.raises(DataError, match=said):
        evaluate_runs([fits, other], data, out=tmp_path / "out")
    with pytest.raises(DataError, match=said):
        compare(fits, other, data)
    assert scored == []
    # One that has seen the images is refused as early, and named.
    (tmp_path / "seen").mkdir()
    (tmp_path / "seen" / "splits.json").write_text(json.dumps({"train": ["test-1"]}))
    manifest = fits.manifest.model_copy(update={"data": DataRecord(name="lungs")})
    seen = replace(fake_run(), path=tmp_path / "seen", manifest=manifest)
    with pytest.raises(DataError, match=rf"on which the run in {seen.path} was trained or selected "):
        evaluate_runs([fits, seen], data, out=tmp_path / "out")
    assert scored == []
    with pytest.raises(InterruptedError):
        evaluate_runs([fits], data, out=tmp_path / "out")
    assert len(scored) == 1


def test_runs_that_split_the_data_differently_are_not_put_into_one_table(
    tmp_path: Path,
    fake_run: Any,
    write_case: Any,
    disc: Any,
    scored: list[EvaluationOptions],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As in a folder that has no split and cannot be written to: the seed of every run makes another one.
    for number in range(12):
        image = write_case(tmp_path / "made", f"c{number}", disc(32, 16, 8, 5))
        for kind in ("images", "masks"):
            (tmp_path / "data" / kind).mkdir(parents=True, exist_ok=True)
            (image.parents[1] / kind / image.name).rename(tmp_path / "data" / kind / image.name)

    def refused(path: Path, value: object, **options: object) -> None:
        raise DiskError(f"No permission to write {path}.")

    monkeypatch.setattr(splits, "write_json", refused)

    def run_of(name: str, seed: int) -> Run:
        manifest = fake_run().manifest.model_copy(update={"training": TrainingRecord(seed=seed)})
        return replace(fake_run(), path=tmp_path / name, manifest=manifest)

    data = tmp_path / "data"
    with refuses("LEX-DATA-146", "Copy `splits.json`"):
        evaluate_runs([run_of("a", 0), run_of("b", 1)], data, out=tmp_path / "out")
    assert scored == []
    with pytest.raises(InterruptedError):
        evaluate_runs([run_of("a", 1), run_of("b", 1)], data, out=tmp_path / "out")


@pytest.mark.parametrize("command", ["evaluate", "evaluate_runs", "compare"])
def test_each_command_opens_the_data_once(
    data: Path,
    tmp_path: Path,
    fake_run: Any,
    fake_predictor: Any,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    opened: list[Path] = []

    def open_once(folder: Path, **options: Any) -> Any:
        opened.append(folder)
        return open_dataset(folder, **options)

    monkeypatch.setattr(evaluation_data, "open_dataset", open_once)
    monkeypatch.setattr(figures, "_svg_uri", lambda figure: "data:,")
    answers = {"test-1": (np.zeros((32, 32), np.uint8), (0, 0, 2, 7))}
    module = importlib.import_module("lexiseg.evaluation.evaluate")
    for loads in (module, importlib.import_module("lexiseg.evaluation.comparison.compare")):
        monkeypatch.setattr(loads, "Predictor", lambda run, options: fake_predictor(run, answers))
    a, b = (replace(fake_run(), path=tmp_path / name) for name in "ab")
    out = tmp_path / "out"
    if command == "evaluate":
        evaluate(a, data, out=out)
    elif command == "evaluate_runs":
        evaluate_runs([a, b], data, out=out)
    else:
        compare(a, b, data, out=out)
    assert opened == [data]
    assert list(out.rglob("metrics.json"))
    assert (out / "comparison.html").is_file() == (command == "compare")
    if command == "compare":
        page = (out / "comparison.html").read_text()
        assert f"lexiseg compare {a.path} {b.path} {data} --split test --out {out}" in page
        assert "Only case: +0.0000" in page
    for file, name, kind in (
        ("comparison.json", "comparison", Comparison), ("table.json", "run-table", RunTable),
    ):  # fmt: skip
        if (out / file).is_file():
            jsonschema.validate(json.loads((out / file).read_text()), schema(name))
            read_record(out / file, kind, remedy="")


def test_a_comparison_says_what_limits_the_scores_of_each_run(
    data: Path,
    tmp_path: Path,
    fake_run: Any,
    fake_predictor: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(figures, "_svg_uri", lambda figure: "data:,")
    answers = {"test-1": (np.zeros((32, 32), np.uint8), (0, 0, 2, 7))}
    module = importlib.import_module("lexiseg.evaluation.evaluate")
    for loads in (module, importlib.import_module("lexiseg.evaluation.comparison.compare")):
        monkeypatch.setattr(loads, "Predictor", lambda run, options: fake_predictor(run, answers))
    start = StartRecord(name="first", data="skin", weights_sha256="0", images_known=False)
    plain = fake_run().manifest
    plain = plain.model_copy(update={"data": DataRecord(name="elsewhere")})
    tuned = plain.model_copy(update={"training": TrainingRecord(finished=True, start=start)})
    runs = [replace(fake_run(), path=tmp_path / n, manifest=m) for n, m in (("a", plain), ("b", tuned))]
    found = compare(*runs, data, out=tmp_path / "out")
    both, of_b = found.notices
    assert both.startswith("A and B: The run was trained on data named elsewhere")
    assert of_b.startswith("B: The run learned from first, and not all images")
    assert json.loads((tmp_path / "out" / "comparison.json").read_text())["notices"] == [both, of_b]
    show_comparison(found)
    said = " ".join(capsys.readouterr().out.split())
    page = (tmp_path / "out" / "comparison.html").read_text()
    assert all(" ".join(notice.split()) in text for notice in (both, of_b) for text in (said, page))


def test_a_comparison_averages_with_no_third_run(data: Path, tmp_path: Path, fake_run: Any) -> None:
    a, b, third = (replace(fake_run(), path=tmp_path / name) for name in ("a", "b", "third"))
    with refuses("LEX-USE-550", "`average_with` cannot be used") as refused:
        compare_on(open_dataset(data), {"a": a, "b": b}, EvaluationOptions(average_with=third))
    assert refused.value.code == "LEX-USE-550"


def test_the_order_of_several_classes_is_checked_by_run(tmp_path: Path, fake_run: Any, data: Path) -> None:
    from lexiseg.data import open_dataset
    from lexiseg.evaluation.checks import check_classes

    run = replace(fake_run(class_names=("background", "a", "b")), path=tmp_path / "swapped")
    index = replace(open_dataset(data), class_names=("background", "b", "a"))
    with pytest.raises(DataError, match=rf"^The classes of the run {run.path} are background, a, b, those"):
        check_classes(index, run)


def test_compare_predicts_as_it_is_told(
    data: Path, tmp_path: Path, fake_run: Any, scored: list[EvaluationOptions]
) -> None:
    runs = [replace(fake_run(), path=tmp_path / name) for name in "ab"]
    for options in ({"flip_average": True, "tolerance": 1.5}, {}):
        with pytest.raises(InterruptedError):
            compare(*runs, data, **options)
    assert [(call.flip_average, call.tolerance) for call in scored] == [(True, 1.5), (False, 2.0)]


def test_the_printed_table_fits_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = RunRow(
        run="first-run", cases=9, failed=0, dice=0.75, dice_low=0.7, dice_high=0.8, pooled_dice=0.81,
        iou=0.61, hd95=9.5, units="px", dice_small=0.5, dice_medium=None, dice_large=0.9,
        retrieval={"count": 0.5, "left": 0.75, "right": None},
    )  # fmt: skip
    rows = {"first-run": row, "second": row.model_copy(update={"run": "second", "retrieval": {}})}
    monkeypatch.setattr(run_table, "run_row", lambda name, metrics: rows[name])
    nothing: Any = SimpleNamespace(metrics=None)
    show_runs(dict.fromkeys(rows, nothing), tmp_path)
    head, first, second, legend, _ = capsys.readouterr().out.splitlines()
    assert head.split()[-6:] == ["pooled", "small", "medium", "large", "IoU", "words"]
    assert " ".join(first.split()) == "first-run 0.750 0.700 to 0.800 0.810 0.500 - 0.900 0.610 0.625"
    assert second.split()[-2:] == ["0.610", "-"]
    assert max(map(len, (head, first, second))) <= 80
    assert "retrieval accuracy" in legend


def test_a_shipped_model_is_called_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its folder is a path of this machine, which is no use to a reader on another."""
    shipped = Run.open("covid-xray")
    assert shipped.path.is_absolute()
    assert shipped.shown == "covid-xray"
    with refuses("LEX-USE-082", "Expected two different runs, got covid-xray"):
        compare("covid-xray", "covid-xray", tmp_path)
    with refuses("LEX-USE-088", "covid-xray is named"):
        run_names([shipped.path, shipped.path])
    with refuses("LEX-USE-041", "averaged with itself."):
        check_alike(shipped, shipped)
    assert Run(tmp_path / "covid-xray", shipped.manifest).shown == str(tmp_path / "covid-xray")
    (tmp_path / "covid-xray").mkdir()
    monkeypatch.chdir(tmp_path)
    assert shipped.shown == str(shipped.path)  # the name would now open another folder


def test_an_evaluation_of_a_shipped_model_names_no_folder_of_this_machine(
    tmp_path: Path, write_case: Any, disc: Any, fake_predictor: Any
) -> None:
    shipped = Run.open("covid-xray")
    write_case(tmp_path / "data", "a", disc(64, 20, 14, 6))
    predictor = fake_predictor(shipped, {"a": (np.zeros((64, 64), np.uint8), (0, 0, 2, 7))})
    predictor.runs = (shipped, shipped)
    found = evaluate_on(open_dataset(tmp_path / "data"), predictor, EvaluationOptions(), out=tmp_path)
    assert found.metrics.run.folder == "covid-xray"
    assert found.metrics.execution.average_with == ("covid-xray",)
    assert found.metrics.execution.command.startswith("lexiseg evaluate covid-xray ")
    for file in ("metrics.json", "report.html"):
        assert str(shipped.path) not in (tmp_path / file).read_text()
