"""From a published STPNet checkpoint to a run folder."""

from __future__ import annotations

from pathlib import Path

from lexiseg.runs.conversion.convert import convert_published
from lexiseg.runs.run import Run
from lexiseg.systems.registry import get


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
    system = get("stpnet", "paper")
    return convert_published(system, checkpoint, out, banks=banks, text_encoder=text_encoder)
