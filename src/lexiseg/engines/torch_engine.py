"""The engine torch: it runs the network of a run folder, on any device that torch has."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
import torch.nn.functional as F
from torch import nn

from lexiseg.engines.engine import EngineDescription, EngineInputs, EngineOutput, FloatArray
from lexiseg.engines.single_images import run_singly
from lexiseg.errors import RunError, UsageError, WeightsError
from lexiseg.models.batch_norm_folding import example_image, fold_batch_norms
from lexiseg.models.network_weights import channels_last, load_weights
from lexiseg.models.output import HasImageFeatures, SegmentationOutput
from lexiseg.models.text_bank import TextBank
from lexiseg.runs.run import Run
from lexiseg.systems.registry import build_network, system_of


class TorchEngine:
    """Runs the network of a run with torch.

    Args:
        run: The run.
        device: torch device, such as "cpu" or "cuda:0".

    Attributes:
        network: The network, in eval mode on the device, its batch norms folded where the system allows it.
        device: The device.

    Raises:
        RunError: `run.json` describes a network that cannot be built.
        WeightsError: Its weights or bank are missing or damaged.
        UsageError: The device does not exist here.
    """

    def __init__(self, run: Run, device: str) -> None:
        network = _load(run)
        try:
            self.device = torch.device(device)
            self.network = network.to(self.device)
        except (RuntimeError, AssertionError) as error:
            raise UsageError(
                f"The device '{device}' cannot be used here: {error}. Try --device cpu.", code="LEX-USE-040"
            ) from error

    @property
    def description(self) -> EngineDescription:
        """Which engine it is."""
        return EngineDescription(
            name="torch",
            version=torch.__version__.split("+")[0],
            precision="fp32",
            device=str(self.device),
        )

    def run(self, images: FloatArray, inside: FloatArray | None = None) -> EngineOutput:
        """Return mask scores, phrase probabilities and image features; see `Engine.run`."""
        if self.device.type == "cpu":
            return run_singly(self._run, images, inside)
        return self._run(images, inside)

    @torch.inference_mode()
    def _run(self, images: FloatArray, inside: FloatArray | None = None) -> EngineOutput:
        seen = (images,) if inside is None else (images, inside)
        output: SegmentationOutput = self.network(*(self.tensor(part) for part in seen))
        features = output.image_features if isinstance(output, HasImageFeatures) else None
        return EngineOutput(
            logits=output.logits.float().cpu().numpy(),
            words=tuple(score.float().softmax(dim=1).cpu().numpy() for score in output.retrieval.values()),
            features=None if features is None else features.float().cpu().numpy(),
        )

    def tensor(self, images: FloatArray) -> torch.Tensor:
        """Return images `(B, 3, S, S)` as the network takes them, channels last on the device."""
        return torch.from_numpy(images).to(self.device).contiguous(memory_format=torch.channels_last)

    def no_gradients(self) -> AbstractContextManager[None]:
        """Return a context in which no gradients are recorded, for looking into the network."""
        return torch.no_grad()

    def resize(self, logits: FloatArray, size: tuple[int, int]) -> FloatArray:
        """Return mask scores on another grid; see `Engine.resize`."""
        if logits.shape[-2:] == size:
            return logits
        resized = F.interpolate(torch.from_numpy(logits), size=size, mode="bilinear", align_corners=False)
        return resized.numpy()

    def probability(self, logits: FloatArray) -> FloatArray:
        """Return the probability of each foreground class; see `Engine.probability`."""
        scores = torch.from_numpy(logits)
        return (scores.sigmoid() if len(scores) == 1 else scores.softmax(dim=0)[1:]).numpy()


def load(inputs: EngineInputs) -> TorchEngine:
    """Load the engine, see `lexiseg.engines.registry`."""
    return TorchEngine(inputs.run, inputs.device)


def _load(run: Run) -> nn.Module:
    """Return the network of a run with its weights, in eval mode on the CPU.

    Raises:
        RunError: `run.json` describes a network that cannot be built.
        WeightsError: Weights or bank are missing or damaged, or do not fit the run.
    """
    manifest, vocabulary = run.manifest, run.spoken_vocabulary
    system = system_of(manifest.network)
    if manifest.fit not in system.fits:
        raise RunError(
            f"{run.path}/run.json says the fit {manifest.fit}, but the {system.called} takes "
            f"{' or '.join(system.fits)} only. Restore the file, or train the run again.",
            code="LEX-RUN-1332",
        )
    bank = TextBank.load(run.bank_file) if vocabulary is not None else None
    try:
        network = build_network(manifest.network, bank)
        load_weights(network, run.weights_file)
        network = channels_last(network).eval()
        if system.folds_batch_norms:
            fold_batch_norms(network, example_image(manifest.image_size))
    # What torch, timm and transformers raise for sizes that do not fit together or do not fit into memory.
    except (RuntimeError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError,
            AssertionError, MemoryError) as error:  # fmt: skip
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise RunError(
            f"The network that {run.path}/run.json describes cannot be built ({said}). Restore the file, or "
            f"train the run again.",
            code="LEX-RUN-771",
        ) from error
    if bank is not None and (
        vocabulary is None or dict(bank.phrases) != {f.name: f.phrases for f in vocabulary.factors}
    ):
        raise WeightsError(
            f"The phrases in {run.bank_file} differ from those of the vocabulary in {run.path}/run.json.",
            code="LEX-WEIGHTS-049",
        )
    return network
