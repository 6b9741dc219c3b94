"""The published STPNet checkpoint layout: which published key is which of ours, and which are never used.

The published module holds many parameters its forward pass never touches; `split_keys` names them.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from torch import Tensor

from lexiseg.errors import WeightsError
from lexiseg.models.published_checkpoint import listed, without_prefix
from lexiseg.printable import printable
from lexiseg.systems.stpnet.paper_network import CHANNELS, StpNet

_log = logging.getLogger(__name__)

#: Published bank name of each factor, coarse to fine.
BANKS = {
    "laterality": "Unilateral_emb",
    "count": "num_emb",
    "left": "left_loc_emb",
    "right": "right_loc_emb",
}

# The published names of scale 1..4 end in "", "1", "2", "3" for the transformer branches.
_UNUSED = re.compile(
    r"""
    # A second CNN encoder without text.
    clsdown[1-3]\..*
    # The decoder half of the transformer encoders; the finest scale has no finer one to make room for.
    | downVit[123]?\.(norm|Decoder_blocks|head|CTBN2)\..*
    | downVit\.CTBN\..*
    # The encoder half of the transformer decoders; the coarsest scale has no coarser one to add.
    | upVit[123]?\.(embeddings|norm|Encoder_blocks|head|CTBN|CTBN3)\..*
    | upVit3\.CTBN2\..*
    # Classifiers of the image encoder.
    | imgencoder\.(resnet\.fc|linear)\..*
    # Batch normalisation behind the last layer of an MLP.
    | imgaggr\.mlp\.bns\.1\..*
    | img_linear1\.mlp\.bns\.2\..* | img_linear2\.mlp\.bns\.1\..* | img_linear[34]\.mlp\.bns\.3\..*
    """,
    re.VERBOSE,
)


class SplitKeys(NamedTuple):
    """Keys of a published state_dict, sorted by what becomes of them, each in the given order.

    Attributes:
        used: Keys the forward pass uses.
        unused: Published keys the forward pass never touches; dropped.
        unknown: Keys the published layout does not have.
    """

    used: tuple[str, ...]
    unused: tuple[str, ...]
    unknown: tuple[str, ...]


def split_keys(keys: Iterable[str], net: StpNet) -> SplitKeys:
    """Sort the keys of a published state_dict.

    Args:
        keys: Keys to sort, without DataParallel's `module.` prefix (see `without_prefix`).
        net: A network of the published layout.
    """
    known = set(published_names(net).values())
    keys = tuple(keys)
    return SplitKeys(
        used=tuple(key for key in keys if key in known),
        unused=tuple(key for key in keys if _UNUSED.fullmatch(key)),
        unknown=tuple(key for key in keys if key not in known and not _UNUSED.fullmatch(key)),
    )


def load_published(state_dict: Mapping[str, Tensor], banks: Mapping[str, Tensor]) -> StpNet:
    """Build the published network from a published checkpoint.

    Args:
        state_dict: The published state_dict, with or without DataParallel's `module.` prefix. Entries
            `num_batches_tracked` may be
            missing: they count training steps and do not enter the result.
        banks: Text embeddings by published name (`Unilateral_emb`, `num_emb`, `left_loc_emb`,
            `right_loc_emb`), each (N, K, 30, 768) floating point.

    Returns:
        The network in eval mode, on the CPU, float32.

    Raises:
        WeightsError: A bank or key is missing, misshapen, or not part of the published layout.
    """
    net = StpNet(_factor_banks(banks))
    published = without_prefix(state_dict)
    split = split_keys(published, net)
    if split.unknown:
        raise WeightsError(
            f"Not a published STPNet checkpoint: {listed(split.unknown, 'unknown key')}. Expected the "
            "state_dict of the published network (often stored under the key 'state_dict' of the checkpoint "
            "file).",
            code="LEX-WEIGHTS-038",
        )
    names = published_names(net)
    own = net.state_dict()
    missing = [key for ours, key in names.items() if key not in published and not _is_counter(ours)]
    if missing:
        raise WeightsError(
            f"The STPNet checkpoint is incomplete: {listed(missing, 'missing key')}.", code="LEX-WEIGHTS-039"
        )
    misshapen = [
        f"{key} (expected {tuple(own[ours].shape)}, found {tuple(published[key].shape)})"
        for ours, key in names.items()
        if key in published and own[ours].shape != published[key].shape
    ]
    if misshapen:
        raise WeightsError(
            f"The STPNet checkpoint does not fit: {listed(misshapen, 'misshapen key')}. "
            "The sizes of the img_linear* keys follow from the number of phrases in the banks.",
            code="LEX-WEIGHTS-040",
        )
    if split.unused:
        _log.info(
            "Dropped %d keys that are never used: %s", len(split.unused), printable(", ".join(split.unused))
        )
    net.load_state_dict({ours: published.get(key, own[ours]) for ours, key in names.items()})
    return net.eval()


def published_names(net: StpNet) -> dict[str, str]:
    """Return the published key of each key of the network's state_dict, in our order."""
    modules = dict(_modules(net))
    names = {}
    for ours in net.state_dict():
        path, _, parameter = ours.rpartition(".")
        # The longest prefix of the path that the table names; the rest (inside torchvision's stages) is the
        # same.
        prefix = next((p for p in _prefixes(path) if p in modules), None)
        if prefix is None:
            raise AssertionError(f"no published name for {ours}")
        names[ours] = modules[prefix] + ours.removeprefix(prefix)
        if parameter == "positions":
            names[ours] = f"{modules[path]}.embeddings.position_embeddings"
    return names


def _modules(net: StpNet) -> Iterator[tuple[str, str]]:
    """Yield our path and the published path of every module that holds parameters."""
    yield from _retrieval_modules(net)
    yield from _block("stem", "inc")
    yield "head", "outc"
    for scale in range(len(CHANNELS)):
        number, suffix = scale + 1, str(scale or "")
        yield f"text_projections.{scale}", f"text_conv{number}"
        encoder, decoder = f"token_encoders.{scale}", f"token_decoders.{scale}"
        yield from _transformer_modules(encoder, f"downVit{suffix}", "Encoder_blocks", "CTBN")
        yield f"{encoder}.patches", f"downVit{suffix}.embeddings.patch_embeddings"
        yield from _block(f"{encoder}.spread_text", f"downVit{suffix}.CTBN3")
        yield from _transformer_modules(decoder, f"upVit{suffix}", "Decoder_blocks", "CTBN2")
        yield from _block(f"reconstructs.{scale}.project", f"reconstruct{number}")
        for conv in (0, 1):
            yield from _block(f"downs.{scale}.convs.{conv}", f"down{number}.nConvs.{conv}")
            yield from _block(f"ups.{scale}.convs.{conv}", f"up{number}.nConvs.{conv}")
        for layer in (0, 2):
            yield f"fusions.{scale}.mix.{layer}", f"fusion_block{number}.0.body.{layer}"
            yield f"fusions.{scale}.refine.{layer}", f"fusion_cnn{number}.{layer}"
    for position in range(len(net.attentions)):
        yield from _attention_modules(f"attentions.{position}", f"van_cls{position + 1}")


def _retrieval_modules(net: StpNet) -> Iterator[tuple[str, str]]:
    yield "retrieval_norm", "norm"
    yield "image_encoder.stem.0", "imgencoder.resnet.conv1"
    yield "image_encoder.stem.1", "imgencoder.resnet.bn1"
    for stage in ("layer1", "layer2", "layer3", "layer4"):
        yield f"image_encoder.{stage}", f"imgencoder.resnet.{stage}"
    yield "aggregator.linear", "imgaggr.fc"
    yield "aggregator.hidden", "imgaggr.mlp.layers.0"
    yield "aggregator.output", "imgaggr.mlp.layers.1"
    yield "aggregator.norm", "imgaggr.mlp.bns.0"
    yield "aggregator.pooling.gru", "imgaggr.gpool.gru"
    yield "aggregator.pooling.score", "imgaggr.gpool.linear"
    for position, depth in enumerate(net.head_depths):
        ours, published = f"heads.{position}", f"img_linear{position + 1}"
        yield f"{ours}.linear", f"{published}.fc"
        yield f"{ours}.output", f"{published}.mlp.layers.{depth - 1}"
        for layer in range(depth - 1):
            yield f"{ours}.hidden.{layer}", f"{published}.mlp.layers.{layer}"
            yield f"{ours}.norms.{layer}", f"{published}.mlp.bns.{layer}"


def _transformer_modules(ours: str, published: str, blocks: str, narrow: str) -> Iterator[tuple[str, str]]:
    block = f"{published}.{blocks}.0"
    yield ours, published
    yield f"{ours}.block.attention_norm", f"{block}.norm1"
    yield f"{ours}.block.attention.qkv", f"{block}.attn.qkv"
    yield f"{ours}.block.attention.project", f"{block}.attn.proj"
    yield f"{ours}.block.feed_forward_norm", f"{block}.norm2"
    yield f"{ours}.block.feed_forward.expand", f"{block}.mlp.fc1"
    yield f"{ours}.block.feed_forward.reduce", f"{block}.mlp.fc2"
    yield from _block(f"{ours}.narrow", f"{published}.{narrow}")


def _attention_modules(ours: str, published: str) -> Iterator[tuple[str, str]]:
    yield f"{ours}.project_in", f"{published}.proj_1"
    yield f"{ours}.spatial.depthwise", f"{published}.dwspatialatt.dwconv"
    yield f"{ours}.spatial.gate", f"{published}.dwspatialatt.conv1"
    for dilation in range(3):
        surroundings = f"{published}.spatial_gating_unit.conv_spatial_{dilation + 1}"
        yield f"{ours}.multi_scale.surroundings.{dilation}", surroundings
    yield f"{ours}.multi_scale.mix", f"{published}.spatial_gating_unit.conv1"
    yield f"{ours}.project_out", f"{published}.proj_2"


def _block(ours: str, published: str) -> Iterator[tuple[str, str]]:
    for part in ("conv", "norm"):
        yield f"{ours}.{part}", f"{published}.{part}"


def _prefixes(path: str) -> Iterator[str]:
    """Yield a dotted path and its parents, longest first."""
    while path:
        yield path
        path = path.rpartition(".")[0]


def _factor_banks(banks: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the banks by factor name, coarse to fine."""
    missing = [name for name in BANKS.values() if name not in banks]
    if missing:
        raise WeightsError(
            f"Expected the text banks {', '.join(BANKS.values())}, but {', '.join(missing)} is missing; "
            f"found: {', '.join(banks) or 'none'}.",
            code="LEX-WEIGHTS-041",
        )
    unknown = [name for name in banks if name not in BANKS.values()]
    if unknown:
        raise WeightsError(
            f"Expected the text banks {', '.join(BANKS.values())}, but found also {', '.join(unknown)}.",
            code="LEX-WEIGHTS-042",
        )
    return {factor: banks[name] for factor, name in BANKS.items()}


def _is_counter(key: str) -> bool:
    return key.endswith("num_batches_tracked")
