"""The arms of an audit, as data: those that come with Lexiseg in a table, further ones from a YAML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, JsonValue, ValidationError

from lexiseg.errors import UsageError
from lexiseg.json_records import Record
from lexiseg.structured_text import read_yaml
from lexiseg.studies.trials import StudyArm
from lexiseg.systems.registry import names as system_names
from lexiseg.systems.registry import systems

#: The arm that all others are compared with.
BASELINE = "none"
#: The arm whose images are taught with the words of other images.
SHUFFLED = "shuffled"

#: What a data set must have for an arm.
Need = Literal["reports", "images_without_mask"]


class ArmSpec(Record):
    """One arm of an audit; in a file, `changes` may only hold `arm_fields()`.

    Attributes:
        name: Its name: small letters, digits and underscores.
        title: Its title in reports; None: its name.
        words: "own" if images are taught with their own words, "shuffled" with those of other images, "none"
            without words.
        changes: Fields of the configuration, with their values, that make the arm what it is.
        against: Further arms that it is compared with, besides "none".
        needs: What the data set must have for it: "reports" for all training and validation images, or
            "images_without_mask"; None: nothing.
        control_title: Its title in a sentence about words that are compared with it; None: its title.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str | None = None
    words: Literal["none", "own", "shuffled"]
    changes: dict[str, JsonValue]
    against: tuple[str, ...] = ()
    needs: Need | None = None
    control_title: str | None = None

    @property
    def shown(self) -> str:
        """Its title."""
        return self.title or self.name.replace("_", " ")


#: The arms that come with Lexiseg. If a configuration hides masks (`masks`), only reports describe the images
#: that lose theirs, so arms with other words leave these images out.
ARM_TABLE = (
    ArmSpec(name=BASELINE, title="no text", words="none", changes={"text": "none", "unmasked": "leave_out"}),
    ArmSpec(
        name="pseudo_labels",
        title="pseudo labels without words",
        words="none",
        changes={"text": "none", "unmasked": "pseudo_labels"},
        needs="images_without_mask",
    ),
    # `known_arms` adds the configuration of the arm whose words are shuffled.
    ArmSpec(
        name=SHUFFLED,
        title="shuffled words",
        words="shuffled",
        changes={"shuffle_words": True},
        control_title="the same words shuffled",
    ),
    ArmSpec(name="reports", title="reports", words="own", changes={"text": "reports"}, needs="reports"),
    ArmSpec(
        name="concepts",
        title="measured concepts",
        words="own",
        changes={"text": "concepts", "unmasked": "leave_out"},
    ),
)

Arms = Mapping[str, ArmSpec]


@dataclass(frozen=True, kw_only=True)
class AuditArm:
    """One arm of one model.

    Attributes:
        model: Name of its system.
        spec: The arm.
        seeds: Number of its trainings; their seeds are 0, 1, ...
    """

    model: str
    spec: ArmSpec
    seeds: int

    @property
    def name(self) -> str:
        """Beginning of the names of its trainings."""
        return f"{self.model}-{self.spec.name}"

    @property
    def study_arm(self) -> StudyArm:
        """The arm as the engine takes it."""
        changes = {"model": self.model, **self.spec.changes}
        return StudyArm(name=self.name, changes=changes, seeds=tuple(range(self.seeds)))


def arm_fields() -> frozenset[str]:
    """Return the fields of configurations that an arm may change; all others are the same in every arm."""
    return frozenset[str]().union(*(system.configuration.word_fields for system in systems()))


def shuffled_source(*, reports: bool) -> str:
    """Return the arm whose words the arm "shuffled" gives to other images.

    Args:
        reports: Whether the data set has a report for every image; else measured words are shuffled.
    """
    return "reports" if reports else "concepts"


def known_arms(*, reports: bool, further: Sequence[ArmSpec] = ()) -> dict[str, ArmSpec]:
    """Return all arms by name.

    True words are compared with the arms without true words too, where these have the same words or images.

    Args:
        reports: As for `shuffled_source`.
        further: Arms from a file, see `read_arms`.

    Raises:
        UsageError: Two arms have one name, or one is compared with an arm that does not exist.
    """
    arms = {spec.name: spec for spec in ARM_TABLE}
    source = arms[shuffled_source(reports=reports)]
    shuffled = arms[SHUFFLED]
    arms[SHUFFLED] = shuffled.model_copy(update={"changes": {**source.changes, **shuffled.changes}})
    controls = tuple(spec.name for spec in ARM_TABLE if spec.words != "own" and spec.name != BASELINE)
    arms[source.name] = source.model_copy(update={"against": controls})
    for spec in further:
        if spec.name in arms:
            raise UsageError(
                f"There are two arms '{spec.name}'. Give the arm of the file another name.",
                code="LEX-USE-552",
            )
        arms[spec.name] = spec
    for spec in further:
        unknown = [name for name in spec.against if name not in arms]
        if unknown:
            raise UsageError(
                f"The arm '{spec.name}' is compared with {', '.join(unknown)}; there are {', '.join(arms)}.",
                code="LEX-USE-553",
            )
    return arms


def read_arms(file: Path) -> tuple[ArmSpec, ...]:
    """Read further arms from a YAML file: `arms`, a mapping of names to the other fields of `ArmSpec`.

    Raises:
        UsageError: The file cannot be read, or an arm has a field that is unknown, impossible, or the same in
            every arm.
    """
    try:
        value = read_yaml(file)
        stated = value["arms"]
        if not isinstance(stated, dict) or len(value) > 1:
            raise TypeError("expected one key `arms`, a mapping of names to arms")
        arms = tuple(ArmSpec.model_validate({**fields, "name": name}) for name, fields in stated.items())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UsageError(
            f"{file}: {place}: {first['msg']}; got {first['input']!r}.", code="LEX-USE-554"
        ) from error
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"{file} is not a file of arms ({error!r}). It needs a key `arms`, a mapping of names to arms.",
            code="LEX-USE-555",
        ) from error
    allowed = arm_fields()
    for spec in arms:
        shared = sorted(spec.changes.keys() - allowed)
        if shared:
            raise UsageError(
                f"{file}: the arm '{spec.name}' changes {', '.join(shared)}, which must be the same in every "
                f"arm. An arm may change {', '.join(sorted(allowed))}.",
                code="LEX-USE-556",
            )
    return arms


def plan_arms(models: Sequence[str], names: Sequence[str], seeds: int, known: Arms) -> tuple[AuditArm, ...]:
    """Return the arms of an audit, model by model.

    Args:
        models: Names of systems that have a form without text.
        names: Some of the known arms; "none" is one of them.
        seeds: Number of seeds; they are 0, 1, ...
        known: All arms by name.

    Raises:
        UsageError: A name is unknown or appears twice, there is nothing to compare, or no seed.
    """
    possible = system_names(without_text=True)
    for what, given, choices in (("models", models, possible), ("arms", names, tuple(known))):
        unknown = [name for name in given if name not in choices]
        if unknown or len(set(given)) != len(given) or not given:
            raise UsageError(
                f"Expected --{what} to list some of {', '.join(choices)}, each once; got "
                f"'{','.join(given)}'.",
                code="LEX-USE-096",
            )
    true_words = [name for name, spec in known.items() if spec.words == "own"]
    if BASELINE not in names or not set(names) & set(true_words):
        raise UsageError(
            f"An audit compares arms with true words with the arm '{BASELINE}', so --arms needs "
            f"'{BASELINE}' and {', '.join(true_words)}, or {'both' if len(true_words) == 2 else 'several'}; "
            f"got '{','.join(names)}'.",
            code="LEX-USE-097",
        )
    if seeds < 1:
        raise UsageError(f"--seeds is the number of seeds, at least 1; got {seeds}.", code="LEX-USE-098")
    return tuple(
        AuditArm(model=model, spec=spec, seeds=seeds)
        for model in possible
        if model in models
        for name, spec in known.items()
        if name in names
    )


def contrasts(arms: Sequence[ArmSpec]) -> tuple[tuple[str, str], ...]:
    """Return which arms are compared: each with "none", then with the further arms that it names.

    Args:
        arms: The arms of one model.

    Returns:
        Pairs (arm, against).
    """
    names = [spec.name for spec in arms]
    pairs = [(name, BASELINE) for name in names if name != BASELINE]
    pairs += [(spec.name, other) for spec in arms for other in spec.against if other in names]
    return tuple(pairs)
