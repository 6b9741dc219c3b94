"""What an engine is, and what it returns.

Shape legend: B batch, C mask scores (1, or one per class with the background first), S the run's image size,
N_f phrases of factor f.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from lexiseg.choices import Precision as Precision
from lexiseg.choices import PrecisionChoice as PrecisionChoice

if TYPE_CHECKING:
    from lexiseg.engines.model_file import ModelFile
    from lexiseg.runs.run import Run

FloatArray = npt.NDArray[np.float32]

#: Name of an engine (`lexiseg.engines.registry`), or "auto": the choice of Lexiseg.
EngineChoice = str


@dataclass(frozen=True, kw_only=True)
class EngineOutput:
    """What a network says about a batch of images.

    Attributes:
        logits: Mask scores `(B, C, S, S)` float32; of a whole image that fits its picture otherwise than
            stretched, `(1, C, h, w)` on a grid of its own (`lexiseg.inference.whole_images`).
        words: Phrase probabilities per factor, each `(B, N_f)` float32; empty where the network names no
            words.
        features: What the encoder sees in the whole images, `(B, D)` float32
            (`lexiseg.models.output.HasImageFeatures`); None where the network or the model file gives none,
            and in an average of several outputs.
    """

    logits: FloatArray
    words: tuple[FloatArray, ...]
    features: FloatArray | None = None


@dataclass(frozen=True, kw_only=True)
class EngineDescription:
    """Which engine computes, for logs and records.

    Attributes:
        name: Its name in `lexiseg.engines.registry`.
        version: Version of the library that computes.
        precision: Type of the numbers that it computes with.
        device: Where it computes, such as "cpu" or "cuda:0".
        file: The model file that it computes; None where it computes from the weights of the run.
    """

    name: str
    version: str
    precision: Precision
    device: str
    file: Path | None = None

    @property
    def needs_all_cores(self) -> bool:
        """Whether other work should wait while it computes.

        torch has a thread for each core of a CPU, and each layer waits for the slowest of them: work on one
        core beside it costs more time than it saves (a quarter of the images per second on two cores).
        """
        return self.name == "torch" and self.device == "cpu"

    def __str__(self) -> str:
        """Return it in one line, such as "onnx 1.32.0, fp32 on cpu"."""
        return f"{self.name} {self.version}, {self.precision} on {self.device}"


@dataclass(frozen=True, kw_only=True)
class EngineInputs:
    """From what an engine is loaded.

    Attributes:
        run: The run.
        file: The model file of the run, checked; None for an engine that computes from the weights.
        device: A device that the engine has.
        precision: A type of numbers that the engine has, or "auto".
    """

    run: Run
    file: ModelFile | None = None
    device: str = "cpu"
    precision: PrecisionChoice = "fp32"


class Engine(Protocol):
    """Computes one network."""

    @property
    def description(self) -> EngineDescription:
        """Which engine it is."""
        ...

    def run(self, images: FloatArray, inside: FloatArray | None = None) -> EngineOutput:
        """Return mask scores, phrase probabilities and image features.

        On a CPU, the output for an image depends on no other image of the batch, to the last bit.

        Args:
            images: Pictures `(B, 3, S, S)` float32, normalised as the network expects.
            inside: Where they show the image, `(B, 1, S, S)` float32 of 0 and 1; None: everywhere. Only for
                networks that were trained with another fit than "stretch"; features are means over it.
        """
        ...

    def resize(self, logits: FloatArray, size: tuple[int, int]) -> FloatArray:
        """Return mask scores `(B, C, S, S)` on a grid of `size` (rows, columns), bilinear, float32."""
        ...

    def probability(self, logits: FloatArray) -> FloatArray:
        """Return the probability of each foreground class, `(1 or C - 1, H, W)`, for scores `(C, H, W)`."""
        ...
