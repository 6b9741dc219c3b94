"""The network without text: an encoder, tokens of its deep features, and a decoder with a constant prompt.

Systems that have a form without text (`--text none`) share it, so a comparison of a system with and without
words does not depend on anything else.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn

from lexiseg.models.pyramid import ConstantPrompt, PyramidDecoder, PyramidLevels, image_features
from lexiseg.models.tokens import TokenReader, as_map


@dataclass(frozen=True, kw_only=True)
class PlainOutput:
    """What the network without text returns.

    Attributes:
        logits: Mask scores `(B, 1, H, W)` (binary) or `(B, classes, H, W)` with the background first.
        retrieval: Always empty.
        image_features: Of the encoder, see `HasImageFeatures`; None in training passes.
    """

    logits: Tensor
    retrieval: dict[str, Tensor] = field(default_factory=dict)
    image_features: Tensor | None = None


class PlainNetwork(nn.Module):
    """A network that segments without words.

    Its tokens join the decoder's first stage, and one learned prompt takes the place of the words' prompts:
    the same parts that networks with words have. Without these parts a network learns more slowly, and a
    comparison would count that as an effect of the words.

    Args:
        encoder: timm `features_only` encoder.
        levels: Which of the encoder's features to use.
        out_channels: 1 for a binary mask, else one per class with the background.
        width: Width D of tokens and prompt.
    """

    def __init__(self, encoder: nn.Module, *, levels: PyramidLevels, out_channels: int, width: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.levels = levels
        self.reader = TokenReader(levels, width=width)
        self.unspoken = ConstantPrompt(width)  # the name is part of the weights files
        self.decoder = PyramidDecoder(
            levels, out_channels=out_channels, prompt_width=width, guide_channels=width
        )

    def forward(self, image: Tensor, inside: Tensor | None = None) -> PlainOutput:
        """Segment `image (B, 3, H, W)`, normalised as the encoder expects, H and W multiples of 32.

        `inside (B, 1, H, W)` says where it shows the image; None: everywhere.
        """
        pyramid = self.levels.choose(self.encoder(image))
        guide = as_map(self.reader.read(pyramid[-2], pyramid[-1]), pyramid[-2])
        prompts = [self.unspoken(image.shape[0])] * len(self.decoder.stages)
        return PlainOutput(
            logits=self.decoder(pyramid, prompts, guide), image_features=image_features(pyramid, inside)
        )
