"""What all trainings of an audit share, kept in its folder, and the trials that follow from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lexiseg.data.name_hashes import names_sha256
from lexiseg.data.sample import SPLITS, DatasetIndex
from lexiseg.errors import DataError, RunError, UsageError
from lexiseg.json_records import read_record, write_record
from lexiseg.studies.arms import BASELINE, AuditArm
from lexiseg.studies.audit_file import SharedData, SharedSettings, SharedTraining
from lexiseg.studies.settled_trials import (
    with_common_fit,
    with_common_precision,
    with_common_selection,
    with_common_shifts,
)
from lexiseg.studies.study_data import images_without_mask, with_hidden
from lexiseg.studies.trials import CLAIMS_FOLDER, Trial, plan_trials
from lexiseg.systems.configuration import TrainConfig
from lexiseg.systems.registry import system_of
from lexiseg.training.config_changes import differences
from lexiseg.training.text_source import WordSource
from lexiseg.training.unmasked_images import MaskUse, check_words_for_unmasked, take_part

SETTINGS_FILE = "settings.json"

#: Fields in which arms differ, or which change no result.
_NOT_SHARED = {"model", "text", "seed", "shuffle_words", "unmasked", "workers", "cache", "allow_leak"}


def audit_trials(
    arms: Sequence[AuditArm],
    index: DatasetIndex,
    options: Mapping[str, object],
    config_file: Path | None,
) -> tuple[Trial, ...]:
    """Return the trials of an audit: configurations that differ in model, words and seed only.

    What an arm would choose by its words or its images is settled here for all arms: precision, fit,
    selection of the weights, and whether images are turned and shifted.

    Args:
        arms: The arms.
        index: The data set.
        options: Fields of the configuration that all arms share; those that are None count as not given.
        config_file: YAML file with further fields.

    Raises:
        UsageError: A field is not possible, or would make the arms differ in more than their words.
        DataError: A validation or test image has no mask, or no training image has one.
    """
    trials = plan_trials([arm.study_arm for arm in arms], options, config_file)
    for trial in trials:
        _check_fair(trial.config)
    uses = _mask_uses(arms, trials, index)
    trials = with_common_selection(with_common_precision(trials), uses)
    trials = with_common_fit(trials, uses)
    return with_common_shifts(trials, uses)


def _check_fair(config: TrainConfig) -> None:
    unfair = {
        "balance_words": (config.balance_words > 0, "the arms would see other images"),
        "patience": (config.patience is not None, "the arms would take different numbers of steps"),
        "preset": (
            not system_of(config).has_form_without_text,
            "its network cannot be trained without text",
        ),
        "start_from": (
            config.start_from is not None,
            "an arm without words would start from what that run has learned with words",
        ),
        "teachers": (
            config.distillation is not None,
            "an arm without words would learn from what these runs have learned with words",
        ),
    }
    for name, (given, why) in unfair.items():
        if given:
            value = getattr(config, name)
            shown = ", ".join(value) if isinstance(value, tuple) else value
            raise UsageError(
                f"An audit cannot use `{name}: {shown}`: {why}. Remove it.",
                code="LEX-USE-102",
            )


def _mask_uses(arms: Sequence[AuditArm], trials: Sequence[Trial], index: DatasetIndex) -> list[MaskUse]:
    """Return which images take part in each trial; refuse, before anything is trained, an impossible arm."""
    needs = {arm.name: arm.spec for arm in arms}
    uses = []
    for trial in trials:
        use = take_part(with_hidden(index, trial.config), trial.config)
        check_words_for_unmasked(use, WordSource.of(use.index, trial.config))
        uses.append(use)
        spec = needs[trial.arm]
        if spec.needs == "images_without_mask" and images_without_mask(index, trial.config) == 0:
            raise UsageError(
                f"The arm '{spec.name}' trains on images without a mask, but every training image has one. "
                f"Hide some with --masks, or remove the arm from --arms.",
                code="LEX-USE-103",
            )
    return uses


def shared_settings(
    index: DatasetIndex, arms: Sequence[AuditArm], trials: Sequence[Trial], limit: int | None
) -> SharedSettings:
    """Return what every training in an audit's folder has in common.

    Args:
        index: The data set, limited.
        arms: The arms.
        trials: The trials.
        limit: Training images that were kept; None: all.
    """
    baselines = {arm.name: arm.model for arm in arms if arm.spec.name == BASELINE}
    fields = {
        baselines[trial.arm]: trial.config.model_dump(mode="json", exclude=_NOT_SHARED)
        for trial in trials
        if trial.arm in baselines
    }
    shared = {
        name: value
        for name, value in next(iter(fields.values())).items()
        if all(name in of_model and of_model[name] == value for of_model in fields.values())
    }
    own = {model: {n: v for n, v in of.items() if n not in shared} for model, of in fields.items()}
    return SharedSettings(
        data=SharedData(
            name=index.name,
            samples={split: len(index.split(split)) for split in SPLITS},
            ids_sha256={split: names_sha256(s.id for s in index.split(split)) for split in SPLITS},
            without_mask=images_without_mask(index, trials[0].config),
            leaks=index.leaks,
        ),
        limit=limit,
        training=SharedTraining.model_validate(shared),
        training_of_model={model: of for model, of in own.items() if of},
    )


def keep_settings(folder: Path, settings: SharedSettings) -> None:
    """Write the settings into a new audit's folder, or compare them with those of an audit begun before.

    Raises:
        RunError: The folder's audit has other settings, or the folder is no audit's.
    """
    file = folder / SETTINGS_FILE
    if not file.is_file():
        # Another process of the same audit may make its files right now.
        own = {SETTINGS_FILE, CLAIMS_FOLDER}
        names = {path.name for path in folder.iterdir()} if folder.exists() else set()
        if any(name not in own and not name.startswith(".") for name in names):
            raise RunError(
                f"{folder} exists, but it contains no audit. Choose another --out.", code="LEX-RUN-019"
            )
        if not file.is_file():
            write_record(file, settings)
            return
    try:
        stored = read_record(file, SharedSettings, remedy="Restore it, or choose another --out.")
    except DataError as error:
        raise RunError(f"{file} is damaged. {error}", code="LEX-RUN-020") from error
    differing = differences(stored.model_dump(mode="json"), settings.model_dump(mode="json"))
    if differing:
        raise RunError(
            f"The audit in {folder} was started with other settings: {'; '.join(differing)}. All its arms "
            f"must have the same settings: give the same options and the same data, or choose another --out."
            f"{_why_by_arms(stored, settings)}",
            code="LEX-RUN-021",
        )


def _why_by_arms(stored: SharedSettings, settings: SharedSettings) -> str:
    """Return, as further sentences, what to do where a setting that follows from the arms differs."""
    before, now = (of.training.model_dump() for of in (stored, settings))
    said = ""
    if (before.get("selection"), now.get("selection")) == (None, "last"):
        said += (
            " All arms must keep the weights of the last step if one of them learns from pseudo labels; in "
            "this audit some do not keep them. It continues without such arms (--arms)."
        )
    if (before.get("selection"), now.get("selection")) == ("last", None):
        said += " It continues with these arms if the --config file has `selection: last`."
    if before.get("fit") == "auto" != now.get("fit"):
        said += " All arms must have one fit; in this audit each training chose its own (`fit: auto`)."
    return said
