"""The arms of an audit: which trainings are compared, and what sets them apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from lexiseg.errors import UsageError
from lexiseg.systems.registry import names

ArmText = Literal["none", "pseudo_labels", "shuffled", "reports", "concepts"]

#: What the images of an arm are taught with; "none" is what the others are measured against.
ARMS: tuple[ArmText, ...] = get_args(ArmText)
BASELINE: ArmText = "none"
#: Folder of the run folders, in an audit's.
ARMS_FOLDER = "arms"
#: Arms without true words: what those with words have to beat.
WITHOUT_TRUE_WORDS: tuple[ArmText, ...] = ("none", "pseudo_labels", "shuffled")


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One training of an audit.

    Attributes:
        model: Name of its system.
        text: What it is taught with.
        seed: Seed of everything random in it.
    """

    model: str
    text: ArmText
    seed: int

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"{self.model}-{self.text}-s{self.seed}"


def plan_arms(models: Sequence[str], texts: Sequence[str], seeds: int) -> tuple[Arm, ...]:
    """Return all trainings of an audit, seed by seed, so that an audit cut short has whole seeds.

    Args:
        models: Names of systems that have a form without text.
        texts: Some of `ARMS`; "none" is one of them.
        seeds: Number of seeds; they are 0, 1, ...

    Raises:
        UsageError: A name is unknown or there twice, there is nothing to compare, or no seed.
    """
    possible = names(without_text=True)
    for what, given, known in (("models", models, possible), ("arms", texts, ARMS)):
        unknown = [name for name in given if name not in known]
        if unknown or len(set(given)) != len(given) or not given:
            raise UsageError(
                f"Expected --{what} to list some of {', '.join(known)}, each once; got '{','.join(given)}'.",
                code="LEX-USE-096",
            )
    if BASELINE not in texts or not set(texts) - set(WITHOUT_TRUE_WORDS):
        raise UsageError(
            f"An audit compares arms with true words with the arm '{BASELINE}', so --arms needs "
            f"'{BASELINE}' and reports, concepts, or both; got '{','.join(texts)}'.",
            code="LEX-USE-097",
        )
    if seeds < 1:
        raise UsageError(f"--seeds is the number of seeds, at least 1; got {seeds}.", code="LEX-USE-098")
    return tuple(
        Arm(model=model, text=text, seed=seed)
        for seed in range(seeds)
        for model in possible
        if model in models
        for text in ARMS
        if text in texts
    )


def arm_options(text: ArmText, *, reports: bool) -> dict[str, Any]:
    """Return the fields of `TrainConfig` that make an arm what it is.

    Args:
        text: The arm.
        reports: Whether the data set has a report for every image; else the shuffled words are measured ones.
    """
    if text == "shuffled":
        return {**arm_options(shuffled_source(reports=reports), reports=reports), "shuffle_words": True}
    if text == "pseudo_labels":
        return {"text": "none", "unmasked": "pseudo_labels"}
    if text == "reports":
        return {"text": text}
    # Where a configuration hides masks (`masks`), only reports speak of the images that lose theirs.
    return {"text": text, "unmasked": "leave_out"}


def shuffled_source(*, reports: bool) -> ArmText:
    """Return the arm whose words the shuffled arm gives to other images."""
    return "reports" if reports else "concepts"


def contrasts(texts: Sequence[ArmText], *, reports: bool) -> tuple[tuple[ArmText, ArmText], ...]:
    """Return which arms are compared: each with "none", and true words with what has none that are true.

    Args:
        texts: The arms.
        reports: As for `arm_options`.

    Returns:
        Pairs (arm, against).
    """
    pairs = [(text, BASELINE) for text in ARMS if text in texts and text != BASELINE]
    true = shuffled_source(reports=reports)
    if true in texts:
        pairs += [(true, other) for other in WITHOUT_TRUE_WORDS if other != BASELINE and other in texts]
    return tuple(pairs)
