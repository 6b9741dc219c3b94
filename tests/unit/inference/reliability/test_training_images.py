"""Which images are unlike the training images: distances by hand, the file, and the prediction."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

import lexiseg
from lexiseg.data.phantom import write_phantom
from lexiseg.engines.engine import Engine, EngineOutput, FloatArray
from lexiseg.evaluation.fitting import calibration
from lexiseg.evaluation.fitting import training_images as fit
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.reliability import training_images
from lexiseg.inference.reliability.review import Review
from lexiseg.inference.reliability.training_images import (
    TRAINING_IMAGES_FILE,
    AspectRecord,
    AspectStatistics,
    TrainingImages,
    TrainingImagesRecord,
    describe_images,
    load_training_images,
    save_training_images,
    unlike_reason,
)
from lexiseg.runs.run import Run
from refusals import refuses


def statistics(size: int, *, mean: float = 0.0, scale: float = 1.0) -> AspectStatistics:
    """Return a spread that is the same along all directions."""
    return AspectStatistics(
        mean=np.full(size, mean, np.float32), scale=np.full(size, scale, np.float32),
        directions=np.zeros((size, 0), np.float32), variances=np.zeros(0, np.float32), rest=1.0,
    )  # fmt: skip


def of_run(run: Run, *, colour_limit: float = 1.0) -> TrainingImages:
    """Return training images that are grey; content and layout are not limited."""
    record = TrainingImagesRecord(
        weights_sha256=run.weights_sha256(), data="chest", train=40, val=20, beyond=0.0,
        aspects={
            "layout": AspectRecord(limit=1e9, rest=1.0),
            "colour": AspectRecord(limit=colour_limit, rest=1.0),
        },
        lexiseg_version="0", created="2026-11-29T00:00:00+00:00",
    )  # fmt: skip
    return TrainingImages(record=record, statistics={"layout": statistics(66), "colour": statistics(1)})


def test_the_distance_by_hand() -> None:
    spread = AspectStatistics(
        mean=np.array([1.0, 2.0, 3.0]), scale=np.array([1.0, 2.0, 1.0]),
        directions=np.array([[1.0], [0.0], [0.0]]), variances=np.array([4.0]), rest=0.25,
    )  # fmt: skip
    # Standardised: (4, 0, 0), (0, 1, 1) and (0, 0, 0).
    vectors = np.array([[5.0, 2.0, 3.0], [1.0, 4.0, 4.0], [1.0, 2.0, 3.0]])
    expected = [np.sqrt(16 / 4 / 3), np.sqrt((1 + 1) / 0.25 / 3), 0]
    np.testing.assert_allclose(spread.distance(vectors), expected)


def test_aspects_above_their_limit_are_named(made: tuple[Run, Any]) -> None:
    found = of_run(made[0], colour_limit=2.0)
    vectors = {"layout": np.zeros((3, 66)), "colour": np.array([[1.9], [2.1], [0.0]])}
    assert found.unlike(vectors) == [(), ("colour",), ()]
    assert found.unlike({"colour": np.array([[2.1]])}) == [("colour",)]
    assert unlike_reason(("content", "colour")) == "unlike the training images (content, colour)"


def test_vectors_of_an_image_by_hand() -> None:
    half = np.zeros((16, 24, 3), np.uint8)
    half[:, 12:] = (100, 40, 40)  # grey level 60, saturation 60
    vectors = describe_images([half], None)
    assert set(vectors) == {"layout", "colour"}
    assert vectors["colour"].tolist() == [[30.0]]
    layout = vectors["layout"][0]
    assert layout[-2:].tolist() == [30.0, 30.0]  # brightness and contrast
    np.testing.assert_allclose(layout[:64].reshape(8, 8), [[-30 / 34] * 4 + [30 / 34] * 4] * 8)
    features = np.ones((1, 5), np.float32)
    assert describe_images([half], features)["content"] is features


def test_the_file_keeps_everything(made: tuple[Run, Any], tmp_path: Path, make_run: Any) -> None:
    run, _ = make_run(tmp_path / "run")
    assert load_training_images(run) is None
    found = of_run(run)
    save_training_images(run, found)
    read = load_training_images(run)
    assert read is not None
    assert read.record == found.record
    for aspect, spread in found.statistics.items():
        for name, value in vars(spread).items():
            np.testing.assert_array_equal(getattr(read.statistics[aspect], name), value)


def test_files_that_cannot_be_used_are_refused(tmp_path: Path, make_run: Any) -> None:
    run, _ = make_run(tmp_path / "run")
    file = run.path / TRAINING_IMAGES_FILE
    file.write_bytes(b"nonsense")
    with refuses("LEX-RUN-900", "training_images.safetensors", "lexiseg calibrate"):
        Predictor(run)
    save_training_images(run, of_run(run))
    tensors = load_file(file)
    save_file(tensors, file, metadata={"record": '{"format_version": 1}'})
    with refuses("LEX-RUN-900", "weights_sha256"):
        load_training_images(run)
    save_file(tensors, file, metadata={"record": '{"format_version": 99, "new": 1}'})
    with refuses("LEX-RUN-901", "format 99", "Upgrade"):
        load_training_images(run)
    save_training_images(run, of_run(run))
    save_file(load_file(run.weights_file), run.weights_file, metadata={"trained": "again"})
    with refuses("LEX-RUN-902", "other weights"):
        load_training_images(run)


def test_an_unlike_image_is_flagged_and_has_no_expected_dice(
    tmp_path: Path, make_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = make_run(tmp_path / "run")
    grey = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    coloured = np.stack([grey, grey // 2, grey // 2], axis=2)
    before = Predictor(run).predict(coloured)
    assert before.unlike_training_images is None
    save_training_images(run, of_run(run, colour_limit=20.0))
    sure = Review(flagged=False, expected_dice=0.9, doubt="low confidence")
    monkeypatch.setattr(Predictor, "review", lambda *_, **__: sure)
    like, unlike = Predictor(run).predict(grey), Predictor(run).predict(coloured)
    assert (like.unlike_training_images, like.expected_dice, like.flagged) == ((), 0.9, False)
    assert (unlike.unlike_training_images, unlike.expected_dice) == (("colour",), None)
    assert unlike.flagged
    assert unlike.reasons[0] == "unlike the training images (colour)"
    assert "low confidence" not in " ".join(unlike.reasons)
    np.testing.assert_array_equal(unlike.mask, before.mask)
    without = Predictor(run, calibrated=False)
    assert not without.compares_images
    assert without.predict(coloured).unlike_training_images is None


def test_the_images_themselves_are_compared_not_their_mirror_images(tmp_path: Path, make_run: Any) -> None:
    """Flip averaging averages scores and words; the features compared are those of the plain image."""
    run, _ = make_run(tmp_path / "run")
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    plain = Predictor(run)
    features = plain.engine.run(plain.prepare([image])).features
    assert features is not None
    mirrored = plain.engine.run(plain.prepare([image[:, ::-1].copy()])).features
    assert mirrored is not None
    assert np.abs(features - mirrored).max() > 1e-4
    size = features.shape[1]
    spread = AspectStatistics(
        mean=features[0], scale=np.full(size, 1e-4, np.float32),
        directions=np.zeros((size, 0), np.float32), variances=np.zeros(0, np.float32), rest=1.0,
    )  # fmt: skip
    record = of_run(run).record.model_copy(
        update={"aspects": {"content": AspectRecord(limit=0.05, rest=1.0)}}
    )
    save_training_images(run, TrainingImages(record=record, statistics={"content": spread}))
    flipped = Predictor(run, PredictionOptions(flip_average=True))
    assert flipped.predict(image).unlike_training_images == ()
    assert flipped.predict(image[:, ::-1].copy()).unlike_training_images == ("content",)


class _WithoutFeatures:
    """An engine that leaves the image features out, as the model file of some networks does."""

    def __init__(self, engine: Engine) -> None:
        self.description, self.resize, self.probability = (
            engine.description,
            engine.resize,
            engine.probability,
        )
        self._run = engine.run

    def run(self, images: FloatArray) -> EngineOutput:
        return replace(self._run(images), features=None)


def test_an_engine_without_features_compares_the_rest_and_says_so_once(
    tmp_path: Path, make_run: Any, caplog: pytest.LogCaptureFixture
) -> None:
    # Another test of this process may have made it say so already.
    training_images._warn_of_content.cache_clear()
    run, _ = make_run(tmp_path / "run")
    known = of_run(run, colour_limit=20.0)
    limits = {"content": AspectRecord(limit=1e-9, rest=1.0), **known.record.aspects}
    spreads = {"content": statistics(3), **known.statistics}
    record = known.record.model_copy(update={"aspects": limits})
    save_training_images(run, TrainingImages(record=record, statistics=spreads))
    predictor = Predictor(run, engine=_WithoutFeatures(Predictor(run).engine))
    coloured = np.full((64, 64, 3), (90, 60, 60), np.uint8)
    for _ in range(2):
        assert predictor.predict(coloured).unlike_training_images == ("colour",)
    said = [entry.getMessage() for entry in caplog.records if "image features" in entry.getMessage()]
    assert len(said) == 1
    assert "not in content" in said[0]


def test_unlike_the_images_of_one_run_of_two(tmp_path: Path, make_run: Any) -> None:
    first, second = make_run(tmp_path / "a")[0], make_run(tmp_path / "b", model="cotexnet")[0]
    coloured = np.full((64, 64, 3), (90, 60, 60), np.uint8)
    save_training_images(first, of_run(first, colour_limit=40.0))
    both = PredictionOptions(average_with=second)
    assert Predictor(first, both).predict(coloured).unlike_training_images == ()
    save_training_images(second, of_run(second, colour_limit=20.0))
    assert Predictor(first, both).predict(coloured).unlike_training_images == ("colour",)


@pytest.mark.parametrize("model", ["stpnet", "cotexnet"])
@pytest.mark.parametrize("text", ["reports", "none"])
def test_the_compact_networks_return_features_at_two_depths(
    model: str, text: str, tmp_path: Path, make_run: Any
) -> None:
    _, network = make_run(tmp_path / "run", model=model, text=text)
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        found = network(x).image_features
        pyramid = network.levels.choose(network.encoder(x))
    assert network.levels.strides == (2, 4, 8, 16, 32)
    expected = torch.cat([pyramid[1].mean((2, 3)), pyramid[3].mean((2, 3))], dim=1)
    torch.testing.assert_close(found, expected)


def test_a_run_is_described_and_notices_other_images(
    tmp_path: Path, make_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit, "FEWEST_IMAGES", 5)
    write_phantom(tmp_path / "data", num_train=16, num_val=6, num_test=2, size=64, seed=0)
    run, _ = make_run(tmp_path / "run")
    with monkeypatch.context() as many:
        many.setattr(fit, "FEWEST_IMAGES", 7)
        with refuses("LEX-DATA-900", "16 training and 6 validation", "at least 7"):
            lexiseg.fit_training_images(run, tmp_path / "data")
    found = lexiseg.fit_training_images(run, tmp_path / "data")
    assert (found.record.train, found.record.val, found.record.data) == (16, 6, "phantom (seed 0)")
    assert list(found.record.aspects) == ["content", "layout", "colour"]
    assert str(found.record.engine).startswith("torch ")
    read = load_training_images(run)
    assert read is not None
    assert read.record == found.record
    predictor = lexiseg.load(run.path)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert predictor.predict(noise).unlike_training_images
    images = sorted((tmp_path / "data" / "Train_Folder" / "img").iterdir())
    assert not any(predictor.predict(image).unlike_training_images for image in images)


def test_a_file_of_an_early_version_names_no_engine(tmp_path: Path, make_run: Any) -> None:
    run, _ = make_run(tmp_path / "run")
    assert "engine" not in of_run(run).record.model_dump_json()


def test_a_calibration_describes_by_torch_unless_an_engine_is_named_or_torch_is_missing(
    tmp_path: Path, make_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_phantom(tmp_path / "data", num_train=4, num_val=2, num_test=2, size=64, seed=0)
    run, _ = make_run(tmp_path / "run")
    asked: list[str] = []
    monkeypatch.setattr(
        calibration, "describe_training_images", lambda *_, engine, **__: asked.append(engine)
    )
    for installed in (True, False):
        monkeypatch.setattr(calibration, "is_installed", lambda _, found=installed: found)
        lexiseg.calibrate(run, tmp_path / "data")
    lexiseg.calibrate(run, tmp_path / "data", engine="torch")
    assert asked == ["torch", "auto", "torch"]


def test_a_calibration_refuses_a_damaged_file_before_it_predicts(
    tmp_path: Path, make_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No prediction of the run is possible with it, so a calibration would not be used."""
    write_phantom(tmp_path / "data", num_train=4, num_val=2, num_test=2, size=64, seed=0)
    run, _ = make_run(tmp_path / "run")
    (run.path / TRAINING_IMAGES_FILE).write_bytes(b"damaged")
    monkeypatch.setattr(calibration, "calibrate_on", lambda *_, **__: pytest.fail("it predicted"))
    with refuses("LEX-RUN-900", TRAINING_IMAGES_FILE, "remove it"):
        lexiseg.calibrate(run, tmp_path / "data")
    assert not (run.path / "calibration.json").exists()
    (run.path / TRAINING_IMAGES_FILE).unlink()
    (run.path / "calibration.json").write_bytes(b"damaged")
    with refuses("LEX-RUN-010", "calibration.json", "remove it"):
        lexiseg.calibrate(run, tmp_path / "data")
