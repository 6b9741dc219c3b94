from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexiseg.errors import DataError
from lexiseg.words.description import UNKNOWN
from lexiseg.words.flips import AXES, Axis, flip, to_side, with_mirrored
from lexiseg.words.text import split_words
from lexiseg.words.vocabulary import Vocabulary, load_vocabulary

CHEST = load_vocabulary("chest")
POLYP = load_vocabulary("polyp")


def with_phrases(*factors: list[str], holes: bool = False, sentences: Any = None) -> Vocabulary:
    """Return a vocabulary with these factors; `sentences` makes the first one a factor of a sheet."""
    values: list[dict[str, Any]] = [
        {"name": f"f{i}", "title": f"F{i}", "phrases": phrases} for i, phrases in enumerate(factors)
    ]
    if sentences is not None:
        values[0]["read"] = {"kind": "sentence", "sentences": sentences}
    return Vocabulary.from_dict(
        {
            "name": "own",
            "title": "Own",
            "keyword": {"singular": "x", "plural": "xs"},
            "opposites": {"horizontal": [["left", "right"]], "vertical": [["upper", "lower"]]},
            "sentence": {"clauses": [{"parts": ["{f0}"]}]},
            "factors": values,
            "flip_holes": holes,
        }
    )


@pytest.mark.parametrize(
    ("vocabulary", "axis", "before", "after"),
    [
        # upper left + no lesion right, mirrored: no lesion left + upper right
        (CHEST, "horizontal", (1, 0, 0, 7), (1, 0, 7, 0)),
        (CHEST, "horizontal", (0, 1, 6, 5), (0, 1, 5, 6)),
        (CHEST, "horizontal", (0, UNKNOWN, UNKNOWN, 5), (0, UNKNOWN, 5, UNKNOWN)),
        # upside down: upper <-> lower, upper middle <-> middle lower, all and upper lower stay
        (CHEST, "vertical", (0, 1, 0, 3), (0, 1, 2, 5)),
        (CHEST, "vertical", (0, 1, 4, 6), (0, 1, 4, 6)),
        (CHEST, "vertical", (1, 0, 7, 1), (1, 0, 7, 1)),
        # upper left -> upper right -> lower right; the middle cell stays
        (POLYP, "horizontal", (0, 0, 1, 2, 0), (0, 2, 1, 2, 0)),
        (POLYP, "vertical", (0, 2, 1, 2, 0), (0, 8, 1, 2, 0)),
        (POLYP, "vertical", (0, 4, UNKNOWN, 2, 0), (0, 4, UNKNOWN, 2, 0)),
    ],
)
def test_flip(vocabulary: Vocabulary, axis: Axis, before: tuple[int, ...], after: tuple[int, ...]) -> None:
    assert flip(vocabulary, before, axis) == after


@given(st.data())
def test_flipping_twice_changes_nothing(data: st.DataObject) -> None:
    vocabulary = data.draw(st.sampled_from([CHEST, POLYP]))
    axis: Axis = data.draw(st.sampled_from(AXES))
    indices = tuple(data.draw(st.integers(UNKNOWN, size - 1)) for size in vocabulary.sizes)
    once = flip(vocabulary, indices, axis)
    assert flip(vocabulary, once, axis) == indices
    assert sorted(i == UNKNOWN for i in once) == sorted(i == UNKNOWN for i in indices)


@given(st.data())
def test_axes_commute(data: st.DataObject) -> None:
    indices = tuple(data.draw(st.integers(UNKNOWN, size - 1)) for size in CHEST.sizes)
    horizontal_first = flip(CHEST, flip(CHEST, indices, "horizontal"), "vertical")
    assert horizontal_first == flip(CHEST, flip(CHEST, indices, "vertical"), "horizontal")


@given(st.data())
def test_flipped_indices_speak_the_flipped_words(data: st.DataObject) -> None:
    vocabulary = data.draw(st.sampled_from([CHEST, POLYP]))
    axis: Axis = data.draw(st.sampled_from(AXES))
    indices = tuple(data.draw(st.integers(0, size - 1)) for size in vocabulary.sizes)
    flipped = vocabulary.sentence_for(flip(vocabulary, indices, axis))
    opposite = {a: b for pair in getattr(vocabulary.opposites, axis) for a, b in (pair, pair[::-1])}
    swapped = [opposite.get(word, word) for word in split_words(vocabulary.sentence_for(indices))]
    assert sorted(split_words(flipped)) == sorted(swapped)


def test_to_side() -> None:
    assert to_side(CHEST, (1, 0, 0, 7), given="image", wanted="patient") == (1, 0, 7, 0)
    assert to_side(CHEST, (1, 0, 0, 7), given="patient", wanted="image") == (1, 0, 7, 0)
    assert to_side(CHEST, [1, 0, 0, 7], given="patient", wanted="patient") == (1, 0, 0, 7)


def test_flip_refuses_another_number_of_indices() -> None:
    with pytest.raises(ValueError, match="zip"):
        flip(CHEST, (0, 1, 2), "horizontal")


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        (("left",), ("left", "right")),
        (("right", "count"), ("count", "left", "right")),
        (("laterality",), ("laterality",)),
        ((), ()),
    ],
)
def test_factors_bring_those_they_become_when_mirrored(names: tuple[str, ...], kept: tuple[str, ...]) -> None:
    assert with_mirrored(CHEST, names) == kept
    assert with_mirrored(POLYP, POLYP.names[1:]) == POLYP.names[1:]


def test_factors_that_two_mirrors_lead_to_come_too() -> None:
    corners = [[f"{y} {x} none", f"{y} {x} some"] for y in ("upper", "lower") for x in ("left", "right")]
    vocabulary = with_phrases(*corners, ["none", "some"])
    assert with_mirrored(vocabulary, ["f0"]) == ("f0", "f1", "f2", "f3")


def test_factor_may_flip_into_itself_or_another() -> None:
    table = with_phrases(
        ["left", "right", "center"], ["left lobe", "none left"], ["right lobe", "none right"]
    )
    assert table.flip_tables["horizontal"] == (
        ((0, 1), (0, 0), (0, 2)),
        ((2, 0), (2, 1)),
        ((1, 0), (1, 1)),
    )


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ([["left", "center"]], r"factor 'f0', phrase 'left': its horizontal flip, 'right', is not a phrase"),
        ([["big", "upper part"]], r"phrase 'upper part': its vertical flip, 'lower part'"),
        (
            [["left a", "left b"], ["right a", "right b", "left a", "left b"]],
            "phrase 'left a': flipping it twice .horizontal. does not give the same phrase",
        ),
        (
            [["left", "center"], ["right", "middle"]],
            "factor 'f0': its phrases flip .horizontal. into different factors",
        ),
        ([["left a", "left b"], ["right a", "left c"], ["right b", "right c"]], "into different factors"),
    ],
)
def test_written_vocabularies_have_no_holes(factors: list[list[str]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        with_phrases(*factors)


def test_sheets_may_have_holes() -> None:
    phrases = ["dense on the left", "dense on the right", "sparse on the left", "sparse"]
    vocabulary = with_phrases(phrases, holes=True, sentences=[[phrase] for phrase in phrases])
    assert vocabulary.flip_tables["horizontal"] == (((0, 1), (0, 0), None, (0, 3)),)
    assert flip(vocabulary, (2,), "horizontal") == (UNKNOWN,)
    assert flip(vocabulary, (2,), "vertical") == (2,)


def test_all_sentences_of_a_group_must_flip_into_one_group() -> None:
    together = [["dense left", "thick left"], ["dense right", "thick right"]]
    apart = [["dense left", "thick left"], ["dense right"], ["thick right"]]
    phrases = [group[0] for group in together]
    assert with_phrases(phrases, holes=True, sentences=together).flip_tables["horizontal"] == (
        ((0, 1), (0, 0)),
    )
    # Were one of the two mirrored, flipping twice would not give the same group.
    assert with_phrases([g[0] for g in apart], holes=True, sentences=apart).flip_tables["horizontal"] == (
        (None, None, None),
    )


def test_order_of_words_matters_in_sentences_of_a_sheet() -> None:
    phrases = ["left above right", "right above left"]
    vocabulary = with_phrases(phrases, holes=True, sentences=[[phrase] for phrase in phrases])
    assert vocabulary.flip_tables["horizontal"] == (((0, 1), (0, 0)),)
