"""The published CoTexNet checkpoint layout: which published key is which of ours, a copy, or never used."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor
from transformers import CLIPSegConfig

from lexiseg.errors import WeightsError
from lexiseg.models.published_checkpoint import listed, without_prefix
from lexiseg.printable import printable
from lexiseg.structured_text import read_json
from lexiseg.systems.cotexnet.paper_network import CoTexNet
from lexiseg.validation import shown

_log = logging.getLogger(__name__)

#: Where the published network holds its CLIPSeg.
CLIPSEG = "clipsegp.clipseg"

# Published path of our modules and parameters, except the decoder's last layers.
_PUBLISHED = {
    "vision_model": f"{CLIPSEG}.clip.vision_model",
    "text_model": f"{CLIPSEG}.clip.text_model",
    "text_projection": f"{CLIPSEG}.clip.text_projection",
    "pseudo_word": "im2text.mapping_module",
    "image_projection.0": f"{CLIPSEG}.img_projection.layers.0.0",
    "image_projection.2": f"{CLIPSEG}.img_projection.layers.1.0",
    "image_projection.4": f"{CLIPSEG}.img_projection.fc_out",
    "noise_share": f"{CLIPSEG}.weight_alpha",
    "condition_scale": f"{CLIPSEG}.var",
    "condition_shift": f"{CLIPSEG}.mean",
    "decoder": f"{CLIPSEG}.decoder",
    "decoder.upsample": f"{CLIPSEG}.decoder.transposed_convolution",
}

# The frozen vision tower is stored a second time, as reader of the region of interest.
_ROI_TOWER = "im2text.vision_model"

# Never used: CLIP's contrastive head, the position indices that older versions of transformers stored, and
# the image projection under its second name (the published module holds the same one twice).
_UNUSED = re.compile(
    rf"{re.escape(CLIPSEG)}\.clip\.(logit_scale|visual_projection\.weight)"
    r"|.*\.(vision_model|text_model)\.embeddings\.position_ids"
    r"|img_projection\.(layers\.[01]\.0|fc_out)\.(weight|bias)"
)


class SplitKeys(NamedTuple):
    """Keys of a published state_dict, sorted by what becomes of them, each in the given order.

    Attributes:
        used: Keys the network is loaded from.
        copies: Keys of the second copy of the frozen vision tower.
        unused: Published keys that are never used; dropped.
        unknown: Keys the published layout does not have.
    """

    used: tuple[str, ...]
    copies: tuple[str, ...]
    unused: tuple[str, ...]
    unknown: tuple[str, ...]


def split_keys(keys: Iterable[str], net: CoTexNet) -> SplitKeys:
    """Sort the keys of a published state_dict.

    Args:
        keys: Keys to sort, without DataParallel's `module.` prefix.
        net: A network of the published layout.
    """
    used, copies = set(published_names(net).values()), roi_tower_names(net)
    keys = tuple(keys)
    return SplitKeys(
        used=tuple(key for key in keys if key in used),
        copies=tuple(key for key in keys if key in copies),
        unused=tuple(key for key in keys if _UNUSED.fullmatch(key)),
        unknown=tuple(
            key for key in keys if key not in used and key not in copies and not _UNUSED.fullmatch(key)
        ),
    )


def load_published(
    state_dict: Mapping[str, Tensor], config: Mapping[str, Any] | str | Path, num_classes: int
) -> CoTexNet:
    """Build the published network from a published checkpoint.

    Args:
        state_dict: The published state_dict, with or without DataParallel's `module.` prefix.
        config: Configuration of the CLIPSeg it was built on, a dictionary or the path of a JSON file such as
            the `config.json` of "CIDAS/clipseg-rd64-refined".
        num_classes: Number of classes with the background: 2 for one mask channel, more for one per class.

    Returns:
        The network in eval mode, on the CPU, float32.

    Raises:
        UsageError: There are fewer than two classes, or the configuration's parts do not fit together.
        WeightsError: The configuration cannot be read, or a key is missing, misshapen, or not part of the
            published layout, or the two copies of the frozen vision tower differ.
    """
    net = CoTexNet(read_config(config), num_classes)
    published = without_prefix(state_dict)
    split = split_keys(published, net)
    if split.unknown:
        raise WeightsError(
            f"Not a published CoTexNet checkpoint: {listed(split.unknown, 'unknown key')}. Expected the "
            "state_dict of the published network (stored under the key 'model' of the checkpoint file) with "
            f"{num_classes} classes and the layers of the given configuration.",
            code="LEX-WEIGHTS-028",
        )
    own, names, copies = net.state_dict(), published_names(net), roi_tower_names(net)
    expected = {key: own[ours].shape for ours, key in names.items()}
    expected |= {copy: expected[original] for copy, original in copies.items()}
    check_keys(published, expected, what=f"The CoTexNet checkpoint for {num_classes} classes")
    _check_copies(published, copies)
    if split.unused:
        _log.info(
            "Dropped %d keys that are never used: %s", len(split.unused), printable(", ".join(split.unused))
        )
    net.load_state_dict({ours: published[key] for ours, key in names.items()})
    return net.eval()


def num_classes_of(state_dict: Mapping[str, Tensor]) -> int:
    """Return the number of classes with the background that a published state_dict was trained for.

    Args:
        state_dict: The published state_dict, without DataParallel's `module.` prefix.
    """
    output = state_dict.get(f"{CLIPSEG}.decoder.output_convolution.bias")
    return 2 if output is None else len(output)


def check_keys(found: Mapping[str, Tensor], expected: Mapping[str, torch.Size], *, what: str) -> None:
    """Check that a state_dict has all keys that are expected, in their shapes.

    Args:
        found: The state_dict.
        expected: Shape by key.
        what: What it is, to begin the message with.

    Raises:
        WeightsError: Some are missing or misshapen.
    """
    missing = [key for key in expected if key not in found]
    if missing:
        raise WeightsError(f"{what} is incomplete: {listed(missing, 'missing key')}.", code="LEX-WEIGHTS-029")
    misshapen = [
        f"{key} (expected {tuple(shape)}, found {tuple(found[key].shape)})"
        for key, shape in expected.items()
        if found[key].shape != shape
    ]
    if misshapen:
        raise WeightsError(
            f"{what} does not fit: {listed(misshapen, 'misshapen key')}. The sizes follow from the CLIPSeg "
            "configuration and the number of classes.",
            code="LEX-WEIGHTS-030",
        )


# The largest sizes that a configuration may state, about four times those of the published CLIPSeg.
_LARGEST = {
    "hidden_size": 3072,
    "intermediate_size": 12288,
    "num_hidden_layers": 48,
    "num_attention_heads": 64,
    "vocab_size": 250_000,
    "max_position_embeddings": 2048,
    "image_size": 2048,
    "patch_size": 256,
    "projection_dim": 4096,
    "reduce_dim": 1024,
    "decoder_num_attention_heads": 64,
    "decoder_intermediate_size": 16384,
}


def read_config(config: Mapping[str, Any] | str | Path) -> CLIPSegConfig:
    """Return the CLIPSeg configuration of a dictionary or JSON file.

    Raises:
        WeightsError: The file cannot be read, or it is not the configuration of a CLIPSeg.
    """
    if isinstance(config, Mapping):
        where, values = "", config
    else:
        where = f" in '{config}'"
        try:
            values = read_json(config)
        except (OSError, ValueError) as error:
            raise WeightsError(
                f"The CLIPSeg configuration '{config}' cannot be read: {error}", code="LEX-WEIGHTS-031"
            ) from error
    if not isinstance(values, Mapping) or not {"text_config", "vision_config"} <= values.keys():
        raise WeightsError(
            f"Expected a CLIPSeg configuration with the entries text_config and vision_config{where}, as in "
            "the config.json of 'CIDAS/clipseg-rd64-refined'.",
            code="LEX-WEIGHTS-032",
        )
    _check_sizes(values, where)
    try:
        return CLIPSegConfig.from_dict(dict(values))
    except (StrictDataclassError, TypeError, ValueError) as error:
        raise WeightsError(
            f"The CLIPSeg configuration{where} is not valid: {error}", code="LEX-WEIGHTS-033"
        ) from error


def _check_sizes(values: Mapping[str, Any], where: str) -> None:
    """Refuse a configuration whose network is far larger than any CLIPSeg, before it takes memory.

    Raises:
        WeightsError: A size is no whole number of its range.
    """
    parts = {"": values, **{name: values[name] for name in ("text_config", "vision_config")}}
    for part, fields in parts.items():
        for name, largest in _LARGEST.items():
            size = fields.get(name, 1) if isinstance(fields, Mapping) else None
            if not isinstance(size, int) or not 0 < size <= largest:
                raise WeightsError(
                    f"The CLIPSeg configuration{where} is not valid: expected a whole number as "
                    f"{'.'.join(filter(None, (part, name)))}, of 1 to {largest}; got {shown(size)}.",
                    code="LEX-WEIGHTS-775",
                )


def published_names(net: CoTexNet) -> dict[str, str]:
    """Return the published key of each key of the network's state_dict, in our order."""
    before = len(net.decoder.upsample)
    if net.decoder.output.out_channels > 1:
        output = "output_convolution"
    else:
        output = f"transposed_convolution.{before}" if before else "transposed_convolution"
    paths = _PUBLISHED | {"decoder.output": f"{CLIPSEG}.decoder.{output}"}
    names = {}
    for ours in net.state_dict():
        prefix = max((path for path in paths if f"{ours}.".startswith(f"{path}.")), key=len)
        names[ours] = paths[prefix] + ours.removeprefix(prefix)
    return names


def roi_tower_names(net: CoTexNet) -> dict[str, str]:
    """Return the published keys of the second copy of the frozen vision tower, each with its original."""
    tower = _PUBLISHED["vision_model"]
    return {
        _ROI_TOWER + key.removeprefix(tower): key
        for key in published_names(net).values()
        if key.startswith(f"{tower}.")
    }


def _check_copies(published: Mapping[str, Tensor], copies: Mapping[str, str]) -> None:
    differing = [
        copy for copy, original in copies.items() if not torch.equal(published[copy], published[original])
    ]
    if differing:
        raise WeightsError(
            "The checkpoint's two copies of the frozen vision tower differ, so it was trained in another way "
            f"than published: {listed(differing, 'differing key')}.",
            code="LEX-WEIGHTS-034",
        )
