from __future__ import annotations

import inspect
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import lexiseg
from lexiseg.data.readers import read_image
from lexiseg.errors import DataError, RunError, UsageError
from lexiseg.inference.options import BATCH_SIZE, PredictionOptions
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.preprocess import normalise
from lexiseg.models.text_bank import TextBank
from lexiseg.runs.run import Run
from lexiseg.words.measure import agreement, measure
from refusals import refuses


@pytest.fixture(scope="module")
def predictor(made: tuple[Run, nn.Module]) -> Predictor:
    return Predictor(made[0])


def test_a_loaded_run_gives_what_its_network_gave(
    made: tuple[Run, nn.Module], predictor: Predictor, images: list[Path]
) -> None:
    network = made[1]
    pixels = read_image(images[0])
    with torch.inference_mode():
        output = network(torch.from_numpy(normalise(pixels[None], (0.5,) * 3, (0.25,) * 3)))
    prediction = predictor.predict(images[0])
    expected = output.logits[0].sigmoid().numpy()
    assert np.ptp(expected) > 0.5  # a flat map would prove nothing
    np.testing.assert_allclose(prediction.probability, expected, atol=1e-4)
    for word in prediction.words:
        probability = output.retrieval[word.factor].softmax(dim=1)[0]
        assert word.index == int(probability.argmax())
        assert word.confidence == pytest.approx(probability.max().item(), abs=1e-5)


def test_norms_are_folded(predictor: Predictor) -> None:
    assert not any(isinstance(module, nn.BatchNorm2d) for module in predictor.engine.network.modules())
    assert not predictor.engine.network.training


def test_nothing_but_an_image_and_its_spacing_goes_in() -> None:
    assert list(inspect.signature(Predictor.predict).parameters) == ["self", "image", "spacing_mm"]
    of_volumes = (lexiseg.predict_volume, lexiseg.predict_volumes_to_files)
    for given in (Predictor.predict_arrays, Predictor.predict_paths, Predictor.__init__, *of_volumes):
        names = inspect.signature(given).parameters
        assert not {"text", "words", "report", "mask", "description"} & names.keys()


@pytest.mark.parametrize(("device", "overlaps"), [("cpu", False), ("cuda:0", True)])
def test_torch_on_a_cpu_waits_for_predictions(
    predictor: Predictor,
    images: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    overlaps: bool,
) -> None:
    description = replace(predictor.engine.description, device=device)
    monkeypatch.setattr(type(predictor.engine), "description", description)
    threads = set[str]()
    on_grid = predictor.on_grid

    def noted(*arguments: Any) -> Any:
        threads.add(threading.current_thread().name)
        return on_grid(*arguments)

    monkeypatch.setattr(predictor, "on_grid", noted)
    found = [path for path, _ in predictor.predict_paths(images, batch_size=1)]
    assert found == images
    assert {name.startswith("lexiseg-predict") for name in threads} == {overlaps}


def test_no_images_have_no_predictions(predictor: Predictor) -> None:
    assert predictor.predict_arrays([]) == []
    assert predictor.predict_decoded([]) == []
    assert list(predictor.predict_paths([])) == []


def test_results_are_on_the_grid_of_the_input(predictor: Predictor, images: list[Path]) -> None:
    for path in images:
        shape = read_image(path).shape[:2]
        prediction = predictor.predict(path)
        assert (prediction.mask.shape, prediction.mask.dtype) == (shape, np.uint8)
        assert (prediction.probability.shape, prediction.probability.dtype) == ((1, *shape), np.float32)
        assert set(np.unique(prediction.mask)) <= {0, 1}
        assert np.array_equal(prediction.mask, prediction.probability[0] > 0.5)
        assert prediction.area_px == {"lesion": int(prediction.mask.sum())}
        assert 0 < prediction.mask.mean() < 1  # neither empty nor full: the rest would prove nothing
        assert 0 <= prediction.probability.min() <= prediction.probability.max() <= 1


def test_batch_size_changes_nothing(predictor: Predictor, images: list[Path]) -> None:
    one, three = (
        [prediction for _, prediction in predictor.predict_paths(images, batch_size=size)] for size in (1, 3)
    )
    assert predictor.options.batch_size == BATCH_SIZE == 8
    for a, b in zip(one, three, strict=True):
        assert np.array_equal(a.mask, b.mask)
        np.testing.assert_allclose(a.probability, b.probability, atol=1e-5)
        assert [word.phrase for word in a.words] == [word.phrase for word in b.words]


def test_words(predictor: Predictor, images: list[Path]) -> None:
    vocabulary = predictor.run.vocabulary
    prediction = predictor.predict(images[0])
    assert [word.factor for word in prediction.words] == ["laterality", "count", "left", "right"]
    for word, factor in zip(prediction.words, vocabulary.factors, strict=True):
        assert word.phrase == factor.phrases[word.index]
        assert word.title == factor.title
        listed = [word.confidence, *(confidence for _, confidence in word.runners_up)]
        assert listed == sorted(listed, reverse=True)
        assert len(word.runners_up) == min(3, len(factor.phrases) - 1)
        assert word.phrase not in dict(word.runners_up)
        assert sum(listed) <= 1 + 1e-5
    assert prediction.side == "image"


def test_agreement_compares_words_with_the_predicted_mask(
    tmp_path: Path, make_run: Any, images: list[Path]
) -> None:
    strict = Predictor(make_run(tmp_path / "strict", review_below=1.01)[0])
    lax = Predictor(make_run(tmp_path / "lax", review_below=0.0)[0])
    for path in images:
        prediction = strict.predict(path)
        measured = measure(prediction.mask, strict.run.vocabulary, image=read_image(path), side="image")
        assert prediction.measured == measured
        indices = [word.index for word in prediction.words]
        assert prediction.agreement == agreement(indices, measured.indices)
        assert prediction.flagged
        assert not lax.predict(path).flagged


def test_words_of_the_patients_side_are_measured_on_that_side(
    tmp_path: Path, make_run: Any, images: list[Path]
) -> None:
    prediction = Predictor(make_run(tmp_path / "run", side="patient")[0]).predict(images[0])
    assert prediction.side == prediction.measured.side == "patient"


def test_without_text(tmp_path: Path, make_run: Any, images: list[Path]) -> None:
    run, _ = make_run(tmp_path / "run", text="none")
    assert not run.bank_file.exists()
    prediction = Predictor(run).predict(images[1])
    assert (prediction.words, prediction.measured, prediction.agreement) == ((), None, None)
    assert not prediction.flagged
    assert prediction.mask.shape == (50, 70)


def test_several_classes(tmp_path: Path, make_run: Any, images: list[Path]) -> None:
    prediction = Predictor(make_run(tmp_path / "run", text="none", classes=4)[0]).predict(images[1])
    assert prediction.probability.shape == (3, 50, 70)
    assert set(prediction.area_px) == {"lesion", "nodule", "scar"}
    assert sum(prediction.area_px.values()) == int((prediction.mask > 0).sum())
    everything = np.concatenate(
        [1 - prediction.probability.sum(axis=0, keepdims=True), prediction.probability]
    )
    assert np.array_equal(prediction.mask, everything.argmax(axis=0))


def test_areas_in_mm2(predictor: Predictor, images: list[Path]) -> None:
    prediction = predictor.predict(images[0], spacing_mm=(0.5, 0.25))
    assert prediction.area_mm2 == {"lesion": prediction.area_px["lesion"] * 0.125}
    assert predictor.predict(images[0]).area_mm2 is None


def test_arrays(predictor: Predictor, images: list[Path]) -> None:
    pixels = read_image(images[1])
    before = pixels.copy()
    from_array = predictor.predict(pixels)
    assert np.array_equal(pixels, before)
    assert np.array_equal(from_array.mask, predictor.predict(str(images[1])).mask)
    grey = pixels[..., 0]
    twice = predictor.predict(np.repeat(grey[..., None], 3, axis=2))
    assert np.array_equal(predictor.predict(grey).probability, twice.probability)


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (np.zeros((8, 8, 3), np.int32), r"uint16 or float \(0..1\), got int32"),
        (np.zeros((8, 8, 2), np.uint8), r"got \(8, 8, 2\)"),
        (np.zeros((2, 8, 8, 3), np.uint8), r"of shape \(2, 8, 8, 3\), which looks like a batch"),
        (np.zeros(8, np.uint8), r"got \(8,\)"),
    ],
)
def test_arrays_that_are_no_images(predictor: Predictor, pixels: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        predictor.predict(pixels)


def test_a_broken_file_does_not_stop_the_rest(
    predictor: Predictor, images: list[Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(images[0].read_bytes()[:60])
    paths = [broken, images[0], broken, images[1], broken]
    results = list(predictor.predict_paths(paths, batch_size=2))
    assert [path for path, _ in results] == paths
    assert [isinstance(result, DataError) for _, result in results] == [True, False, True, False, True]
    assert results[3][1].mask.shape == (50, 70)
    with refuses("LEX-DATA-019", "broken.png"):
        predictor.predict(broken)


def test_what_is_predicted_before_a_failure_is_not_lost(
    made: tuple[Run, nn.Module], images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor(made[0])
    run, passes = predictor.engine.run, []

    def fails_at_the_third(*pictures: Any) -> Any:
        passes.append(len(passes))
        if len(passes) == 3:
            raise RunError("damaged", code="LEX-RUN-773")
        return run(*pictures)

    monkeypatch.setattr(predictor.engine, "run", fails_at_the_third)
    found = []
    with refuses("LEX-RUN-773", "damaged"):
        for path, _ in predictor.predict_paths([images[0]] * 5, batch_size=1):
            found.append(path)
    assert found == [images[0]] * 2


def test_a_device_that_is_not_there(made: tuple[Run, nn.Module]) -> None:
    for device in ("cuda:97", "toaster"):
        with pytest.raises(UsageError, match=f"device '{device}' cannot be used here: .*--device cpu"):
            Predictor(made[0], PredictionOptions(device=device))


def test_a_bank_of_another_vocabulary_is_refused(tmp_path: Path, make_run: Any) -> None:
    run, _ = make_run(tmp_path / "run")
    bank = TextBank.load(run.bank_file)
    phrases = {name: tuple(f"{phrase}!" for phrase in listed) for name, listed in bank.phrases.items()}
    TextBank(encoder="noise", phrases=phrases, embeddings=bank.embeddings).save(run.bank_file)
    with refuses("LEX-WEIGHTS-049", "The phrases in", "differ"):
        Predictor(run)


def test_predicting_changes_no_weights(predictor: Predictor, images: list[Path]) -> None:
    before = {name: value.clone() for name, value in predictor.engine.network.state_dict().items()}
    list(predictor.predict_paths(images))
    assert all(torch.equal(v, before[name]) for name, v in predictor.engine.network.state_dict().items())


def test_normalisation_by_hand() -> None:
    image = np.repeat(np.array([0, 51, 255], dtype=np.uint8).reshape(1, 1, 3, 1), 3, axis=3)
    result = normalise(image, (0.5, 0.2, 0.0), (0.5, 0.1, 1.0))
    expected = [[-1, -0.6, 1], [-2, 0, 8], [0, 0.2, 1]]
    assert result.dtype == np.float32
    np.testing.assert_allclose(result[0, :, 0], np.array(expected, np.float32), atol=1e-6)
