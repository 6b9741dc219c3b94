"""The question about one region of interest."""

from __future__ import annotations

from dataclasses import dataclass

from lexiseg.describing.multimodal.schema import ReplySchema
from lexiseg.words.vocabulary import Vocabulary

#: Increased with every change of the wording; stored in the provenance of every description.
PROMPT_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question and its expected reply.

    Attributes:
        text: The question.
        schema: The expected reply.
    """

    text: str
    schema: ReplySchema


def make_question(vocabulary: Vocabulary, keyword: str) -> Question:
    """Return the question about the structure `keyword` ("polyp area"), for a vocabulary."""
    schema = ReplySchema(vocabulary)
    keys = "\n".join(
        f'- "{factor.name}" ({factor.title.lower()}): {schema.expected[factor.name]}'
        for factor in vocabulary.factors
    )
    return Question(
        text=(
            f"The picture shows one {keyword} of a medical image, or several; everything else was painted "
            f"black. Describe what is not black. Places refer to the whole picture, black parts included; "
            f"left is the picture's left side.\n"
            f"Answer with one JSON object and nothing else. Its keys, all of which are needed:\n{keys}"
        ),
        schema=schema,
    )


def complaint(reason: str) -> str:
    """Return the message to a model whose reply cannot be used."""
    return f"That answer cannot be used: {reason}. Answer again with one JSON object and nothing else."
