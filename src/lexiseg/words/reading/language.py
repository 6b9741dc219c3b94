"""Words for certainty, time and scope as data: `words/languages/NAME.yaml`, and the list of all words."""

from __future__ import annotations

from functools import cache, cached_property
from importlib import resources
from pathlib import Path

import yaml
from pydantic import Field, ValidationError

from lexiseg.errors import DataError
from lexiseg.structured_text import UnusableTextError, parse_yaml
from lexiseg.words.grammar import Opposites, VocabularyData

#: A misspelled word is not repaired to a word of the grammar if one of so many commonest words is nearer.
COMMONEST = 8000


class Directions(VocabularyData):
    """Words that speak of a direction and have no opposite in `Opposites`.

    Attributes:
        horizontal: Those that a left-right flip changes.
        vertical: Those that an upside-down flip changes.
    """

    horizontal: tuple[str, ...] = ()
    vertical: tuple[str, ...] = ()


class Language(VocabularyData):
    """The words of one language that mean the same in every vocabulary.

    Attributes:
        name: Short name, such as "en".
        words: The file with its words, one per line, commonest first. A word of the language is never
            repaired.
        terms: Rarer words of medicine, in addition to `words`.
        function_words: Words that every grammar skips.
        neutral: Other words and word groups that change nothing ("is seen").
        phrases: Word groups, and the words that grammars have for them ("more than one": multiple).
        qualifiers: Words that narrow a finding ("large"): skipped, except beside a negation.
        uncertain: What makes a statement uncertain ("possible", "cannot exclude").
        requests: Those of `uncertain` that say what was asked before the images were made ("indication").
            Their clause adds no lesion to the counted ones.
        historical: What makes a statement one about the past ("resolved").
        scope: What limits a statement or turns it round ("except", "neither").
        neither: Words that deny of every region what the words after them name, and the negation for them.
        exceptions: What limits a denial ("except", "apart from"); beside anything else it is like `scope`.
        alternatives: Words that leave open which of two things is meant ("or"), except in a negation.
        elsewhere: Words for what a report has not named ("no lesion elsewhere").
        partitives: Words for a part that a report does not name ("part of the left lung").
        pronouns: Words for what was named before ("none").
        other_one: Those of `elsewhere` before the noun of what a report has not named ("the other lung").
        heads: Nouns that name one thing together with a word for a lesion before them ("infection area").
        clean: Words that say of a region, without any other word, that it has no lesion ("clear").
        units: A number before a unit is a measurement, not a count.
        labels: A number after one of them is a name, not a count ("grade 2").
        plurals: Endings of plurals, and those of their singulars ("ies": "y").
        definite: Words before a lesion that the report has named ("the").
        in_places: Words before a place ("in").
        chooses: Words after a lesion, beside `in_places`, that say which one is meant ("of").
        describes: Words between a lesion and what it looks like or lies in: "area with opacity".
        same: Word groups before another name of the lesion that is spoken of ("it is").
        additional: Words before a lesion that the report has not named ("another").
        another_one: Words for a lesion that the report has not named, without its noun ("another").
        properties: Words after a lesion for what is said of it, beside the factors ("polyp size").
        opposites: Words that a mirror image swaps, for fixed sentences.
        directions: Other words of direction; the mirror image of a fixed sentence with one is unknown.
    """

    name: str
    words: str
    terms: tuple[str, ...] = ()
    function_words: tuple[str, ...] = ()
    neutral: tuple[str, ...] = ()
    phrases: dict[str, str] = Field(default_factory=dict)
    qualifiers: tuple[str, ...] = ()
    uncertain: tuple[str, ...] = ()
    requests: tuple[str, ...] = ()
    historical: tuple[str, ...] = ()
    scope: tuple[str, ...] = ()
    neither: dict[str, str] = Field(default_factory=dict)
    exceptions: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    partitives: tuple[str, ...] = ()
    pronouns: tuple[str, ...] = ()
    other_one: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    clean: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    plurals: dict[str, str] = Field(default_factory=dict)
    definite: tuple[str, ...] = ()
    in_places: tuple[str, ...] = ()
    chooses: tuple[str, ...] = ()
    describes: tuple[str, ...] = ()
    same: tuple[str, ...] = ()
    additional: tuple[str, ...] = ()
    another_one: tuple[str, ...] = ()
    properties: tuple[str, ...] = ()
    opposites: Opposites = Opposites()
    directions: Directions = Directions()

    @cached_property
    def common_words(self) -> tuple[str, ...]:
        """The word list, commonest first."""
        file = resources.files("lexiseg.words") / "languages" / self.words
        return tuple(file.read_text(encoding="utf-8").split())

    @cached_property
    def all_words(self) -> frozenset[str]:
        """All words of the language, terms of medicine included."""
        return frozenset((*self.common_words, *self.terms))


def shipped_languages() -> tuple[str, ...]:
    """Return the names of the languages that come with the package, sorted."""
    folder = resources.files("lexiseg.words") / "languages"
    return tuple(sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".yaml")))


@cache
def load_language(name: str) -> Language:
    """Return a shipped language.

    Args:
        name: Its name, such as "en".

    Raises:
        DataError: There is no such language, or its file is not valid.
    """
    file = resources.files("lexiseg.words") / "languages" / f"{name}.yaml"
    if Path(name).name != name or not file.is_file():
        raise DataError(
            f"The vocabulary's grammar.language: expected one of {', '.join(shipped_languages())}; "
            f"got '{name}'.",
            code="LEX-DATA-630",
        )
    try:
        return Language.model_validate(parse_yaml(file.read_bytes(), loader=yaml.BaseLoader))
    except (UnusableTextError, ValidationError) as error:
        raise DataError(
            f"languages/{name}.yaml: {' '.join(str(error).split())}", code="LEX-DATA-631"
        ) from error
