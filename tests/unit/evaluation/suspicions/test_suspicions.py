"""Masks and reports that look wrong to a run: signs by hand, their ranking, what is written and refused."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator
from math import log, log1p
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from html_page import Page
from lexiseg.data import DatasetIndex, Sample, open_dataset
from lexiseg.data.mask_coding import MaskCoding
from lexiseg.evaluation.suspicions import find
from lexiseg.evaluation.suspicions.find import check_cases, find_suspicions, write_suspicions
from lexiseg.evaluation.suspicions.ranking import CaseFindings, rank
from lexiseg.evaluation.suspicions.reasons import reasons
from lexiseg.evaluation.suspicions.report_words import NO_REPORTS, NO_WORDS
from lexiseg.evaluation.suspicions.run_samples import RunSamples, not_learned
from lexiseg.evaluation.suspicions.signs import (
    KINDS,
    count_differences,
    mask_signs,
    report_signs,
    standardise,
)
from lexiseg.evaluation.suspicions.suspicion_file import Suspicions
from lexiseg.json_records import read_record, write_record
from lexiseg.outputs.output_folder import owned_folder
from lexiseg.runs.image_hashes import ImageHashesRecord
from lexiseg.runs.manifest import DataRecord, StartRecord, TrainingRecord
from lexiseg.runs.splits import SplitsRecord, write_splits_record
from lexiseg.words.description import UNKNOWN
from lexiseg.words.reading.sentence_groups import group_sentences
from lexiseg.words.vocabulary import load_vocabulary
from refusals import refuses

#: Indices of the chest vocabulary: one lesion, lower left; one lesion, lower right.
LEFT, RIGHT = (
    tuple(
        factor.phrases.index(phrase)
        for factor, phrase in zip(load_vocabulary("chest").factors, phrases, strict=True)
    )
    for phrases in (
        ("unilateral pulmonary infection", "one infected area", "lower left lung", "no lesion in right lung"),
        ("unilateral pulmonary infection", "one infected area", "no lesion in left lung", "lower right lung"),
    )
)


def sure(indices: tuple[int, ...], probability: float = 0.9) -> tuple[np.ndarray, ...]:
    """Return phrase probabilities of the chest vocabulary that favour the given phrases."""
    found = []
    for factor, index in zip(load_vocabulary("chest").factors, indices, strict=True):
        others = (1 - probability) / (len(factor.phrases) - 1)
        found.append(np.array([probability if i == index else others for i in range(len(factor.phrases))]))
    return tuple(found)


def test_signs_of_a_mask_by_hand() -> None:
    expected = np.zeros((224, 224))
    expected[:20, :10] = 1.0  # two lesions of 100 pixels that touch nowhere
    expected[10:20] = 0.0
    expected[100:110, :10] = 1.0
    both, one, none = expected > 0, expected > 0, np.zeros((224, 224), bool)
    one = one.copy()
    one[100:110] = False
    signs = mask_signs(both, expected)
    assert signs == {"missing lesion": 0.0, "invented lesion": 0.0}
    signs = mask_signs(one, expected, differences=2)
    assert signs["missing lesion"] == pytest.approx(100 / 201 + 0.03 * log1p(100) + 0.6)
    assert signs["invented lesion"] == pytest.approx(0.6)
    signs = mask_signs(both, np.where(one, 1.0, 0.0))
    assert signs["invented lesion"] == pytest.approx(100 / 201 + 0.03 * log1p(100))
    assert mask_signs(none, np.zeros((224, 224)))["invented lesion"] == 0


def test_an_empty_mask_of_an_image_without_a_lesion_is_not_suspicious() -> None:
    none, nothing = np.zeros((224, 224), bool), np.full((224, 224), 0.004)
    assert mask_signs(none, nothing) == {"missing lesion": 0.0, "invented lesion": 0.0}
    lesion = nothing.copy()
    lesion[:10, :10] = 0.9
    assert mask_signs(none, lesion)["missing lesion"] == pytest.approx(90 / 91 + 0.03 * log1p(100))


def test_signs_of_a_mask_do_not_depend_on_the_size_of_the_image() -> None:
    rng = np.random.default_rng(0)
    small, given = rng.random((56, 56)), rng.random((56, 56)) > 0.5
    large = [np.kron(part, np.ones((4, 4))) for part in (small, given)]
    first, second = mask_signs(given, small), mask_signs(large[1] > 0, large[0])
    assert first == pytest.approx(second)


def test_signs_of_a_report_by_hand() -> None:
    vocabulary = load_vocabulary("chest")
    words = sure(LEFT)
    right = report_signs(RIGHT, words, vocabulary)
    fits = 2 * log(0.9)  # laterality and count
    assert right["other report"] == pytest.approx(-fits - 2 * log(0.1 / 7))
    assert right["swapped sides"] == pytest.approx(2 * log(0.9) - 2 * log(0.1 / 7))
    assert report_signs(LEFT, words, vocabulary)["swapped sides"] == -right["swapped sides"]
    compared = report_signs(RIGHT, words, vocabulary, measured=LEFT)
    assert compared["other report"] == pytest.approx(right["other report"] + 2 * 2)
    assert compared["swapped sides"] == pytest.approx(right["swapped sides"] + 2)
    assert "swapped sides" not in report_signs((*LEFT[:2], 3, 3), words, vocabulary)
    assert report_signs((-1, -1, -1, -1), words, vocabulary) == {"other report": 0.0}
    assert count_differences((1, 2, -1, 3), (1, 3, 0, -1)) == 1


def test_standardised_by_hand() -> None:
    found = standardise(np.array([*range(11), np.nan]))  # median 5, a tenth exceeds 9
    np.testing.assert_allclose(found, [*(np.arange(11) - 5) / 4, np.nan])
    # More than nine tenths are alike: the standard deviation stands in.
    assert standardise(np.array([0.0] * 15 + [4.0]))[-1] == pytest.approx(4 / (4 * np.sqrt(15) / 16))
    assert standardise(np.zeros(3)).tolist() == [0, 0, 0]
    assert np.isnan(standardise(np.full(2, np.nan))).all()


def found_in(name: str, signs: dict[Any, float]) -> CaseFindings:
    """Return what was found in one case: a report of the left lung, which the run finds likely."""
    return CaseFindings(
        sample=Sample(id=name, image=Path(f"{name}.png"), mask=None, split="test"),
        signs=signs, told=LEFT, measured=LEFT, retrieved=sure(LEFT), vocabulary=load_vocabulary("chest"),
        dice=1.0, missing=0.0, doubted=0.9,
    )  # fmt: skip


def ranked(cases: list[CaseFindings]) -> dict[str, Any]:
    """Return the ranked cases by id, in their order."""
    index = DatasetIndex(
        root=Path("data"), name="data", layout="folders", samples=(), coding=MaskCoding(kind="values"),
        class_names=("background", "lesion"),
    )  # fmt: skip
    return {case.id: case for case in rank(cases, index)}


def test_sides_count_as_swapped_only_where_the_report_fits_better_exchanged() -> None:
    # Of 20 cases all reports fit worse exchanged, case 19 by least: far above the median too.
    usual = [
        found_in(f"case{n}", {"missing lesion": n / 100, "other report": 1.0, "swapped sides": -9 + n / 100})
        for n in range(19)
    ]
    least = {"missing lesion": 0.12, "other report": 1.1, "swapped sides": -0.5}
    cases = ranked([*usual, found_in("case19", least)])
    odd = cases["case19"]
    assert odd.scores["swapped sides"] == max(odd.scores.values()) > 10
    assert (odd.kind, odd.score) == ("other report", odd.scores["other report"])
    assert not any("exchanged" in reason for case in cases.values() for reason in case.reasons)
    # The same case with a report that fits better exchanged.
    cases = ranked([*usual, found_in("case19", {**least, "swapped sides": 0.5})])
    odd = cases["case19"]
    assert (odd.kind, odd.score, odd.rank) == ("swapped sides", odd.scores["swapped sides"], 1)
    assert "left and right exchanged" in odd.reasons[0]


@pytest.mark.parametrize(("score", "shown"), [(-0.04, "0.0"), (-0.06, "-0.1"), (2.34, "2.3")])
def test_a_score_is_not_shown_as_minus_zero(score: float, shown: str) -> None:
    case = ranked([found_in("a", {"missing lesion": 0.2})])["a"]
    assert case.model_copy(update={"score": score}).shown_score == shown


def test_a_case_without_a_sign_that_counts_is_not_ranked() -> None:
    cases = ranked([found_in("a", {"swapped sides": -1.0}), found_in("b", {"missing lesion": 0.2})])
    assert list(cases) == ["b"]
    assert cases["b"].rank == 1
    assert ranked([found_in("a", {"swapped sides": 0.0})]) == {}


@pytest.mark.parametrize(
    ("kind", "missing", "doubted", "said"),
    [
        ("missing lesion", 0.25, None, "on 25.0 % of the image"),
        ("missing lesion", 0.0002, None, "on less than 0.1 % of the image"),
        ("missing lesion", 0.0, None, None),
        ("invented lesion", None, 0.2, "is only 0.20"),
        ("invented lesion", None, 0.98, "is 0.98"),
    ],
)
def test_a_reason_says_nothing_that_its_number_contradicts(
    kind: Any, missing: float | None, doubted: float | None, said: str | None
) -> None:
    found = reasons(kind, None, None, (), None, missing=missing, doubted=doubted)
    assert [said in reason for reason in found if said] == ([True] if said else [])
    assert len(found) == (said is not None)


class SurePredictor:
    """Answers with a mask and sure phrases by image name."""

    def __init__(self, fake: Any, answers: dict[str, tuple[np.ndarray, tuple[int, ...]]]) -> None:
        self.fake, self.run, self.runs, self.engine = fake, fake.run, fake.runs, fake.engine
        self.calibration = None
        self.answers = answers

    def predict_paths(self, paths: Iterable[Path], *, batch_size: int = 8) -> Iterator[tuple[Path, Any]]:
        for path, prediction in self.fake.predict_paths(paths):
            if path.stem in self.answers and prediction.words:
                words = tuple(
                    dataclasses.replace(word, probabilities=tuple(probability.tolist()))
                    for word, probability in zip(
                        prediction.words, sure(self.answers[path.stem][1]), strict=True
                    )
                )
                prediction = dataclasses.replace(prediction, words=words)
            yield path, prediction


@pytest.fixture
def data(tmp_path: Path, disc: Callable[..., np.ndarray], write_case: Callable[..., Path]) -> Path:
    """Write 12 cases of the test split: lesions lower left or right, with true reports."""
    folder = tmp_path / "data"
    for number in range(12):
        mask = disc(64, 48 + number % 3, 14 if number % 2 else 50, 7)
        write_case(folder, f"case{number:02}", mask)
    sentences = [
        "Unilateral pulmonary infection, one infected area, "
        f"lower {'left' if number % 2 else 'right'} lung." for number in range(12)
    ]  # fmt: skip
    sentences[5] = sentences[5].replace("left", "right")
    table = pd.DataFrame({"image": [f"case{n:02}" for n in range(12)], "description": sentences})
    table.to_csv(folder / "reports.csv", index=False)
    return folder


@pytest.fixture
def answers(disc: Callable[..., np.ndarray]) -> dict[str, tuple[np.ndarray, tuple[int, ...]]]:
    """Return true masks and words, but in case 3 a second lesion that its mask does not hold."""
    found = {}
    for number in range(12):
        mask = disc(64, 48 + number % 3, 14 if number % 2 else 50, 7)
        if number == 3:
            mask = np.maximum(mask, disc(64, 14, 50, 8))
        found[f"case{number:02}"] = (mask, LEFT if number % 2 else RIGHT)
    return found


def test_wrong_cases_come_first_with_their_reasons(
    data: Path, answers: Any, fake_predictor: Any, fake_run: Any, tmp_path: Path
) -> None:
    del answers["case11"]
    predictor: Any = SurePredictor(fake_predictor(fake_run(), answers), answers)
    index = open_dataset(data)
    part = RunSamples(predictor=predictor, samples=index.samples)
    found = check_cases(index, [part], left_out=2)
    assert (found.checked, found.left_out, found.nothing_to_check, found.side) == (11, 2, 0, "image")
    assert [failed.id for failed in found.failed] == ["case11"]
    first = {case.id: case for case in found.cases[:2]}
    assert set(first) == {"case03", "case05"}
    assert first["case03"].kind == "missing lesion"
    assert "outside the mask" in first["case03"].reasons[0]
    swapped = first["case05"]
    assert swapped.kind == "swapped sides"
    assert "left and right exchanged" in swapped.reasons[0]
    assert swapped.told["right"] == swapped.retrieved["left"].replace("left", "right")
    assert "the mask shows" in " ".join(swapped.reasons)
    with owned_folder(tmp_path / "out") as folder:
        write_suspicions(found, index, [part], folder)
    record = read_record(tmp_path / "out" / "suspicions.json", Suspicions, remedy="")
    assert record == found
    table = pd.read_csv(tmp_path / "out" / "suspicions.csv")
    assert table["id"].tolist() == [case.id for case in found.cases]
    assert table["told_left"][0] is not None
    page = Page((tmp_path / "out" / "suspicions.html").read_text("utf-8"))
    assert len(page.all("img")) == 2 * 11
    assert all(image["alt"] for image in page.all("img"))
    assert "1. case0" in page.text
    assert page.all("script") == [{}]
    assert "11 cases were checked." in page.text
    for kind in KINDS:
        high = sum(case.kind == kind and case.score >= 2 for case in found.cases)
        assert (
            f"{kind.capitalize()}{high}cases with their largest score for this error, 2 or more" in page.text
        )
    assert f"The most suspicious case is {found.cases[0].id}: {found.cases[0].kind}, score" in page.text
    links = [link["href"] for link in page.all("a")]
    assert [f"#case-{rank}" for rank in range(1, 12)] == links[2:]


def test_healthy_images_with_empty_masks_stand_behind_a_mask_that_misses_a_lesion(
    data: Path, answers: Any, fake_predictor: Any, fake_run: Any, write_case: Callable[..., Path]
) -> None:
    for number in range(12, 16):
        write_case(data, f"case{number}", np.zeros((64, 64), np.uint8))
        answers[f"case{number}"] = (np.zeros((64, 64), np.uint8), LEFT)
    silent = fake_predictor(fake_run(text_source="none"), answers)
    predict = silent.predict_paths

    def unsure(paths: Iterable[Path]) -> Iterator[tuple[Path, Any]]:
        for path, prediction in predict(paths):
            yield (
                path,
                dataclasses.replace(
                    prediction, probability=np.maximum(prediction.probability, np.float32(0.004))
                ),
            )

    silent.predict_paths = unsure
    index = open_dataset(data)
    found = check_cases(index, [RunSamples(predictor=silent, samples=index.samples)])
    assert (found.cases[0].id, found.cases[0].kind) == ("case03", "missing lesion")
    healthy = [case for case in found.cases if int(case.id.removeprefix("case")) >= 12]
    assert len(healthy) == 4
    assert all(case.score < found.cases[0].score for case in healthy)
    assert all(case.reasons for case in found.cases)


def test_images_unlike_the_training_images_are_said(
    data: Path, answers: Any, fake_predictor: Any, fake_run: Any
) -> None:
    class Unlike(SurePredictor):
        def predict_paths(self, paths: Iterable[Path]) -> Iterator[tuple[Path, Any]]:
            for path, prediction in super().predict_paths(paths):
                strange = ("content",) if path.stem == "case07" else ()
                yield path, dataclasses.replace(prediction, unlike_training_images=strange)

    predictor: Any = Unlike(fake_predictor(fake_run(), answers), answers)
    index = open_dataset(data)
    found = check_cases(index, [RunSamples(predictor=predictor, samples=index.samples)])
    assert any(note.startswith("1 of 12 images is unlike the training images") for note in found.notes)
    assert [case.id for case in found.cases if any("unlike" in why for why in case.reasons)] == ["case07"]


def test_without_words_only_masks_are_checked(
    data: Path, answers: Any, fake_predictor: Any, fake_run: Any
) -> None:
    index = open_dataset(data)
    silent = fake_predictor(fake_run(text_source="none"), answers)
    found = check_cases(index, [RunSamples(predictor=silent, samples=index.samples)])
    assert found.notes == (NO_WORDS,)
    assert (found.cases[0].id, found.cases[0].kind, found.side) == ("case03", "missing lesion", None)
    assert set(found.cases[0].scores) == {"missing lesion", "invented lesion"}
    (data / "reports.csv").unlink()
    index = open_dataset(data)
    speaking: Any = SurePredictor(fake_predictor(fake_run(), answers), answers)
    found = check_cases(index, [RunSamples(predictor=speaking, samples=index.samples)])
    assert found.notes == (NO_REPORTS,)
    assert found.cases[0].told == {}


def test_sentences_of_unknown_side_are_not_checked(
    data: Path, answers: Any, fake_predictor: Any, fake_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "sure", lambda indices: (np.array([0.5, 0.5]),))
    sentences = pd.read_csv(data / "reports.csv")["description"].tolist()
    sheet = group_sentences(sentences, lambda texts: pytest.fail("no embedding is needed"))
    run = fake_run()
    run = dataclasses.replace(run, manifest=run.manifest.model_copy(update={"vocabulary": sheet}))
    answers = {name: (mask, (0,)) for name, (mask, _) in answers.items()}
    predictor: Any = SurePredictor(fake_predictor(run, answers), answers)
    for side, is_read in ((None, True), ("patient", False)):
        index = dataclasses.replace(open_dataset(data), side=side)
        part = RunSamples(predictor=predictor, samples=index.samples)
        assert [bool(case.told) for case in check_cases(index, [part]).cases] == [is_read] * 12
        notes = check_cases(index, [part]).notes
        assert ["Sentences that name left or right are not compared" in note for note in notes] == (
            [] if is_read else [True]
        )


def test_a_mask_of_another_size_is_named(
    data: Path, answers: Any, fake_predictor: Any, fake_run: Any, disc: Any
) -> None:
    answers["case00"] = (disc(32, 20, 20, 5), LEFT)
    predictor: Any = SurePredictor(fake_predictor(fake_run(), answers), answers)
    index = open_dataset(data)
    found = check_cases(index, [RunSamples(predictor=predictor, samples=index.samples)])
    assert [(failed.id, "size" in failed.error) for failed in found.failed] == [("case00", True)]


def test_another_vocabulary_is_refused(data: Path, fake_predictor: Any, fake_run: Any) -> None:
    (data / "dataset.yaml").write_text("vocabulary: polyp\n", "utf-8")
    index = open_dataset(data)
    with refuses("LEX-USE-900", "'polyp'", "'chest'"):
        check_cases(index, [RunSamples(predictor=fake_predictor(fake_run(), {}), samples=index.samples)])


def test_the_name_in_the_file_of_a_vocabulary_counts_not_that_of_the_file(
    data: Path, answers: Any, fake_predictor: Any, fake_run: Any
) -> None:
    predictor: Any = SurePredictor(fake_predictor(fake_run(), answers), answers)
    chest = load_vocabulary("chest").to_dict()

    def check(file: str, name: str) -> Suspicions:
        (data / file).write_text(json.dumps({**chest, "name": name}), "utf-8")
        (data / "dataset.yaml").write_text(f"vocabulary: {file}\n", "utf-8")
        index = open_dataset(data)
        return check_cases(index, [RunSamples(predictor=predictor, samples=index.samples)])

    assert check("chest-v2.yaml", "chest").checked == 12
    with refuses("LEX-USE-900", "'lungs'", "chest.yaml", "'chest'"):
        check("chest.yaml", "lungs")


def test_runs_that_cannot_check_are_refused(data: Path, fake_run: Any, tmp_path: Path) -> None:
    run = dataclasses.replace(fake_run(), path=tmp_path / "run")
    run.path.mkdir()
    with refuses("LEX-RUN-904", "does not say which images", "--folds 5"):
        find_suspicions(run, data, tmp_path / "out")
    manifest = run.manifest
    named = manifest.model_copy(update={"data": manifest.data.model_copy(update={"name": "data"})})
    write_splits_record(run.path, SplitsRecord(train=tuple(f"case{n:02}" for n in range(12))))
    learned = dataclasses.replace(fake_run(), path=run.path, manifest=named)
    with refuses("LEX-DATA-901", "12 images, all of", "--folds 5"):
        find_suspicions(learned, data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_images_that_a_run_has_learned_are_left_out_whatever_their_names(
    data: Path, answers: Any, fake_predictor: Any, fake_run: Any, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    run = dataclasses.replace(fake_run(), path=tmp_path / "run")
    run.path.mkdir()
    monkeypatch.setattr(
        find, "Predictor", lambda run, _: SurePredictor(fake_predictor(run, answers), answers)
    )

    def check(run: Any) -> Suspicions:
        return find_suspicions(run, data, tmp_path / "out")

    # Trained on data of another name, in which the same files have other names.
    manifest = run.manifest
    assert manifest.data.name != "data"
    write_splits_record(run.path, SplitsRecord(train=("case02", "x")))
    files = [data / "test" / "images" / f"case{number:02}.png" for number in (4, 7)]
    hashes = tuple(hashlib.sha256(file.read_bytes()).hexdigest() for file in files)
    write_record(run.path / "image_hashes.json", ImageHashesRecord(train=hashes[:1], val=hashes[1:]))
    found = check(run)
    assert (found.left_out, found.checked, found.notes) == (1, 11, ())
    assert "case04" not in {case.id for case in found.cases}
    # Of data of the same name: names and files count.
    named = manifest.model_copy(update={"data": manifest.data.model_copy(update={"name": "data"})})
    found = check(dataclasses.replace(run, manifest=named))
    assert (found.left_out, found.notes) == (2, ())
    assert {"case02", "case04"}.isdisjoint(case.id for case in found.cases)
    # Nothing can be compared, and this is said.
    (run.path / "image_hashes.json").unlink()
    found = check(run)
    assert found.left_out == 0
    (note,) = found.notes
    for part in ("may be among the cases", "not data,", "no hashes of its images"):
        assert part in note
    assert note in Page((tmp_path / "out" / "suspicions.html").read_text("utf-8")).text
    assert check(dataclasses.replace(run, manifest=named)).notes == ()


def test_images_of_earlier_runs_that_are_not_known_are_said(data: Path, fake_run: Any) -> None:
    run, index = fake_run(), open_dataset(data)
    start = StartRecord(name="first", data="skin", weights_sha256="0", images_known=False)
    manifest = run.manifest.model_copy(
        update={"data": DataRecord(name="data"), "training": TrainingRecord(start=start)}
    )
    for made, count in ((manifest, 1), (manifest.model_copy(update={"training": TrainingRecord()}), 0)):
        samples, notes = not_learned(dataclasses.replace(run, manifest=made), index.samples, index.name)
        assert len(samples) == 12
        assert len(notes) == count
        assert all("learned from first, and not all images that" in note for note in notes)


def test_no_cell_of_the_table_is_a_formula() -> None:
    case = ranked([found_in("=1+1", {"missing lesion": 0.2})])["=1+1"]
    hostile = case.model_copy(
        update={"image": "@SUM(A1).png", "reasons": ("+1\u202e",), "told": {"=a": "-b"}}
    )
    found = Suspicions(
        data="data", runs=("run",), side=None, checked=1, left_out=0, nothing_to_check=0, notes=(),
        cases=(hostile,), failed=(),
    )  # fmt: skip
    table = pd.read_csv(io.StringIO(found.table())).iloc[0]
    assert table[["id", "image", "reasons", "told_=a"]].tolist() == [
        "'=1+1", "'@SUM(A1).png", "'+1\\u202e", "'-b",
    ]  # fmt: skip
    assert (table["rank"], table["score_missing_lesion"]) == (1, 0)


def test_a_phrase_that_the_run_retrieves_too_is_no_difference() -> None:
    vocabulary = load_vocabulary("chest")
    words = [np.full(len(factor.phrases), 1 / len(factor.phrases)) for factor in vocabulary.factors]
    words[3] = np.array([0.3, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])
    told = (UNKNOWN, UNKNOWN, 0, 1)
    found = reasons("other report", told, None, words, vocabulary, missing=None, doubted=None)
    left, right = (vocabulary.factors[k].phrases for k in (2, 3))
    assert found == (
        f"Right lung: the report says '{right[1]}' (probability 0.10), the run '{right[0]}' (0.30).",
        f"Left lung: the report says '{left[0]}', and so does the run, with the probability 0.12 only.",
    )
