"""Masks of two classes with noise, with several codings, and in several files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lexiseg.data.check.dataset_check import check_dataset
from lexiseg.data.layouts.open_dataset import open_dataset
from lexiseg.data.mask_coding import MaskCoding
from lexiseg.data.mask_histograms import mask_histogram, mask_histograms
from lexiseg.data.mask_inference import explicit_coding, infer_mask_coding
from lexiseg.data.mask_parts import first_part, mask_parts
from lexiseg.data.readers import read_mask
from lexiseg.errors import DataError

SHAPE = (64, 64)


def disc(number: int = 0, radius: int = 9) -> np.ndarray:
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return ((rows - 30) ** 2 + (columns - 20 - number) ** 2 < radius**2).astype(np.uint8)


def save(folder: Path, name: str, values: np.ndarray, **options: object) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, **options)
    return path


def data_set(root: Path, masks: dict[str, np.ndarray]) -> Path:
    for seed, (name, values) in enumerate(masks.items()):
        picture = np.random.default_rng(seed).integers(0, 256, SHAPE, dtype=np.uint8)
        save(root / "images", f"{name}.png", picture)
        save(root / "masks", f"{name}.png", values)
    return root


def near_binary(number: int) -> np.ndarray:
    noise = np.random.default_rng(number).integers(0, 8, SHAPE)
    return np.where(disc(number) > 0, 255 - noise, noise).astype(np.uint8)


def resized(number: int) -> np.ndarray:
    small = Image.fromarray(disc(number) * 255).resize((50, 50), Image.Resampling.BILINEAR)
    return np.asarray(small.resize(SHAPE[::-1], Image.Resampling.BILINEAR))


def edge_noise(number: int) -> np.ndarray:
    values = disc(number).astype(np.uint8) * 255
    edge = (np.roll(values, 1, 0) != values) & (values > 0)
    values[edge] -= np.random.default_rng(number).integers(0, 8, int(edge.sum())).astype(np.uint8)
    return values


@pytest.mark.parametrize("make", [near_binary, resized, edge_noise])
def test_noise_makes_no_class(tmp_path: Path, make: object) -> None:
    assert callable(make)
    paths = [save(tmp_path, f"{i}.png", make(i)) for i in range(6)]
    coding, said = infer_mask_coding(paths)
    assert (coding.kind, coding.num_classes) == ("threshold", 2)
    assert "values above 127 are read as lesion" in said[0]
    for number, path in enumerate(paths):
        assert (read_mask(path, coding) != disc(number)).sum() <= 20


def test_one_stray_value_makes_no_class(tmp_path: Path) -> None:
    values = disc() * 255
    values[30, 20] = 254
    coding, said = infer_mask_coding([save(tmp_path, "a.png", values)])
    assert (coding.num_classes, len(said)) == (2, 1)
    labels = disc()
    labels[30, 20] = 2
    with pytest.raises(DataError, match="LEX-DATA-657"):
        infer_mask_coding([save(tmp_path, "b.png", labels)])


def test_a_thin_value_at_edges_is_not_guessed(tmp_path: Path) -> None:
    values = disc() * 255
    values[(np.roll(values, 1, 0) != values) & (values > 0)] = 128
    with pytest.raises(DataError, match="LEX-DATA-657"):
        infer_mask_coding([save(tmp_path, "a.png", values)])
    # Stated, it is a class.
    coding, _ = explicit_coding(
        {0: "background", 128: "rim", 255: "core"}, [mask_histogram(tmp_path / "a.png")]
    )
    assert coding.kind == "values"


def test_regions_are_classes(tmp_path: Path) -> None:
    values = disc() * 128 + disc(30) * 100
    coding, _ = infer_mask_coding([save(tmp_path, "a.png", values)])
    assert coding.values == (0, 100, 128)


@pytest.mark.parametrize("options", [{"quality": 60}, {"quality": 90}])
@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_lossless_masks_of_0_and_1_beside_lossy_ones_keep_their_lesion(
    tmp_path: Path, suffix: str, options: dict[str, int]
) -> None:
    paths = [save(tmp_path, f"{i}.{suffix}", disc(i) * 255, **options) for i in range(3)]
    paths += [save(tmp_path, "3.png", disc(3)), save(tmp_path, "4.png", disc(4) * 255)]
    coding, said = infer_mask_coding(paths)
    assert coding.kind == "binary"
    assert "1 mask is not lossy and holds 0 and 1" in said[1]
    for number, path in enumerate(paths):
        assert (read_mask(path, coding) != disc(number)).sum() <= 20


def test_dark_masks_beside_lossy_ones_are_refused(tmp_path: Path) -> None:
    paths = [save(tmp_path, f"{i}.jpg", disc(i) * 255) for i in range(3)]
    with pytest.raises(DataError, match="LEX-DATA-658"):
        infer_mask_coding([*paths, save(tmp_path, "3.png", disc(3) * 2)])


def test_masks_of_8_and_16_bits_are_one_class(tmp_path: Path) -> None:
    paths = [save(tmp_path, "a.png", disc() * 255), save(tmp_path, "b.png", disc().astype(np.uint16) * 65535)]
    coding, said = infer_mask_coding(paths)
    assert coding.num_classes == 2
    assert "some as 65535" in said[0]
    assert all((read_mask(path, coding) == disc()).all() for path in paths)


def test_a_test_split_with_another_coding_is_read(tmp_path: Path) -> None:
    known = [save(tmp_path, f"{i}.png", disc(i) * 255) for i in range(3)]
    tested = [save(tmp_path, "t.png", disc())]
    coding, said = infer_mask_coding(known, test_paths=tested)
    assert (read_mask(tested[0], coding) == disc()).all()
    assert "all are read as lesion" in said[0]
    # Another value of the test split adds no class.
    assert infer_mask_coding(known, test_paths=[save(tmp_path, "u.png", disc() * 7)])[0].values == (0, 255)
    lossy = [save(tmp_path, f"{i}.jpg", disc(i) * 255) for i in range(3)]
    assert infer_mask_coding(lossy, test_paths=tested)[0].kind == "binary"
    with pytest.raises(DataError, match="LEX-DATA-658"):
        infer_mask_coding(lossy, test_paths=[save(tmp_path, "v.png", disc() * 7)])


def test_mixed_colours_are_refused(tmp_path: Path) -> None:
    colours = np.zeros((*SHAPE, 3), np.uint8)
    colours[10:30, 10:30] = (255, 0, 0)
    for step in range(4):
        colours[9, 10 + step] = (200 - 9 * step, 0, 0)
    with pytest.raises(DataError, match="LEX-DATA-656"):
        infer_mask_coding([save(tmp_path, "a.png", colours)])


def test_stated_classes_take_the_nearest_value_of_resized_masks(tmp_path: Path) -> None:
    paths = [save(tmp_path, "a.png", resized(0))]
    coding, _ = explicit_coding({0: "background", 255: "lesion"}, mask_histograms(paths))
    assert coding.kind == "nearest"


def test_numbered_masks_are_joined_and_said(tmp_path: Path) -> None:
    root = tmp_path
    for number in range(4):
        save(root / "images", f"b ({number}).png", np.full(SHAPE, 60 * number, np.uint8))
        save(root / "masks", f"b ({number})_mask.png", disc() * 255)
    second = save(root / "masks", "b (1)_mask_1.png", disc(30) * 255)
    first = root / "masks/b (1)_mask.png"
    assert mask_parts(first) == (first, second)
    assert first_part(second) == first
    assert first_part(first) is None
    index = open_dataset(root)
    assert any(
        "1 image has several masks, such as b (1)_mask.png and b (1)_mask_1.png" in note
        for note in index.assumptions
    )
    np.testing.assert_array_equal(read_mask(first, index.coding), disc() | disc(30))
    assert not {"orphan-mask"} & {finding.code for finding in check_dataset(root).findings}
    save(root / "masks", second.name, np.zeros((8, 8), np.uint8))
    with pytest.raises(DataError, match="LEX-DATA-660"):
        read_mask(first, MaskCoding(kind="values"))


def test_inverted_full_and_empty_masks_are_found(tmp_path: Path) -> None:
    masks = {f"c{i:02d}": disc(i % 20) * 255 for i in range(24)}
    masks["c03"] = (1 - disc()) * 255
    masks["c05"] = np.full(SHAPE, 255, np.uint8)
    masks["c07"] = np.zeros(SHAPE, np.uint8)
    found = {finding.code: finding for finding in check_dataset(data_set(tmp_path, masks)).findings}
    for code, name in (("inverted-mask", "c03"), ("full-mask", "c05"), ("unexpected-empty-mask", "c07")):
        assert (found[code].severity, found[code].count) == ("warning", 1)
        assert name in found[code].files[0].file


def test_a_set_of_inverted_masks_is_said(tmp_path: Path) -> None:
    masks = {f"c{i}": (1 - disc(i)) * 255 for i in range(6)}
    index = open_dataset(data_set(tmp_path, masks))
    assert any("more than half of the picture in 6 of 6 masks" in note for note in index.assumptions)


def test_masks_of_an_unknown_format_are_named(tmp_path: Path) -> None:
    root = data_set(tmp_path, {f"c{i}": disc() * 255 for i in range(3)})
    for path in (root / "masks").glob("*.png"):
        Image.open(path).save(path.with_suffix(".gif"))
        path.unlink()
    with pytest.raises(DataError, match=r"3 \.gif"):
        open_dataset(root)


def test_histograms_follow_the_file(tmp_path: Path) -> None:
    path = save(tmp_path, "a.png", disc())
    assert set(mask_histogram(path).counts) == {0, 1}
    save(tmp_path, "a.png", np.tile(disc() * 9, (2, 1)))
    assert set(mask_histogram(path).counts) == {0, 9}
