from __future__ import annotations

import csv
import importlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from PIL import Image

from html_page import Page
from lexiseg.data import open_dataset
from lexiseg.errors import DataError, UsageError
from lexiseg.evaluation.evaluate import Evaluation, evaluate, evaluate_on
from lexiseg.evaluation.options import EvaluationOptions
from lexiseg.evaluation.report import figures
from lexiseg.evaluation.scores.metrics_file import Metrics
from lexiseg.inference.options import PredictionOptions
from lexiseg.json_records import read_record
from lexiseg.outputs.output_folder import owned_folder
from lexiseg.runs.run import Run
from lexiseg.schemas import schema
from refusals import refuses

LEFT = "Unilateral pulmonary infection, one infected area, lower left lung."
BOTH = "Bilateral pulmonary infection, two infected areas, lower left lung and lower right lung."
#: laterality, count, left, right of the sentences, as far as the tests look at them
UNILATERAL_ONE, BILATERAL_TWO = (1, 0, 2, 7), (0, 1, 2, 2)

# The package exports the function under the module's name.
MODULE = importlib.import_module("lexiseg.evaluation.evaluate")


class Scene:
    """Four test cases with known scores, two training cases, and a predictor with given answers."""

    def __init__(self, root: Path, write_case: Any, disc: Any, fake_run: Any, fake_predictor: Any) -> None:
        self.root = root
        left, both = disc(64, 48, 14, 8), disc(64, 48, 14, 8) | disc(64, 48, 50, 6)
        nothing = np.zeros((64, 64), np.uint8)
        half = left.copy()
        half[:, 14:] = 0
        self.masks = {"perfect": both, "half": left, "missed": disc(64, 20, 14, 3), "clean": nothing}
        predicted = {"perfect": both, "half": half, "missed": nothing, "clean": nothing}
        sheet = {"perfect": BOTH, "half": LEFT, "missed": LEFT}
        for name, mask in self.masks.items():
            write_case(root / "data", name, mask)
        for name in ("t1", "t2"):
            write_case(root / "data", name, left, "train")
            sheet[name] = BOTH
        rows = ["image,description", *(f'{name}.png,"{text}"' for name, text in sheet.items())]
        (root / "data" / "reports.csv").write_text("\n".join(rows))
        said = dict.fromkeys(predicted, UNILATERAL_ONE) | {"perfect": BILATERAL_TWO}
        self.answers = {name: (mask, said[name]) for name, mask in predicted.items()}
        self._fake_run, self._fake_predictor = fake_run, fake_predictor

    def evaluate(self, *, run: dict[str, Any] | None = None, **options: Any) -> Evaluation:
        self.predictor = self._fake_predictor(self._fake_run(**(run or {})), self.answers)
        out, progress = options.pop("out", self.root / "out"), options.pop("progress", None)
        return evaluate_on(
            open_dataset(self.root / "data"),
            self.predictor,
            EvaluationOptions(**options),
            out=out,
            progress=progress,
        )


@pytest.fixture(autouse=True, scope="module")
def _no_figures() -> Iterator[None]:
    """Leave drawing, the slow part, to the tests of the report."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "_svg_uri", lambda figure: "data:,")
        yield


@pytest.fixture
def scene(tmp_path: Path, write_case: Any, disc: Any, fake_run: Any, fake_predictor: Any) -> Scene:
    return Scene(tmp_path, write_case, disc, fake_run, fake_predictor)


@pytest.fixture(scope="module")
def evaluated(
    tmp_path_factory: Any, write_case: Any, disc: Any, fake_run: Any, fake_predictor: Any
) -> tuple[Scene, Evaluation]:
    """One scene, evaluated once, for tests that only look."""
    scene = Scene(tmp_path_factory.mktemp("scene"), write_case, disc, fake_run, fake_predictor)
    return scene, scene.evaluate()


def rows_of(evaluation: Evaluation) -> dict[str, dict[str, str]]:
    with open(evaluation.out / "cases.csv", newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def test_metrics_json_has_the_keys_of_the_issue_and_hand_computed_values(
    evaluated: tuple[Scene, Evaluation],
) -> None:
    scene, evaluation = evaluated
    metrics = json.loads((evaluation.out / "metrics.json").read_text())
    assert read_record(evaluation.out / "metrics.json", Metrics, remedy="") == evaluation.metrics
    assert next(iter(metrics)) == "schema_version"
    assert metrics["schema_version"] == 1
    jsonschema.validate(metrics, schema("metrics"))
    for name in ("dice", "iou", "hd95", "surface_dice"):
        assert set(metrics[name]) == {"mean", "ci95"}
        assert metrics[name]["ci95"][0] <= metrics[name]["mean"] <= metrics[name]["ci95"][1]
    disc_px, left_px = scene.masks["half"].sum(), scene.answers["half"][0].sum()
    half = 2 * left_px / (disc_px + left_px)
    assert metrics["dice"]["mean"] == pytest.approx((1 + half + 0 + 1) / 4)
    assert metrics["iou"]["mean"] == pytest.approx((1 + left_px / disc_px + 0 + 1) / 4)
    shared = scene.masks["perfect"].sum() + left_px
    predicted, truth = shared, sum(mask.sum() for mask in scene.masks.values())
    assert metrics["pooled_dice"] == pytest.approx(2 * shared / (predicted + truth))
    assert metrics["pooled_iou"] == pytest.approx(shared / (predicted + truth - shared))
    for name in ("pooled_dice", "pooled_iou"):
        low, high = metrics[f"{name}_ci95"]
        assert low < metrics[name] < high
    assert metrics["one_sided_empty"] == 1
    assert (metrics["num_cases"], metrics["split"], metrics["units"]) == (4, "test", "px")
    assert metrics["failed"] == []
    assert evaluation.metrics.failed == ()
    assert metrics["sources"] is None
    assert metrics["by_class"] is None
    evaluation.raise_for_failures()


def test_strata_by_size_and_count(evaluated: tuple[Scene, Evaluation]) -> None:
    metrics = evaluated[1].metrics
    assert [(stratum.tercile, stratum.n) for stratum in metrics.by_size] == [
        ("small", 1),
        ("medium", 1),
        ("large", 1),
        ("no lesion", 1),
    ]
    by_name = {stratum.tercile: stratum.dice.mean for stratum in metrics.by_size}
    assert (by_name["small"], by_name["large"], by_name["no lesion"]) == (0.0, 1.0, 1.0)
    assert metrics.by_size[0].share[1] == metrics.by_size[1].share[0]
    assert {name: group.n for name, group in metrics.by_count.items()} == {
        "one": 2,
        "several": 1,
        "no lesion": 1,
    }
    assert metrics.by_count["several"].dice.mean == 1.0


def test_retrieval_beside_the_training_majority(evaluated: tuple[Scene, Evaluation]) -> None:
    metrics = evaluated[1].metrics
    assert metrics.reference_words == "reports"
    laterality = metrics.retrieval["laterality"]
    # Known: perfect (bilateral), half and missed (unilateral); training was bilateral only.
    assert (laterality.n, laterality.accuracy) == (3, 1.0)
    assert laterality.majority == pytest.approx(1 / 3)
    assert laterality.majority_of_split == pytest.approx(2 / 3)
    assert laterality.confusion == ((1, 0), (0, 2))
    assert list(metrics.retrieval) == ["laterality", "count", "left", "right"]
    assert 0 <= metrics.agreement.mean <= 1
    assert set(metrics.agreement.model_dump()) == {"mean", "ci95", "flagged"}


def test_cases_csv(evaluated: tuple[Scene, Evaluation]) -> None:
    scene, evaluation = evaluated
    rows = rows_of(evaluation)
    assert set(rows) == {"perfect", "half", "missed", "clean"}
    perfect, missed = rows["perfect"], rows["missed"]
    assert perfect["image"] == "test/images/perfect.png"
    assert float(perfect["dice"]) == 1.0
    assert (perfect["lesions"], perfect["tercile"]) == ("2", "large")
    assert (
        perfect["retrieved_laterality"] == perfect["reference_laterality"] == "bilateral pulmonary infection"
    )
    assert (missed["one_sided_empty"], missed["predicted_px"]) == ("True", "0")
    assert float(missed["hd95"]) == pytest.approx(np.hypot(64, 64), abs=1e-3)
    assert int(missed["truth_px"]) == scene.masks["missed"].sum()
    assert rows["clean"]["reference_laterality"] == ""
    assert {row["side"] for row in rows.values()} == {"image"}
    assert "predicted_mm2" not in perfect


def test_millimetres_where_every_spacing_is_known(scene: Scene, evaluated: tuple[Scene, Evaluation]) -> None:
    in_px = evaluated[1]
    (scene.root / "data" / "dataset.yaml").write_text("spacing_mm: 0.5\n")
    in_mm = scene.evaluate()
    assert in_mm.metrics.units == "mm"
    assert in_mm.metrics.hd95.mean == pytest.approx(in_px.metrics.hd95.mean / 2)
    row = rows_of(in_mm)["half"]
    assert float(row["truth_mm2"]) == pytest.approx(int(row["truth_px"]) / 4)


def test_failed_cases_are_reported_and_the_rest_is_scored(scene: Scene, write_case: Any) -> None:
    del scene.answers["half"]
    (scene.root / "data" / "test" / "masks" / "missed.png").write_bytes(b"broken")
    evaluation = scene.evaluate()
    assert {failure.id for failure in evaluation.metrics.failed} == {"half", "missed"}
    assert evaluation.metrics.num_cases == 2
    assert [failure.id for failure in evaluation.metrics.failed] == ["half", "missed"]
    assert "half.png cannot be read" in evaluation.metrics.failed[0].error
    assert set(rows_of(evaluation)) == {"perfect", "clean"}
    report = (evaluation.out / "report.html").read_text()
    assert "half.png cannot be read" in report
    with refuses("LEX-PART-004", "4 cases could"):
        evaluation.raise_for_failures()


def test_a_mask_of_another_size_fails_with_both_sizes(scene: Scene) -> None:
    scene.answers["half"] = (np.zeros((32, 64), np.uint8), UNILATERAL_ONE)
    (failure,) = scene.evaluate().metrics.failed
    assert "64 x 64" in failure.error
    assert "64 x 32" in failure.error


def test_a_training_mask_of_another_size_is_left_out_and_said(scene: Scene) -> None:
    (mask,) = [s.mask for s in open_dataset(scene.root / "data").split("train") if s.id.endswith("t1")]
    assert mask is not None
    Image.fromarray(np.zeros((100, 100), np.uint8)).save(mask)
    metrics = scene.evaluate(run={"text_source": "concepts"}).metrics
    assert metrics.reference_words == "concepts"
    (said,) = [text for text in metrics.data.left_out if "differ in size from their mask" in text]
    assert "1 training image" in said
    assert "t1" in said
    assert said in Page((scene.root / "out" / "report.html").read_text()).text


def test_nothing_scored_writes_nothing(scene: Scene) -> None:
    scene.answers.clear()
    with refuses("LEX-DATA-143", "No case of", "of 4 cases"):
        scene.evaluate()
    assert not (scene.root / "out").exists()


def test_results_of_others_are_not_replaced(scene: Scene) -> None:
    out = scene.root / "out"
    out.mkdir()
    (out / "cases.csv").write_text("image,patient")  # as beside a data set
    with refuses("LEX-DATA-740", "cases.csv"):
        scene.evaluate()
    assert not scene.predictor.asked
    (out / "cases.csv").unlink()
    scene.evaluate()
    scene.evaluate()
    (out / "report.html").write_text("with a note")
    with refuses("LEX-DATA-741", "report.html"):
        scene.evaluate()
    assert (out / "report.html").read_text() == "with a note"


def test_results_of_version_0_1_0_are_replaced(scene: Scene) -> None:
    out = scene.evaluate().out
    (out / ".lexiseg-outputs.jsonl").unlink()
    scene.evaluate()
    (out / ".lexiseg-outputs.jsonl").unlink()
    (out / "metrics.json").write_text('{"dice": 1}')  # of another program
    with refuses("LEX-DATA-740", "cases.csv", "metrics.json"):
        scene.evaluate()


def test_one_evaluation_at_a_time(scene: Scene) -> None:
    with owned_folder(scene.root / "out"), refuses("LEX-USE-740", "is in use"):
        scene.evaluate()


def test_overlays_are_predicted_in_a_second_pass_of_few_cases(
    scene: Scene, disc: Any, write_case: Any
) -> None:
    for number in range(40):
        write_case(scene.root / "data", f"more{number}", disc(64, 48, 14, 8))
        scene.answers[f"more{number}"] = (disc(64, 48, 14, 4 + number % 9), UNILATERAL_ONE)
    scene.evaluate()
    first, second = scene.predictor.asked
    assert len(first) == 44
    assert len(second) <= 12
    assert {"missed", "perfect"} <= set(second)


def test_run_without_words(scene: Scene) -> None:
    evaluation = scene.evaluate(run={"text_source": "none"})
    assert evaluation.metrics.retrieval == {}
    assert evaluation.metrics.agreement is None
    assert evaluation.metrics.reference_words is None
    assert "retrieved_laterality" not in rows_of(evaluation)["perfect"]
    assert "trained without words" in (evaluation.out / "report.html").read_text()


def test_progress_and_provenance(scene: Scene) -> None:
    seen: list[tuple[int, int]] = []
    metrics = scene.evaluate(progress=lambda done, total: seen.append((done, total)), seed=7).metrics
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert metrics.execution.command.startswith("lexiseg evaluate runs/fake ")
    assert metrics.execution.command.endswith(" --seed 7")
    assert metrics.execution.seed == 7
    assert metrics.execution.versions["numpy"] == np.__version__
    assert metrics.data.samples == 4
    assert len(metrics.data.ids_sha256) == 64
    assert (metrics.run.weights_sha256, metrics.execution.average_with_sha256) == (f"{0:064x}", ())
    assert metrics.execution.model_file is None
    assert metrics.run.manifest.training.seed == 5
    assert metrics.run.manifest.vocabulary is None
    assert "vocabulary" not in metrics.model_dump()["run"]["manifest"]


def test_evaluations_are_reproducible(evaluated: tuple[Scene, Evaluation]) -> None:
    scene, first = evaluated
    second = scene.evaluate(out=scene.root / "again")
    assert first.metrics == second.metrics.model_copy(update={"execution": first.metrics.execution})
    assert (first.out / "cases.csv").read_bytes() == (second.out / "cases.csv").read_bytes()


def test_sources_are_compared_where_there_are_several(scene: Scene, write_case: Any, disc: Any) -> None:
    for kind in ("images", "masks"):
        for file in (scene.root / "data").glob(f"*/{kind}/*.png"):
            prefix = "a" if file.stem in {"perfect", "t1"} else "b"
            file.rename(file.with_name(f"{prefix}_{file.name}"))
    (scene.root / "data" / "reports.csv").unlink()
    scene.answers = {
        ("a_" if name == "perfect" else "b_") + name: answer for name, answer in scene.answers.items()
    }
    sources = scene.evaluate().metrics.sources
    assert {name: group.n for name, group in sources.items()} == {"a": 1, "b": 3}
    assert sources["a"].dice.mean == 1.0


def test_wrong_split_and_wrong_classes(scene: Scene) -> None:
    with refuses("LEX-DATA-138", "split (train: 2,"):
        scene.evaluate(split="val")
    with refuses("LEX-USE-081", "split 'exam': expected"):
        scene.evaluate(split="exam")
    with refuses("LEX-DATA-140", "runs/fake segments polyp,"):
        scene.evaluate(run={"class_names": ("background", "polyp", "vessel")})


def test_public_entry_opens_data_and_run(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []
    run = Run.create(scene.root / "run", scene._fake_run().manifest)

    second = Run.create(scene.root / "second", scene._fake_run().manifest)

    def predictor(run: Any, options: PredictionOptions) -> Any:
        asked.append((run, options.device, options.flip_average, options.average_with))
        fake = scene._fake_predictor(scene._fake_run(), scene.answers)
        fake.runs = (fake.run, *([options.average_with] if options.average_with else []))
        return fake

    monkeypatch.setattr(MODULE, "Predictor", predictor)
    evaluation = evaluate(str(run.path), scene.root / "data", out=scene.root / "out", flip_average=True)
    assert asked == [(run, "cpu", True, None)]
    assert evaluation.metrics.execution.command.endswith(" --flip-average")
    averaged = evaluate(run, scene.root / "data", out=scene.root / "both", average_with=second.path)
    assert asked[1:] == [(run, "cpu", False, second)]
    assert averaged.metrics.execution.command.endswith(f" --average-with {second.path}")
    assert averaged.metrics.execution.average_with_sha256 == (f"{1:064x}",)
    assert f"averaged with those of {second.path}" in (scene.root / "both" / "report.html").read_text()
    assert evaluation.metrics.num_cases == 4


@pytest.mark.parametrize("split", ["val", "exam"])
def test_the_split_is_checked_before_the_network_is_loaded(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, split: Any
) -> None:
    def predictor(run: Any, *, device: str) -> Callable[..., Any]:
        raise AssertionError("not to be loaded")

    monkeypatch.setattr(MODULE, "Predictor", predictor)
    with pytest.raises((DataError, UsageError), match="split"):
        evaluate(scene._fake_run(), scene.root / "data", split=split, out=scene.root / "out")


def test_several_classes(
    tmp_path: Path, disc: Any, fake_run: Any, fake_predictor: Any, write_case: Any
) -> None:
    from PIL import Image

    one, two = disc(64, 16, 16, 8), disc(64, 48, 48, 8)
    write_case(tmp_path / "data", "x", one)
    Image.fromarray(one + 2 * two).save(tmp_path / "data" / "test" / "masks" / "x.png")
    (tmp_path / "data" / "dataset.yaml").write_text("classes: {0: background, 1: lesion, 2: effusion}\n")
    run = fake_run(class_names=("background", "lesion", "effusion"), text_source="none")
    predictor = fake_predictor(run, {"x": (one, (0, 0, 0, 0))})
    evaluation = evaluate_on(
        open_dataset(tmp_path / "data"), predictor, EvaluationOptions(), out=tmp_path / "out"
    )
    jsonschema.validate(json.loads((evaluation.out / "metrics.json").read_text()), schema("metrics"))
    assert evaluation.metrics.by_class["lesion"].dice.mean == 1.0
    assert evaluation.metrics.by_class["effusion"].dice.mean == 0.0
    assert evaluation.metrics.dice.mean == 0.5
    row = rows_of(evaluation)["x"]
    assert (row["dice_lesion"], row["dice_effusion"]) == ("1", "0")
    assert "effusion" in (evaluation.out / "report.html").read_text()
    swapped = fake_run(class_names=("background", "effusion", "lesion"), text_source="none")
    with refuses("LEX-DATA-141", "background, lesion, eff"):
        evaluate_on(
            open_dataset(tmp_path / "data"),
            fake_predictor(swapped, predictor.answers),
            EvaluationOptions(),
            out=tmp_path / "out",
        )


def test_reports_of_the_other_side_are_refused(
    tmp_path: Path, disc: Any, fake_run: Any, fake_predictor: Any, write_case: Any
) -> None:
    names, left = [f"c{number}" for number in range(6)], disc(64, 48, 14, 8)
    for name in names:
        write_case(tmp_path / "data", name, left)
    right = LEFT.replace("lower left", "lower right")
    rows = ["image,description", *(f'{name}.png,"{right}"' for name in names)]
    (tmp_path / "data" / "reports.csv").write_text("\n".join(rows))
    data = open_dataset(tmp_path / "data")
    (tmp_path / "data" / "test" / "masks" / "c5.png").write_bytes(b"no image")
    predictor = fake_predictor(fake_run(), dict.fromkeys(names, (left, UNILATERAL_ONE)))
    with refuses("LEX-DATA-094", "assumes the image's"):
        evaluate_on(data, predictor, EvaluationOptions(), out=tmp_path / "out")
    stated = replace(data, side="patient")
    assert len(evaluate_on(stated, predictor, EvaluationOptions(), out=tmp_path / "out").cases) == 5
