"""From a network's description to the network, and its weights to and from a run folder."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from lexiseg.errors import UsageError, WeightsError
from lexiseg.files import write_bytes
from lexiseg.models.bank import TextBank
from lexiseg.models.encoder_weights import Normalisation, create_encoder, encoder_normalisation
from lexiseg.models.pyramid import pyramid_levels
from lexiseg.models.spec import NetworkSpec
from lexiseg.systems.cotexnet.compact import CompactCoTexNet
from lexiseg.systems.stpnet.compact import CompactStpNet
from lexiseg.systems.stpnet.paper import IMAGE_SIZE, StpNet

_MIN_SIZE = 64

#: ImageNet statistics, which torchvision's ResNet-101 and CLIPSeg expect.
IMAGENET = Normalisation(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


class SegmentationOutput(Protocol):
    """What every network of the house returns at least."""

    @property
    def logits(self) -> Tensor:
        """Raw mask scores `(B, 1 or classes, H, W)`."""

    @property
    def retrieval(self) -> dict[str, Tensor]:
        """Scores `(B, N_f)` of the phrases per factor; empty where the network names no words."""


@runtime_checkable
class HoldsItsTeacher(Protocol):
    """A network that holds parts which only training needs."""

    @property
    def teaching_parts(self) -> tuple[str, ...]:
        """Beginnings of their names in its state."""


def build_network(
    spec: NetworkSpec,
    bank: TextBank | None,
    *,
    pretrained: bool,
    encoder_weights: Mapping[str, Tensor] | None = None,
) -> nn.Module:
    """Build the network that `spec` describes.

    Args:
        spec: Model, preset, encoder, channels.
        bank: Text bank; None for a network without text (compact), or that names no words.
        pretrained: Whether the compact encoder starts from ImageNet weights, not at random.
        encoder_weights: State dict for the ResNet-101 of STPNet's paper preset; None starts it at random.

    Returns:
        A module whose output follows `SegmentationOutput`: all that prediction needs.

    Raises:
        UsageError: The combination is not possible.
        WeightsError: Encoder weights cannot be found.
    """
    if spec.preset == "compact":
        encoder = create_encoder(spec.encoder, pretrained=pretrained)
        levels = pyramid_levels(encoder, name=spec.encoder)
        network = CompactStpNet if spec.model == "stpnet" else CompactCoTexNet
        return network(encoder, bank, levels=levels, out_channels=spec.out_channels, width=spec.width)
    if spec.model == "cotexnet":
        return _published_cotexnet(spec)
    check_spec(spec, with_text=bank is not None)
    assert bank is not None  # check_spec refuses STPNet's paper preset without text
    return StpNet(bank.embeddings, encoder_weights=encoder_weights)


def _published_cotexnet(spec: NetworkSpec) -> nn.Module:
    # Imported here, as transformers takes seconds.
    from lexiseg.systems.cotexnet.paper import CoTexNetStudent
    from lexiseg.systems.cotexnet.published import read_config

    if spec.clipseg is None:
        raise WeightsError(
            "The run's network lacks the configuration of its CLIPSeg, `clipseg` in run.json. Restore the "
            "file.",
            code="LEX-WEIGHTS-015",
        )
    return CoTexNetStudent(read_config(spec.clipseg), num_classes=max(2, spec.out_channels))


def check_spec(spec: NetworkSpec, *, with_text: bool) -> None:
    """Refuse a network there is none of.

    Raises:
        UsageError: A paper preset without text, or STPNet's for several classes.
    """
    if spec.preset == "paper" and not with_text:
        title = {"stpnet": "STPNet", "cotexnet": "CoTexNet"}[spec.model]
        raise UsageError(
            f"The paper preset of {title} has no form without text. Use --preset compact with --text none.",
            code="LEX-USE-019",
        )
    if spec.preset == "paper" and spec.model == "stpnet" and spec.out_channels != 1:
        raise UsageError(
            "The paper preset of STPNet segments one class. Use --preset compact for several classes.",
            code="LEX-USE-020",
        )


def normalisation(spec: NetworkSpec) -> Normalisation:
    """Return how the network expects its input."""
    return encoder_normalisation(spec.encoder) if spec.preset == "compact" else IMAGENET


def check_image_size(spec: NetworkSpec, image_size: int) -> None:
    """Refuse a size the network cannot take.

    Raises:
        UsageError: The size does not fit.
    """
    if spec.preset == "paper" and spec.model == "stpnet" and image_size != IMAGE_SIZE:
        raise UsageError(
            f"The paper preset takes {IMAGE_SIZE} px only, not {image_size}. Leave out --image-size.",
            code="LEX-USE-021",
        )
    if spec.preset == "paper" and spec.model == "cotexnet":
        if image_size < _MIN_SIZE:
            raise UsageError(
                f"--image-size must be at least {_MIN_SIZE}; got {image_size}.", code="LEX-USE-022"
            )
        return
    if image_size < _MIN_SIZE or image_size % 32:
        raise UsageError(
            f"--image-size must be a multiple of 32, at least 64; got {image_size}.", code="LEX-USE-023"
        )


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


def save_weights(network: nn.Module, path: Path) -> None:
    """Write what prediction needs of a network's state as safetensors, whole or not at all."""
    left_out = network.teaching_parts if isinstance(network, HoldsItsTeacher) else ()
    state = {
        name: tensor.detach().cpu().contiguous().clone()
        for name, tensor in network.state_dict().items()
        if not name.startswith(left_out)
    }
    write_bytes(path, save(state))


#: What networks without text have since they are prompted too.
_LATER_PROMPT = "unspoken.said"


def load_weights(network: nn.Module, path: Path) -> None:
    """Load weights that `save_weights` wrote; every name and shape must match.

    Raises:
        WeightsError: The file is missing, damaged, or belongs to another network.
    """
    try:
        state = load_file(path)
    except FileNotFoundError as error:
        raise WeightsError(
            f"There are no weights at {path}: the run has not finished its first validation, or the file was "
            f"removed.",
            code="LEX-WEIGHTS-016",
        ) from error
    except (OSError, SafetensorError) as error:
        raise WeightsError(
            f"The weights {path} cannot be read ({error}). Restore the file or train again.",
            code="LEX-WEIGHTS-017",
        ) from error
    if _LATER_PROMPT in network.state_dict() and _LATER_PROMPT not in state:
        raise WeightsError(
            f"The weights {path} were trained with --text none by an earlier version, whose network had no "
            f"prompt and learned more slowly for want of it. Train it again.",
            code="LEX-WEIGHTS-018",
        )
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(
            f"The weights {path} do not fit the network of the run: {error}", code="LEX-WEIGHTS-019"
        ) from error


def count_parameters(network: nn.Module) -> int:
    """Return the number of parameters."""
    return sum(parameter.numel() for parameter in network.parameters())


def channels_last(network: nn.Module) -> nn.Module:
    """Lay convolutions out channels last, which is up to twice as fast on a CPU."""
    laid_out: nn.Module = network.to(memory_format=torch.channels_last)
    return laid_out
