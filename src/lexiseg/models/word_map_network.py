"""A network that takes the words of an image as a word map, besides the image. It teaches only.

Shape legend: B batch, H, W image size.
"""

from __future__ import annotations

import copy
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from lexiseg.errors import UsageError

#: Channels of the image that an encoder sees.
IMAGE_CHANNELS = 3
#: Channels of a word map: zones that are named, zones that are not, and the number of regions.
WORD_MAP_CHANNELS = 3


@runtime_checkable
class HasEncoder(Protocol):
    """A network with a pretrained encoder that sees the image."""

    encoder: nn.Module


class WidenedInput(nn.Module):
    """The first convolution of an encoder, and one like it for a word map; their results are added.

    A map of zeros changes nothing, so an image that is told nothing is segmented from its pixels alone.

    Args:
        first: The first convolution, of three channels.
    """

    def __init__(self, first: nn.Conv2d) -> None:
        super().__init__()
        self.image = first
        self.word_map = copy.deepcopy(first)
        self.word_map.reset_parameters()
        self.word_map.bias = None

    def forward(self, seen: Tensor) -> Tensor:
        """Return `(B, C, H', W')` for image and word map, `(B, 3 + 3, H, W)`."""
        image, word_map = seen[:, :-WORD_MAP_CHANNELS], seen[:, -WORD_MAP_CHANNELS:]
        widened: Tensor = self.image(image) + self.word_map(word_map)
        return widened


class WordMapNetwork(nn.Module):
    """A network whose encoder sees a word map beside the image; nothing else of it changes.

    Args:
        network: The network; its first convolution is replaced.

    Raises:
        UsageError: The encoder has no first convolution of three channels.
    """

    def __init__(self, network: HasEncoder) -> None:
        super().__init__()
        self.network = network
        for name, module in network.encoder.named_modules():
            if isinstance(module, nn.Conv2d) and module.in_channels == IMAGE_CHANNELS:
                parent, _, own = name.rpartition(".")
                setattr(network.encoder.get_submodule(parent), own, WidenedInput(module))
                return
        raise UsageError(
            "The encoder has no convolution that sees the image, so its teacher cannot be told words. "
            "Choose another "
            "encoder, or set `word_map: false` in a --config file.",
            code="LEX-USE-831",
        )

    @property
    def encoder(self) -> nn.Module:
        """The encoder of the network."""
        return self.network.encoder

    def forward(self, image: Tensor, word_map: Tensor) -> Any:
        """Return the network's output.

        Args:
            image: `(B, 3, H, W)`, normalised.
            word_map: `(B, 3, H, W)` in 0..1, zeros for images that are told nothing.
        """
        assert isinstance(self.network, nn.Module)
        return self.network(torch.cat([image, word_map], dim=1))
