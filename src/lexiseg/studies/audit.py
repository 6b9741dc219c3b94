"""The audit: what did the text buy? From a data set to trained arms, figures and a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from lexiseg.data import SPLITS, DatasetIndex, Split, open_dataset
from lexiseg.errors import DataError, UsageError
from lexiseg.files import refuse_blocked, write_json, write_text
from lexiseg.studies.arms import ARMS, ARMS_FOLDER, Arm, plan_arms
from lexiseg.studies.claims import STALE_MINUTES, Claims, share_out
from lexiseg.studies.content import Asked, audit_content
from lexiseg.studies.page import build_page
from lexiseg.studies.results import all_cases, read_result
from lexiseg.studies.settings import (
    CLAIMS_FOLDER,
    arm_configs,
    check_arm,
    has_reports,
    images_without_mask,
    keep_settings,
    limited,
    seen_by_all,
    shared_settings,
)
from lexiseg.studies.work import Lesson, is_done, train_and_evaluate
from lexiseg.systems.configuration import TrainConfig
from lexiseg.systems.registry import names
from lexiseg.training.config import make_config


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What `audit` found and wrote.

    Attributes:
        out: Folder that holds `audit.json`, `cases.csv`, `audit.html`, and a run folder per arm.
        content: The content of `audit.json`.
    """

    out: Path
    content: dict[str, Any]


def audit(
    data: str | Path,
    out: str | Path,
    *,
    models: Sequence[str] | None = None,
    arms: Sequence[str] | None = None,
    seeds: int = 3,
    epochs: int | None = None,
    steps: int | None = None,
    max_minutes: float | None = None,
    image_size: int | None = None,
    masks: float | None = None,
    limit: int | None = None,
    split: Split = "test",
    config_file: str | Path | None = None,
    stale_minutes: float = STALE_MINUTES,
    console: Console | None = None,
) -> Audit:
    """Train arms that differ only in their words, compare them case by case, and write a verdict.

    An interrupted audit goes on where it was, arm by arm, if it is called again with the same settings.
    Several processes, also on several machines, may work on one `out` at the same time; each arm is done
    once.

    Args:
        data: The data set's folder, in any known layout.
        out: Folder of the audit.
        models: Names of systems; None: all that have a form without text.
        arms: "none" and some of "pseudo_labels", "shuffled", "reports", "concepts"; None: all that the data
            set allows.
        seeds: Number of seeds per arm; at least 2 for a verdict, better 3 or more.
        epochs: Passes over the training images, the fairer budget: every arm takes the same steps.
        steps: Steps per arm instead.
        max_minutes: Wall-clock budget per arm instead.
        image_size: Height and width in pixels.
        masks: Share of the training masks that are used, chosen by the seed; None: all. Images that lose
            theirs take part through their reports ("reports", "shuffled"), through pseudo labels
            ("pseudo_labels"), or not at all (the other arms).
        limit: Train on this many training images, the same in every arm; None: all.
        split: The split the arms are compared on.
        config_file: YAML file with further fields of `TrainConfig`, for all arms.
        stale_minutes: Minutes without a sign of life after which another process's arm is taken over.
        console: Where progress is shown; None shows nothing.

    Returns:
        The audit.

    Raises:
        UsageError: An option is not possible, or would make the arms differ in more than their words.
        DataError: The data set cannot be used, or has no words for an arm.
        RunError: `out` holds something else, or an audit or arm with other settings.
        DiskError: There is no space or no permission.

    Examples:
        >>> result = audit("data/chest", "audits/chest", epochs=5)  # doctest: +SKIP
        >>> print(*(verdict["words"] for verdict in result.content["verdicts"]))  # doctest: +SKIP
    """
    console = console or Console(quiet=True)
    if split not in SPLITS:
        raise UsageError(f"Unknown split '{split}': expected one of {', '.join(SPLITS)}.", code="LEX-USE-099")
    refuse_blocked(out)
    options = {
        "epochs": epochs,
        "steps": steps,
        "max_minutes": max_minutes,
        "image_size": image_size,
        "masks": masks,
    }
    models = names(without_text=True) if models is None else tuple(models)
    known = next((name for name in models if name in names()), None)  # `plan_arms` refuses the others
    config = make_config({**options, "model": known}, config_file)
    if config.masks is not None and split == "train":
        raise UsageError(
            "--split train would score the arms against the very masks that --masks hides from them. Compare "
            "them on test or val.",
            code="LEX-USE-100",
        )
    index = limited(_open(Path(data), seeds, limit, config.masks), limit)
    texts = tuple(arms) if arms is not None else _possible_arms(index, config)
    asked = Asked(
        data=Path(data),
        out=Path(out),
        models=models,
        texts=texts,
        seeds=seeds,
        epochs=epochs,
        steps=steps,
        max_minutes=max_minutes,
        image_size=image_size,
        masks=masks,
        limit=limit,
        split=split,
        config_file=None if config_file is None else Path(config_file),
    )
    planned = plan_arms(asked.models, asked.texts, seeds)
    _check_words(index, asked.texts)
    configs = arm_configs(planned, index, options, asked.config_file)
    settings = shared_settings(index, configs, limit)
    keep_settings(asked.out, settings)
    folders = {arm: asked.out / ARMS_FOLDER / arm.name for arm in planned}
    for arm, folder in folders.items():
        if (folder / "run.json").is_file():
            check_arm(folder, configs[arm])
    lesson = Lesson(data=asked.data, index=index, limit=limit is not None, split=split)
    _work(lesson, configs, folders, stale_minutes, console)
    return _report(asked, index, settings, folders)


def _open(data: Path, seeds: int, limit: int | None, share: float | None) -> DatasetIndex:
    """Open the data set, and refuse one that would be split differently for every seed.

    Of masks that are hidden from an arm none is opened; the index names them, for arms of other seeds.
    """
    seen = None if share is None else partial(seen_by_all, limit=limit, share=share, seeds=seeds)
    index = open_dataset(data, allow_missing_masks=True, coded_by=seen)
    if seeds > 1:
        again = open_dataset(data, seed=1, allow_missing_masks=True, coded_by=seen)
        if [(s.id, s.split) for s in again.samples] != [(s.id, s.split) for s in index.samples]:
            raise DataError(
                f"{data} has no split, and none can be written into it, so every seed would have another "
                f"one. Put a splits.json beside the images.",
                code="LEX-DATA-148",
            )
    return index


def _possible_arms(index: DatasetIndex, config: TrainConfig) -> tuple[str, ...]:
    possible = {"reports": has_reports(index), "pseudo_labels": images_without_mask(index, config) > 0}
    return tuple(arm for arm in ARMS if possible.get(arm, True))


def _check_words(index: DatasetIndex, texts: Sequence[str]) -> None:
    if "reports" in texts and not has_reports(index):
        raise DataError(
            f"The arm 'reports' needs a report for every training and validation image of {index.root}, and "
            f"some have none. Leave it out of --arms, or add the reports.",
            code="LEX-DATA-149",
        )


def _work(
    lesson: Lesson,
    configs: dict[Arm, TrainConfig],
    folders: dict[Arm, Path],
    stale_minutes: float,
    console: Console,
) -> None:
    """Train and evaluate every arm, together with whoever else works on the folder."""
    by_name = {arm.name: arm for arm in folders}

    def say(message: str) -> None:
        console.print(message, markup=False, highlight=False)

    def work(name: str) -> None:
        done = sum(is_done(folder, lesson.split) for folder in folders.values())
        say(f"Arm {name} ({done} of {len(folders)} are done).")
        train_and_evaluate(lesson, configs[by_name[name]], folders[by_name[name]], console=console)

    claims = Claims(
        next(iter(folders.values())).parents[1] / CLAIMS_FOLDER, stale_minutes=stale_minutes, say=say
    )
    share_out(
        list(by_name),
        is_done=lambda name: is_done(folders[by_name[name]], lesson.split),
        work=work,
        claims=claims,
    )


def _report(asked: Asked, index: DatasetIndex, settings: dict[str, Any], folders: dict[Arm, Path]) -> Audit:
    """Compare the finished arms and write what was found."""
    results = [read_result(arm, folder, asked.split) for arm, folder in folders.items()]
    content = audit_content(asked, results, settings, reports=has_reports(index))
    write_text(asked.out / "cases.csv", all_cases(results))
    write_text(asked.out / "audit.html", build_page(content))
    # Last, so that its presence tells that the audit is complete.
    write_json(asked.out / "audit.json", content)
    return Audit(out=asked.out, content=content)
