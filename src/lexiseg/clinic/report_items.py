"""Content items of structured reports: words with confidence and side, agreement, flag and reasons."""

from __future__ import annotations

from highdicom.sr import (
    CodeContentItem,
    ContentSequence,
    NumContentItem,
    RelationshipTypeValues,
    TextContentItem,
)
from highdicom.sr.value_types import ContentItem

from lexiseg.clinic import coded_concepts as concepts
from lexiseg.clinic.result_content import NOT_FOR_DIAGNOSIS, ResultContent, WordContent, WordOrigin, WordSide

_CONTAINS = RelationshipTypeValues.CONTAINS
_HAS_PROPERTIES = RelationshipTypeValues.HAS_PROPERTIES

_PATIENT_SIDE = "Left and right in all words are the patient's."
_IMAGE_SIDE = (
    "Left and right in all words are those of the image as it is displayed; where the patient's left is, is "
    "not known."
)
_SAID: dict[WordSide, str] = {
    "patient": _PATIENT_SIDE,
    "image": _IMAGE_SIDE,
    "unknown": (
        "The words are sentences of the training reports, as they were written: whose left and right they "
        "mean is not known."
    ),
}
_NOT_KNOWN = "not known"
_ORIGINS: dict[WordOrigin, str] = {
    "model": "the model",
    "person": "a person",
    "derived": "follows from what a person said",
}


def word_items(content: ResultContent) -> list[ContentItem]:
    """Return one item per word: coded where there is a code, else text.

    A retrieved word has its confidence as a certainty in percent; each has the patient's side where it names
    one. Where a person changed words, each says who said it, and what the model had retrieved.
    """
    return [_word_item(content, word) for word in content.words]


def summary_items(content: ResultContent) -> list[ContentItem]:
    """Return what is said of the image as a whole: the flag, its reasons, agreement and expected Dice."""
    flag = concepts.YES if content.flagged else concepts.NO
    items: list[ContentItem] = [
        TextContentItem(concepts.COMMENT, NOT_FOR_DIAGNOSIS, relationship_type=_CONTAINS),
        CodeContentItem(concepts.REVIEW, flag, relationship_type=_CONTAINS),
    ]
    if content.correction is not None:
        who = content.correction.who or _NOT_KNOWN
        items += [
            CodeContentItem(concepts.CORRECTED, concepts.YES, relationship_type=_CONTAINS),
            TextContentItem(concepts.CORRECTED_BY, who, relationship_type=_CONTAINS),
        ]
    items += [
        TextContentItem(concepts.REASON, reason, relationship_type=_CONTAINS) for reason in content.reasons
    ]
    for name, value in (
        (concepts.AGREEMENT, content.agreement),
        (concepts.EXPECTED_DICE, content.expected_dice),
    ):
        if value is not None:
            items.append(
                NumContentItem(name, round(value, 4), unit=concepts.RATIO, relationship_type=_CONTAINS)
            )
    if content.facts.spacing.reason and any(segment.area_mm2 is None for segment in content.segments):
        items.append(
            TextContentItem(concepts.NO_AREA, content.facts.spacing.reason, relationship_type=_CONTAINS)
        )
    if content.words:
        said = _SAID[content.side]
        items.append(TextContentItem(concepts.SIDE_OF_WORDS, said, relationship_type=_CONTAINS))
    if content.draft:
        items.append(TextContentItem(concepts.DRAFT, content.draft, relationship_type=_CONTAINS))
    return items


def _word_item(content: ResultContent, word: WordContent) -> ContentItem:
    name = concepts.factor_concept(word.factor, word.title, word.factor_code)
    item: ContentItem
    if word.phrase_code is not None:
        item = CodeContentItem(name, concepts.concept(word.phrase_code), relationship_type=_CONTAINS)
    else:
        item = TextContentItem(name, word.phrase, relationship_type=_CONTAINS)
    item.ContentSequence = ContentSequence(_properties(content, word))
    # The side of the image is no laterality of the patient.
    if word.sides and content.side == "patient":
        item.ContentSequence.append(
            CodeContentItem(
                concepts.LATERALITY, concepts.side_concept(word.sides), relationship_type=_HAS_PROPERTIES
            )
        )
    return item


def _properties(content: ResultContent, word: WordContent) -> list[ContentItem]:
    """Return the certainty of a retrieved word; of a corrected prediction, also who said the word."""
    items: list[ContentItem] = []
    # The model is not certain of what a person said.
    if word.said_by == "model":
        items.append(
            NumContentItem(
                concepts.CERTAINTY,
                round(100 * word.confidence, 2),
                unit=concepts.PERCENT,
                relationship_type=_HAS_PROPERTIES,
            )
        )
    if content.correction is not None:
        origin = _ORIGINS[word.said_by]
        items.append(TextContentItem(concepts.WORD_ORIGIN, origin, relationship_type=_HAS_PROPERTIES))
    if word.model_phrase:
        items.append(
            TextContentItem(concepts.MODEL_PHRASE, word.model_phrase, relationship_type=_HAS_PROPERTIES)
        )
    return items
