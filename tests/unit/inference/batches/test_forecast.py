"""A dry run says what a prediction would do, and writes nothing."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from torch import nn
from typer.testing import CliRunner

from lexiseg.cli.app import app
from lexiseg.errors import UsageError
from lexiseg.inference.batches import forecast
from lexiseg.inference.batches.forecast import forecast_prediction
from lexiseg.inference.inputs.target_search import find_targets
from lexiseg.inference.predictor import Predictor
from lexiseg.runs.run import Run
from volume_files import ct_series


class Clock:
    """Each image takes 2 s, the first one 10 s."""

    def __init__(self) -> None:
        self.times = iter([0.0, 10.0, 10.0, 12.0, 12.0, 14.0, 14.0, 16.0, 16.0, 18.0])

    def __call__(self) -> float:
        return next(self.times)


def test_time_and_files(
    made: tuple[Run, nn.Module], images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor, targets = Predictor(made[0]), find_targets(images)
    monkeypatch.setattr(forecast.time, "perf_counter", Clock())
    found = forecast_prediction(predictor, targets, tmp_path / "out", formats=["mask", "card", "records"])
    assert found.images == 5
    # The first pass is not counted.
    assert found.seconds_per_image == 2.0
    assert found.minutes == pytest.approx(5 * 2 / 60)
    out = tmp_path / "out"
    assert found.files == {str(out / "masks"): 5, str(out / "cards"): 5, str(out / "predictions.jsonl"): 1}
    assert (found.exists, found.unreadable) == (False, {})
    assert found.sentences() == (
        f"5 images would be predicted by {predictor.engine.description}.",
        "Time: about 10 s (2.00 s per image, without the writing of files).",
        f"Files: 5 in {out}/masks, 5 in {out}/cards, {out}/predictions.jsonl.",
    )
    assert not out.exists()


def test_images_that_cannot_be_read(made: tuple[Run, nn.Module], tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    found = forecast_prediction(
        Predictor(made[0]), find_targets([tmp_path / "broken.png"]), tmp_path, formats=["mask"]
    )
    assert (found.seconds_per_image, found.minutes) == (None, None)
    assert "broken.png is not a readable image" in found.unreadable[str(tmp_path / "broken.png")]
    assert found.sentences()[0].startswith("1 image would be predicted by")
    assert found.sentences()[-1].startswith(f"{tmp_path} exists")


def test_an_output_folder_at_a_url(made: tuple[Run, nn.Module], images: list[Path]) -> None:
    found = forecast_prediction(Predictor(made[0]), find_targets(images), "s3://b/out", formats=["mask"])
    assert found.files == {"s3://b/out/masks": 5, "s3://b/out/predictions.jsonl": 1}
    assert (found.out, found.exists) == ("s3://b/out", False)


def test_the_command(made: tuple[Run, nn.Module], images: list[Path], tmp_path: Path) -> None:
    at_url = ["predict", str(made[0].path), str(images[0]), "-o", "s3://b/out", "--dry-run"]
    assert "1 in s3://b/out/masks, s3://b/out/predictions.jsonl" in CliRunner().invoke(app, at_url).output
    line = ["predict", str(made[0].path), *map(str, images), "-o", str(tmp_path / "out"), "--dry-run"]
    done = CliRunner().invoke(app, [*line, "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["images"] == 5
    assert "5 images would be predicted" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_password_in_the_output_address_is_refused_also_without_writing(
    made: tuple[Run, nn.Module], images: list[Path]
) -> None:
    out = "ftp://me:sec/ret@host/out"  # pragma: allowlist secret
    done = CliRunner().invoke(app, ["predict", str(made[0].path), str(images[0]), "-o", out, "--dry-run"])
    assert isinstance(done.exception, UsageError)
    assert done.exception.code == "LEX-USE-2032"
    assert "sec" not in str(done.exception) + done.output


def stated(*line: object) -> dict[str, int]:
    done = CliRunner().invoke(app, ["predict", *map(str, line), "--dry-run", "--json"])
    assert done.exit_code == 0, done.output
    found: dict[str, int] = json.loads(done.stdout)["files"]
    return found


def written(out: Path) -> dict[str, int]:
    """Return the number of files in each folder, as a forecast has them: files beside folders alone."""
    found: Counter[str] = Counter()
    for path in out.rglob("*"):
        if path.is_file() and not path.name.startswith("."):
            is_list = path.suffix in (".jsonl", ".parquet", ".json")
            found[str(path if is_list else path.parent)] += 1
    return dict(found)


@pytest.mark.parametrize(
    "options",
    [
        ["--write", "mask,overlay"],
        ["--write", "parquet"],
        ["--shard", "1/2", "--tar", "2", "--write", "mask,parquet"],
        ["--shard", "2/2"],
    ],
    ids=" ".join,
)
def test_the_stated_files_are_those_of_the_command(
    made: tuple[Run, nn.Module], images: list[Path], tmp_path: Path, options: list[str]
) -> None:
    line = [str(made[0].path), *map(str, images), "-o", str(tmp_path / "out"), *options]
    forecast = stated(*line)
    done = CliRunner().invoke(app, ["predict", *line])
    assert done.exit_code == 0, done.output
    assert forecast == written(tmp_path / "out")


def test_the_stated_files_of_volumes(made: tuple[Run, nn.Module], images: list[Path], tmp_path: Path) -> None:
    ct_series(tmp_path / "ct")
    for more, parts in (([], ["nifti", "overlays"]), (images[:1], ["nifti", "overlays", "masks"])):
        out = tmp_path / f"out{len(parts)}"
        line = [made[0].path, tmp_path / "ct", *more, "-o", out, "--write", "mask,overlay"]
        forecast = stated(*line)
        assert CliRunner().invoke(app, ["predict", *map(str, line)]).exit_code == 0
        assert forecast == written(out)
        assert set(parts) <= {Path(name).name for name in forecast}
