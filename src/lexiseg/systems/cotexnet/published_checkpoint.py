"""Reads a published CoTexNet checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lexiseg.errors import UsageError
from lexiseg.models.encoder_weights import read_state_dict
from lexiseg.models.network_weights import count_parameters
from lexiseg.models.published_checkpoint import without_prefix
from lexiseg.models.spec import NetworkSpec
from lexiseg.printable import counted
from lexiseg.systems.cotexnet.clipseg_weights import clipseg_config
from lexiseg.systems.cotexnet.configuration import PUBLISHED_CLIPSEG
from lexiseg.systems.cotexnet.published_keys import load_published, num_classes_of
from lexiseg.systems.system import PublishedNetwork


def read_published(
    checkpoint: Path,
    *,
    clipseg: str | Path | None = None,
    class_names: Sequence[str] | None = None,
    image_size: int,
) -> PublishedNetwork:
    """Read a published checkpoint.

    Args:
        checkpoint: safetensors, or a PyTorch file (read with `weights_only`): the published state_dict, or a
            dict that holds it under `model` or `state_dict`.
        clipseg: The CLIPSeg it was built on: a folder with its `config.json`, or a Hugging Face name. Only
            the configuration is read. None: the published one.
        class_names: Names of the foreground classes; None: "lesion", or "class 1", "class 2", ...
        image_size: Height and width of the images the network is to see.

    Raises:
        UsageError: The number of names is not that of the checkpoint's classes.
        WeightsError: A file cannot be read or does not fit, or the configuration cannot be found.
    """
    state = without_prefix(read_state_dict(checkpoint))
    classes = num_classes_of(state)
    names = _names(class_names, classes)
    clipseg = PUBLISHED_CLIPSEG if clipseg is None else clipseg
    config = clipseg_config(clipseg)
    network = load_published(state, config, classes)
    kept = [name for name in network.state_dict() if not name.startswith(network.training_only_prefixes)]
    spec = NetworkSpec(
        model="cotexnet",
        preset="paper",
        encoder=str(clipseg),
        out_channels=1 if classes == 2 else classes,
        clipseg=config,
        num_parameters=count_parameters(network),
    )
    return PublishedNetwork(
        network=network,
        spec=spec,
        image_size=image_size,
        class_names=names,
        dropped=len(state) - len(kept),
        # The words that a multimodal model gave the network in its training are not known.
        about_network=f"CoTexNet as published (doi 10.1016/j.eng.2026.04.006) on {spec.encoder}, "
        f"{spec.num_parameters / 1e6:.1f} M parameters, {image_size} px; it names no words.",
        about_training="not by Lexiseg. The published test loop averages Dice over batches, so published "
        "scores depend on the batch size.",
    )


def _names(given: Sequence[str] | None, classes: int) -> tuple[str, ...]:
    """Return the names of all classes, the background first."""
    if given is None:
        given = ["lesion"] if classes == 2 else [f"class {label}" for label in range(1, classes)]
    if len(given) != classes - 1 or len(set(given)) != len(given):
        raise UsageError(
            f"The checkpoint segments {counted(classes - 1, 'foreground class', 'foreground classes')}, but "
            f"the names given are {', '.join(given)}. Name each once, in the order of the labels.",
            code="LEX-USE-037",
        )
    return ("background", *given)
