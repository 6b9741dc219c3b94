"""The text bank (the paper's repository): phrases of every factor with their embeddings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from lexiseg.errors import WeightsError
from lexiseg.files import write_bytes
from lexiseg.open_files import too_many_open
from lexiseg.structured_text import parse_json

_FORMAT = "lexiseg.text_bank.1"


@dataclass(frozen=True, kw_only=True, eq=False)
class TextBank:
    """Phrases per factor, coarse to fine, and what a frozen text encoder made of them.

    Attributes:
        encoder: Name of the text encoder.
        phrases: Closed list of N_f phrases per factor name, in vocabulary order.
        embeddings: Embeddings per factor name, (N_f, K, T, D) float32: K encoder layers, T tokens, width D;
            K, T and D are the same for all factors.

    Raises:
        ValueError: The parts do not fit together.
    """

    encoder: str
    phrases: Mapping[str, tuple[str, ...]]
    embeddings: Mapping[str, Tensor]

    def __post_init__(self) -> None:
        if not self.phrases or tuple(self.phrases) != tuple(self.embeddings):
            raise ValueError(
                f"expected embeddings of the factors {tuple(self.phrases)}, in this order, got "
                f"{tuple(self.embeddings)}"
            )
        inner = next(iter(self.embeddings.values())).shape[1:]
        for name, value in self.embeddings.items():
            expected = (len(self.phrases[name]), *inner)
            fits = len(inner) == 3 and tuple(value.shape) == expected and 0 not in expected
            if not fits or value.dtype != torch.float32:
                raise ValueError(
                    f"expected float32 embeddings (phrases, layers, tokens, width) = {expected} for the "
                    f"factor '{name}', got {value.dtype} {tuple(value.shape)}"
                )

    @property
    def layers(self) -> int:
        """Number K of encoder layers kept."""
        return self._first.shape[1]

    @property
    def tokens(self) -> int:
        """Number T of token positions."""
        return self._first.shape[2]

    @property
    def width(self) -> int:
        """Width D of an embedding."""
        return self._first.shape[3]

    @property
    def _first(self) -> Tensor:
        return next(iter(self.embeddings.values()))

    def pooled(self) -> Tensor:
        """Return one vector per phrase of all factors, in order: the mean over layers K and tokens T, (N, D).

        The published repository is pooled like this.
        """
        return torch.cat([value.mean(dim=(1, 2)) for value in self.embeddings.values()])

    def save(self, path: str | Path) -> None:
        """Write the bank as one safetensors file, its phrases in the metadata.

        Raises:
            DiskError: The file cannot be written.
        """
        about = {
            "format": _FORMAT,
            "encoder": self.encoder,
            # A list of pairs: the order of the factors is part of the bank, that of a safetensors file's
            # tensors is not.
            "phrases": json.dumps([[name, list(phrases)] for name, phrases in self.phrases.items()]),
        }
        tensors = {name: value.detach().cpu().contiguous().clone() for name, value in self.embeddings.items()}
        write_bytes(path, save(tensors, metadata=about))

    @classmethod
    def load(cls, path: str | Path) -> TextBank:
        """Read a bank that `save` wrote.

        Raises:
            WeightsError: The file is missing, damaged, no text bank, or of a newer version.
        """
        try:
            with safe_open(path, framework="pt") as file:
                about = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
        except FileNotFoundError as error:
            raise too_many_open(path, error) or WeightsError(
                f"There is no text bank at {path}.", code="LEX-WEIGHTS-002"
            ) from error
        except (OSError, SafetensorError, RuntimeError) as error:
            raise too_many_open(path, error) or WeightsError(
                f"The text bank {path} cannot be read: {error}", code="LEX-WEIGHTS-003"
            ) from error
        if about.get("format") != _FORMAT:
            raise WeightsError(
                f"{path} is no text bank of this version of Lexiseg: expected the format '{_FORMAT}', found "
                f"'{about.get('format', 'none')}'.",
                code="LEX-WEIGHTS-004",
            )
        try:
            phrases = _phrases(parse_json(about["phrases"]))
            embeddings = {name: tensors[name] for name in phrases}
            if not all(bool(value.float().isfinite().all()) for value in embeddings.values()):
                raise ValueError("an embedding is not finite")
            return cls(encoder=about["encoder"], phrases=phrases, embeddings=embeddings)
        except (KeyError, ValueError) as error:
            raise WeightsError(f"The text bank {path} is damaged: {error}", code="LEX-WEIGHTS-005") from error


def _phrases(listed: object) -> dict[str, tuple[str, ...]]:
    """Return the phrases per factor of a bank's metadata; ValueError where they are something else."""
    if not isinstance(listed, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in listed):
        raise ValueError("expected its phrases as pairs of a factor and a list")
    for name, phrases in listed:
        if not isinstance(name, str) or not isinstance(phrases, list):
            raise ValueError("expected its phrases as pairs of a factor and a list")
        if not all(isinstance(phrase, str) for phrase in phrases):
            raise ValueError(f"expected texts as phrases of the factor '{name}'")
    return {name: tuple(phrases) for name, phrases in listed}
