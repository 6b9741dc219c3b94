from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from lexiseg.data import open_dataset
from lexiseg.data.phantom import PhantomCase, make_phantom, report_sentence, write_phantom
from lexiseg.data.readers import read_image, read_mask
from lexiseg.errors import UsageError
from lexiseg.words.measure import measure_indices
from lexiseg.words.reading.reports import parse_report
from lexiseg.words.vocabulary import load_vocabulary
from refusals import refuses

NUMBERS = {"train": 40, "val": 10, "test": 10}


def cases(*, seed: int = 0, size: int = 96, classes: int = 1, **numbers: int) -> list[PhantomCase]:
    return list(make_phantom(numbers or NUMBERS, size=size, seed=seed, classes=classes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def made() -> list[PhantomCase]:
    return cases()


def test_same_seed_same_images_other_seed_others(made: list[PhantomCase]) -> None:
    for first, second, other in zip(made, cases(), cases(seed=1), strict=True):
        np.testing.assert_array_equal(first.image, second.image)
        np.testing.assert_array_equal(first.labels, second.labels)
        assert first.report == second.report
        assert not np.array_equal(first.image, other.image)


def test_a_case_does_not_depend_on_how_many_others_there_are(made: list[PhantomCase]) -> None:
    fewer = cases(train=5, val=3, test=0)
    by_name = {case.name: case for case in made}
    for case in fewer:
        np.testing.assert_array_equal(case.image, by_name[case.name].image)


def test_numbers_names_and_patients(made: list[PhantomCase]) -> None:
    assert [sum(case.split == split for case in made) for split in ("train", "val", "test")] == [40, 10, 10]
    assert len({case.name for case in made}) == 60
    patients: dict[str, set[str]] = {}
    for case in made:
        patients.setdefault(case.name.split("-")[0], set()).add(case.split)
    assert all(len(splits) == 1 for splits in patients.values())
    assert len(patients) < 60


def test_reports_are_true_of_the_masks(made: list[PhantomCase]) -> None:
    chest = load_vocabulary("chest")
    for case in made:
        description = parse_report(case.report, chest)
        assert description.problems == ()
        assert description.indices == measure_indices(case.labels, chest, side="image")


def test_report_sentences_by_hand() -> None:
    labels = np.zeros((100, 100), np.uint8)
    labels[20:80, 10:40] = 1
    labels[20:30, 70:80] = 1
    labels[70:80, 70:80] = 2
    sentence = report_sentence(labels)
    assert sentence.startswith("Bilateral pulmonary infection, three infected areas, ")
    assert sentence.endswith(" right lung.")
    assert " left lung and " in sentence
    labels[:, 50:] = 0
    sentence = report_sentence(labels)
    assert sentence.startswith("Unilateral pulmonary infection, one infected area, ")
    assert sentence.endswith("left lung.")
    assert "right" not in sentence


def test_lesions_vary(made: list[PhantomCase]) -> None:
    shares = [(case.labels > 0).mean() for case in made]
    assert min(shares) < 0.02
    assert max(shares) > 0.10
    counts = {ndimage.label(case.labels)[1] for case in made}
    assert {1, 2, 3} <= counts
    chest = load_vocabulary("chest")
    words = np.array([measure_indices(case.labels, chest) for case in made])
    assert all(len(np.unique(words[:, factor])) >= smallest for factor, smallest in enumerate((2, 2, 4, 4)))


def test_the_task_is_not_solved_by_a_threshold(made: list[PhantomCase]) -> None:
    scores = []
    for case in made:
        truth = case.labels > 0
        best = 0.0
        for level in range(20, 240, 10):
            guess = case.image > level
            best = max(best, 2 * (guess & truth).sum() / (guess.sum() + truth.sum()))
        scores.append(best)
    assert np.mean(scores) < 0.45


def test_lesions_are_brighter_than_the_same_place_without_them(made: list[PhantomCase]) -> None:
    contrast = []
    for case in made:
        truth = case.labels > 0
        ring = ndimage.binary_dilation(truth, iterations=4) & ~ndimage.binary_dilation(truth, iterations=1)
        contrast.append(float(case.image[truth].mean()) - float(case.image[ring].mean()))
    assert np.median(contrast) > 5


def test_published_layout(tmp_path: Path) -> None:
    write_phantom(tmp_path / "p", num_train=6, num_val=2, num_test=2, size=64, seed=3)
    data = open_dataset(tmp_path / "p")
    assert (data.layout, data.side, data.vocabulary) == ("published", "image", "chest")
    assert data.class_names == ("background", "opacity")
    expected = cases(seed=3, size=64, train=6, val=2, test=2)
    for sample, case in zip(data.samples, expected, strict=True):
        assert (sample.id, sample.split, sample.report) == (case.name, case.split, case.report)
        assert sample.mask is not None
        np.testing.assert_array_equal(read_image(sample.image)[..., 0], case.image)
        np.testing.assert_array_equal(read_mask(sample.mask, data.coding), case.labels)


def test_two_classes_in_plain_folders(tmp_path: Path) -> None:
    write_phantom(tmp_path / "p", num_train=12, num_val=2, num_test=2, size=64, classes=2)
    data = open_dataset(tmp_path / "p")
    assert data.layout == "folders"
    assert data.class_names == ("background", "opacity", "nodule")
    assert [len(data.split(split)) for split in ("train", "val", "test")] == [12, 2, 2]
    found = {
        int(label) for s in data.samples if s.mask for label in np.unique(read_mask(s.mask, data.coding))
    }
    assert found == {0, 1, 2}
    assert all(sample.report for sample in data.samples)


def test_impossible_arguments(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("taken")
    with refuses("LEX-USE-004", "not empty. Give"):
        write_phantom(tmp_path, num_train=1, num_val=1, num_test=1)
    for message, arguments in (
        ("at least 64 pixels wide, got 32", {"size": 32}),
        ("1 or 2 lesion classes, got 3", {"classes": 3}),
        ("numbers of images from 0 up", {"num_train": -1}),
        ("not all 0", {"num_train": 0, "num_val": 0, "num_test": 0}),
    ):
        with pytest.raises(UsageError, match=message):
            write_phantom(tmp_path / "new", **{"num_train": 1, "num_val": 1, "num_test": 1} | arguments)
    assert not (tmp_path / "new").exists()
