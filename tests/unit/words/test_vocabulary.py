import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from lexiseg.errors import DataError
from lexiseg.words.description import UNKNOWN, names_sides
from lexiseg.words.reading.reports import parse_report
from lexiseg.words.vocabulary import Vocabulary, load_vocabulary, shipped_vocabularies
from refusals import refuses

SMALL: dict[str, Any] = {
    "name": "disc",
    "title": "Optic disc",
    "keyword": {"singular": "disc", "plural": "discs"},
    "opposites": {"horizontal": [["left", "right"]]},
    "sentence": {"clauses": [{"parts": ["{eye}", "{keyword}"]}]},
    "factors": [
        {
            "name": "eye",
            "title": "Eye",
            "phrases": ["left eye", "right eye"],
            "read": {"kind": "choice", "keywords": [["left"], ["right"]]},
        }
    ],
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return the small vocabulary with one value replaced; numbers in the path are list positions."""
    copied = copy.deepcopy(SMALL)
    *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    target: Any = copied
    for key in parents:
        target = target[key]
    target[last] = value
    return copied


def write(folder: Path, value: Any) -> Path:
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump(value), encoding="utf-8")
    return path


def test_shipped() -> None:
    assert shipped_vocabularies() == ("chest", "polyp")


def test_chest_phrases_in_the_order_of_the_published_repository() -> None:
    chest = load_vocabulary("chest")
    assert chest.names == ("laterality", "count", "left", "right")
    assert chest.sizes == (2, 2, 8, 8)
    assert chest.factors[0].phrases == ("bilateral pulmonary infection", "unilateral pulmonary infection")
    assert chest.factors[1].phrases == ("one infected area", "multiple infected areas")
    assert chest.factors[2].phrases == (
        "upper left lung", "middle left lung", "lower left lung", "upper middle left lung",
        "upper lower left lung", "middle lower left lung", "upper middle lower left lung",
        "no lesion in left lung",
    )  # fmt: skip
    assert chest.factors[3].phrases == tuple(p.replace("left", "right") for p in chest.factors[2].phrases)
    assert chest.side == "image"


def test_polyp_factors() -> None:
    polyp = load_vocabulary("polyp")
    assert polyp.names == ("number", "location", "shape", "size", "color")
    assert len(polyp.factor("location").phrases) == 9


@pytest.mark.parametrize("name", ["chest", "polyp"])
def test_json_round_trip(name: str) -> None:
    vocabulary = load_vocabulary(name)
    again = Vocabulary.from_dict(json.loads(json.dumps(vocabulary.to_dict())))
    assert again == vocabulary
    assert again.flip_tables == vocabulary.flip_tables


@pytest.mark.parametrize(
    ("indices", "sentence"),
    [
        (
            (0, 1, 6, 5),
            "Bilateral pulmonary infection, multiple infected areas, "
            "upper middle lower left lung and middle lower right lung.",
        ),
        (
            (1, 0, 0, 7),
            "Unilateral pulmonary infection, one infected area, upper left lung and no lesion in right lung.",
        ),
        ((UNKNOWN, UNKNOWN, 7, 7), "No lesion in left lung and no lesion in right lung."),
        ((0, UNKNOWN, UNKNOWN, 2), "Bilateral pulmonary infection, lower right lung."),
        ((UNKNOWN,) * 4, ""),
    ],
)
def test_speaks_what_is_known(indices: tuple[int, ...], sentence: str) -> None:
    assert load_vocabulary("chest").sentence_for(indices) == sentence


def test_keyword_follows_the_number() -> None:
    polyp = load_vocabulary("polyp")
    one = polyp.sentence_for((0, 4, UNKNOWN, 2, 0))
    many = polyp.sentence_for((1, 4, UNKNOWN, 2, 0))
    assert one == "One large pink polyp area, located in the center of the image."
    assert many == "Multiple large pink polyp areas, located in the center of the image."


def test_which_words_need_a_side_convention() -> None:
    chest = load_vocabulary("chest")
    told = {factor.name: names_sides((factor.title, *factor.phrases)) for factor in chest.factors}
    assert told == {"laterality": False, "count": False, "left": True, "right": True}
    assert names_sides(["Left of the middle"])
    assert not names_sides(["bright", "leftover"])


def test_describe() -> None:
    description = load_vocabulary("chest").describe(
        (1, 0, UNKNOWN, 2), source="concepts", side="patient", problems=["left lung cut off"]
    )
    assert description.indices == (1, 0, UNKNOWN, 2)
    assert description.phrases["right"] == "lower right lung"
    assert description.phrases["left"] is None
    assert description.side == "patient"
    assert description.problems == ("left lung cut off",)
    assert load_vocabulary("chest").describe((0, 0, 0, 0), source="retrieved").side == "image"


def test_describe_refuses_another_number_of_indices() -> None:
    with pytest.raises(ValueError, match="zip"):
        load_vocabulary("chest").describe((0, 1, 2), source="concepts")


def test_factor_by_name() -> None:
    assert load_vocabulary("chest").factor("left").title == "Left lung"
    with pytest.raises(KeyError, match="middle"):
        load_vocabulary("chest").factor("middle")


def test_own_file(tmp_path: Path) -> None:
    assert load_vocabulary(write(tmp_path, SMALL)).factor("eye").phrases == ("left eye", "right eye")


def test_no_on_off_are_words_in_yaml(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    text = (
        yaml.safe_dump(SMALL) + "grammar:\n  negations: [no, off]\n  ignored: [on, yes]\nflip_holes: true\n"
    )
    path.write_text(text, encoding="utf-8")
    vocabulary = load_vocabulary(path)
    assert vocabulary.grammar.negations == ("no", "off")
    assert vocabulary.grammar.ignored == ("on", "yes")
    assert vocabulary.flip_holes is True


@pytest.mark.parametrize("name", ["lung", "missing.yaml", "/"])
def test_unknown_name_lists_the_shipped_ones(name: str) -> None:
    with refuses("LEX-USE-003", "chest, polyp"):
        load_vocabulary(name)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"a: [", "not valid YAML"), (b"\xff\xfe\xfa", "not valid YAML"), (b"- a\n- b\n", "got list")],
)
def test_not_a_vocabulary_at_all(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"own\.yaml.*{message}"):
        load_vocabulary(path)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("colour", "red", "colour: there is no such field"),
        ("factors.0.phrase", [], "factor 'eye': phrase: there is no such field"),
        ("factors.0.read.keyword", [], r"factor 'eye': read.*keyword: there is no such field"),
        ("factors.0.read.kind", "guess", r"factor 'eye': read.*'guess'"),
        ("factors.0.phrases", ["left eye", "Left  eye"], "factor 'eye': phrase 'Left  eye' is a duplicate"),
        ("factors.0.phrases", ["left eye", "eye left"], "phrase 'eye left' is a duplicate of 'left eye'"),
        ("factors.0.phrases", ["left eye"], "factor 'eye': phrases"),
        ("factors.0.phrases", ["left eye", "..."], r"phrase '\.\.\.' holds no words"),
        ("factors.0.name", "Eye side", "factor 'Eye side': name"),
        ("factors.0.phrases", ["left eye", "other eye"], "phrase 'left eye'.*'right eye', is not a phrase"),
        ("factors.0.read.keywords", [["left"]], r"read.keywords: expected one entry .*\(2\), got 1"),
        ("factors.0.read.keywords", [["left"], []], "for phrase 'right eye', got none"),
        ("factors.0.read.keywords", [["os"], ["os"]], "'os' stands for both phrase 'left eye' and"),
        ("sentence.clauses.0.parts", ["{eyes}"], "sentence names the factor 'eyes'.*factors are eye"),
        ("keyword.counted_by", "number", "keyword.counted_by names the factor 'number'"),
        ("opposites.horizontal", [["left", "right"], ["left", "east"]], "'left' stands in two pairs"),
        ("opposites.vertical", [["far up", "down"]], "expected single lower-case words, got 'far up'"),
        ("side", "doctor", "side: expected one of image, patient; got 'doctor'"),
        ("factors", [], "factors"),
        ("factors", ["eye"], "factor number 1"),
        (
            "factors.0.read",
            {"kind": "count", "nouns": ["eye"], "at_least": [2, 1]},
            r"read.at_least: expected rising numbers from 1, got \[2, 1\]",
        ),
        (
            "factors.0.read",
            {"kind": "subset", "nouns": ["eye"], "sets": [[["a", "b"]], [["b", "a"]]]},
            "'a b' stands for both",
        ),
    ],
)  # fmt: skip
def test_mistakes_in_an_own_file_name_the_place(tmp_path: Path, path: str, value: Any, message: str) -> None:
    with pytest.raises(DataError, match=rf"(?s)own\.yaml: .*{message}"):
        load_vocabulary(write(tmp_path, changed(path, value)))


CELLS = [
    "upper left",
    "upper",
    "upper right",
    "left",
    "middle",
    "right",
    "lower left",
    "lower",
    "lower right",
]
PAIRS = {"horizontal": [["left", "right"]], "vertical": [["upper", "lower"]]}


def grid(opposites: dict[str, Any], phrases: list[str]) -> dict[str, Any]:
    """Return a vocabulary with a grid of nine cells."""
    factor = {"name": "place", "title": "Place", "phrases": phrases}
    return SMALL | {
        "opposites": opposites,
        "sentence": {"clauses": [{"parts": ["{place}", "{keyword}"]}]},
        "factors": [factor | {"measure": {"kind": "grid", "middle": 0.3}}],
    }


@pytest.mark.parametrize(
    ("opposites", "phrases", "message"),
    [
        ({}, CELLS, r"horizontal flip must swap the phrases 'upper left' and 'upper right'.*horizontal"),
        ({"horizontal": [["left", "right"]]}, CELLS, r"vertical flip .* 'upper left' and 'lower left'"),
        (PAIRS, [CELLS[3 * (i % 3) + i // 3] for i in range(9)], r"swap .* 'upper left' and 'lower left'"),
        (PAIRS, [*CELLS[1:], CELLS[0]], r"horizontal flip must swap the phrases 'upper' and 'left'"),
    ],
)
def test_words_of_a_grid_must_flip_as_its_cells_do(
    tmp_path: Path, opposites: dict[str, Any], phrases: list[str], message: str
) -> None:
    load_vocabulary(write(tmp_path, grid(PAIRS, CELLS)))
    wrong = grid(opposites, phrases)
    with pytest.raises(DataError, match=message):
        load_vocabulary(write(tmp_path, wrong))
    assert Vocabulary.from_dict(wrong).names == ("place",)  # a run that was trained with it stays readable


def test_factor_defined_twice() -> None:
    with refuses("LEX-DATA-003", "factor 'eye' is defined twice"):
        Vocabulary.from_dict(changed("factors", [SMALL["factors"][0]] * 2))


def test_keyword_is_no_factor_name() -> None:
    with refuses("LEX-DATA-003", "cannot be called 'keyword'"):
        Vocabulary.from_dict(changed("factors.0.name", "keyword"))


def chest_with(**regions: Any) -> dict[str, Any]:
    value = load_vocabulary("chest").to_dict()
    value["grammar"]["regions"] |= regions
    return value


def test_regions_must_fit_the_factors() -> None:
    with refuses("LEX-DATA-003", "factor 'laterality' (2),"):
        Vocabulary.from_dict(chest_with(exactly={"factor": "laterality", "regions": [2, 1, 0]}))
    with refuses("LEX-DATA-003", "factor 'count' must"):
        Vocabulary.from_dict(chest_with(factors=["count"]))
    with refuses("LEX-DATA-003", "grammar.regions names the"):
        Vocabulary.from_dict(chest_with(at_most={"factor": "lobes", "regions": [1]}))


def test_missing_key_is_named() -> None:
    value = {key: v for key, v in SMALL.items() if key != "keyword"}
    with refuses("LEX-DATA-003", "missing: expected the"):
        Vocabulary.from_dict(value)


@pytest.mark.parametrize("part", ["{keyword:>999999999}", "{keyword.__class__}", "{}", "{keyword!r}", "}"])
def test_a_template_has_no_formats(part: str) -> None:
    value = load_vocabulary("chest").to_dict()
    value["sentence"]["clauses"][0]["parts"] = [part]
    with refuses("LEX-DATA-003", "braces around factor names only"):
        Vocabulary.from_dict(value)


def test_a_vocabulary_file_that_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "v.yaml").write_bytes(b"#" * 300_000)
    with refuses("LEX-DATA-770", "larger than"):
        load_vocabulary(tmp_path / "v.yaml")


def with_words(keywords: list[list[str]], **grammar: Any) -> dict[str, Any]:
    return changed("factors.0.read.keywords", keywords) | {"grammar": grammar}


@pytest.mark.parametrize(
    ("sentence", "index"),
    [
        ("os is hypo-echoic", 0), ("OS", 0), ("Hypo-Echoic", 0), ("hypo echoic", 0), ("welldefined OD", 1),
        ("A Well-Defined od", 1), ("Dexter", 1), ("right-sided", 1), ("Ground-glass", 1), ("not od", UNKNOWN),
        ("eye-ground od", 1), ("echoic", UNKNOWN),
    ],
)  # fmt: skip
def test_capitals_and_hyphens_are_held_as_in_reports(tmp_path: Path, sentence: str, index: int) -> None:
    value = with_words(
        [["OS", "Hypo-echoic"], ["Od", "ground-glass"]],
        ignored=["Well-defined", "Welldefined"],
        words=["Eye-ground"],
        synonyms={"Dexter": "OD", "Right-sided": "Od"},
        negations=["Not"],
    )
    vocabulary = load_vocabulary(write(tmp_path, value))
    assert parse_report(sentence, vocabulary).indices == (index,)
    assert vocabulary == Vocabulary.from_dict(vocabulary.to_dict())


def capitalised(value: Any) -> Any:
    """Return the rules of a vocabulary with capitals; the keys of `phrases` stay, which are not changed."""
    if isinstance(value, list):
        return [capitalised(entry) for entry in value]
    if isinstance(value, dict):
        return {
            key.capitalize() if key.islower() else key: capitalised(entry) for key, entry in value.items()
        }
    return value.title() if isinstance(value, str) else value


@pytest.mark.parametrize("name", [*shipped_vocabularies(), Path(__file__).parent / "reading/chest_de.yaml"])
def test_words_are_equal_with_and_without_capitals(name: str | Path) -> None:
    vocabulary = load_vocabulary(name)
    value = vocabulary.to_dict()
    for key in set(value["grammar"]) - {"language", "regions", "phrases"}:
        value["grammar"][key] = capitalised(value["grammar"][key])
    for factor in value["factors"]:
        for key in factor["read"].keys() - {"kind"}:
            factor["read"][key] = capitalised(factor["read"][key])
    assert "Left" in str(value) or "Links" in str(value)
    assert Vocabulary.from_dict(value) == vocabulary


@pytest.mark.parametrize(
    ("grammar", "message"),
    [
        ({"negations": ["no sign"]}, "grammar.negations.0: expected a single word, got 'no sign'"),
        ({"lesions": ["Micro-calcification"]}, "Add 'micro calcification' to grammar.phrases"),
        ({"synonyms": {"top": "far-up"}}, "grammar.synonyms.top: expected a single word, got 'far-up'"),
        ({"words": ["..."]}, "expected a word, got '...', which has no letter and no digit"),
        ({"phrases": {"-": "left"}}, "grammar.phrases: expected a word, got '-'"),
        ({"phrases": {"r-l": "left", "R/L": "right"}}, "'R/L' and 'r-l' are one word in reports"),
        ({"numbers": {"Two": 2, "two": 3}}, "'Two' and 'two' are one word"),
        ({"synonyms": {"Top": "left", "top": "right"}}, "but stand for 'left' and 'right'"),
    ],
)  # fmt: skip
def test_words_that_can_never_match(tmp_path: Path, grammar: dict[str, Any], message: str) -> None:
    value = with_words([["os"], ["od"]], **grammar)
    with refuses("LEX-DATA-003", "own.yaml", message):
        load_vocabulary(write(tmp_path, value))
    assert Vocabulary.from_dict(value)  # a run holds it


def test_one_word_in_two_spellings_stands_for_one_phrase() -> None:
    with refuses("LEX-DATA-003", "'os' stands for both phrase 'left eye' and"):
        Vocabulary.from_dict(with_words([["OS"], ["os"]]))
