"""What benchmarks/pack_zoo.py writes into the card of a model that comes with Lexiseg."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lexiseg.data.public.registry import find_entry
from lexiseg.runs.run import Run
from script_module import load_script

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pack_zoo() -> ModuleType:
    """Return the script as a module; it stands in no package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])
        return load_script(ROOT / "benchmarks" / "pack_zoo.py")


def score(mean: float) -> dict[str, Any]:
    return {"mean": mean, "ci95": [mean - 0.01, mean + 0.02]}


def metrics(**changes: Any) -> dict[str, Any]:
    return {
        "num_cases": 1065,
        "num_patients": 363,
        "interval_over": "patients",
        "units": "px",
        "dice": score(0.8),
        "iou": score(0.7),
        "hd95": score(30.0),
        "pooled_dice": 0.87,
        "pooled_dice_ci95": [0.85, 0.88],
        "by_size": [{"tercile": "small", "dice": score(0.6)}],
        "retrieval": {"count": {"accuracy": 0.88, "ci95": [0.86, 0.9], "majority_of_split": 0.79}},
        "calibration": {"ece": 0.0104},
        "review": {"flagged": 0.15, "dice_flagged": score(0.5), "dice_rest": score(0.84)},
        "images_per_second": 41.26,
        **changes,
    }


def test_every_score_stands_with_its_interval(pack_zoo: ModuleType) -> None:
    assert pack_zoo.rows(metrics()) == {
        "Dice, mean of cases": "0.800 (0.790 to 0.820)",
        "IoU, mean of cases": "0.700 (0.690 to 0.720)",
        "HD95 in px, mean of cases": "30.000 (29.990 to 30.020)",
        "Dice, pooled over all pixels": "0.870 (0.850 to 0.880)",
        "Dice, tercile of small lesions": "0.600 (0.590 to 0.620)",
        "words, count: accuracy; of the phrase most frequent here": "0.880 (0.860 to 0.900); 0.790",
        "expected calibration error, pixels": "0.0104",
        "flagged for review": "15.0 %",
        "Dice of the flagged cases": "0.500 (0.490 to 0.520)",
        "Dice of the others": "0.840 (0.830 to 0.860)",
        "images per second": "41.3",
    }


def test_what_was_not_flagged_or_not_known_is_a_dash(pack_zoo: ModuleType) -> None:
    unknown = {"accuracy": None, "ci95": None, "majority_of_split": None}
    nobody = {"flagged": 0.0, "dice_flagged": None, "dice_rest": score(0.8)}
    rows = pack_zoo.rows(metrics(review=nobody, retrieval={"count": unknown}))
    assert rows["flagged for review"] == "0.0 %"
    assert rows["Dice of the flagged cases"] == "-"
    assert rows["Dice of the others"] == "0.800 (0.790 to 0.820)"
    assert rows["words, count: accuracy; of the phrase most frequent here"] == "-"
    without = pack_zoo.rows(metrics(review=None))
    assert [without[title] for title in ("flagged for review", "Dice of the others")] == ["-", "-"]


def test_the_table_has_a_column_per_way_to_predict(pack_zoo: ModuleType) -> None:
    ways = {"plain": metrics(), "--flip-average": metrics(), "--average-with RUN2": metrics(review=None)}
    section = pack_zoo.scores_section(ways, Path("covid-xray"))
    assert "1,065 images of 363 patients; 95 % intervals over patients." in section
    assert "| test | plain | --flip-average | --average-with RUN2 |\n| --- | --- | --- | --- |" in section
    assert "| flagged for review | 15.0 % | 15.0 % | - |" in section
    assert "| images per second | 41.3 | 41.3 | 41.3 |" in section
    assert "writing files are not included" in section
    assert "RUN2: stpnet, compact preset, encoder tf_efficientnet_lite0, 4.14 M parameters" in section
    assert "RUN2" not in pack_zoo.scores_section({"plain": metrics()}, None)


def test_the_command_is_that_of_the_configuration_the_run_was_trained_with(
    pack_zoo: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    run, file = Run.open("covid-xray").path, Path("benchmarks/covid_xray_hour.yaml")
    command = "lexiseg train DATA --out RUN --config benchmarks/covid_xray_hour.yaml --max-minutes 60"
    assert pack_zoo.training_command(run, file) == command
    assert pack_zoo.training_command(run, None) == "lexiseg train DATA --out RUN --config config.yaml"
    other = tmp_path / "other.yaml"
    other.write_text(file.read_text() + "precision: bf16\nwidth: 64\n")
    with pytest.raises(SystemExit, match=r"not trained with .*other.yaml: precision, width differ"):
        pack_zoo.training_command(run, other)


def test_the_packing_command_names_no_folder_of_this_machine(pack_zoo: ModuleType) -> None:
    options = argparse.Namespace(
        run=Path("/home/me/run"), data=Path("/data"), name="n", version="0.2", data_set="qata-cov19",
        config=Path("c.yaml"), average_with=Path("/home/me/second"),
    )  # fmt: skip
    assert pack_zoo.packing_command(options) == (
        "python benchmarks/pack_zoo.py RUN DATA --name n --version 0.2 --data-set qata-cov19 --config c.yaml "
        "--average-with RUN2"
    )


def test_a_new_version_leaves_the_older_one_beside_it(pack_zoo: ModuleType, tmp_path: Path) -> None:
    zoo = tmp_path / "zoo"
    (zoo / "lung").mkdir(parents=True)
    (zoo / "lung" / "run.json").write_text("old")
    (zoo / "versions.json").write_text('{"lung": "0.1", "skin": "0.3"}')
    packed = tmp_path / "packed"
    packed.mkdir()
    for content, version in (("new", "0.2"), ("new again", "0.2")):
        (packed / "run.json").write_text(content)
        pack_zoo.place(packed, zoo, "lung", version)
        assert json.loads((zoo / "versions.json").read_text()) == {"lung": "0.2", "skin": "0.3"}
        assert (zoo / "lung" / "run.json").read_text() == content
        assert (zoo / "lung@0.1" / "run.json").read_text() == "old"
    with pytest.raises(SystemExit, match=r"lung@0\.1"):
        pack_zoo.place(packed, zoo, "lung", "0.1")
    assert (zoo / "lung" / "run.json").read_text() == "new again"


@pytest.mark.parametrize(
    ("data_set", "said"), [("qata-cov19", "not stated where we looked"), ("chaos-mr", "CC")]
)
def test_the_licence_comes_from_the_registry(pack_zoo: ModuleType, data_set: str, said: str) -> None:
    licence = pack_zoo.licence(find_entry(data_set))
    assert licence.startswith(said)
    assert find_entry(data_set).home in licence
    assert licence.endswith("clear your use with their owners")


def test_the_shipped_card_says_each_thing_once() -> None:
    card = (Run.open("covid-xray").path / "model_card.md").read_text(encoding="utf-8")
    assert card.count("not stated where we looked") == 1
    assert card.count("clear your use with their owners") == 1


def test_the_shipped_card_holds_the_facts_of_its_run(pack_zoo: ModuleType) -> None:
    run = Run.open("covid-xray")
    card = (run.path / "model_card.md").read_text(encoding="utf-8")
    facts = pack_zoo.facts(run, find_entry("qata-cov19"), size=9.7, move=0.00003)
    for title, value in facts.items():
        assert f"| {title} | {value} |" in card
    assert pack_zoo.fit_section(run) in card


def test_a_packed_model_keeps_its_zone_atlas(pack_zoo: ModuleType, tmp_path: Path) -> None:
    shipped = Run.of("covid-xray")
    pack_zoo.pack(shipped.path, tmp_path / "packed", command="lexiseg train DATA")
    packed = Run.open(tmp_path / "packed")
    assert shipped.zone_atlas is not None
    assert packed.zone_atlas is not None
    assert packed.zone_atlas.strength == shipped.zone_atlas.strength
