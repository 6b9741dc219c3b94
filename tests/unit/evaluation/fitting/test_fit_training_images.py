"""What training images look like, fitted: the spread and the limits by hand, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dicom_files import dicom_file
from lexiseg.data.sample import Sample
from lexiseg.evaluation.fitting import training_images as fit
from lexiseg.evaluation.fitting.training_images import fit_aspect, fit_limit
from lexiseg.runs.manifest import StartRecord, TrainingRecord
from refusals import refuses


def test_the_spread_along_and_beside_the_main_direction() -> None:
    rng = np.random.default_rng(0)
    main, beside = rng.normal(size=4000), rng.normal(size=(4000, 2))
    vectors = np.outer(main, [3.0, 3.0]) + 0.1 * beside + [1.0, 2.0]
    spread = fit_aspect(vectors, directions=1, least_scale=1e-3)
    np.testing.assert_allclose(spread.mean, [1, 2], atol=0.2)
    assert abs(spread.directions[:, 0] @ [0.5**0.5, 0.5**0.5]) == pytest.approx(1, abs=1e-3)
    assert spread.variances[0] == pytest.approx(2, abs=0.01)  # two entries that move together
    distances = spread.distance(vectors)
    assert np.sqrt((distances**2).mean()) == pytest.approx(1, abs=0.01)
    # The same step, along the main direction and across it.
    along, across = spread.distance(np.array([[2.0, 3.0], [2.0, 1.0]]))
    assert across > 5 * along


def test_entries_that_never_change_have_the_least_scale() -> None:
    spread = fit_aspect(np.zeros((50, 1)), directions=0, least_scale=4.0)
    assert spread.distance(np.array([[0.0], [4.0], [8.0]])).tolist() == [0, 1, 2]


def test_few_images_have_few_main_directions() -> None:
    vectors = np.random.default_rng(0).normal(size=(24, 40))
    assert fit_aspect(vectors, directions=32, least_scale=1e-3).directions.shape == (40, 3)


def test_the_limit_by_hand() -> None:
    assert fit_limit(np.full(30, 0.2)) == 1.0  # never below the distance of a training image
    assert fit_limit(np.arange(201.0)) == 199.0  # one of 201 is above it, 0.5 %


def test_images_are_described_as_they_are_displayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prediction compares displayed images; a file can store them upside down."""
    shown = np.arange(16, dtype=np.uint8).reshape(4, 4) * 10
    file = dicom_file(tmp_path / "a.dcm", shown[::-1].copy(), PatientOrientation=["L", "H"])
    described: list[np.ndarray] = []

    def describe(images: list[np.ndarray], features: object) -> dict[str, np.ndarray]:
        described.extend(images)
        return {"layout": np.zeros((len(images), 1))}

    monkeypatch.setattr(fit, "describe_images", describe)
    member = SimpleNamespace(
        whole_images=SimpleNamespace(pictures=lambda images: SimpleNamespace(images=None, inside=None)),
        output=lambda images, inside: SimpleNamespace(features=None),
    )
    fit._vectors([Sample(id="a", split="train", image=file, mask=None)], member, None)  # type: ignore[arg-type]
    (pixels,) = described
    assert (np.diff(pixels[:, 0, 0].astype(int)) > 0).all()


def test_a_shipped_model_is_not_changed(tmp_path: Path) -> None:
    with refuses("LEX-RUN-903", "covid-xray", "Copy"):
        fit.fit_training_images("covid-xray", tmp_path)


def test_images_of_earlier_runs_that_are_not_known_are_said(
    tmp_path: Path, fake_run: Any, write_case: Any, disc: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for split in ("train", "val"):
        write_case(tmp_path / "data", f"{split}1", disc(32, 16, 8, 5), split)
    run = fake_run(text_source="none")
    start = StartRecord(name="first", data="skin", weights_sha256="0", images_known=False)
    for training, said in ((TrainingRecord(start=start), True), (TrainingRecord(), False)):
        caplog.clear()
        changed = replace(run, manifest=run.manifest.model_copy(update={"training": training}))
        with refuses("LEX-DATA-900"):
            fit.fit_training_images(changed, tmp_path / "data")
        assert ("learned from first, and not all images" in caplog.text) is said
