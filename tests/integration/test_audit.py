"""Audit, compare and several runs in one table, by command line, on tiny data."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import time
from pathlib import Path

import jsonschema
import pytest
from command_line import Command, Outcome, Trained, finish, shell, start
from small_data import leftovers, phantom_cases, write_folders

from lexiseg.data import open_dataset
from lexiseg.schemas import schema

CONFIG = (
    "precision: fp32\nworkers: 0\nbatch_size: 4\nwidth: 16\nencoder: lcnet_050\nencoder_weights: none\n"
    "small_first: 0\nretrieval_weight: 0.4\n"
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folders(tmp_path_factory.mktemp("audited") / "data", phantom_cases(12, 3, 4))


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "audit.yaml"
    path.write_text(CONFIG)
    return path


def options(data: Path, out: Path, config: Path, **changes: object) -> list[object]:
    given = {"models": "stpnet", "arms": "none,concepts", "seeds": 2, "epochs": 1, "image_size": 64}
    words: list[object] = ["audit", data, "--out", out, "--config", config]
    for name, value in {**given, **changes}.items():
        words += [] if value is None else [f"--{name.replace('_', '-')}", value]
    return words


@pytest.fixture(scope="module")
def audited(data: Path, config: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """An audit of four arms, killed in the middle of one and gone on with."""
    out = tmp_path_factory.mktemp("audits") / "first"
    killed = start(*options(data, out, config))
    begun = out / "arms" / "stpnet-concepts-s0" / "run.json"
    for _ in range(6000):
        if begun.is_file() or killed.poll() is not None:
            break
        time.sleep(0.05)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert (out / "arms" / "stpnet-none-s0" / "test" / "metrics.json").is_file()
    assert not (out / "audit.json").exists()
    outcome = shell(*options(data, out, config))
    assert outcome.code == 0, outcome.stderr
    return out, outcome


@pytest.mark.slow
def test_a_killed_audit_goes_on_where_it_was(audited: tuple[Path, Outcome]) -> None:
    out, outcome = audited
    assert "stpnet-concepts-s0: taken over from process" in outcome.stdout
    assert "which has died" in outcome.stdout
    assert "Arm stpnet-none-s0" not in outcome.stdout
    assert [f"Arm {arm} (" in outcome.stdout for arm in ("stpnet-none-s1", "stpnet-concepts-s1")] == [
        True
    ] * 2
    assert f"Report: {out / 'audit.html'}" in outcome.stdout
    assert not [path for path in (out / "claims").iterdir() if not path.name.startswith(".")]


@pytest.mark.slow
def test_what_an_audit_writes(audited: tuple[Path, Outcome]) -> None:
    out, outcome = audited
    content = json.loads((out / "audit.json").read_text())
    jsonschema.validate(content, schema("audit"))
    metrics = json.loads((out / "arms" / "stpnet-concepts-s1" / "test" / "metrics.json").read_text())
    jsonschema.validate(metrics, schema("metrics"))
    assert [(a["arm"], a["steps"]) for a in content["arms"]] == [("none", [3, 3]), ("concepts", [3, 3])]
    (verdict,) = content["verdicts"]
    assert f"stpnet: {verdict['words']}" in outcome.stdout
    whole = [c for c in content["comparisons"] if c["group"] == "all"]
    assert [(c["arm"], c["against"], c["n"], len(c["by_seed"])) for c in whole] == [
        ("concepts", "none", 4, 2)
    ]
    with open(out / "cases.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 2 * 4
    # The difference is what the table of cases says it is.
    mean = {
        arm: sum(float(row["dice"]) for row in rows if row["arm"] == arm) / 8 for arm in ("none", "concepts")
    }
    assert whole[0]["mean"] == pytest.approx(mean["concepts"] - mean["none"], abs=1e-5)
    page = (out / "audit.html").read_text()
    assert whole[0]["words"] in page
    (pair,) = content["differences"]["pairs"]
    assert sum(pair["values"]) / 4 == pytest.approx(whole[0]["mean"], abs=1e-5)
    linked = re.findall(r'href="([^"#]+)"', page)
    assert len(linked) == 4
    assert "no text, seed 0" in page
    assert len(re.findall(r"<img src=.data:image/jpeg", page)) == 6
    assert all((out / file).is_file() for file in linked)
    assert not leftovers(out / "arms" / "stpnet-none-s1")


@pytest.mark.slow
def test_a_finished_audit_trains_nothing_and_other_settings_are_refused(
    cli: Command, audited: tuple[Path, Outcome], data: Path, config: Path
) -> None:
    out, _ = audited
    weights = out / "arms" / "stpnet-none-s0" / "weights.safetensors"
    before = weights.stat().st_mtime_ns
    again = cli(*options(data, out, config))
    assert again.code == 0
    assert "Arm " not in again.stdout
    assert weights.stat().st_mtime_ns == before
    cli(*options(data, out, config, epochs=2)).refuses(
        4, "training.epochs was 1, now 2", "choose another --out"
    )
    cli(*options(data, out, config, limit=8)).refuses(4, "limit was None, now 8")


@pytest.mark.slow
def test_an_arm_trained_otherwise_is_refused(
    cli: Command, audited: tuple[Path, Outcome], data: Path, config: Path, tmp_path: Path
) -> None:
    out = tmp_path / "copy"
    shutil.copytree(audited[0], out)
    file = out / "arms" / "stpnet-none-s1" / "config.yaml"
    file.write_text(file.read_text().replace("seed: 1", "seed: 7"))
    cli(*options(data, out, config)).refuses(4, "stpnet-none-s1", "seed was 7, now 1", "Remove the folder")


@pytest.mark.slow
def test_two_processes_share_one_audit_of_a_part_of_the_images(
    data: Path, config: Path, tmp_path: Path
) -> None:
    out = tmp_path / "shared"
    processes = [start(*options(data, out, config, seeds=1, limit=6)) for _ in range(2)]
    outcomes = [finish(process) for process in processes]
    assert [outcome.code for outcome in outcomes] == [0, 0]
    said = "".join(outcome.stdout for outcome in outcomes)
    for arm in ("stpnet-none-s0", "stpnet-concepts-s0"):
        assert said.count(f"Arm {arm} (") == 1
        splits = json.loads((out / "arms" / arm / "splits.json").read_text())
        assert len(splits["train"]) == 6
    content = json.loads((out / "audit.json").read_text())
    assert content["settings"]["limit"] == 6
    assert content["verdicts"][0]["kind"] == "undertrained"


@pytest.mark.slow
def test_an_audit_where_few_images_have_masks(cli: Command, data: Path, config: Path, tmp_path: Path) -> None:
    out = tmp_path / "few"
    data = Path(shutil.copytree(data, tmp_path / "data"))
    for sample in open_dataset(data, masks=0.5).split("train"):
        if sample.mask is None:  # whoever opens it fails
            (data / "masks" / f"{sample.id}.png").write_bytes(b"hidden")
    arms = tmp_path / "arms.yaml"
    arms.write_text(
        "arms:\n  weak_labels:\n    words: none\n    against: [pseudo_labels]\n    changes: "
        "{text: none, unmasked: pseudo_labels, pseudo_weight: 0.5}\n"
    )
    few = {
        "arms": "none,pseudo_labels,reports,weak_labels", "arms_file": arms,
        "seeds": 1, "epochs": None, "steps": 3, "masks": 0.5,
    }  # fmt: skip
    outcome = cli(*options(data, out, config, **few))
    assert outcome.code == 0, outcome.stderr
    # Where teachers of a few steps gain nothing by words, the arm of words leaves the images out too.
    for arm, used in (
        ("none", {"leave_out"}), ("pseudo_labels", {"pseudo_labels"}), ("reports", {"words", "leave_out"}),
        ("weak_labels", {"pseudo_labels"}),
    ):  # fmt: skip
        run = json.loads((out / "arms" / f"stpnet-{arm}-s0" / "run.json").read_text())
        assert run["data"]["masks"]["unmasked"] in used
        assert run["data"]["masks"]["share"] == 0.5
        assert run["training"]["steps"] == 3
    content = json.loads((out / "audit.json").read_text())
    pairs = [(c["arm"], c["against"]) for c in content["comparisons"] if c["group"] == "all"]
    assert pairs == [
        ("pseudo_labels", "none"), ("reports", "none"), ("weak_labels", "none"),
        ("reports", "pseudo_labels"), ("weak_labels", "pseudo_labels"),
    ]  # fmt: skip
    assert content["arms"][3]["changes"]["pseudo_weight"] == 0.5
    assert "pseudo_weight: 0.5" in (out / "arms" / "stpnet-weak_labels-s0" / "config.yaml").read_text()
    assert f"--arms-file {arms}" in content["execution"]["command"]
    assert (
        f"{content['settings']['data']['without_mask']} of the 12 training images have no mask"
        in (out / "audit.html").read_text()
    )


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"arms": "none,poems"}, ("--arms", "none, pseudo_labels, shuffled, reports, concepts")),
        ({"arms": "none,pseudo_labels,concepts"}, ("every training image has one", "--masks")),
        ({"masks": 1.5}, ("masks: expected a number above 0 and at most 1; got 1.5",)),
        ({"arms": "reports"}, ("--arms needs 'none' and reports, concepts",)),
        ({"models": "unet"}, ("--models", "stpnet, cotexnet")),
        ({"limit": 13}, ("--limit 13 is more than the 12 training images",)),
    ],
)
def test_audits_that_cannot_be(
    cli: Command, data: Path, config: Path, tmp_path: Path, changes: dict[str, object], parts: tuple[str, ...]
) -> None:
    cli(*options(data, tmp_path / "out", config, **changes)).refuses(2, *parts)
    assert not (tmp_path / "out").exists()


def test_reports_that_are_not_there(cli: Command, config: Path, tmp_path: Path) -> None:
    data = write_folders(tmp_path / "data", phantom_cases(), sheet=False)
    outcome = cli(*options(data, tmp_path / "out", config, arms="none,reports"))
    outcome.refuses(3, "arm 'reports' needs a report", "Remove it from --arms")


@pytest.mark.slow
def test_compare(
    cli: Command, phantom: Path, trained: Trained, trained_cotexnet: Trained, tmp_path: Path
) -> None:
    how = ("--flip-average", "--tolerance", 1)
    outcome = cli("compare", trained.run, trained_cotexnet.run, phantom, "--out", tmp_path / "both", *how)
    assert outcome.code == 0, outcome.stderr
    assert (
        f"A: {trained.run.name}; B: {trained_cotexnet.run.name}; Dice of 6 cases, test split"
        in outcome.stdout
    )
    found = json.loads((tmp_path / "both" / "comparison.json").read_text())
    jsonschema.validate(found, schema("comparison"))
    assert found["flip_average"] is True
    metrics = json.loads((tmp_path / "both" / trained.run.name / "metrics.json").read_text())
    assert (metrics["execution"]["flip_average"], metrics["tolerance"]) == (True, 1)
    tables = {}
    for run in (trained, trained_cotexnet):
        with open(tmp_path / "both" / run.run.name / "cases.csv", newline="") as file:
            tables[run] = {row["id"]: float(row["dice"]) for row in csv.DictReader(file)}
    a, b = tables.values()
    gaps = {case: a[case] - b[case] for case in a}
    whole = found["groups"][0]
    assert (whole["group"], whole["n"]) == ("all", 6)
    assert whole["mean"] == pytest.approx(sum(gaps.values()) / 6, abs=1e-6)
    assert whole["p_holm"] == whole["p_value"]
    named = [case["id"] for case in found["most"]["better"] + found["most"]["worse"]]
    better = sorted((case for case in gaps if gaps[case] > 0), key=lambda case: -gaps[case])
    worse = sorted((case for case in gaps if gaps[case] < 0), key=lambda case: gaps[case])
    assert set(named) == {*better[:5], *worse[:5]}
    printed = cli("compare", trained.run, trained_cotexnet.run, phantom, "--json", *how)
    assert json.loads(printed.stdout)["groups"] == found["groups"]


def test_a_run_is_not_compared_with_itself(cli: Command, phantom: Path, trained: Trained) -> None:
    cli("compare", trained.run, trained.run, phantom).refuses(2, "two different runs", "twice")


@pytest.mark.slow
def test_evaluate_several_runs(
    cli: Command, phantom: Path, trained: Trained, trained_cotexnet: Trained, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    outcome = cli("evaluate", trained.run, trained_cotexnet.run, phantom, "--out", out)
    assert outcome.code == 0, outcome.stderr
    table = json.loads((out / "table.json").read_text())
    jsonschema.validate(table, schema("run-table"))
    rows = table["runs"]
    assert [row["run"] for row in rows] == [trained.run.name, trained_cotexnet.run.name]
    for row in rows:
        metrics = json.loads((out / row["run"] / "metrics.json").read_text())
        assert row["dice"] == metrics["dice"]["mean"]
        read = [metrics["retrieval"][factor]["accuracy"] for factor in metrics["retrieval"]]
        printed = next(line for line in outcome.stdout.splitlines() if line.startswith(row["run"])).split()
        assert printed[1] == f"{row['dice']:.3f}"
        assert printed[-2:] == [f"{metrics['iou']['mean']:.3f}", f"{sum(read) / len(read):.3f}"]
    with open(out / "table.csv", newline="") as file:
        assert [row["run"] for row in csv.DictReader(file)] == [row["run"] for row in rows]


@pytest.mark.slow
def test_two_runs_averaged(
    cli: Command, phantom: Path, trained: Trained, trained_cotexnet: Trained, tmp_path: Path
) -> None:
    both = ("--average-with", trained_cotexnet.run)
    outcome = cli("evaluate", trained.run, phantom, "--out", tmp_path / "scores", *both)
    assert outcome.code == 0, outcome.stderr
    metrics = json.loads((tmp_path / "scores" / "metrics.json").read_text())
    assert metrics["execution"]["average_with"] == [str(trained_cotexnet.run)]
    image = next((phantom / "Test_Folder" / "img").iterdir())
    assert cli("predict", trained.run, image, "--out", tmp_path / "masks", *both).code == 0
    assert (tmp_path / "masks" / "masks" / f"{image.stem}.png").is_file()
    itself = cli("predict", trained.run, image, "--out", tmp_path / "none", "--average-with", trained.run)
    itself.refuses(2, "cannot be averaged with itself")
    several = cli(
        "evaluate", trained.run, trained_cotexnet.run, phantom, "--out", tmp_path / "several", *both
    )
    several.refuses(2, "cannot be averaged with itself")
    assert not (tmp_path / "several").exists()  # refused before the first is evaluated
