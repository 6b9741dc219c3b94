"""The parser invents nothing: commonest words, negation, uncertainty, history, scope and measurements."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from lexiseg.errors import DataError
from lexiseg.words.description import UNKNOWN
from lexiseg.words.reading.language import COMMONEST, load_language
from lexiseg.words.reading.lexicon import Lexicon
from lexiseg.words.reading.reports import parse_report
from lexiseg.words.vocabulary import load_vocabulary, shipped_vocabularies

CHEST = load_vocabulary("chest")
POLYP = load_vocabulary("polyp")
LANGUAGE = load_language("en")
BENCHMARKS = Path(__file__).parents[4] / "benchmarks"
U, M, L, UM, UL, ML, ALL, NONE = range(8)
X = UNKNOWN


@pytest.mark.parametrize("name", shipped_vocabularies())
def test_common_words_are_no_other_words(name: str) -> None:
    lexicon = Lexicon(load_vocabulary(name))
    wrong = {}
    for word in LANGUAGE.common_words[:COMMONEST]:
        tokens = lexicon.tokens(word)
        if any(token.meant is not None for token in tokens):
            wrong[word] = tokens
    assert wrong == {}


@pytest.mark.parametrize("name", shipped_vocabularies())
def test_a_common_word_alone_states_only_what_it_means(name: str) -> None:
    vocabulary = load_vocabulary(name)
    grammar = vocabulary.grammar
    known = {word for f in vocabulary.factors if f.read is not None for word in f.read.keywords_read}
    known |= {*grammar.synonyms, *grammar.phrases, *grammar.expand}
    for word in LANGUAGE.common_words[:1000]:
        description = parse_report(word, vocabulary)
        assert word in known or set(description.indices) == {X}, (word, description)


@pytest.mark.parametrize(
    ("sentence", "indices"),
    [
        # negation, and its denial
        ("Abnormal left lung.", (X, X, X, X)),
        ("The left lung is not clear.", (X, X, X, X)),
        ("Left lung is not normal.", (X, X, X, X)),
        ("Left lung not free of infection.", (X, X, X, X)),
        ("Left lower lung is not without infection.", (X, X, L, X)),
        ("No large opacity in the left lung.", (X, X, X, X)),
        ("Infection is not seen in the left lung.", (X, X, NONE, X)),
        ("Lungs are clear bilaterally.", (X, X, NONE, NONE)),
        # uncertainty, also misspelled
        ("Possible infection in the lower left lung.", (X, X, X, X)),
        ("Posible infection in the lower left lung.", (X, X, X, X)),
        ("Infection in the lower left lung cannot be excluded.", (X, X, X, X)),
        ("Suspected pneumonia, ?lower left lung.", (X, X, X, X)),
        ("Infection in the lower left lung. Right lung possibly infected.", (X, X, L, X)),
        ("Infection in the left or right lower lung.", (X, X, X, X)),
        # history
        ("Prior infection in the lower left lung has resolved.", (X, X, X, X)),
        ("History of infection in the lower left lung.", (X, X, X, X)),
        # scope
        ("Neither lower lung is infected.", (X, X, X, X)),
        ("Right lung clear except its lower zone.", (X, X, X, L)),
        ("No pneumonia. Pneumonia in the lower left lung.", (X, X, X, X)),
        ("Lower left lung infected, no lesion elsewhere.", (X, X, L, NONE)),
        # measurements and labels
        ("3 cm infected area, lower left lung.", (X, X, L, X)),
        ("Infected area of 12 x 8 mm in the lower left lung.", (X, X, L, X)),
        ("Two infected areas of 4 and 6 mm in the lower left lung.", (X, 1, L, X)),
        ("Grade 2 infection of the lower left lung.", (X, X, L, X)),
        # sides and abbreviations
        ("RLL pneumonia", (X, X, X, L)),
        ("LUL opacity, R lung clear", (X, X, U, NONE)),
        ("Infection b/l, R > L", (0, X, X, X)),
        ("Opacities at both bases", (X, X, L, L)),
        ("Middle zone of the left lung infected", (X, X, M, X)),
        # other findings
        ("Atelectasis of the right middle lobe.", (X, X, X, X)),
        ("Line in the right atrium.", (X, X, X, X)),
    ],
)
def test_chest(sentence: str, indices: tuple[int, ...]) -> None:
    description = parse_report(sentence, CHEST)
    assert description.indices == indices
    assert description.problems or X not in indices or NONE in indices


@pytest.mark.parametrize(
    ("sentence", "indices"),
    [
        ("No large red polyp.", (X, X, X, X, X)),
        ("No large, red polyp.", (X, X, X, X, X)),
        ("One polyp, not red.", (0, X, X, X, X)),
        ("One brown polyp was found.", (0, X, X, X, 5)),
        ("One polyp, regular.", (X, X, X, X, X)),
        ("One small polyp, on a long stalk.", (0, X, X, 0, X)),
        ("More than one round polyp.", (1, X, 0, X, X)),
        ("One 3 cm polyp.", (0, X, X, X, X)),
        ("A large polyp was removed.", (X, X, X, X, X)),
        ("1 sm. round polyp", (0, X, 0, 0, X)),
    ],
)
def test_polyp(sentence: str, indices: tuple[int, ...]) -> None:
    assert parse_report(sentence, POLYP).indices == indices


@pytest.mark.parametrize("number", ["9" * 400, "\u00b2", "3\u00b2", "1\u00bd", "\u00bd", "\u2463", "0"])
def test_a_number_that_counts_nothing_leaves_the_count_unknown(number: str) -> None:
    description = parse_report(f"Unilateral, {number} infected areas, upper left lung.", CHEST)
    assert description.indices == (1, X, U, NONE)
    assert any(part in " ".join(description.problems) for part in ("number", "cannot read the word"))


@pytest.mark.parametrize(("number", "index"), [("1", 0), ("3", 1), ("\u0663", 1)])
def test_a_number_counts_in_the_digits_of_any_script(number: str, index: int) -> None:
    description = parse_report(f"Unilateral, {number} infected areas, upper left lung.", CHEST)
    assert description.indices == (1, index, U, NONE)


def test_reasons_quote_the_words() -> None:
    (reason, *_) = parse_report("Possible infection in the lower left lung.", CHEST).problems
    assert reason == "'Possible' in 'Possible infection in the lower left lung' leaves it uncertain"


def test_languages() -> None:
    assert load_language("en").name == "en"
    for name in ("xx", "../en"):
        with pytest.raises(DataError, match="LEX-DATA-630"):
            load_language(name)


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("report_reading", BENCHMARKS / "report_reading.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_benchmark(benchmark: ModuleType) -> None:
    """Under 1 % of the open cells are wrong, each unknown one has a reason, and most phrases are read."""
    cells = list(benchmark.cells("open"))
    wrong = [cell for cell in cells if cell.outcome == "wrong"]
    assert len(wrong) < 0.01 * len(cells), wrong
    assert not [cell for cell in cells if cell.outcome == "silent"]
    worded = [cell for cell in cells if "UNKNOWN" not in cell.accepted and not cell.inferred]
    assert sum(cell.outcome == "right" for cell in worded) > 0.6 * len(worded)


@pytest.mark.parametrize(
    ("sentence", "left", "right"),
    [
        ("Two infected areas, both in the left lower lung.", "lower left lung", None),
        ("Two lesions both in the right upper lung.", None, "upper right lung"),
        ("Both areas are in the left lower lung.", "lower left lung", None),
        ("Infection in both the upper and lower left lung.", "upper lower left lung", None),
        ("Both upper left lung and lower right lung.", "upper left lung", "lower right lung"),
        (
            "Two lesions, both in the lower left lung and upper right lung.",
            "lower left lung",
            "upper right lung",
        ),
        ("Both right and left lower lung.", "lower left lung", "lower right lung"),
        ("Two infected areas, both lower.", None, None),
        ("Two infected areas, both lower lungs.", "lower left lung", "lower right lung"),
        ("Infection in both lower lungs.", "lower left lung", "lower right lung"),
        ("Both lungs are clear.", "no lesion in left lung", "no lesion in right lung"),
        ("Opacities in both bases.", "lower left lung", "lower right lung"),
        ("Bibasal opacity.", "lower left lung", "lower right lung"),
        ("Biapical infection.", "upper left lung", "upper right lung"),
    ],
)
def test_both_may_count_lesions_or_parts(sentence: str, left: str | None, right: str | None) -> None:
    readings = {reading.factor: reading.phrase for reading in parse_report(sentence, CHEST).readings}
    assert (readings["left"], readings["right"]) == (left, right)


@pytest.mark.parametrize(
    ("sentence", "left", "right"),
    [
        ("No infection in right lung, left lower lung.", None, "no lesion in right lung"),
        ("No lesion in left lung, upper right lung.", "no lesion in left lung", None),
        ("No opacities in the right lower lobe, left lower lobe.", None, None),
        ("No lesion in left lung, right lung.", "no lesion in left lung", "no lesion in right lung"),
        (
            "No lesion in right lung, the upper left lung, the lower left lung.",
            None,
            "no lesion in right lung",
        ),
        (
            "No infection in right lung, left lower lung infected.",
            "lower left lung",
            "no lesion in right lung",
        ),
        (
            "No infection in right lung, infection in left lower lung.",
            "lower left lung",
            "no lesion in right lung",
        ),
        ("No infection in right lung; left lower lung.", "lower left lung", "no lesion in right lung"),
        ("No infection in right lung but left lower lung.", "lower left lung", "no lesion in right lung"),
        ("Right lung clear, left lower lung.", "lower left lung", "no lesion in right lung"),
        ("Right lung without infection, left lower lung.", "lower left lung", "no lesion in right lung"),
        ("Left lower lung, no infection in right lung.", "lower left lung", "no lesion in right lung"),
        (
            "Unilateral pulmonary infection, no lesion in right lung, left lower lung.",
            "lower left lung",
            "no lesion in right lung",
        ),
    ],
)
def test_a_negation_may_reach_over_a_list(sentence: str, left: str | None, right: str | None) -> None:
    description = parse_report(sentence, CHEST)
    readings = {reading.factor: reading.phrase for reading in description.readings}
    assert (readings["left"], readings["right"]) == (left, right)
    for side, phrase in (("Left", left), ("Right", right)):
        if phrase is None:
            assert any(problem.startswith(f"{side} lung: ") for problem in description.problems)
