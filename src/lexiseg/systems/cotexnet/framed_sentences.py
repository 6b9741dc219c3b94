"""The sentences of the published CoTexNet: framed with a mark for the pseudo-word, and cut into tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from lexiseg.errors import WeightsError
from lexiseg.hub import PATH_STARTS, hub_is_reachable
from lexiseg.open_files import open_errors, too_many_open

#: What stands before every sentence, as published.
FRAME = "Segmentation area of [temp]. "

_MARK = "[temp]"


class FramedTokenizer:
    """Cuts framed sentences into the tokens of a CLIP text tower.

    Args:
        tokenizer: A fast tokenizer of transformers.
        position: Token that the pseudo-word replaces, counted from the start token.
        max_tokens: Tokens the text tower reads at most; longer sentences are cut.
        vocabulary_size: Number of different tokens the text tower knows.
        name: Where the tokenizer comes from, for the message.

    Raises:
        WeightsError: The tokenizer has no padding token, or more tokens than the text tower knows, or the
            token at `position` is no part of the frame's mark "[temp]".
    """

    def __init__(
        self, tokenizer: Any, *, position: int, max_tokens: int, vocabulary_size: int, name: str
    ) -> None:
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens
        if tokenizer.pad_token is None:
            raise WeightsError(
                f"The tokenizer of '{name}' has no padding token, so sentences of different lengths cannot "
                f"stand in one batch. Use the tokenizer files of CIDAS/clipseg-rd64-refined, "
                f"tokenizer_config.json included.",
                code="LEX-WEIGHTS-020",
            )
        largest = max(tokenizer.get_vocab().values())
        if largest >= vocabulary_size:
            raise WeightsError(
                f"The tokenizer of '{name}' has tokens up to number {largest}, but the text tower beside it "
                f"knows {vocabulary_size}, numbers 0 to {vocabulary_size - 1}: they are not of one model. "
                f"Use the tokenizer files that belong to the weights.",
                code="LEX-WEIGHTS-021",
            )
        spans = tokenizer(FRAME.strip(), return_offsets_mapping=True)["offset_mapping"]
        start, end = spans[position] if position < len(spans) else (0, 0)
        first = FRAME.index(_MARK)
        if not first <= start < end <= first + len(_MARK):
            raise WeightsError(
                f"The tokenizer of '{name}' cuts '{FRAME.strip()}' in another way than that of CLIP: token "
                f"{position}, which the pseudo-word replaces, is '{FRAME[start:end]}', no part of '{_MARK}'. "
                f"Use the tokenizer files of CIDAS/clipseg-rd64-refined.",
                code="LEX-WEIGHTS-022",
            )

    def __call__(self, sentences: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return token ids and attention mask of the framed sentences, `(B, T)` int64 each, padded alike."""
        batch = self._tokenizer(
            [FRAME + sentence for sentence in sentences],
            padding="longest",
            truncation=True,
            max_length=self._max_tokens,
            return_tensors="pt",
        )
        return batch["input_ids"], batch["attention_mask"]


def load_framed_tokenizer(
    source: str | Path, *, position: int, max_tokens: int, vocabulary_size: int
) -> FramedTokenizer:
    """Load the tokenizer of a CLIPSeg.

    Args:
        source: A folder with its tokenizer's files, or a name on the Hugging Face hub.
        position: Token that the pseudo-word replaces.
        max_tokens: Tokens the text tower reads at most.
        vocabulary_size: Number of different tokens the text tower knows.

    Raises:
        WeightsError: It cannot be found or loaded, or does not fit the frame or the text tower.
        DiskError: Too many files are open.
    """
    folder = Path(source).expanduser()
    local = folder.is_dir() or str(source).startswith(PATH_STARTS)
    with open_errors(folder):
        # Imported here, as it takes seconds.
        from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            str(folder) if local else str(source),
            local_files_only=local or not hub_is_reachable(),
            trust_remote_code=False,
        )
    # The library below raises bare Exceptions for a tokenizer.json whose parts do not fit together.
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise too_many_open(folder, error) or WeightsError(
            f"The tokenizer of the CLIPSeg '{source}' cannot be loaded: {reason} Expected tokenizer.json, or "
            f"vocab.json and merges.txt, beside config.json. Without a network, copy them from the page of "
            f"CIDAS/clipseg-rd64-refined on the hub into the folder with its weights.",
            code="LEX-WEIGHTS-023",
        ) from error
    return FramedTokenizer(
        tokenizer,
        position=position,
        max_tokens=max_tokens,
        vocabulary_size=vocabulary_size,
        name=str(source),
    )
