"""Reads a published STPNet checkpoint, with the text embeddings that belong to it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from lexiseg.embeddings.text_bank_builder import build_bank
from lexiseg.embeddings.text_encoders import TOKENS, load_text_encoder
from lexiseg.errors import UsageError, WeightsError
from lexiseg.models.encoder_weights import read_state_dict
from lexiseg.models.network_weights import count_parameters
from lexiseg.models.published_checkpoint import without_prefix
from lexiseg.models.spec import NetworkSpec
from lexiseg.models.text_bank import TextBank
from lexiseg.systems.stpnet.configuration import PUBLISHED_TEXT_ENCODER
from lexiseg.systems.stpnet.paper_network import IMAGE_SIZE
from lexiseg.systems.stpnet.published_keys import BANKS, load_published, split_keys
from lexiseg.systems.system import PublishedNetwork
from lexiseg.words.vocabulary import Vocabulary, load_vocabulary

_WIDTH = 768


def read_published(
    checkpoint: Path, *, banks: str | Path | None = None, text_encoder: str | None = None
) -> PublishedNetwork:
    """Read a published checkpoint for chest images.

    Args:
        checkpoint: safetensors, or a PyTorch file (read with `weights_only`): the published state_dict, or a
            dict that holds it under `state_dict`.
        banks: safetensors file with the text embeddings the checkpoint was trained with; see
            `lexiseg.convert_stpnet`.
        text_encoder: Computes them instead, from the vocabulary's phrases: a Hugging Face name or a local
            folder; by default the published one, Bio_ClinicalBERT, with its last layer.

    Raises:
        UsageError: Both `banks` and `text_encoder` are given.
        WeightsError: A file cannot be read or does not fit, or the text encoder cannot be found.
    """
    if banks is not None and text_encoder is not None:
        raise UsageError(
            "Give the text embeddings as a file (--banks) or a --text-encoder, not both.", code="LEX-USE-038"
        )
    state = without_prefix(read_state_dict(checkpoint))
    vocabulary = load_vocabulary("chest")
    if banks is not None:
        bank = _read_banks(Path(banks), vocabulary)
    else:
        bank = _make_bank(vocabulary, text_encoder or PUBLISHED_TEXT_ENCODER)
    network = load_published(state, {BANKS[name]: value for name, value in bank.embeddings.items()})
    spec = NetworkSpec(
        model="stpnet", preset="paper", encoder="resnet101", num_parameters=count_parameters(network)
    )
    return PublishedNetwork(
        network=network,
        spec=spec,
        image_size=IMAGE_SIZE,
        class_names=("background", "lesion"),
        dropped=len(split_keys(state, network).unused),
        bank=bank,
        vocabulary=vocabulary,  # the published sentences say "left lung" for the image's left
        about_network=f"STPNet as published (arXiv 2504.01561), {spec.num_parameters / 1e6:.1f} M "
        f"parameters, {IMAGE_SIZE} px.",
        about_training="not by Lexiseg. The published code trains on the validation split too and selects "
        "on the test split, so scores on either are too good.",
    )


def _read_banks(path: Path, vocabulary: Vocabulary) -> TextBank:
    """Read the embeddings under their published names."""
    tensors = read_state_dict(path)
    if sorted(tensors) != sorted(BANKS.values()):
        raise WeightsError(
            f"{path} must hold the text embeddings {', '.join(BANKS.values())}; it holds "
            f"{', '.join(sorted(tensors)) or 'nothing'}.",
            code="LEX-WEIGHTS-043",
        )
    phrases = {factor.name: factor.phrases for factor in vocabulary.factors}
    embeddings: dict[str, Tensor] = {}
    for name, listed in phrases.items():
        value = tensors[BANKS[name]]
        if value.ndim != 4 or (value.shape[0], *value.shape[2:]) != (len(listed), TOKENS, _WIDTH):
            raise WeightsError(
                f"{path}: {BANKS[name]} must be (phrases, layers, tokens, width) = ({len(listed)}, any, "
                f"{TOKENS}, {_WIDTH}); it is {tuple(value.shape)}.",
                code="LEX-WEIGHTS-044",
            )
        if not value.is_floating_point():
            raise WeightsError(
                f"{path}: {BANKS[name]} must hold floating point numbers, not {value.dtype}.",
                code="LEX-WEIGHTS-045",
            )
        embeddings[name] = value.to(torch.float32)
    try:
        return TextBank(encoder=f"published embeddings ({path.name})", phrases=phrases, embeddings=embeddings)
    except ValueError as error:  # the factors differ in the number of layers
        raise WeightsError(f"{path}: {error}.", code="LEX-WEIGHTS-046") from error


def _make_bank(vocabulary: Vocabulary, name: str) -> TextBank:
    encoder = load_text_encoder(name)
    if encoder.width != _WIDTH:
        raise WeightsError(
            f"The text encoder '{name}' is {encoder.width} wide, but the published network was trained with "
            f"embeddings {_WIDTH} wide, those of {PUBLISHED_TEXT_ENCODER}. Use that one, or give the "
            f"embeddings with --banks.",
            code="LEX-WEIGHTS-047",
        )
    return build_bank(vocabulary, encoder)
