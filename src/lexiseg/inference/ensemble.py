"""The networks that predict: one run, or two whose outputs are averaged.

Shape legend: B batch, C mask scores (1, or one per class), S the run's image size, N_f phrases of a factor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lexiseg.engines.engine import Engine, EngineOutput, FloatArray
from lexiseg.errors import RunError, UsageError
from lexiseg.inference.flip_averaging import average_with_mirror
from lexiseg.inference.reliability.review import mask_overlap, mask_signals
from lexiseg.inference.whole_images import Pictures, WholeImages
from lexiseg.runs.run import Run
from lexiseg.words.description import ShownSide

_LEFT: dict[ShownSide, str] = {
    "image": "the image's left",
    "patient": "the patient's left",
    "unknown": "a left of which it is not known whose it is",
}


@dataclass(frozen=True)
class Member:
    """A run and the engine that computes its network.

    Attributes:
        run: The run.
        engine: Its engine.
        batch_size: Most tiles per pass through the network.
    """

    run: Run
    engine: Engine
    batch_size: int

    @cached_property
    def whole_images(self) -> WholeImages:
        """How the network answers for whole images."""
        return WholeImages.of(self.run.manifest, self.run.spoken_vocabulary, batch_size=self.batch_size)

    def outputs(self, pictures: Pictures, *, mirrored: bool = False) -> list[EngineOutput]:
        """Return the answer for each image; see `WholeImages.outputs`.

        Raises:
            RunError: Scores are not finite.
        """
        return self.whole_images.outputs(pictures, self.output, mirrored=mirrored)

    def output(self, images: FloatArray, inside: FloatArray | None = None) -> EngineOutput:
        """Return mask scores and phrase probabilities for pictures; see `Engine.run`.

        Raises:
            RunError: They are not finite.
        """
        output = self.engine.run(images) if inside is None else self.engine.run(images, inside)
        if not all(np.isfinite(values).all() for values in (output.logits, *output.words)):
            raise RunError(
                f"The network of {self.run.path} returned scores that are not finite: its weights, its text "
                f"bank or its run.json are damaged. Restore them, or train the run again.",
                code="LEX-RUN-773",
            )
        return output


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


def average_outputs(outputs: Sequence[EngineOutput], engine: Engine) -> EngineOutput:
    """Average mask scores, on the first one's grid, and phrase probabilities.

    Args:
        outputs: Of runs that `check_alike` lets pass; the grids of their scores may differ.
        engine: Resizes the scores of the others.

    Returns:
        The average; of several, it holds no features, as those of two networks cannot be averaged.
    """
    if len(outputs) == 1:
        return outputs[0]
    size = (outputs[0].logits.shape[2], outputs[0].logits.shape[3])
    on_grid = [engine.resize(output.logits, size) for output in outputs]
    factors = zip(*(output.words for output in outputs), strict=True)
    return EngineOutput(
        logits=np.mean(on_grid, axis=0), words=tuple(np.mean(same, axis=0) for same in factors)
    )


@dataclass(frozen=True, kw_only=True)
class NetworkAnswers:
    """What the networks say of some images, before all averaging.

    Attributes:
        plain: Per network, its answer for each image.
        mirrored: Per network, its answer for each mirrored image; empty if these are not asked for.
    """

    plain: Sequence[Sequence[EngineOutput]]
    mirrored: Sequence[Sequence[EngineOutput]]


def network_answers(
    members: Sequence[Member], pictures: Sequence[Pictures], *, flip_average: bool
) -> NetworkAnswers:
    """Compute the networks; everything else that prediction does needs none.

    Args:
        members: The networks.
        pictures: Per network, the pictures of the images.
        flip_average: Whether the answers for the mirrored images are averaged with the others.

    Raises:
        RunError: Scores are not finite.
    """
    pairs = list(zip(members, pictures, strict=True))
    return NetworkAnswers(
        plain=[member.outputs(seen) for member, seen in pairs],
        mirrored=[member.outputs(seen, mirrored=True) for member, seen in pairs] if flip_average else [],
    )


def averaged_answers(
    members: Sequence[Member], answers: NetworkAnswers
) -> list[tuple[EngineOutput, dict[str, float]]]:
    """Return the answer for each image after all averaging, and the signals of its mask.

    Args:
        members: The networks.
        answers: What they say.
    """
    engine = members[0].engine
    plain = [average_outputs(of_image, engine) for of_image in zip(*answers.plain, strict=True)]
    if not answers.mirrored:
        return [(output, mask_signals(output.logits[0])) for output in plain]
    mirrored = [average_outputs(of_image, engine) for of_image in zip(*answers.mirrored, strict=True)]
    averaged = []
    for own, other in zip(plain, mirrored, strict=True):
        mean = average_with_mirror(own, other, members[0].run.spoken_vocabulary)
        overlap = mask_overlap(own.logits[0], other.logits[0][..., ::-1])
        averaged.append((mean, {**mask_signals(mean.logits[0]), "mirror": overlap}))
    return averaged


def joined_features(outputs: Sequence[EngineOutput]) -> FloatArray | None:
    """Return the features of several images as one array `(B, D)`; None where the network gives none."""
    found = [output.features for output in outputs if output.features is not None]
    return np.concatenate(found) if found else None


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
    if first.shown_side == second.shown_side:
        return None
    return f"{_LEFT[first.shown_side]} against {_LEFT[second.shown_side]}"
