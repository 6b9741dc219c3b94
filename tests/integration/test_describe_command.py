"""`lexiseg data describe`, and training with what it wrote."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from command_line import Command, finish, shell, start

from lexiseg.runs.run import Run
from vision_server import Asked, Reply, says, serving

USAGE, DATA = 2, 3

CHEST = {
    "laterality": "unilateral pulmonary infection",
    "count": 1,
    "left": "upper left lung",
    "right": "no lesion in right lung",
}


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_measured_words_are_written_and_trained_with(
    cli: Command, folders: Path, tiny_config: Path, tmp_path: Path
) -> None:
    out = tmp_path / "words.jsonl"
    made = cli(
        "data", "describe", folders, "--out", out, "--rois", tmp_path / "rois", "--vocabulary", "chest"
    )
    assert made.code == 0, made.stderr
    assert "14 descriptions written to" in made.stdout
    assert len(list((tmp_path / "rois").glob("*.png"))) == 14
    options = ("--text", out, "--epochs", 1, "--config", tiny_config, "--encoder-weights", "none")
    trained = cli("train", folders, "--out", tmp_path / "run", *options)
    assert trained.code == 0, trained.stderr
    manifest = Run.open(tmp_path / "run").manifest
    assert manifest.text == "concepts"
    assert manifest.data.descriptions.lines == 14
    cli("data", "describe", folders, "--out", out).refuses(USAGE, "already exists")
    out.write_text(out.read_text().replace('"count"', '"mood"', 1))
    cli("train", folders, "--out", tmp_path / "other", *options).refuses(DATA, "line 1", "no factor 'mood'")
    assert not (tmp_path / "other").exists()
    cli("train", folders, "--out", tmp_path / "other", "--text", tmp_path / "no.jsonl").refuses(
        DATA, "no.jsonl", "cannot be read", "lexiseg data describe"
    )


def test_images_without_mask_are_left_out_of_file_and_training(
    cli: Command, folders: Path, tiny_config: Path, tmp_path: Path
) -> None:
    for name in json.loads((folders / "splits.json").read_text())["train"][:3]:
        (folders / "masks" / f"{name}.png").unlink()
    out = tmp_path / "words.jsonl"
    made = cli("data", "describe", folders, "--out", out, "--vocabulary", "chest")
    assert made.code == 0, made.stderr
    assert "No mask for 3 of 14 images (" in made.stdout
    assert "11 descriptions written to" in made.stdout
    options = ("--text", out, "--epochs", 1, "--config", tiny_config, "--encoder-weights", "none")
    cli("train", folders, "--out", tmp_path / "run", *options).refuses(
        DATA, "words.jsonl describes 8 of the 11", "--source reports", "--unmasked leave_out"
    )
    trained = cli("train", folders, "--out", tmp_path / "run", "--unmasked", "leave_out", *options)
    assert trained.code == 0, trained.stderr


def test_options_of_a_model_need_the_source(cli: Command, folders: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "d.jsonl")
    cli("data", "describe", folders, *out, "--model", "m").refuses(USAGE, "need --source lmm")
    cli("data", "describe", folders, *out, "--source", "lmm").refuses(USAGE, "needs --model")
    cli("data", "describe", folders, *out, "--source", "lmm", "--model", "m", "--base-url", "here").refuses(
        USAGE, "--base-url must be the plain address", "'here'"
    )


def test_a_model_that_fails_some_ends_with_their_count(cli: Command, folders: Path, tmp_path: Path) -> None:
    spoiled: set[bytes] = set()

    def behave(asked: Asked) -> Reply:
        if len(spoiled) < 2:
            spoiled.add(asked.picture)
        return says("I cannot say." if asked.picture in spoiled else json.dumps(CHEST))

    with serving(behave) as server:
        model = ("--source", "lmm", "--model", "m", "--base-url", server.url, "--price", 1, 10)
        described = cli(
            "data", "describe", folders, "--out", tmp_path / "d.jsonl", "--vocabulary", "chest",
            "--concurrency", 1, *model,
        )  # fmt: skip
    assert described.code == 1
    assert "Measured instead: 2 of 14 descriptions" in described.message
    assert described.stdout.index(f"Sent to {server.url}, and nowhere else") < described.stdout.index(
        "written"
    )
    # 12 answers at the first try and two regions asked three times, of 100 + 20 tokens each
    assert "14 of 14 described, 2 measured instead, 2,160 tokens, cost 0.0054" in described.stdout
    lines = lines_of(tmp_path / "d.jsonl")
    assert sum(line["provenance"]["fell_back"] is not None for line in lines) == 2
    assert all(line["provenance"]["prompt_version"] == 1 for line in lines)


def answered(journal: Path) -> int:
    """Return how many replies are whole in a journal."""
    return max(0, journal.read_bytes().count(b"\n") - 1) if journal.is_file() else 0


@pytest.mark.slow
def test_killed_and_run_again_nothing_is_asked_twice(folders: Path, tmp_path: Path) -> None:
    out = tmp_path / "d.jsonl"
    journal = tmp_path / "d.jsonl.journal"
    good = says(json.dumps(CHEST))
    slow = Reply(content=good.content, headers=good.headers, stall_s=0.3)
    with serving(lambda asked: slow) as server:
        command = (
            "data", "describe", folders, "--out", out, "--vocabulary", "chest", "--source", "lmm",
            "--model", "m", "--base-url", server.url, "--concurrency", 2,
        )  # fmt: skip
        process = start(*command)
        deadline = time.monotonic() + 300
        while answered(journal) < 5:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert finish(process).code == -signal.SIGKILL
        assert not out.exists()
        kept = answered(journal)
        assert 5 <= kept < 14
        with journal.open("ab") as file:
            file.write(b'{"key": "half a li')
        other = shell(*command[:-5], "other", *command[-4:])
        other.refuses(USAGE, "model 'm' instead of 'other'")
        again = shell(*command)
        assert again.code == 0, again.stderr
        times = Counter(asked.picture for asked in server.asked)
    assert len(times) == 14
    assert max(times.values()) <= 2
    # Only what was on its way when it was killed, two at a time, is asked again.
    assert sum(times.values()) - 14 <= 2
    assert len(server.asked) >= 14
    lines = lines_of(out)
    assert [line["provenance"]["replies"] for line in lines] == [1] * 14
    assert "14 of 14 described, 1,680 tokens" in again.stdout
    assert not journal.exists()


@pytest.mark.slow
def test_interrupted_it_says_how_to_go_on(folders: Path, tmp_path: Path) -> None:
    with serving(lambda asked: Reply(stall_s=5) if asked.total else says(json.dumps(CHEST))) as server:
        process = start(
            "data", "describe", folders, "--out", tmp_path / "d.jsonl", "--source", "lmm", "--model", "m",
            "--base-url", server.url,
        )  # fmt: skip
        while not answered(tmp_path / "d.jsonl.journal"):
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        ended = finish(process)
    assert ended.code == 130
    assert "d.jsonl.journal. Run the same command again to resume." in ended.message
    assert "Traceback" not in ended.stderr
