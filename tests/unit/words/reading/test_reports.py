import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexiseg.words.description import UNKNOWN, Description, Repair
from lexiseg.words.reading import reports
from lexiseg.words.reading.reports import parse_report, parse_sheet
from lexiseg.words.vocabulary import Vocabulary, load_vocabulary

CHEST = load_vocabulary("chest")
POLYP = load_vocabulary("polyp")

BILATERAL = "Bilateral pulmonary infection, two infected areas, "
UNILATERAL = "Unilateral pulmonary infection, one infected area, "

# Phrases of the lungs by index, for reading the expectations below.
U, M, L, UM, UL, ML, ALL, NONE = range(8)
X = UNKNOWN


def parse(sentence: str, vocabulary: Vocabulary = CHEST) -> Description:
    return parse_report(sentence, vocabulary)


def repairs(description: Description) -> list[tuple[str, str]]:
    return [(repair.found, repair.meant) for reading in description.readings for repair in reading.repairs]


@pytest.mark.parametrize(
    ("sentence", "indices"),
    [
        (BILATERAL + "all left lung and middle lower right lung.", (0, 1, ALL, ML)),
        (BILATERAL + "upper left lung and middle right lung.", (0, 1, U, M)),
        (BILATERAL + "upper middle lower left lung and upper lower right lung.", (0, 1, ALL, UL)),
        (BILATERAL + "lower upper left lung and middle upper right lung.", (0, 1, UL, UM)),
        (UNILATERAL + "upper left lung.", (1, 0, U, NONE)),
        (UNILATERAL + "all right lung.", (1, 0, NONE, ALL)),
        (UNILATERAL + "lower left lung, no lesion in right lung.", (1, 0, L, NONE)),
        (UNILATERAL + "no lesion in left lung and lower right lung.", (1, 0, NONE, L)),
        ("Unilateral pulmonary infection, three infected areas, upper lower left lung.", (1, 1, UL, NONE)),
    ],
)
def test_published_grammar(sentence: str, indices: tuple[int, ...]) -> None:
    description = parse(sentence)
    assert description.indices == indices
    assert description.problems == ()
    assert repairs(description) == []
    assert description.source == "reports"
    assert description.side == "image"


# Every slip replaces its first words in BILATERAL + "lower left lung and upper right lung."
SLIPS = [
    # named in the design
    ("lower", "lowoer"), ("upper", "upperl"), ("left lung", "leftlung"), ("right", "rught"),
    # letters changed, lost, added, swapped
    ("lower", "lowee"), ("lower", "lwer"), ("lower", "lowwer"), ("lower", "loewr"), ("lower", "lowre"),
    ("lower", "loower"), ("lower", "kower"),
    ("upper", "uper"), ("upper", "upprr"), ("upper", "uppper"), ("upper", "uppe"), ("upper", "pupper"),
    ("left", "lrft"), ("left", "letf"), ("left", "leftt"), ("left", "elft"), ("left", "lef"),
    ("right", "rigth"), ("right", "rigt"), ("right", "rightt"), ("right", "rihgt"), ("right", "righ"),
    ("lung", "lugn"), ("lung", "lun"), ("lung", "lumg"), ("lung", "lungg"), ("lung", "lunge"),
    ("areas", "aeras"), ("areas", "area"), ("areas", "aras"), ("areas", "areaas"),
    ("infected", "infcted"), ("infected", "infecetd"), ("infected", "infectd"), ("infected", "inefcted"),
    ("infection", "infecton"), ("infection", "infectoin"), ("infection", "infectiom"),
    ("pulmonary", "pulmonry"), ("pulmonary", "pulomnary"), ("pulmonary", "pulmonaryy"),
    ("Bilateral", "Bilatral"), ("Bilateral", "Biltaeral"), ("Bilateral", "bilaterall"),
    ("Bilateral", "Bi lateral"),
    ("Bilateral", "Bi-lateral"), ("Bilateral", "bialteral"),
    # glued and torn words, with and without a slip
    ("lower left", "lowerleft"), ("lower left lung", "lowerleftlung"), ("upper right", "upperright"),
    ("lung and", "lungand"), ("and upper", "andupper"), ("two infected areas", "twoinfected areas"),
    ("infected areas", "infectedareas"), ("lower", "low er"), ("right", "r ight"),
    ("left lung and upper", "leftlungandupper"),
]  # fmt: skip


@pytest.mark.parametrize(("right", "slip"), SLIPS)
def test_slips_are_repaired_and_named(right: str, slip: str) -> None:
    sentence = BILATERAL + "lower left lung and upper right lung."
    description = parse(sentence.replace(right, slip, 1))
    assert description.indices == (0, 1, L, U)
    assert description.problems == ()
    if slip != "area":  # the singular needs no repair
        assert any(found in slip.replace("-", " ") for found, _ in repairs(description))


@pytest.mark.parametrize(
    ("right", "slip", "indices"),
    [
        ("two", "tow", (0, X, L, U)), ("two", "twp", (0, X, L, U)), ("two", "twoo", (0, X, L, U)),
        ("two", "tw o", (0, X, L, U)),  # never into a number
        ("lower left", "lowe left", (0, 1, X, X)), ("left", "lest", (0, 1, X, X)),  # words of English
        ("left lung", "lfetlung", (0, 1, X, X)), ("left lung", "leftlugn", (0, 1, X, X)),  # no two words
        ("lower left lung", "on lesion in left lung", (0, 1, X, U)),
    ],
)  # fmt: skip
def test_risky_slips_are_not_repaired(right: str, slip: str, indices: tuple[int, ...]) -> None:
    description = parse((BILATERAL + "lower left lung and upper right lung.").replace(right, slip, 1))
    assert description.indices == indices
    assert description.problems
    assert repairs(description) == []


@pytest.mark.parametrize(
    ("sentence", "indices"),
    [
        (
            "bilateral pulmonary infection, two infected  area, all left lung and all right lung",
            (0, 1, ALL, ALL),
        ),
        (
            "BILATERAL PULMONARY INFECTION, TWO INFECTED AREAS, ALL LEFT LUNG AND ALL RIGHT LUNG",
            (0, 1, ALL, ALL),
        ),
        (
            "bilateral pulmonary infection two infected areas all left lung and all right lung",
            (0, 1, ALL, ALL),
        ),
        ("bilateral pulmonary infection two infected areas all left lung all right lung", (0, 1, ALL, ALL)),
        ("  Bilateral,pulmonary infection,two infected areas,lower left lung,upper right lung", (0, 1, L, U)),
        ("Bilateral pulmonary infection; 2 infected areas; lower left lung; upper right lung", (0, 1, L, U)),
        (
            "Bilateral pulmonary infection, 2infected areas, lower left lung and upper right lung",
            (0, 1, L, U),
        ),
        (BILATERAL + "lower left lung\nand upper right lung", (0, 1, L, U)),
        (BILATERAL + "left lower lung and right upper lung", (0, 1, L, U)),
        (BILATERAL + "left upper and lower lobes, right lung lower zone", (0, 1, UL, L)),
        (BILATERAL + "upper and lower left lung and whole right lung", (0, 1, UL, ALL)),
        (BILATERAL + "all upper middle lower left lung and mid right lung", (0, 1, ALL, M)),
        (BILATERAL + "lower both lungs", (0, 1, L, L)),
        (BILATERAL + "left and right lower lung", (0, 1, L, L)),
        (
            "There is a unilateral pulmonary infection with one infected area in the top of the left lung",
            (1, 0, U, NONE),
        ),
        (
            "Unilateral pulmonary infection, two infected areas, upper left lung and lower left lung",
            (1, 1, UL, NONE),
        ),
    ],
)
def test_other_ways_to_write_it(sentence: str, indices: tuple[int, ...]) -> None:
    description = parse(sentence)
    assert description.indices == indices
    assert description.problems == ()


@pytest.mark.parametrize(
    ("number", "index"),
    [
        ("one infected area", 0), ("1 infected area", 0), ("single infected area", 0), ("solitary lesion", 0),
        ("two infected areas", 1), ("3 infected areas", 1), ("ten infected areas", 1), ("99 lesions", 1),
        ("Twelve infected areas", 1), ("multiple infected areas", 1), ("several infected areas", 1),
        ("twenty infected areas", 1),
        ("0 infected areas", X), ("100 infected areas", X), ("2012 infected areas", X),
        ("0.08 infected areas", X), ("2.5 infected areas", X),
        ("infected areas", X), ("xqzy two infected areas", X), ("one two infected areas", X), ("two", X),
        ("tne infected areas", X),
    ],
)  # fmt: skip
def test_numbers(number: str, index: int) -> None:
    description = parse(f"Unilateral pulmonary infection, {number}, upper left lung.")
    assert description.indices == (1, index, U, NONE)
    assert any("Infected areas:" in problem for problem in description.problems) == (index == X)


@pytest.mark.parametrize(
    "number", ["elven infected areas", "extended infected areas", "tendon, infected areas"]
)
def test_words_near_numbers_are_no_numbers(number: str) -> None:
    description = parse(f"Unilateral pulmonary infection, {number}, upper left lung.")
    assert description.indices[1] == X
    assert description.indices[2] in (U, X)
    assert description.problems
    assert repairs(description) == []


@pytest.mark.parametrize(
    ("text", "indices"),
    [
        ("no lesion in left lung, lower right lung", (1, 0, NONE, L)),
        ("without lesion in left lung, lower right lung", (1, 0, NONE, L)),
        ("no lesoin in leftlung, lower right lung", (1, 0, NONE, L)),
        ("clear left lung, lower right lung", (1, 0, NONE, L)),
        ("left lung clear, lower right lung", (1, 0, NONE, L)),
        ("left lung is free of lesions, lower right lung", (1, 0, NONE, L)),
        ("left lung: no lesion, lower right lung", (1, 0, NONE, L)),
        ("lower right lung, left lung not infected", (1, 0, NONE, L)),
        ("lower right lung but no lesion in left lung", (1, 0, NONE, L)),
        ("lower right lung and no lesion in left lung", (1, 0, NONE, L)),
        ("lower right lung, no lesion elsewhere", (1, 0, NONE, L)),
        ("normal left lung and lower right lung", (1, 0, NONE, L)),
    ],
)
def test_negation(text: str, indices: tuple[int, ...]) -> None:
    description = parse(UNILATERAL + text)
    assert description.indices == indices
    assert description.problems == ()


@pytest.mark.parametrize(
    "text",
    [
        "No lesion in left lung and right lung.",
        "no lesion in left lung or right lung",
        "Without lesion.",
        "no lesion in both lungs",
        "No pulmonary infection.",
        "clear lungs",
        "no infected areas, left lung clear, right lung clear",
        "no lesion in left and right lung",
    ],
)
def test_no_lesion_at_all_is_read_in_full(text: str) -> None:
    description = parse(text)
    assert description.indices == (X, X, NONE, NONE)
    assert description.problems == ()
    assert parse_sheet({"a": text}, CHEST).coverage == 1


def test_whether_clear_speaks_of_both_lungs_cannot_be_told() -> None:
    description = parse("left lung and right lung are clear")
    assert description.indices == (X, X, X, NONE)
    assert "Left lung: 'left lung' does not say which part" in description.problems


@pytest.mark.parametrize(
    ("text", "indices", "problem"),
    [
        ("no lesion in upper left lung, lower right lung", (1, 0, X, L), "negates only a part"),
        ("lower right lung clear", (1, 0, X, X), "negates only a part"),
        ("lower right lung and left lung, no lesion in left lung", (1, 0, NONE, L), None),
        ("lower left lung, no lesion in left lung", (1, 0, X, X), "named several times with different parts"),
    ],
)
def test_half_a_negation(text: str, indices: tuple[int, ...], problem: str | None) -> None:
    description = parse(UNILATERAL + text)
    assert description.indices == indices
    assert bool(description.problems) == (problem is not None)
    assert problem is None or problem in " ".join(description.problems)


def test_a_negation_that_may_reach_further_needs_the_laterality() -> None:
    text = "no lesion in left lung and lower right lung"
    assert parse(UNILATERAL + text).indices == (1, 0, NONE, L)
    doubtful = parse(text)
    assert doubtful.indices == (X, X, NONE, X)
    assert "Right lung: 'lower right lung' may belong to the negation before it" in doubtful.problems


def test_denied_laterality() -> None:
    description = parse("No bilateral infection, two infected areas, upper left lung and lower right lung")
    assert description.indices == (X, 1, U, L)
    assert "'bilateral infection' is negated" in description.problems[0]


@pytest.mark.parametrize(
    ("sentence", "indices", "problem"),
    [
        (
            UNILATERAL + "upper ight lung",
            (1, 0, X, X),
            "'ight' could be a typing error for 'eight' or 'might' or 'right'",
        ),
        (
            "nilateral pulmonary infection, one infected area, upper left lung",
            (X, 0, U, X),
            "'nilateral' could be a typing error for 'bilateral' or 'unilateral'",
        ),
        (
            BILATERAL + "lateral left lung and upper right lung",
            (0, 1, X, X),
            "has the word 'lateral', which the grammar does not know",
        ),
    ],
)
def test_ambiguous_slips_are_not_guessed(sentence: str, indices: tuple[int, ...], problem: str) -> None:
    description = parse(sentence)
    assert description.indices == indices
    assert any(problem in found for found in description.problems)


@pytest.mark.parametrize(
    ("sentence", "indices", "problem"),
    [
        (BILATERAL + "all lung and all right lung", (0, 1, X, ALL), "'all lung' does not say which region"),
        (
            BILATERAL + "all lower left lung and lower right lung",
            (0, 1, X, L),
            "'all lower left lung' fits no",
        ),
        (BILATERAL + "lower left lung", (0, 1, L, X), "Right lung: not stated"),
        (UNILATERAL + "upper rixxt lung", (1, 0, X, X), "cannot read the word 'rixxt'"),  # two edits
        (BILATERAL + "lower left and upper lung", (0, 1, L, X), "'upper lung' does not say which region"),
        (
            UNILATERAL + "lower left lung, no lesion in left lung, upper right lung",
            (1, 0, X, U),
            "with different parts",
        ),
        (UNILATERAL + "left lung", (1, 0, X, NONE), "Left lung: 'left lung' does not say which part"),
        (UNILATERAL + "lung", (1, 0, X, X), "not stated"),
        (BILATERAL + "lower left and right lung", (0, 1, L, X), "'right lung' does not say which part"),
        (
            BILATERAL + "xqzy lower left lung and all right lung",
            (0, 1, X, ALL),
            "cannot read 'xqzy' in 'xqzy lower",
        ),
        (
            BILATERAL + "upper left lung and lower left lung",
            (0, 1, X, X),
            "with different parts: lower and upper",
        ),
        (UNILATERAL + "upper left lung and xqzy lung", (1, 0, U, X), "'xqzy lung' does not say which region"),
        ("bilateral unilateral infection, one infected area, upper left lung", (X, 0, U, X), "contradictory"),
        (
            "Unilateral infection, one infected area, two infected areas, upper left lung",
            (1, X, U, NONE),
            "contradictory: 'one infected area' and 'two infected areas'",
        ),
        ("one infected area, upper left lung", (X, 0, U, X), "Laterality: not stated"),
        ("The patient was admitted yesterday.", (X, X, X, X), "cannot read the word 'patient'"),
        ("12345", (X, X, X, X), "not stated"),
        ("...,,;", (X, X, X, X), "not stated"),
    ],
)
def test_what_cannot_be_read_is_said(sentence: str, indices: tuple[int, ...], problem: str) -> None:
    description = parse(sentence)
    assert description.indices == indices
    assert any(problem in found for found in description.problems)


@pytest.mark.parametrize("sentence", ["", "  \n "])
def test_empty_report(sentence: str) -> None:
    description = parse(sentence)
    assert description.indices == (X, X, X, X)
    assert description.problems == ("the report is empty",)


@pytest.mark.parametrize(
    ("sentence", "indices", "problem"),
    [
        (
            "Unilateral pulmonary infection, two infected areas, upper left lung and lower right lung",
            (X, 1, X, X),
            "contradictory: 'Unilateral pulmonary infection', but a lesion is named in left lung, right lung",
        ),
        (
            BILATERAL + "lower left lung, no lesion in right lung",
            (X, 1, X, X),
            "contradictory: 'Bilateral pulmonary infection', but a lesion is named in left lung",
        ),
        (
            "Unilateral pulmonary infection, one infected area, no lesion in left lung and right lung",
            (X, 0, X, X),
            "but a lesion is named in no region",
        ),
        (
            "Bilateral infection. The left lung is clear.",
            (X, X, X, X),
            "but a lesion is named in no region",
        ),
    ],
)
def test_contradictory_factors_are_unknown(sentence: str, indices: tuple[int, ...], problem: str) -> None:
    description = parse(sentence)
    assert description.indices == indices
    assert any(problem in found for found in description.problems)


def test_one_area_in_both_lungs_keeps_its_indices() -> None:
    description = parse("Bilateral pulmonary infection, one infected area, all left lung and all right lung")
    assert description.indices == (0, 0, ALL, ALL)
    assert description.problems == (
        "contradictory: 'one infected area', but a lesion is named in left lung, right lung",
    )


def test_reading_says_what_was_read_and_repaired() -> None:
    description = parse(BILATERAL + "lowoer leftlung and upper Rught lung.")
    left, right = description.readings[2:]
    assert (left.factor, left.index, left.phrase) == ("left", L, "lower left lung")
    assert left.read == "lowoer leftlung"
    assert left.repairs == (
        Repair(found="lowoer", meant="lower"),
        Repair(found="leftlung", meant="left lung"),
    )
    assert right.read == "upper Rught lung"
    assert right.repairs == (Repair(found="Rught", meant="right"),)
    assert description.readings[0].read == "Bilateral pulmonary infection"
    assert description.readings[1].read == "two infected areas"
    assert description.sentence == BILATERAL + "lowoer leftlung and upper Rught lung."


def test_an_unnamed_lung_is_read_from_the_laterality() -> None:
    assert parse(UNILATERAL + "upper left lung").readings[3].read == "Unilateral pulmonary infection"


def test_side_is_stated_not_swapped() -> None:
    description = parse_report(UNILATERAL + "upper left lung", CHEST, side="patient")
    assert description.side == "patient"
    assert description.indices == (1, 0, U, NONE)


def test_plural_zones_and_numbers_of_polyps() -> None:
    published = parse("1 oval large pink polyp areas, located in the center of the image.", POLYP)
    assert published.indices == (0, 4, 1, 2, 0)
    assert published.problems == ()
    assert published.readings[1].read == "located in the center of the image"


@pytest.mark.parametrize(
    ("place", "index"),
    [
        ("top left of the image", 0), ("upper left corner", 0), ("top center", 1),
        ("upper part of the image", 1),
        ("upper right", 2), ("left side of the image", 3), ("middle left", 3), ("middle of image", 4),
        ("centre", 4), ("right side  of the image", 5), ("lowerleft", 6), ("bottom", 7),
        ("lowr right corner", 8),
        ("upper and left of the image", 0),
        ("belly button", X), ("upper lower of the image", X), ("left side of the tongue", X),
    ],
)  # fmt: skip
def test_places_of_polyps(place: str, index: int) -> None:
    description = parse(f"1 round small red polyp areas, located in the {place}.", POLYP)
    assert description.indices == (0, index, 0, 0, 1)
    assert bool(description.problems) == (index == X)


def test_short_words_are_not_found_inside_others() -> None:
    description = parse("1 round small red polyp areas, located in the belly button.", POLYP)
    assert "cannot read the word 'button'" in description.problems  # not "but on"


@pytest.mark.parametrize(
    ("words", "indices"),
    [
        ("2 heart-shaped smal red", (1, 4, 3, 0, 1)),
        ("several circular medium whitish", (1, 4, 0, 1, 4)),
        ("2012 round large orange", (X, 4, 0, 2, 2)),
        ("1 carrot large orange", (X, 4, X, X, X)),
        ("1 oval small pink red", (0, 4, 1, 0, X)),
    ],
)
def test_attributes_of_polyps(words: str, indices: tuple[int, ...]) -> None:
    assert parse(f"{words} polyp areas, located in the center of the image.", POLYP).indices == indices


@given(st.data())
def test_what_is_spoken_is_read_back(data: st.DataObject) -> None:
    vocabulary = data.draw(st.sampled_from([CHEST, POLYP]))
    indices = tuple(data.draw(st.integers(0, size - 1)) for size in vocabulary.sizes)
    description = parse(vocabulary.sentence_for(indices), vocabulary)
    empty = [i == NONE for i in indices[2:]]
    if vocabulary is CHEST and sum(empty) != indices[0]:
        # "Bilateral ..., no lesion in left lung and upper right lung" contradicts itself.
        assert description.problems
        return
    assert description.indices == indices


@given(st.text(max_size=80))
def test_no_text_raises(text: str) -> None:
    for vocabulary in (CHEST, POLYP):
        description = parse(text, vocabulary)
        assert len(description.indices) == len(vocabulary.factors)
        assert all((reading.index == UNKNOWN) == (reading.phrase is None) for reading in description.readings)


@given(st.permutations(["Unilateral pulmonary infection", "one infected area", "upper left lung"]))
def test_order_of_clauses_is_free(clauses: list[str]) -> None:
    assert parse(", ".join(clauses)).indices == (1, 0, U, NONE)


def test_sheet(monkeypatch: pytest.MonkeyPatch) -> None:
    sheet = parse_sheet(
        {
            "a.png": UNILATERAL + "upper left lung.",
            "b.png": UNILATERAL + "uppr left lung.",
            "c.png": "no idea",
            "d.png": "Bilateral pulmonary infection, one infected area, all left lung and all right lung.",
        },
        CHEST,
        side="patient",
    )
    assert list(sheet.descriptions) == ["a.png", "b.png", "c.png", "d.png"]
    assert list(sheet.unreadable) == ["c.png"]
    assert list(sheet.repaired) == ["b.png"]
    assert list(sheet.doubtful) == ["d.png"]
    assert sheet.repairs == {Repair(found="uppr", meant="upper"): 1}
    assert sheet.list_repairs() == "uppr -> upper (1 report)"
    monkeypatch.setattr(reports, "_MOST_REPAIRS", 0)
    assert sheet.list_repairs() == "and 1 more"
    assert sheet.coverage == 0.75
    assert {description.side for description in sheet.descriptions.values()} == {"patient"}


def test_empty_sheet() -> None:
    assert parse_sheet({}, CHEST).coverage == 1


def test_vocabularies_without_a_rule_read_nothing() -> None:
    value = CHEST.to_dict()
    value["factors"][0]["read"] = None
    description = parse(UNILATERAL + "upper left lung", Vocabulary.from_dict(value))
    assert description.indices == (X, 0, U, X)
    assert "Laterality: the vocabulary has no rule to read it in reports" in description.problems
