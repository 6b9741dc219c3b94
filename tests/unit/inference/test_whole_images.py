"""From pictures to whole images: the answer of a network under every fit, with networks made by hand."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dicom_files import dicom_file
from lexiseg.data.image_fit import tiles
from lexiseg.engines.engine import EngineDescription, EngineOutput, FloatArray
from lexiseg.engines.grid import foreground_probability, resize_scores
from lexiseg.inference import whole_images
from lexiseg.inference.ensemble import Member
from lexiseg.inference.explanation.explain import OVERVIEW, explain
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.tile_blend import TileBlend
from lexiseg.inference.whole_images import WholeImages
from lexiseg.runs.run import Run
from lexiseg.words.measure import measure_indices
from lexiseg.words.vocabulary import Vocabulary, load_vocabulary
from lexiseg.words.zones import whole_image_factors
from refusals import refuses

CHEST, POLYP = load_vocabulary("chest"), load_vocabulary("polyp")
SIDE = 64
FITS = ("stretch", "pad", "tiles")


class BrightPixels:
    """A network that looks at one pixel at a time: bright ones are lesion. It names what it measures."""

    description = EngineDescription(name="torch", version="0", precision="fp32", device="cpu")

    def __init__(self, vocabulary: Vocabulary | None = None) -> None:
        self._vocabulary = vocabulary
        self.batches: list[int] = []

    def run(self, images: FloatArray, inside: FloatArray | None = None) -> EngineOutput:
        self.batches.append(len(images))
        logits = 8 * images.mean(axis=1, keepdims=True)
        places = np.ones_like(logits) if inside is None else inside
        rows = [self._words(*pair) for pair in zip(logits[:, 0] > 0, places[:, 0] > 0, strict=True)]
        return EngineOutput(
            logits=logits.astype(np.float32),
            words=() if self._vocabulary is None else tuple(map(np.stack, zip(*rows, strict=True))),
            features=None if inside is None else inside.mean(axis=(2, 3)),
        )

    def _words(self, mask: np.ndarray, inside: np.ndarray) -> list[np.ndarray]:
        """Name what the mask measures in the image, as a network learns it that sees where the image is."""
        if self._vocabulary is None:
            return []
        image = mask[np.ix_(inside.any(axis=1), inside.any(axis=0))]
        indices = measure_indices(image, self._vocabulary, side="image")
        return [
            np.eye(len(factor.phrases), dtype=np.float32)[max(index, 0)]
            for factor, index in zip(self._vocabulary.factors, indices, strict=True)
        ]

    resize = staticmethod(resize_scores)
    probability = staticmethod(foreground_probability)


def predictor(run: Run, **options: Any) -> Predictor:
    return Predictor(run, PredictionOptions(**options), engine=BrightPixels(run.spoken_vocabulary))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, make_run: Any) -> dict[str, Run]:
    folder = tmp_path_factory.mktemp("fits")
    return {fit: make_run(folder / fit, fit=fit)[0] for fit in FITS}


def with_lesion(size: tuple[int, int], *, left: bool) -> np.ndarray:
    """Return a dark image with a bright region in the lower part of one half."""
    height, width = size
    image = np.full((height, width, 3), 20, np.uint8)
    start = width // 8 if left else width * 5 // 8
    image[height * 6 // 10 : height * 8 // 10, start : start + width // 4] = 230
    return image


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", [(64, 64), (200, 90), (90, 260), (40, 50)])
@pytest.mark.parametrize("left", [True, False])
def test_words_stay_true(runs: dict[str, Run], fit: str, size: tuple[int, int], left: bool) -> None:
    for flip in (False, True):
        found = predictor(runs[fit], flip_average=flip).predict(with_lesion(size, left=left))
        retrieved = {word.factor: word.phrase for word in found.words}
        measured = found.measured.phrases if found.measured else {}
        here, there = ("left", "right") if left else ("right", "left")
        for phrases in (retrieved, measured):
            assert phrases["laterality"] == "unilateral pulmonary infection"
            assert phrases[there] == f"no lesion in {there} lung"
            assert "lower" in str(phrases[here])
            assert here in str(phrases[here])
        assert found.agreement == 1.0


@pytest.mark.parametrize("fit", FITS)
def test_a_local_network_finds_exactly_the_bright_pixels(runs: dict[str, Run], fit: str) -> None:
    image = with_lesion((128, 256), left=True)
    truth = image[..., 0] > 127
    found = predictor(runs[fit]).predict(image).mask > 0
    if fit == "tiles":  # no pixel is resized
        assert np.array_equal(found, truth)
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.95


def test_padding_does_not_change_the_image_itself(runs: dict[str, Run]) -> None:
    """An image, and the same image in the middle of a square, padded by the network or by hand."""
    image = with_lesion((64, 32), left=True)
    by_hand = np.zeros((64, 64, 3), np.uint8)
    by_hand[:, 16:48] = image
    own = predictor(runs["pad"]).predict(image)
    square = predictor(runs["pad"]).predict(by_hand)
    assert np.array_equal(own.mask, square.mask[:, 16:48])
    assert np.array_equal(own.probability, square.probability[:, :, 16:48])
    # The padding is no part of the image: half of the area, so twice the share of it.
    assert own.signals["size"] == pytest.approx(square.signals["size"] + np.log10(2))
    assert own.signals["inside"] == square.signals["inside"]


def test_features_are_those_of_the_image_alone(tmp_path: Path, make_run: Any) -> None:
    """Black columns beside an image change features where they are image, not where they are padding."""
    rng = np.random.default_rng(1)
    image = np.kron(rng.integers(0, 256, (4, 2, 3), dtype=np.uint8), np.ones((16, 16, 1), np.uint8))
    run, network = make_run(tmp_path / "run", fit="pad")
    member = Member(run, Predictor(run).engine, 8)
    pictures = member.whole_images.pictures([image])
    padded = member.output(pictures.images, pictures.inside).features
    everywhere = member.output(pictures.images).features
    assert padded is not None
    assert everywhere is not None
    with_torch = network.levels.choose(network.encoder(member.engine.tensor(pictures.images)))
    inner = with_torch[3][:, :, :, 1:3].mean(dim=(2, 3)).detach().numpy()  # columns 16 to 48 of 64
    np.testing.assert_allclose(padded[:, -inner.shape[1] :], inner, rtol=1e-4, atol=1e-5)
    assert np.abs(padded - everywhere).max() > 1e-3


@pytest.mark.parametrize("size", [(64, 64), (65, 130), (150, 100), (30, 100), (20, 20)])
def test_a_constant_stays_a_constant(size: tuple[int, int]) -> None:
    blend = TileBlend(size, SIDE)
    for tile in tiles(size, SIDE):
        blend.add(tile, np.full((2, SIDE, SIDE), 3.7, np.float32))
    assert blend.scores().shape == (2, *size)
    np.testing.assert_allclose(blend.scores(), 3.7, rtol=1e-6)


def test_tiles_that_agree_keep_their_scores() -> None:
    truth = np.random.default_rng(2).normal(size=(1, 150, 100)).astype(np.float32)
    blend = TileBlend((150, 100), SIDE)
    for tile in tiles((150, 100), SIDE):
        scores = np.full((1, SIDE, SIDE), np.nan, np.float32)
        scores[(slice(None), *tile.inner.place)] = truth[(slice(None), *tile.part.place)]
        blend.add(tile, scores)
    np.testing.assert_allclose(blend.scores(), truth, rtol=1e-5)


def test_the_middle_of_a_tile_weighs_more_than_its_border() -> None:
    # Tiles at 0 and 48 of an image of 112: columns 48 to 63 are in both; the middles are 32 and 80.
    first, second = tiles((SIDE, 112), SIDE)
    assert (first.part.left, second.part.left) == (0, 48)
    blend = TileBlend((SIDE, 112), SIDE)
    for value, tile in ((0.0, first), (1.0, second)):
        blend.add(tile, np.full((1, SIDE, SIDE), value, np.float32))
    shared = blend.scores()[0, 10, 48:64]
    assert np.all(np.diff(shared) > 0)
    assert shared[0] < 0.02
    assert shared[-1] > 0.98
    assert shared[7] + shared[8] == pytest.approx(1)


@pytest.mark.parametrize("fit", FITS)
def test_batch_size_changes_nothing(runs: dict[str, Run], fit: str, images: list[Path]) -> None:
    large = [np.tile(with_lesion((90, 70), left=side), (2, 1, 1)) for side in (True, False)]
    found = [predictor(runs[fit], batch_size=size).predict_arrays(large) for size in (1, 3, 16)]
    for one, *others in zip(*found, strict=True):
        for other in others:
            assert np.array_equal(one.mask, other.mask)
            assert np.array_equal(one.probability, other.probability)
            assert one.words == other.words
    network = Predictor(runs[fit])
    alone = [network.predict(path) for path in images]
    for a, (_, b) in zip(alone, network.predict_paths(images, batch_size=3), strict=True):
        assert np.array_equal(a.mask, b.mask)  # type: ignore[union-attr]


def test_no_pass_holds_more_tiles_than_the_batch_size(runs: dict[str, Run]) -> None:
    reading = predictor(runs["tiles"], batch_size=4)
    reading.predict(np.zeros((200, 200, 3), np.uint8))  # 4 x 4 tiles, and the overview
    assert reading.engine.batches == [1, 4, 4, 4, 4]  # type: ignore[attr-defined]


def test_which_words_are_about_the_whole_image() -> None:
    assert whole_image_factors(CHEST) == (True,) * 4
    about_whole = dict(zip(POLYP.names, whole_image_factors(POLYP), strict=True))
    assert about_whole == {name: name not in ("color", "colour", "intensity") for name in POLYP.names}
    assert not all(about_whole.values())


def test_words_of_the_lesion_are_weighed_by_the_lesion_of_each_tile() -> None:
    whole = WholeImages(
        fit="tiles", side=SIDE, mean=(0.5,) * 3, std=(0.25,) * 3, vocabulary=POLYP, batch_size=2
    )

    def network(images: FloatArray, inside: FloatArray | None) -> EngineOutput:
        """Call bright pixels lesion; each picture names the phrase 0 where it is dark, else 1."""
        logits = 20 * images.mean(axis=1, keepdims=True)
        bright = (logits.max(axis=(1, 2, 3)) > 0).astype(int)
        words = tuple(np.eye(len(f.phrases), dtype=np.float32)[bright] for f in POLYP.factors)
        return EngineOutput(logits=logits, words=words)

    image = np.zeros((SIDE, 300, 3), np.uint8)
    image[10:20, 5:15] = 255  # in the first tile alone
    (found,) = whole.outputs(whole.pictures([image]), network)
    for words in found.words:
        np.testing.assert_allclose(words[0, 1], 1, atol=1e-3)
    dark = np.zeros((SIDE, 300, 3), np.uint8)
    (nothing,) = whole.outputs(whole.pictures([dark]), network)
    for words in nothing.words:
        np.testing.assert_allclose(words.sum(), 1, rtol=1e-5)
        np.testing.assert_allclose(words[0, 0], 1, rtol=1e-5)


def test_runs_of_different_fits_are_averaged(runs: dict[str, Run]) -> None:
    image = with_lesion((128, 256), left=True)
    for second in ("stretch", "pad"):
        network = Predictor(runs["tiles"], PredictionOptions(average_with=runs[second], flip_average=True))
        assert network.predict(image).mask.shape == (128, 256)


def test_an_image_smaller_than_a_tile_is_padded_and_said_once(
    runs: dict[str, Run], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole_images, "_SAID", set())
    small = with_lesion((40, 50), left=True)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            found = predictor(runs["tiles"]).predict(small)
    assert np.array_equal(found.mask > 0, small[..., 0] > 127)
    said = [entry.getMessage() for entry in caplog.records if "smaller than the tiles" in entry.getMessage()]
    assert len(said) == 1
    assert "50 x 40 pixels" in said[0]
    assert "64 x 64" in said[0]


@pytest.mark.parametrize("fit", ["pad", "tiles"])
def test_a_dicom_file_that_is_stored_turned(runs: dict[str, Run], fit: str, tmp_path: Path) -> None:
    """The lesion is on the left of the usual display; the mask lies on the grid that the file stores."""
    shown = with_lesion((128, 90), left=True)[..., 0]
    stored = np.ascontiguousarray(shown[:, ::-1].T)
    window = {"WindowCenter": "128", "WindowWidth": "256"}
    path = dicom_file(tmp_path / "a.dcm", stored, PatientOrientation=["F", "R"], **window)
    found = predictor(runs[fit]).predict(path)
    assert found.mask.shape == stored.shape == (90, 128)
    lesion = stored > 127
    assert 2 * ((found.mask > 0) & lesion).sum() / ((found.mask > 0).sum() + lesion.sum()) > 0.95
    assert {word.factor: word.phrase for word in found.words}["right"] == "no lesion in right lung"


@pytest.mark.parametrize("fit", ["pad", "tiles"])
@pytest.mark.parametrize("model", ["stpnet", "cotexnet"])
def test_explanations_are_about_the_image(fit: str, model: str, tmp_path: Path, make_run: Any) -> None:
    network = Predictor(make_run(tmp_path / "run", fit=fit, model=model, prompted=True)[0])
    image = np.random.default_rng(3).integers(0, 256, (96, 48, 3), dtype=np.uint8)
    found = explain(network, image)
    assert found.plain.shape == (96, 48)
    assert (OVERVIEW in found.notes) == (fit == "tiles")
    if fit == "pad":  # one picture: the explained mask is the predicted one
        assert np.array_equal(found.plain, found.prediction.mask)
    for word in found.words:
        assert word.heat is not None
        assert word.heat.shape == (64, 32)  # the image's part of the picture
        # A network with random weights may have no gradient at all.
        assert word.heat.max() == pytest.approx(1) or (model == "cotexnet" and not word.heat.any())


def test_a_system_without_the_fit_is_refused(tmp_path: Path, make_run: Any) -> None:
    run, _ = make_run(tmp_path / "run")
    network = run.manifest.network.model_copy(update={"preset": "paper"})
    run.updated(fit="pad", network=network)
    with refuses("LEX-RUN-1332", "run.json", "pad", "stretch only"):
        Predictor(Run.open(run.path))
