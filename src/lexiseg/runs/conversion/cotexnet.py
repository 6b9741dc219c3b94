"""From a published CoTexNet checkpoint to a run folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lexiseg.runs.conversion.convert import convert_published
from lexiseg.runs.run import Run
from lexiseg.systems.registry import get

#: Height and width of the images it was published with.
IMAGE_SIZE = 224


def convert_cotexnet(
    checkpoint: str | Path,
    out: str | Path,
    *,
    clipseg: str | Path | None = None,
    class_names: Sequence[str] | None = None,
    image_size: int = IMAGE_SIZE,
) -> tuple[Run, int]:
    """Make a run folder from a published CoTexNet checkpoint.

    Args:
        checkpoint: safetensors, or a PyTorch file (read with `weights_only`): the published state_dict, or a
            dict that holds it under `model` or `state_dict`.
        out: The run folder to make; it must not hold anything yet.
        clipseg: The CLIPSeg it was built on: a folder with its `config.json`, or a Hugging Face name. Only
            the configuration is read. None: the published one, "CIDAS/clipseg-rd64-refined".
        class_names: Names of the foreground classes; None: "lesion", or "class 1", "class 2", ...
        image_size: Height and width of the images the network is to see.

    Returns:
        The run, and how many published tensors were dropped because prediction never uses them.

    Raises:
        UsageError: The number of names is not that of the checkpoint's classes, or the image size is too
            small.
        RunError: `out` is in use.
        WeightsError: A file cannot be read or does not fit, or the configuration cannot be found.
        DiskError: There is no space or no permission; nothing half-written is left.
    """
    system = get("cotexnet", "paper")
    return convert_published(
        system, checkpoint, out, clipseg=clipseg, class_names=class_names, image_size=image_size
    )
