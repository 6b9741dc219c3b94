"""Building a text bank: a frozen text encoder embeds the phrases of a vocabulary once."""

from __future__ import annotations

from pathlib import Path

from lexiseg.embeddings.text_encoders import TOKENS, TextEncoder
from lexiseg.models.text_bank import TextBank
from lexiseg.words.vocabulary import Vocabulary


def build_bank(vocabulary: Vocabulary, encoder: TextEncoder, *, tokens: int = TOKENS) -> TextBank:
    """Embed the phrases of all factors.

    Args:
        vocabulary: The vocabulary.
        encoder: The text encoder.
        tokens: Token positions per phrase; shorter phrases are padded, longer ones truncated.

    Returns:
        The bank, its factors in the vocabulary's order.
    """
    # Of a folder its name alone: a bank is shared, and a path tells who made it.
    path = Path(encoder.name)
    phrases = {factor.name: factor.phrases for factor in vocabulary.factors}
    return TextBank(
        encoder=path.name if path.is_absolute() else encoder.name,
        phrases=phrases,
        embeddings={name: encoder.encode(listed, tokens=tokens) for name, listed in phrases.items()},
    )
