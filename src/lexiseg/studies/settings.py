"""What all arms of an audit share, and the refusal of an arm that does not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lexiseg.data.mask_hiding import hide_masks
from lexiseg.data.sample import SPLITS, DatasetIndex, Sample
from lexiseg.data.transforms import words_follow
from lexiseg.describing.vocabulary_choice import find_vocabulary
from lexiseg.embeddings.encoders import load_text_encoder
from lexiseg.errors import RunError, UsageError
from lexiseg.files import write_json
from lexiseg.studies.arms import Arm, arm_options
from lexiseg.systems.configuration import TrainConfig
from lexiseg.systems.registry import get
from lexiseg.training.config import CONFIG_FILE, make_config
from lexiseg.training.few_masks import take_part

SETTINGS_FILE = "settings.json"
#: Who works on which arm.
CLAIMS_FOLDER = "claims"

#: Fields in which arms differ, or which change no result.
_NOT_SHARED = {"model", "text", "seed", "shuffle_words", "unmasked", "workers", "cache"}
#: Fields of a training that change no result.
_OF_A_MACHINE = {"workers", "cache"}


def has_reports(index: DatasetIndex) -> bool:
    """Say whether every training and validation image has a report."""
    return all(sample.report for split in ("train", "val") for sample in _split(index, split))


def limited(index: DatasetIndex, limit: int | None) -> DatasetIndex:
    """Return a data set with some of its training images; validation and test stay whole.

    The choice is by a hash of the ids, so it is the same on every machine, in every arm and for every seed,
    and a smaller limit takes a part of what a larger one takes.

    Args:
        index: The data set.
        limit: Training images to keep; None keeps all.

    Raises:
        UsageError: There are fewer.
    """
    if limit is None:
        return index
    train = index.split("train")
    if limit > len(train):
        raise UsageError(
            f"--limit {limit} is more than the {len(train)} training images of {index.root}.",
            code="LEX-USE-101",
        )
    return replace(index, samples=_first(index.samples, limit))


def _first(samples: Sequence[Sample], limit: int | None) -> tuple[Sample, ...]:
    """Return samples with the first training images in the order of a hash of their ids."""
    train = [sample for sample in samples if sample.split == "train"]
    train.sort(key=lambda sample: hashlib.sha256(f"audit:{sample.id}".encode()).digest())
    kept = {sample.id for sample in train[:limit]}
    return tuple(sample for sample in samples if sample.split != "train" or sample.id in kept)


def seen_by_all(
    samples: Sequence[Sample], *, limit: int | None, share: float, seeds: int
) -> tuple[Sample, ...]:
    """Return the samples whose masks no arm does without: they may be opened before any arm is trained.

    Args:
        samples: All samples.
        limit: Training images the arms keep; None: all.
        share: Share of their masks that an arm uses, chosen by its seed.
        seeds: Number of seeds.
    """
    kept = _first(samples, limit)
    masked = [
        {sample.id for sample in hide_masks(kept, share=share, seed=seed) if sample.mask is not None}
        for seed in range(seeds)
    ]
    return tuple(sample for sample in kept if all(sample.id in ids for ids in masked))


def arm_configs(
    arms: Sequence[Arm],
    index: DatasetIndex,
    options: Mapping[str, Any],
    config_file: Path | None,
) -> dict[Arm, TrainConfig]:
    """Return the configuration of each arm: all alike but for model, words and seed.

    The precision is settled here, since a probe could answer differently from arm to arm, and images are not
    turned or shifted in any arm if words of one arm could not follow.

    Args:
        arms: The arms.
        index: The data set.
        options: Fields of `TrainConfig` that all arms share; those that are None count as not given.
        config_file: YAML file with further fields.

    Raises:
        UsageError: A field is not possible, or would make the arms differ in more than their words.
    """
    reports = has_reports(index)
    configs: dict[Arm, TrainConfig] = {}
    for arm in arms:
        own = {"model": arm.model, "seed": arm.seed, **arm_options(arm.text, reports=reports)}
        config = make_config({**options, **own}, config_file)
        _check_fair(config)
        if config.precision == "auto":
            config = config.model_copy(update={"precision": "fp32"})
        configs[arm] = config
    _check_masks(index, configs)
    if any(config.augment.affine > 0 for config in configs.values()) and not _all_follow(index, configs):
        still = {arm: c.augment.model_copy(update={"affine": 0.0}) for arm, c in configs.items()}
        configs = {arm: c.model_copy(update={"augment": still[arm]}) for arm, c in configs.items()}
    return configs


def _check_fair(config: TrainConfig) -> None:
    unfair = {
        "balance_words": (config.balance_words > 0, "the arms would see other images"),
        "patience": (config.patience is not None, "the arms would take different numbers of steps"),
        "preset": (
            not get(config.model, config.preset).has_form_without_text,
            "its network has no form without text",
        ),
    }
    for name, (given, why) in unfair.items():
        if given:
            raise UsageError(
                f"An audit cannot use `{name}: {getattr(config, name)}`: {why}. Leave it out.",
                code="LEX-USE-102",
            )


def with_hidden(index: DatasetIndex, config: TrainConfig) -> DatasetIndex:
    """Return a data set as an arm of this configuration sees it: without the masks it is to do without."""
    if config.masks is None:
        return index
    return replace(index, samples=hide_masks(index.samples, share=config.masks, seed=config.seed))


def images_without_mask(index: DatasetIndex, config: TrainConfig) -> int:
    """Return how many training images have no mask, or lose theirs by this configuration."""
    return sum(sample.mask is None for sample in with_hidden(index, config).split("train"))


def _check_masks(index: DatasetIndex, configs: Mapping[Arm, TrainConfig]) -> None:
    """Refuse, before anything is trained, an arm that could not be."""
    for arm, config in configs.items():
        take_part(with_hidden(index, config), config)
        if arm.text == "pseudo_labels" and images_without_mask(index, config) == 0:
            raise UsageError(
                "The arm 'pseudo_labels' teaches with images that have no mask, and every training image has "
                "one. Hide some with --masks, or leave the arm out of --arms.",
                code="LEX-USE-103",
            )


def _all_follow(index: DatasetIndex, configs: Mapping[Arm, TrainConfig]) -> bool:
    """Say whether the words of every arm can be kept true when an image is shifted."""
    config = next(iter(configs.values()))
    texts = {config.text for config in configs.values()} - {"none"}
    encoder = load_text_encoder(config.text_encoder) if "reports" in texts else None
    vocabularies = [
        find_vocabulary(index, text=text, wanted=config.vocabulary, encoder=encoder)[0]
        for text in ("reports", "concepts")
        if text in texts
    ]
    return all(words_follow(vocabulary) for vocabulary in vocabularies)


def shared_settings(
    index: DatasetIndex, configs: Mapping[Arm, TrainConfig], limit: int | None
) -> dict[str, Any]:
    """Return what every arm of an audit's folder has in common, JSON-able.

    Args:
        index: The data set, limited.
        configs: The configurations of the arms.
        limit: Training images that were kept; None: all.
    """
    first = next(iter(configs.values()))
    fields = {arm.model: c.model_dump(mode="json", exclude=_NOT_SHARED) for arm, c in configs.items()}
    shared = {
        name: value
        for name, value in next(iter(fields.values())).items()
        if all(name in of_model and of_model[name] == value for of_model in fields.values())
    }
    own = {model: {n: v for n, v in of.items() if n not in shared} for model, of in fields.items()}
    ids = {split: "\n".join(sample.id for sample in index.split(split)) for split in SPLITS}
    return {
        # 3: fields that not all systems of the audit have stand apart.
        "format_version": 3,
        "data": {
            "name": index.name,
            "samples": {split: len(index.split(split)) for split in SPLITS},
            "ids_sha256": {split: hashlib.sha256(text.encode()).hexdigest() for split, text in ids.items()},
            "without_mask": images_without_mask(index, first),
        },
        "limit": limit,
        "training": shared,
        "training_of_model": {model: of for model, of in own.items() if of},
    }


def keep_settings(folder: Path, settings: Mapping[str, Any]) -> None:
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
            raise RunError(f"{folder} exists and holds no audit. Choose another --out.", code="LEX-RUN-019")
        if not file.is_file():
            write_json(file, settings)
            return
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        differing = _differences(stored, settings)
    except (ValueError, AttributeError) as error:
        raise RunError(
            f"{file} is damaged ({error}). Restore it, or choose another --out.", code="LEX-RUN-020"
        ) from error
    if differing:
        raise RunError(
            f"The audit in {folder} was begun with other settings: {'; '.join(differing)}. All its arms must "
            f"be alike: give the same options and the same data, or choose another --out.",
            code="LEX-RUN-021",
        )


def check_arm(folder: Path, config: TrainConfig) -> None:
    """Refuse a training that was begun with another configuration than the audit's arm has.

    Args:
        folder: The arm's run folder.
        config: The configuration the arm must have.

    Raises:
        RunError: They differ in something that can change a result.
    """
    stored = make_config({}, folder / CONFIG_FILE)
    differing = _differences(
        stored.model_dump(mode="json", exclude=_OF_A_MACHINE),
        config.model_dump(mode="json", exclude=_OF_A_MACHINE),
    )
    if differing:
        raise RunError(
            f"{folder} was trained with other settings than this audit's: {'; '.join(differing)}. Remove the "
            f"folder to train the arm again, or choose another --out.",
            code="LEX-RUN-022",
        )


def _differences(stored: Mapping[str, Any], wanted: Mapping[str, Any], path: str = "") -> list[str]:
    found: list[str] = []
    for name in sorted(stored.keys() | wanted.keys()):
        old, new = stored.get(name), wanted.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += _differences(old, new, f"{path}{name}.")
        elif old != new:
            found.append(f"{path}{name} was {old!r}, now {new!r}")
    return found


def _split(index: DatasetIndex, split: Any) -> tuple[Sample, ...]:
    return index.split(split)
