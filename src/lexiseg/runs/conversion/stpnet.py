"""From a published STPNet checkpoint to a run folder that predict and evaluate take."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from lexiseg.embeddings.bank import build_bank
from lexiseg.embeddings.encoders import TOKENS, load_text_encoder
from lexiseg.errors import UsageError, WeightsError
from lexiseg.files import atomic_folder, write_text
from lexiseg.models.bank import TextBank
from lexiseg.models.checkpoint import without_prefix
from lexiseg.models.encoder_weights import read_state_dict
from lexiseg.models.spec import NetworkSpec
from lexiseg.runs.conversion.manifest import converted_manifest
from lexiseg.runs.run import Manifest, Run
from lexiseg.systems.build import count_parameters, save_weights
from lexiseg.systems.stpnet.paper import IMAGE_SIZE
from lexiseg.systems.stpnet.published import BANKS, load_published, split_keys
from lexiseg.words.vocabulary import Vocabulary, load_vocabulary

#: The text encoder of the publication.
PUBLISHED_ENCODER = "emilyalsentzer/Bio_ClinicalBERT"

_WIDTH = 768


def convert_stpnet(
    checkpoint: str | Path,
    out: str | Path,
    *,
    banks: str | Path | None = None,
    text_encoder: str | None = None,
) -> tuple[Run, int]:
    """Make a run folder from a published STPNet checkpoint for chest images.

    Args:
        checkpoint: safetensors, or a PyTorch file (read with `weights_only`): the published state_dict, or a
            dict that holds it under `state_dict`.
        out: The run folder to make; it must not hold anything yet.
        banks: safetensors file with the text embeddings the checkpoint was trained with, under the four
            published names, each `(phrases, layers, 30, 768)`, phrases in the order of vocabulary "chest".
        text_encoder: Computes them instead, from the vocabulary's phrases: a Hugging Face name or a local
            folder; by default the published one, Bio_ClinicalBERT, with its last layer.

    Returns:
        The run, and how many published tensors were dropped because the network never uses them.

    Raises:
        UsageError: Both `banks` and `text_encoder` are given.
        RunError: `out` is in use.
        WeightsError: A file cannot be read or does not fit, or the text encoder cannot be found.
        DiskError: There is no space or no permission; nothing half-written is left.
    """
    checkpoint, out = Path(checkpoint), Path(out)
    if banks is not None and text_encoder is not None:
        raise UsageError(
            "Give the text embeddings as a file (--banks) or a --text-encoder, not both.", code="LEX-USE-038"
        )
    Run.refuse_existing(out)
    state = without_prefix(read_state_dict(checkpoint))
    vocabulary = load_vocabulary("chest")
    if banks is not None:
        bank = _read_banks(Path(banks), vocabulary)
    else:
        bank = _make_bank(vocabulary, text_encoder or PUBLISHED_ENCODER)
    net = load_published(state, {BANKS[name]: value for name, value in bank.embeddings.items()})
    dropped = len(split_keys(state, net).unused)
    manifest = converted_manifest(
        checkpoint,
        NetworkSpec(preset="paper", encoder="resnet101", num_parameters=count_parameters(net)),
        image_size=IMAGE_SIZE,
        class_names=("background", "lesion"),
        text="reports",
        vocabulary=vocabulary,  # the published sentences say "left lung" for the image's left
        text_encoder=bank.encoder,
    )
    with atomic_folder(out) as beside:
        run = Run(beside, manifest)
        bank.save(run.bank_file)
        save_weights(net, run.weights_file)
        write_text(beside / "model_card.md", _model_card(manifest))
        run.save()
    return Run(out, manifest), dropped


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
            f"embeddings {_WIDTH} wide, those of {PUBLISHED_ENCODER}. Use that one, or give the embeddings "
            f"with --banks.",
            code="LEX-WEIGHTS-047",
        )
    return build_bank(vocabulary, encoder)


def _model_card(manifest: Manifest) -> str:
    training = manifest.training
    return f"""# Published STPNet, converted

Research software, not a medical device: not for clinical use.

- Network: STPNet as published (arXiv 2504.01561), {manifest.network.num_parameters / 1e6:.1f} M parameters,
  {manifest.image_size} px.
- Weights: {training["converted_from"]}, SHA-256 {training["sha256"]}.
- Text embeddings: {training["text_encoder"]}. Left and right are the {manifest.side}'s.
- Training: not by Lexiseg. The published code trains on the validation split too and selects on the test
  split, so scores on either are too good.
- Converted by Lexiseg {manifest.lexiseg_version}, {manifest.created}.
"""
