import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from lexiseg.data.decoding.mask_pixels import MaskPixels
from lexiseg.data.mask_coding import MaskCoding
from lexiseg.data.mask_histograms import mask_histograms
from lexiseg.data.mask_inference import explicit_coding, infer_mask_coding
from lexiseg.data.readers import read_mask
from refusals import refuses

SHAPE = (24, 24)


def block(value: int, *, rows: slice = slice(4, 12), dtype: type = np.uint8) -> np.ndarray:
    pixels = np.zeros(SHAPE, dtype)
    pixels[rows, 4:20] = value
    return pixels


def save(tmp_path: Path, *masks: np.ndarray | Image.Image, suffix: str = "png") -> list[Path]:
    paths = []
    for number, mask in enumerate(masks):
        path = tmp_path / f"m{number}.{suffix}"
        (mask if isinstance(mask, Image.Image) else Image.fromarray(mask)).save(path)
        paths.append(path)
    return paths


@pytest.mark.parametrize("value", [1, 255])
def test_binary_masks_need_no_words(tmp_path: Path, value: int) -> None:
    paths = save(tmp_path, block(value))
    coding, said = infer_mask_coding(paths)
    assert said == ()
    np.testing.assert_array_equal(read_mask(paths[0], coding), block(1))


def test_any_other_value_is_said(tmp_path: Path) -> None:
    paths = save(tmp_path, block(38), block(0))
    coding, said = infer_mask_coding(paths)
    assert said == ("Mask value 38 is read as lesion.",)
    np.testing.assert_array_equal(read_mask(paths[0], coding), block(1))


def test_one_and_255_in_different_files_are_the_same_class(tmp_path: Path) -> None:
    paths = save(tmp_path, block(1), block(255))
    coding, said = infer_mask_coding(paths)
    assert "some as 255" in said[0]
    for path in paths:
        np.testing.assert_array_equal(read_mask(path, coding), block(1))


def test_one_and_255_in_one_file_is_not_guessed(tmp_path: Path) -> None:
    both = block(1) + block(255, rows=slice(14, 20))
    paths = save(tmp_path, both)
    with refuses("LEX-DATA-049", "m0.png holds the") as caught:
        infer_mask_coding(paths)
    proposed = re.search(r"`(classes: .*?)`", str(caught.value))
    assert proposed is not None
    classes = yaml.safe_load(proposed[1])["classes"]
    # What the message proposes reads the masks, pasted as it is.
    histograms = mask_histograms(paths)
    coding, names = explicit_coding(classes, histograms)
    assert names == ("background", "lesion")
    np.testing.assert_array_equal(read_mask(paths[0], coding) > 0, both > 0)


def test_several_classes_are_numbered_in_order(tmp_path: Path) -> None:
    several = block(128) + block(255, rows=slice(14, 20))
    paths = save(tmp_path, several)
    coding, said = infer_mask_coding(paths)
    assert coding.num_classes == 3
    assert "128 is class 1, 255 is class 2" in said[0]
    np.testing.assert_array_equal(read_mask(paths[0], coding), block(1) + block(2, rows=slice(14, 20)))


def test_a_class_of_one_mask_is_found(tmp_path: Path) -> None:
    masks = [block(1) + block(2, rows=slice(14, 20))] * 80
    masks[4] = block(3)
    paths = save(tmp_path, *masks)
    coding, _ = infer_mask_coding(paths)
    assert coding.values == (0, 1, 2, 3)


def test_all_empty_masks_are_said(tmp_path: Path) -> None:
    paths = save(tmp_path, block(0))
    coding, said = infer_mask_coding(paths)
    assert "empty" in said[0]
    assert not read_mask(paths[0], coding).any()


def test_rgb_masks_of_grey_values_are_grey(tmp_path: Path) -> None:
    paths = save(tmp_path, np.repeat(block(255)[..., None], 3, axis=2))
    coding, _ = infer_mask_coding(paths)
    assert coding.kind == "values"
    np.testing.assert_array_equal(read_mask(paths[0], coding), block(1))


def test_colours_are_classes_with_black_behind(tmp_path: Path) -> None:
    colours = np.zeros((*SHAPE, 3), np.uint8)
    colours[4:12, 4:20] = (255, 0, 0)
    colours[14:20, 4:20] = (0, 0, 255)
    paths = save(tmp_path, colours, np.zeros((*SHAPE, 3), np.uint8))
    coding, said = infer_mask_coding(paths)
    assert "#0000ff is class 1, #ff0000 is class 2" in said[0]
    np.testing.assert_array_equal(read_mask(paths[0], coding), block(2) + block(1, rows=slice(14, 20)))
    assert not read_mask(paths[1], coding).any()  # black everywhere: stored as grey


def test_colours_without_black_are_not_guessed(tmp_path: Path) -> None:
    colours = np.full((*SHAPE, 3), (10, 200, 10), np.uint8)
    colours[4:12] = (255, 0, 0)
    with refuses("LEX-DATA-048", "no black for the background"):
        infer_mask_coding(save(tmp_path, colours))


def test_unknown_colour_is_named(tmp_path: Path) -> None:
    colours = np.zeros((*SHAPE, 3), np.uint8)
    colours[0] = (1, 2, 3)
    coding = MaskCoding(kind="colours", values=(0, 0xFF0000), labels=(0, 1))
    with refuses("LEX-DATA-092", "holds #010203; known"):
        read_mask(save(tmp_path, colours)[0], coding)


def _palette(indices: np.ndarray, colours: list[int]) -> Image.Image:
    image = Image.fromarray(indices.astype(np.uint8), mode="P")
    image.putpalette(colours)
    return image


def test_a_shared_palette_is_read_by_index(tmp_path: Path) -> None:
    voc = [0, 0, 0, 128, 0, 0, 0, 128, 0]
    indices = block(1) + block(2, rows=slice(14, 20))
    paths = save(tmp_path, _palette(indices, voc), _palette(block(1), voc))
    coding, said = infer_mask_coding(paths)
    assert coding.indexed
    assert "palette index" in said[0]
    np.testing.assert_array_equal(read_mask(paths[0], coding), indices)


def test_a_palette_made_per_file_is_read_by_colour(tmp_path: Path) -> None:
    # The same mask twice; in the second file white has index 0.
    paths = save(
        tmp_path,
        _palette(block(1), [0, 0, 0, 255, 255, 255]),
        _palette(1 - block(1), [255, 255, 255, 0, 0, 0]),
    )
    coding, _ = infer_mask_coding(paths)
    assert not coding.indexed
    for path in paths:
        np.testing.assert_array_equal(read_mask(path, coding), block(1))


def test_a_shared_palette_with_white_first_is_read_by_colour(tmp_path: Path) -> None:
    paths = save(tmp_path, _palette(1 - block(1), [255, 255, 255, 0, 0, 0]))
    coding, _ = infer_mask_coding(paths)
    np.testing.assert_array_equal(read_mask(paths[0], coding), block(1))


BLACK_WHITE, WHITE_BLACK = [0, 0, 0, 255, 255, 255], [255, 255, 255, 0, 0, 0]


def test_a_test_palette_of_other_order_is_read_by_colour(tmp_path: Path) -> None:
    known, tested = save(tmp_path, _palette(block(1), BLACK_WHITE), _palette(1 - block(1), WHITE_BLACK))
    coding, said = infer_mask_coding([known], test_paths=[tested])
    assert "m1.png has another palette" in said[0]
    for path in (known, tested):
        np.testing.assert_array_equal(read_mask(path, coding), block(1))


def test_a_test_palette_of_other_order_changes_no_label_of_several(tmp_path: Path) -> None:
    # By colour alone, green would be class 1.
    red_first, green_first = [0, 0, 0, 128, 0, 0, 0, 128, 0], [0, 0, 0, 0, 128, 0, 128, 0, 0]
    labels = block(1) + block(2, rows=slice(14, 20))
    swapped = block(2) + block(1, rows=slice(14, 20))
    known, tested = save(tmp_path, _palette(labels, red_first), _palette(swapped, green_first))
    coding, said = infer_mask_coding([known], test_paths=[tested])
    assert "#800000 is class 1, #008000 is class 2" in said[1]
    for path in (known, tested):
        np.testing.assert_array_equal(read_mask(path, coding), labels)


def test_a_test_mask_without_palette_is_read_by_the_colours_of_the_others(tmp_path: Path) -> None:
    red = np.zeros((*SHAPE, 3), np.uint8)
    red[4:12, 4:20, 0] = 128
    known, tested = save(tmp_path, _palette(block(1), [0, 0, 0, 128, 0, 0]), red)
    coding, _ = infer_mask_coding([known], test_paths=[tested])
    np.testing.assert_array_equal(read_mask(tested, coding), block(1))


def test_a_test_palette_beside_empty_masks_is_read_by_colour(tmp_path: Path) -> None:
    known, tested = save(tmp_path, _palette(block(0), BLACK_WHITE), _palette(1 - block(1), WHITE_BLACK))
    coding, _ = infer_mask_coding([known], test_paths=[tested])
    np.testing.assert_array_equal(read_mask(tested, coding), block(1))


def test_the_same_test_palette_is_read_by_index(tmp_path: Path) -> None:
    known, tested = save(tmp_path, _palette(block(1), BLACK_WHITE), _palette(block(1), BLACK_WHITE))
    assert infer_mask_coding([known], test_paths=[tested])[0].indexed


def test_a_test_palette_whose_colours_tell_no_classes_is_refused(tmp_path: Path) -> None:
    labels = block(1) + block(2, rows=slice(14, 20))
    same = [0, 0, 0, 128, 0, 0, 128, 0, 0]
    known, tested = save(tmp_path, _palette(labels, same), _palette(labels, [0, 0, 0, 0, 128, 0, 128, 0, 0]))
    with refuses("LEX-DATA-1808", "m1.png, of the test split, has another palette", "#800000 is several"):
        infer_mask_coding([known], test_paths=[tested])


RED_GREEN, GREEN_RED = [0, 0, 0, 128, 0, 0, 0, 128, 0], [0, 0, 0, 0, 128, 0, 128, 0, 0]
TWO = block(1) + block(2, rows=slice(14, 20))


def test_grey_test_masks_beside_another_palette_are_read_by_value(tmp_path: Path) -> None:
    swapped = block(2) + block(1, rows=slice(14, 20))
    paths = save(tmp_path, _palette(TWO, RED_GREEN), _palette(swapped, GREEN_RED), TWO, block(0), block(2))
    coding, said = infer_mask_coding(paths[:1], test_paths=paths[1:])
    assert "2 masks of the test split, such as m2.png" in said[2]
    assert coding.num_classes == 3
    for path, labels in zip(paths, (TWO, TWO, TWO, block(0), block(2)), strict=True):
        np.testing.assert_array_equal(read_mask(path, coding), labels)


def test_a_grey_test_mask_beside_two_classes_of_another_palette_is_read_by_value(tmp_path: Path) -> None:
    known, *tested = save(
        tmp_path,
        _palette(block(1), BLACK_WHITE),
        _palette(1 - block(1), WHITE_BLACK),
        block(1),
        block(255),
    )
    coding, _ = infer_mask_coding([known], test_paths=tested)
    for path in (known, *tested):
        np.testing.assert_array_equal(read_mask(path, coding), block(1))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([0, 0, 0, 2, 2, 2, 1, 1, 1], [0, 0, 0, 1, 1, 1, 2, 2, 2]),  # in the known masks, grey 1 is class 2
        (RED_GREEN, [0, 0, 0, 1, 1, 1, 128, 0, 0]),  # in the other test mask, grey 1 is no class
    ],
    ids=["another class", "no class"],
)
def test_a_grey_test_mask_whose_values_are_other_colours_is_refused(
    tmp_path: Path, first: list[int], second: list[int]
) -> None:
    known, other, grey = save(tmp_path, _palette(TWO, first), _palette(TWO, second), TWO)
    with refuses(
        "LEX-DATA-1816", "m2.png, of the test split, has no palette", "m1.png has another", "value 1"
    ):
        infer_mask_coding([known], test_paths=[other, grey])


def test_16_bit_masks(tmp_path: Path) -> None:
    paths = save(tmp_path, block(65535, dtype=np.uint16))
    coding, _ = infer_mask_coding(paths)
    np.testing.assert_array_equal(read_mask(paths[0], coding), block(1))


def test_one_bit_masks(tmp_path: Path) -> None:
    paths = save(tmp_path, Image.fromarray(block(1).astype(bool)))
    coding, said = infer_mask_coding(paths)
    assert said == ()
    np.testing.assert_array_equal(read_mask(paths[0], coding), block(1))


@pytest.mark.parametrize("quality", [30, 95])
def test_jpeg_masks_are_cut_at_127_and_it_is_said_once(tmp_path: Path, quality: int) -> None:
    paths = []
    for number in range(3):
        paths.append(tmp_path / f"m{number}.jpg")
        Image.fromarray(block(255)).save(paths[-1], quality=quality)
    coding, said = infer_mask_coding(paths)
    assert coding.kind == "threshold"
    assert len(said) == 1
    assert "values above 127" in said[0]
    assert (read_mask(paths[0], coding) == block(1)).mean() > 0.99


def test_threshold_by_hand(tmp_path: Path) -> None:
    paths = save(tmp_path, np.array([[0, 127, 128, 255]], np.uint8))
    np.testing.assert_array_equal(read_mask(paths[0], MaskCoding(kind="threshold")), [[0, 0, 1, 1]])


def test_jpeg_masks_of_zero_and_one_cannot_be_told_from_noise(tmp_path: Path) -> None:
    with refuses("LEX-DATA-050", "cannot be distinguished"):
        infer_mask_coding(save(tmp_path, block(1), suffix="jpg"))


def test_jpeg_masks_of_several_classes_need_their_values(tmp_path: Path) -> None:
    several = block(128) + block(255, rows=slice(14, 20))
    paths = save(tmp_path, several, suffix="jpg")
    with refuses("LEX-DATA-051", "midway between 0 and 255"):
        infer_mask_coding(paths)
    classes: dict[int | str, str] = {0: "background", 128: "cyst", 255: "tumour"}
    coding, names = explicit_coding(classes, mask_histograms(paths))
    assert coding.kind == "nearest"
    assert names == ("background", "cyst", "tumour")
    expected = block(1) + block(2, rows=slice(14, 20))
    assert (read_mask(paths[0], coding) == expected).mean() > 0.95


def test_a_picture_is_no_mask(tmp_path: Path) -> None:
    ramp = np.arange(150, dtype=np.uint8).reshape(10, 15)
    with refuses("LEX-DATA-050", "looks like a"):
        infer_mask_coding(save(tmp_path, ramp))


def test_explicit_classes_name_order_and_merge(tmp_path: Path) -> None:
    classes: dict[int | str, str] = {4: "tumour", 2: "cyst", 3: "tumour"}
    paths = save(tmp_path, np.array([[0, 2, 3, 4]], np.uint8))
    coding, names = explicit_coding(classes, mask_histograms(paths))
    assert names == ("background", "tumour", "cyst")
    np.testing.assert_array_equal(read_mask(paths[0], coding), [[0, 2, 1, 1]])


def test_explicit_colours(tmp_path: Path) -> None:
    colours = np.zeros((*SHAPE, 3), np.uint8)
    colours[4:12, 4:20] = (255, 0, 0)
    paths = save(tmp_path, colours)
    coding, names = explicit_coding({"#000000": "skin", "#FF0000": "mole"}, mask_histograms(paths))
    assert names == ("skin", "mole")
    np.testing.assert_array_equal(read_mask(paths[0], coding), block(1))


def test_explicit_classes_that_cannot_be() -> None:
    with refuses("LEX-DATA-045", "either grey values"):
        explicit_coding({0: "a", "#ff0000": "b"}, [])
    with refuses("LEX-DATA-046", "254 class names,"):
        explicit_coding({0: "a"}, [])


def test_unreadable_masks_raise_unless_they_are_to_be_skipped(tmp_path: Path) -> None:
    paths = save(tmp_path, block(1), block(1))
    paths[0].write_bytes(b"no image")
    with refuses("LEX-DATA-013", "m0.png is not a readable image"):
        infer_mask_coding(paths)
    assert infer_mask_coding(paths, skip_unreadable=True)[0].values == (0, 1)
    with refuses("LEX-DATA-044", "no mask from which the classes"):
        infer_mask_coding([])


def test_coding_survives_json() -> None:
    for coding in (
        MaskCoding(kind="threshold"),
        MaskCoding(kind="colours", values=(0, 0xFF0000), labels=(0, 1)),
        MaskCoding(kind="values", values=(0, 1, 2), labels=(0, 1, 1), indexed=True),
    ):
        assert MaskCoding.from_dict(json.loads(json.dumps(coding.to_dict()))) == coding


@pytest.mark.parametrize("value", [255, 65535])
def test_the_nearest_value_is_found_among_values_of_any_size(value: int) -> None:
    coding = MaskCoding(kind="nearest", values=(value, 0), labels=(1, 0))
    values = np.array([[0, value // 2, value // 2 + 1, value]], dtype=np.uint16)
    pixels = MaskPixels(values=values, is_colour=False, palette=None, is_lossy=False)
    assert coding.to_labels(pixels).tolist() == [[0, 0, 1, 1]]


@pytest.mark.parametrize(("background", "lesions"), [(1, (2,)), (1, (2, 3)), (50, (200,)), (7, (9, 100))])
def test_a_background_other_than_0_is_asked_for(
    tmp_path: Path, background: int, lesions: tuple[int, ...]
) -> None:
    masks = [np.where(block(1) > 0, lesion, background).astype(np.uint8) for lesion in lesions]
    paths = save(tmp_path, *masks)
    with refuses("LEX-DATA-707", f"classes: {{{background}: background", f"{background}, {lesions[0]}"):
        infer_mask_coding(paths)
    stated = {background: "background"} | {lesion: f"class {lesion}" for lesion in lesions}
    coding, names = explicit_coding(stated, mask_histograms(paths))
    assert len(names) == len(lesions) + 1
    np.testing.assert_array_equal(read_mask(paths[0], coding), block(1))


@pytest.mark.parametrize(
    ("labels", "last", "dtype"),
    [((1, 2), 255, np.uint8), ((1, 3, 9), 255, np.uint8), ((1, 2), 65535, np.uint16)],
)
@pytest.mark.parametrize("together", [True, False])
def test_255_beside_small_numbers_is_not_guessed(
    tmp_path: Path, labels: tuple[int, ...], last: int, dtype: type, together: bool
) -> None:
    values = [*labels, last]
    masks = [block(value, dtype=dtype) for value in values]
    if together:
        masks[-1][:3] = labels[0]
    paths = save(tmp_path, *masks)
    with refuses("LEX-DATA-708", f"m{len(labels)}.png", f"{last} may be a class or 'ignore'"):
        infer_mask_coding(paths)
    stated = {0: "background"} | {value: f"class {value}" for value in labels} | {last: "background"}
    coding, names = explicit_coding(stated, mask_histograms(paths))
    assert len(names) == len(labels) + 1
    assert not read_mask(paths[-1], coding)[4:].any()


@pytest.mark.parametrize("values", [(85, 170, 255), (128, 255), (40, 255)])
def test_shades_up_to_255_are_classes(tmp_path: Path, values: tuple[int, ...]) -> None:
    coding, _ = infer_mask_coding(save(tmp_path, *(block(value) for value in values)))
    assert coding.values == (0, *values)
