"""The networks that predict: one run, or two whose outputs are averaged.

Shape legend: B batch, C mask scores (1, or one per class), S the run's image size, N_f phrases of a factor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lexiseg.errors import RunError, UsageError, WeightsError
from lexiseg.inference.preprocess import normalise, to_batch, to_grid
from lexiseg.models.folding import example_image, fold_batch_norms
from lexiseg.models.network_weights import channels_last, load_weights
from lexiseg.models.output import HasImageFeatures, SegmentationOutput
from lexiseg.models.text_bank import TextBank
from lexiseg.runs.run import Run
from lexiseg.systems.registry import build_network, get


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a network says of a batch of images, on the CPU.

    Attributes:
        logits: Mask scores `(B, C, S, S)`.
        words: Phrase probabilities per factor, each `(B, N_f)`.
        features: Encoder features of the whole images, `(B, C_1 + C_2)` float32; None where the network
            returns none.
    """

    logits: Tensor
    words: list[Tensor]
    features: npt.NDArray[np.float32] | None = None


class Member:
    """A run's network, ready to predict.

    Args:
        run: The run.
        device: torch device, such as "cpu" or "cuda:0".

    Attributes:
        run: The run.
        system: Its system.
        network: Its network, in eval mode on the device.

    Raises:
        WeightsError: Its weights or bank are missing or damaged.
        UsageError: The device does not exist here.
    """

    def __init__(self, run: Run, device: str) -> None:
        self.run = run
        manifest, vocabulary = run.manifest, run.spoken_vocabulary
        self.system = get(manifest.network.model, manifest.network.preset)
        bank = TextBank.load(run.bank_file) if vocabulary is not None else None
        network = _network(run, bank, folded=self.system.folds_batch_norms)
        try:
            self.device = torch.device(device)
            self.network = network.to(self.device)
        except (RuntimeError, AssertionError) as error:
            raise UsageError(
                f"The device '{device}' cannot be used here: {error}. Try --device cpu.", code="LEX-USE-040"
            ) from error
        if bank is not None and (
            vocabulary is None or dict(bank.phrases) != {f.name: f.phrases for f in vocabulary.factors}
        ):
            raise WeightsError(
                f"The phrases in {run.bank_file} differ from those of the vocabulary in {run.path}/run.json.",
                code="LEX-WEIGHTS-049",
            )

    def prepare(self, images: Sequence[npt.NDArray[np.uint8]]) -> Tensor:
        """Return `(B, 3, S, S)` as the network takes it, for `(H, W, 3)` uint8 images."""
        manifest = self.run.manifest
        batch = to_batch([to_grid(image, manifest.image_size) for image in images])
        return normalise(batch.to(self.device), manifest.mean, manifest.std)

    def answer(self, image: Tensor) -> Answer:
        """Return what the network says of `(B, 3, S, S)`."""
        output: SegmentationOutput = self.network(image)
        words = [score.float().softmax(dim=1).cpu() for score in output.retrieval.values()]
        logits = output.logits.float().cpu()
        if not bool(logits.isfinite().all()) or not all(bool(score.isfinite().all()) for score in words):
            raise RunError(
                f"The network of {self.run.path} returned scores that are not finite: its weights, its text "
                f"bank or its run.json are damaged. Restore them, or train the run again.",
                code="LEX-RUN-773",
            )
        features = output.image_features if isinstance(output, HasImageFeatures) else None
        return Answer(
            logits=logits,
            words=words,
            features=None if features is None else features.float().cpu().numpy(),
        )


def _network(run: Run, bank: TextBank | None, *, folded: bool) -> nn.Module:
    """Return the network of a run with its weights, in eval mode.

    Raises:
        RunError: `run.json` describes a network that cannot be built.
        WeightsError: The weights are missing or damaged.
    """
    manifest = run.manifest
    try:
        network = build_network(manifest.network, bank)
        load_weights(network, run.weights_file)
        network = channels_last(network).eval()
        if folded:
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
    return network


def check_alike(first: Run, second: Run) -> None:
    """Refuse two runs whose answers cannot be averaged.

    Raises:
        UsageError: They are the same run, segment other classes, or name other words.
    """
    if first.path.resolve() == second.path.resolve():
        raise UsageError(
            f"{first.shown} cannot be averaged with itself. Name another run.", code="LEX-USE-041"
        )
    # With one foreground class its name does not matter; with more, labels go by number.
    several = len(first.class_names) > 2
    if len(first.class_names) != len(second.class_names) or (
        several and first.class_names != second.class_names
    ):
        raise UsageError(
            f"{first.shown} segments {', '.join(first.class_names[1:])}, but {second.shown} "
            f"{', '.join(second.class_names[1:])}. Only runs with the same classes can be averaged.",
            code="LEX-USE-042",
        )
    difference = _difference(first, second)
    if difference is not None:
        raise UsageError(
            f"{first.shown} and {second.shown} do not have the same words: {difference}. Only runs with the "
            f"same phrases and side, or two without words, can be averaged.",
            code="LEX-USE-043",
        )


def average_answers(answers: Sequence[Answer]) -> Answer:
    """Average mask scores, on the first one's grid, and phrase probabilities.

    Args:
        answers: Of runs that `check_alike` lets pass; S may differ.

    Returns:
        The average; of several, it holds no features, as those of two networks cannot be averaged.
    """
    if len(answers) == 1:
        return answers[0]
    logits = [answer.logits for answer in answers]
    size = logits[0].shape[-2:]
    on_grid = [
        scores
        if scores.shape[-2:] == size
        else F.interpolate(scores, size=size, mode="bilinear", align_corners=False)
        for scores in logits
    ]
    factors = zip(*(answer.words for answer in answers), strict=True)
    return Answer(
        logits=torch.stack(on_grid).mean(dim=0),
        words=[torch.stack(same).mean(dim=0) for same in factors],
    )


def _difference(first: Run, second: Run) -> str | None:
    """Say in what the words of two runs differ; None if they do not."""
    a, b = (
        None
        if run.spoken_vocabulary is None
        else [(f.name, f.phrases) for f in run.spoken_vocabulary.factors]
        for run in (first, second)
    )
    if a is None or b is None:
        return None if a is b else f"{'the first' if a is None else 'the second'} names no words"
    if [name for name, _ in a] != [name for name, _ in b]:
        return " against ".join(", ".join(name for name, _ in factors) for factors in (a, b))
    for (name, phrases), (_, others) in zip(a, b, strict=True):
        if phrases != others:
            return f"of {name}, {', '.join(phrases)} against {', '.join(others)}"
    return None if first.side == second.side else f"the {first.side}'s left against the {second.side}'s"
