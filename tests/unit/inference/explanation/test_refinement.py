from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lexiseg.data.readers import read_image
from lexiseg.inference.explanation.explain import CORRECTED, CORRECTED_ALONE, explain
from lexiseg.inference.explanation.word_correction import correct_mask
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.reliability.review import Review
from lexiseg.refinement.refine import refine
from lexiseg.refinement.refinement_file import RefinementRecord
from lexiseg.refinement.write import refine_to_files
from lexiseg.runs.manifest import AtlasSummary
from lexiseg.runs.run import Run
from lexiseg.runs.word_effects import WordEffects
from lexiseg.words.description import UNKNOWN
from lexiseg.words.vocabulary import load_vocabulary
from lexiseg.words.zone_atlas import ZoneAtlas, make_atlas
from refusals import refuses

CHEST = load_vocabulary("chest")
UPPER = CHEST.factor("left").phrases.index("upper left lung")
LOWER = CHEST.factor("left").phrases.index("lower left lung")
FREE = CHEST.factor("right").phrases.index("no lesion in right lung")


def quarters(classes: int = 1) -> ZoneAtlas:
    """An atlas of two images: a lesion in the upper, and one in the lower left quarter."""
    upper, lower = np.zeros((2, 64, 64), np.uint8)
    upper[:32, :32], lower[32:, :32] = 1, classes
    return make_atlas(
        [(upper, (UNKNOWN, UNKNOWN, UPPER, FREE)), (lower, (UNKNOWN, UNKNOWN, LOWER, FREE))],
        CHEST, classes=classes, side="image", axes=(),
    )  # fmt: skip


def with_atlas(run: Run, atlas: ZoneAtlas, strength: float = 2.0) -> Predictor:
    atlas.with_strength(strength).save(run.zone_atlas_file)
    summary = AtlasSummary(file=run.zone_atlas_file.name, images=atlas.images, strength=strength)
    return Predictor(run.updated(zone_atlas=summary))


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory, make_run: Any) -> Predictor:
    run = make_run(tmp_path_factory.mktemp("runs") / "atlas", prompted=True)[0]
    return with_atlas(run, quarters())


def test_scores_are_moved_by_the_phrase_less_half_of_the_retrieved_one(predictor: Predictor) -> None:
    probability = np.full((1, 64, 64), 0.5, np.float32)
    atlas = predictor.run.zone_atlas
    assert atlas is not None
    stated, retrieved = (UNKNOWN, UNKNOWN, LOWER, UNKNOWN), (0, 0, UPPER, FREE)
    moved = correct_mask(predictor, probability, stated, retrieved)

    def odds(maps: np.ndarray, row: int) -> float:
        return float(np.log(maps[0, row, 16]) - np.log1p(-maps[0, row, 16]))

    index = CHEST.names.index("left")
    assert index == 2
    for row in (16, 48):
        overall = odds(atlas.overall, row)
        said = odds(atlas.maps["left"][LOWER], row) - overall
        taken_back = odds(atlas.maps["left"][UPPER], row) - overall
        assert moved.logits[0, row, 16] == pytest.approx(2 * (said - taken_back / 2), abs=1e-3)
    assert moved.mask[48, 16] == 1
    assert moved.mask[16, 16] == 0
    # Nothing is said of the right half, and its phrase stays.
    assert np.abs(moved.logits[0, :, 40:]).max() < 1e-3
    assert moved.probability[0, 48, 16] == pytest.approx(
        1 / (1 + math.exp(-moved.logits[0, 48, 16])), abs=1e-6
    )


def test_a_half_without_lesion_becomes_background(predictor: Predictor, images: list[Path]) -> None:
    found = refine(predictor, images[0], say="right: no lesion in right lung")
    assert (found.prediction.mask[:, 32:] > 0).any()
    assert not found.mask[:, 32:].any()
    assert found.area_px["lesion"] == int((found.mask == 1).sum())


def test_words_that_need_a_lesion_do_not_apply_to_an_image_that_is_said_to_have_none(
    predictor: Predictor, images: list[Path]
) -> None:
    found = refine(predictor, images[0], say="no lesion in the left lung; no lesion in the right lung")
    assert not found.mask.any()
    reason = next(reason for reason in found.reasons if "do not apply" in reason)
    by = {word.factor: word for word in found.words}
    assert by["laterality"].phrase in reason
    assert by["count"].phrase in reason
    assert "no lesion in" not in reason
    left = refine(predictor, images[0], say={"left": "lower left lung"})
    assert not any("do not apply" in reason for reason in left.reasons)


@pytest.mark.parametrize("use", [refine, explain])
def test_a_prediction_with_other_words_is_refused(use: Any, predictor: Predictor, images: list[Path]) -> None:
    plain = predictor.predict(images[0])
    first, *others = plain.words
    for words in ((), (replace(first, factor="spleen"), *others), (replace(first, phrase="red"), *others)):
        options = {"say": {"left": "lower left lung"}} if use is refine else {}
        with refuses("LEX-USE-309", "a prediction that this run made"):
            use(predictor, images[0], prediction=replace(plain, words=words), **options)


def test_words_say_who_said_them(predictor: Predictor, images: list[Path]) -> None:
    found = refine(predictor, images[0], say={"left": "lower left lung"})
    by = {word.factor: word.said_by for word in found.words}
    assert {by.pop("laterality")} <= {"model", "derived"}
    assert by == {"count": "model", "left": "person", "right": "model"}
    left = next(word for word in found.words if word.factor == "left")
    model = next(word for word in found.prediction.words if word.factor == "left")
    assert (left.phrase, left.retrieved) == ("lower left lung", model.phrase)
    assert left.confidence == model.probabilities[LOWER]
    assert sum(model.probabilities) == pytest.approx(1, abs=1e-5)


def test_a_given_prediction_is_used_and_stays_as_it_is(predictor: Predictor, images: list[Path]) -> None:
    image = read_image(images[0])
    plain = predictor.predict(image)
    before = plain.mask.copy()
    found = refine(predictor, image, say={"left": "lower left lung"}, prediction=plain)
    assert found.prediction is plain
    assert np.array_equal(plain.mask, before)
    again = refine(predictor, image, say={"left": "lower left lung"})
    assert np.array_equal(found.mask, again.mask)
    empty = replace(plain, probability=np.zeros_like(plain.probability), mask=np.zeros_like(plain.mask))
    assert refine(predictor, image, say={"left": "lower left lung"}, prediction=empty).overlap == 1.0


def test_an_image_unlike_the_training_images_stays_flagged(predictor: Predictor, images: list[Path]) -> None:
    plain = predictor.predict(images[0])
    unlike = replace(
        plain, unlike_training_images=("content",), flagged=True, expected_dice=None,
        reasons=("unlike the training images (content)",),
    )  # fmt: skip
    say = {"left": "lower left lung"}
    sure = Review(flagged=False, expected_dice=0.9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Predictor, "review", lambda *_, **__: sure)
        like = refine(predictor, images[0], say=say, prediction=plain)
        found = refine(predictor, images[0], say=say, prediction=unlike)
    assert (like.flagged, like.expected_dice) == (False, 0.9)
    assert (found.flagged, found.expected_dice) == (True, None)
    assert found.reasons == ("unlike the training images (content)", *like.reasons)


def test_areas_in_mm2_where_the_size_of_a_pixel_is_known(predictor: Predictor, images: list[Path]) -> None:
    plain = predictor.predict(images[0], spacing_mm=(0.5, 2.0))
    found = refine(predictor, images[0], say={"left": "lower left lung"}, prediction=plain)
    assert found.area_mm2 == {"lesion": float(found.area_px["lesion"])}
    assert refine(predictor, images[0], say={"left": "lower left lung"}).area_mm2 is None


def test_the_patients_left_is_the_images_right(tmp_path: Path, make_run: Any, images: list[Path]) -> None:
    run = make_run(tmp_path / "patient", side="patient")[0]
    found = refine(Predictor(run), images[0], say="left: no lesion in left lung")
    assert (found.prediction.mask[:, 32:] > 0).any()
    assert not found.mask[:, 32:].any()
    assert np.array_equal(found.mask[:, :32], found.prediction.mask[:, :32])


def test_several_classes(tmp_path: Path, make_run: Any, images: list[Path]) -> None:
    predictor = with_atlas(make_run(tmp_path / "three", classes=3)[0], quarters(classes=2), strength=2.0)
    found = refine(predictor, images[0], say={"left": "lower left lung"})
    assert found.probability.shape == (2, 64, 64)
    # In the lower left quarter, lesions of the second class are those with this phrase.
    before, after = found.prediction.probability[1, 32:, :32], found.probability[1, 32:, :32]
    assert (after >= before - 1e-6).all()
    assert set(found.area_px) == {"lesion", "nodule"}


def test_refusals(tmp_path: Path, make_run: Any, predictor: Predictor, images: list[Path]) -> None:
    with refuses("LEX-USE-305", "left, right"):
        refine(predictor, images[0], say="count: one infected area")
    bare = Predictor(make_run(tmp_path / "bare")[0])
    with refuses("LEX-USE-305", "no zone atlas", "left, right"):
        refine(bare, images[0], say={"left": "lower left lung"})
    with refuses("LEX-USE-307", "names no words"):
        refine(Predictor(make_run(tmp_path / "mute", text="none")[0]), images[0], say="left: upper left lung")
    other = predictor.predict(images[3])
    with refuses("LEX-USE-039", "image of"):
        refine(predictor, images[0], say={"left": "lower left lung"}, prediction=other)


def test_files_of_a_refinement(tmp_path: Path, predictor: Predictor, images: list[Path]) -> None:
    out = tmp_path / "out"
    files = refine_to_files(predictor, images[0], out, say=["left: lower left lung", "Xyzzy."])
    record = RefinementRecord.model_validate_json(files.record.read_bytes())
    assert record.said == ("left: lower left lung", "Xyzzy.")
    assert any("xyzzy" in problem.lower() for problem in record.unread)
    assert [word.said_by for word in record.words][1:] == ["model", "person", "model"]
    mask = read_image(out / record.mask)[..., 0]
    assert np.array_equal(mask > 0, files.refinement.mask > 0)
    model_mask = read_image(out / record.model_mask)[..., 0]
    assert np.array_equal(model_mask > 0, files.refinement.prediction.mask > 0)
    assert json.loads(files.record.read_text())["schema_version"] == 1
    assert (files.mask.stat().st_mode & 0o777, files.mask.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    # The same image again replaces its files; another image of this name does not.
    refine_to_files(predictor, images[0], out, say="left: upper left lung")
    elsewhere = tmp_path / "elsewhere" / images[0].name
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(images[1].read_bytes())
    with refuses("LEX-USE-308", "another image"):
        refine_to_files(predictor, elsewhere, out, say="left: upper left lung")


def test_images_are_told_apart_by_content_and_not_by_a_relative_path(
    tmp_path: Path, predictor: Predictor, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, say = tmp_path / "out", "left: upper left lung"
    for folder, image in (("a", images[0]), ("b", images[1])):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "image.png").write_bytes(image.read_bytes())
    monkeypatch.chdir(tmp_path / "a")
    refine_to_files(predictor, "image.png", out, say=say)
    monkeypatch.chdir(tmp_path / "b")
    with refuses("LEX-USE-308", "another image"):
        refine_to_files(predictor, "image.png", out, say=say)
    refine_to_files(predictor, "../a/image.png", out, say=say)


def test_foreign_files_are_not_replaced(tmp_path: Path, predictor: Predictor, images: list[Path]) -> None:
    foreign = tmp_path / f"{images[0].stem}_overlay.png"
    foreign.write_text("mine")
    with refuses("LEX-DATA-740", "did not write"):
        refine_to_files(predictor, images[0], tmp_path, say="left: upper left lung")
    assert foreign.read_text() == "mine"


def test_masks_under_other_places_are_those_of_a_refinement(predictor: Predictor, images: list[Path]) -> None:
    explained = explain(predictor, images[0])
    assert CORRECTED in explained.notes
    position = CHEST.names.index("left")
    other = explained.words[position].what_if[0]
    said = refine(predictor, images[0], say={"left": other.phrase})
    assert other.mask is not None
    assert (other.mask != said.mask).mean() < 1e-3
    # Words without a place still force the network.
    assert explained.words[CHEST.names.index("count")].what_if[0].mask is not None


def test_masks_under_other_places_are_of_the_image_alone_where_the_prediction_is_averaged(
    predictor: Predictor, images: list[Path]
) -> None:
    averaged = Predictor(predictor.run, PredictionOptions(flip_average=True))
    notes = explain(averaged, images[0]).notes
    assert CORRECTED_ALONE in notes
    assert CORRECTED not in notes


def test_the_number_of_sides_follows_from_what_is_said(predictor: Predictor, images: list[Path]) -> None:
    found = refine(predictor, images[0], say="left: upper left lung; right: no lesion in right lung")
    words = {word.factor: word for word in found.words}
    assert words["laterality"].phrase == "unilateral pulmonary infection"
    model = next(word for word in found.prediction.words if word.factor == "laterality")
    assert words["laterality"].said_by == (
        "model" if model.phrase == words["laterality"].phrase else "derived"
    )
    both = refine(predictor, images[0], say={"left": "upper left lung", "right": "upper right lung"})
    assert both.words[0].phrase == "bilateral pulmonary infection"


def test_an_atlas_of_strength_0_moves_nothing_and_says_so(
    tmp_path: Path, make_run: Any, images: list[Path]
) -> None:
    predictor = with_atlas(make_run(tmp_path / "zero")[0], quarters(), strength=0.0)
    with refuses("LEX-USE-305", "strength 0"):
        refine(predictor, images[0], say={"left": "lower left lung"})


def test_which_words_of_a_run_can_move_a_mask(tmp_path: Path, make_run: Any, predictor: Predictor) -> None:
    effects = WordEffects.of(predictor.run)
    assert effects is not None
    assert effects.moving_factors == ("left", "right")
    assert effects.phrase_can_move("left", LOWER)
    assert not effects.phrase_can_move("laterality", 0)
    still = WordEffects.of(with_atlas(make_run(tmp_path / "still")[0], quarters(), strength=0.0).run)
    assert still is not None
    # A half without a lesion needs no atlas.
    assert (still.atlas, still.phrase_can_move("left", LOWER)) == (None, False)
    assert still.phrase_can_move("right", FREE)
    assert WordEffects.of(make_run(tmp_path / "wordless", text="none")[0]) is None


def test_a_changed_result_is_not_replaced(tmp_path: Path, predictor: Predictor, images: list[Path]) -> None:
    files = refine_to_files(predictor, images[0], tmp_path / "out", say="left: upper left lung")
    files.mask.write_bytes(files.model_mask.read_bytes() + b"edited")
    with refuses("LEX-DATA-741", "changed"):
        refine_to_files(predictor, images[0], tmp_path / "out", say="left: lower left lung")


def test_a_long_name_is_shortened(tmp_path: Path, predictor: Predictor, images: list[Path]) -> None:
    image = tmp_path / ("x" * 246 + ".png")
    image.write_bytes(images[0].read_bytes())
    files = refine_to_files(predictor, image, tmp_path / "out", say="left: upper left lung")
    assert files.mask.is_file()
    assert len(files.overlay.name) <= 255
