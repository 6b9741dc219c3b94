"""CLIPSeg's weights, which the published CoTexNet starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from lexiseg.errors import WeightsError
from lexiseg.hub import PATH_STARTS, hub_file
from lexiseg.models.published_checkpoint import listed
from lexiseg.open_files import too_many_open
from lexiseg.systems.cotexnet.configuration import PUBLISHED_CLIPSEG
from lexiseg.systems.cotexnet.paper_network import CoTexNet
from lexiseg.systems.cotexnet.published_keys import (
    CLIPSEG,
    check_keys,
    published_names,
    read_config,
    split_keys,
)

_CONFIG = "config.json"
_WEIGHTS = "model.safetensors"


def load_clipseg(source: str | Path = PUBLISHED_CLIPSEG, *, num_classes: int) -> CoTexNet:
    """Build a network to train, from the weights of a CLIPSeg.

    What CLIPSeg does not have starts at random: pseudo-word, image projection, and for more than two classes
    the decoder's last layer.

    Args:
        source: A folder with `config.json` and `model.safetensors`, or a name on the Hugging Face hub.
        num_classes: Number of classes with the background: 2 for one mask channel, more for one per class.

    Returns:
        The network on the CPU, float32.

    Raises:
        UsageError: There are fewer than two classes, or the configuration's parts do not fit together.
        WeightsError: A file cannot be found or read, or is not that of a CLIPSeg.
    """
    config, weights = (_file(source, name) for name in (_CONFIG, _WEIGHTS))
    net = CoTexNet(read_config(config), num_classes)
    try:
        clipseg = load_file(weights)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise too_many_open(weights, error) or WeightsError(
            f"The CLIPSeg weights '{weights}' cannot be read: {error}", code="LEX-WEIGHTS-024"
        ) from error
    own = net.state_dict()
    # The published network holds a CLIPSeg under this prefix, and adds to it.
    names = {
        ours: key.removeprefix(f"{CLIPSEG}.")
        for ours, key in published_names(net).items()
        if key.startswith((f"{CLIPSEG}.clip.", f"{CLIPSEG}.decoder."))
        and not key.startswith(f"{CLIPSEG}.decoder.output_convolution.")
    }
    unknown = [
        key.removeprefix(f"{CLIPSEG}.")
        for key in split_keys((f"{CLIPSEG}.{key}" for key in clipseg), net).unknown
        # For more than two classes another layer takes the place of the last one.
        if not key.startswith(f"{CLIPSEG}.decoder.transposed_convolution.")
    ]
    if unknown:
        raise WeightsError(
            f"The CLIPSeg of '{source}' does not fit its {_CONFIG}: {listed(unknown, 'unknown key')}.",
            code="LEX-WEIGHTS-025",
        )
    check_keys(
        clipseg, {key: own[ours].shape for ours, key in names.items()}, what=f"The CLIPSeg of '{source}'"
    )
    net.load_state_dict(own | {ours: clipseg[key] for ours, key in names.items()})
    return net


def clipseg_config(source: str | Path = PUBLISHED_CLIPSEG) -> dict[str, Any]:
    """Return the configuration of a CLIPSeg as JSON-able values.

    Args:
        source: A folder with `config.json`, or a name on the Hugging Face hub.

    Raises:
        WeightsError: The file cannot be found or read, or is not that of a CLIPSeg.
    """
    config: dict[str, Any] = read_config(_file(source, _CONFIG)).to_diff_dict()
    return config


def _file(source: str | Path, name: str) -> Path:
    """Return a file of the folder or hub repository `source`."""
    folder = Path(source).expanduser()
    if folder.is_dir():
        if not (folder / name).is_file():
            raise WeightsError(
                f"There is no '{name}' in '{folder}'. Expected {_CONFIG} and {_WEIGHTS} of a CLIPSeg, as on "
                f"the hub page of '{PUBLISHED_CLIPSEG}'.",
                code="LEX-WEIGHTS-026",
            )
        return folder / name
    if str(source).startswith(PATH_STARTS):
        raise WeightsError(
            f"There is no folder '{source}' to load a CLIPSeg from. Expected {_CONFIG} and {_WEIGHTS}, as on "
            f"the hub page of '{PUBLISHED_CLIPSEG}'. Restore the folder, or give another one.",
            code="LEX-WEIGHTS-1828",
        )
    try:
        return hub_file(str(source), name)
    except WeightsError as error:
        raise WeightsError(
            f"{error} Without a network, copy {_CONFIG} and {_WEIGHTS} of a CLIPSeg from its page on the hub "
            "into a folder and give its path.",
            code="LEX-WEIGHTS-027",
        ) from error
