"""What all trainings of an audit share, kept in its folder, and the trials that follow from it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lexiseg.data.sample import SPLITS, DatasetIndex
from lexiseg.data.transforms import words_follow
from lexiseg.describing.vocabulary_choice import find_vocabulary
from lexiseg.embeddings.text_encoders import load_text_encoder
from lexiseg.errors import DataError, RunError, UsageError
from lexiseg.json_records import read_record, write_record
from lexiseg.studies.arms import BASELINE, AuditArm
from lexiseg.studies.audit_file import SharedData, SharedSettings, SharedTraining
from lexiseg.studies.study_data import images_without_mask, with_hidden
from lexiseg.studies.trials import CLAIMS_FOLDER, Trial, differences, plan_trials
from lexiseg.systems.configuration import TrainConfig
from lexiseg.systems.registry import get
from lexiseg.training.unmasked_images import take_part

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

    The precision is fixed here, because a probe could choose another one in each arm. Images are not turned
    or shifted in any arm if the words of one arm could not follow.

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
    trials = tuple(
        _changed(trial, precision="fp32") if trial.config.precision == "auto" else trial for trial in trials
    )
    _check_masks(arms, trials, index)
    moves = any(trial.config.augment.affine > 0 or trial.config.augment.elastic > 0 for trial in trials)
    if moves and not _all_follow(index, trials):
        still = {"affine": 0.0, "elastic": 0.0}
        trials = tuple(
            _changed(trial, augment=trial.config.augment.model_copy(update=still)) for trial in trials
        )
    return trials


def _changed(trial: Trial, **fields: object) -> Trial:
    return replace(trial, config=trial.config.model_copy(update=fields))


def _check_fair(config: TrainConfig) -> None:
    unfair = {
        "balance_words": (config.balance_words > 0, "the arms would see other images"),
        "patience": (config.patience is not None, "the arms would take different numbers of steps"),
        "preset": (
            not get(config.model, config.preset).has_form_without_text,
            "its network cannot be trained without text",
        ),
    }
    for name, (given, why) in unfair.items():
        if given:
            raise UsageError(
                f"An audit cannot use `{name}: {getattr(config, name)}`: {why}. Remove it.",
                code="LEX-USE-102",
            )


def _check_masks(arms: Sequence[AuditArm], trials: Sequence[Trial], index: DatasetIndex) -> None:
    """Refuse, before anything is trained, an arm that could not be."""
    needs = {arm.name: arm.spec for arm in arms}
    for trial in trials:
        take_part(with_hidden(index, trial.config), trial.config)
        spec = needs[trial.arm]
        if spec.needs == "images_without_mask" and images_without_mask(index, trial.config) == 0:
            raise UsageError(
                f"The arm '{spec.name}' trains on images without a mask, but every training image has one. "
                f"Hide some with --masks, or remove the arm from --arms.",
                code="LEX-USE-103",
            )


def _all_follow(index: DatasetIndex, trials: Sequence[Trial]) -> bool:
    """Return whether the words of every arm can be kept true when an image is shifted."""
    config = trials[0].config
    texts = {trial.config.text for trial in trials} - {"none"}
    encoder = load_text_encoder(config.text_encoder) if "reports" in texts else None
    vocabularies = [
        find_vocabulary(index, text=text, wanted=config.vocabulary, encoder=encoder)[0]
        for text in ("reports", "concepts")
        if text in texts
    ]
    return all(words_follow(vocabulary) for vocabulary in vocabularies)


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
    joined = {split: "\n".join(sample.id for sample in index.split(split)) for split in SPLITS}
    ids = {split: text.encode("utf-8", "surrogatepass") for split, text in joined.items()}
    return SharedSettings(
        data=SharedData(
            name=index.name,
            samples={split: len(index.split(split)) for split in SPLITS},
            ids_sha256={split: hashlib.sha256(text).hexdigest() for split, text in ids.items()},
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
            f"must have the same settings: give the same options and the same data, or choose another --out.",
            code="LEX-RUN-021",
        )
