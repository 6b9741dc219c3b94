"""Continuing an interrupted run: its configuration and plan, and the refusal of other data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lexiseg.data.sample import LEARNED_SPLITS, DatasetIndex
from lexiseg.embeddings.text_encoders import load_text_encoder
from lexiseg.errors import RunError, UsageError
from lexiseg.models.text_bank import TextBank
from lexiseg.printable import counted
from lexiseg.runs.image_hashes import ImageHashesRecord, image_hashes, read_image_hashes
from lexiseg.runs.run import Run
from lexiseg.systems.configuration import TrainConfig
from lexiseg.training.config import CONFIG_FILE, make_config
from lexiseg.training.config_changes import changed_settings
from lexiseg.training.description_words import recorded_file, some
from lexiseg.training.plan import Plan
from lexiseg.training.text_source import WordSource
from lexiseg.training.text_supervision import trained_words
from lexiseg.training.unmasked_images import MaskUse


def is_finished(out: Path) -> bool:
    """Say whether the run in a folder is finished.

    Raises:
        RunError: `out` is no run.
    """
    # Absolute, so that it is a folder and never the name of a model that comes with Lexiseg.
    return Run.open(out.absolute()).manifest.training.finished


def resumed_config(
    out: Path, options: Mapping[str, Any], config_file: str | Path | None
) -> TrainConfig | None:
    """Return the configuration of the run in `out`.

    Args:
        out: The run folder.
        options: Options given with `--resume`; only `workers` may differ from the run's. "auto" as
            fit or precision is what the run has.
        config_file: A configuration file given with `--resume`; always refused.

    Returns:
        The configuration; None for a finished run that was never configured, as a converted one.

    Raises:
        RunError: `out` is no run.
        UsageError: The configuration would change.
    """
    if is_finished(out) and not (out / CONFIG_FILE).is_file():
        return None
    # Absolute, so that it is a folder and never the name of a model that comes with Lexiseg.
    written_by_0_1 = Run.open(out.absolute()).manifest.format_version == 1
    stored = make_config({}, out / CONFIG_FILE, ignore_foreign=written_by_0_1)
    given = {name: value for name, value in options.items() if value is not None and name != "workers"}
    differing = ["--config"] if config_file is not None else []
    differing += _changes(stored, given, out / CONFIG_FILE)
    if differing:
        raise UsageError(
            f"A resumed run keeps its configuration, but it would change: {'; '.join(differing)}. Remove "
            f"these options, or start a new run.",
            code="LEX-USE-068",
        )
    workers = options.get("workers")
    return stored if workers is None else stored.model_copy(update={"workers": workers})


def _changes(stored: TrainConfig, given: Mapping[str, Any], file: Path) -> list[str]:
    """Return what options would change in the configuration of a run, one part of a sentence each.

    Args:
        stored: The configuration.
        given: The options.
        file: The file of the configuration.

    Raises:
        UsageError: An option is not possible.
    """
    of_others = [
        name for name in ("model", "preset") if name in given and given[name] != getattr(stored, name)
    ]
    unknown = sorted(given.keys() - type(stored).model_fields.keys())
    if unknown or of_others:  # the options are those of another system
        return [
            *unknown,
            *(f"{name} was {getattr(stored, name)!r}, now {given[name]!r}" for name in of_others),
        ]
    # As values that the start of the run had: lengths exclude each other, paths are absolute.
    wanted = make_config(given, file, ignore_foreign=True)
    return changed_settings(stored, wanted, may_differ={"workers"})


def continue_run(use: MaskUse, run: Run, config: TrainConfig) -> Plan:
    """Return the plan of an interrupted run.

    Raises:
        RunError: The run was started on other data.
    """
    index, manifest = use.index, run.manifest
    _check_same_data(use, run)
    bank = TextBank.load(run.bank_file) if run.spoken_vocabulary is not None else None
    embeds = config.embeds_sentences and manifest.text != "none"
    encoder = load_text_encoder(config.text_encoder) if embeds else None
    source = WordSource(manifest.text, recorded_file(run))
    _check_same_masks(use, run, config)
    _check_same_files(use, run, reads_reports=source.reads_sheet)
    train = val = None
    if run.vocabulary is not None:
        words, _ = source.words(index, "train", run.vocabulary, side=manifest.side)
        train = trained_words(words, use, config)
        val, _ = source.words(index, "val", run.vocabulary, side=manifest.side)
    return Plan(
        text=manifest.text,
        vocabulary=run.vocabulary,
        bank=bank,
        encoder=encoder,
        train=train,
        val=val,
        manifest=manifest,
    )


def _check_same_masks(use: MaskUse, run: Run, config: TrainConfig) -> None:
    """Refuse to resume where other training images have a mask than at the start."""
    possible = [None if use.sentence() is None else use.record(config)]
    if use.checked:  # the check of the labellers may have left the others out already
        possible.append(use.with_masks_only().record(config))
    stored = run.manifest.data.masks
    # What the labellers are worth is known at the end only.
    same = (stored and stored.model_copy(update={"teacher": None})) in possible
    if not same or run.with_mask not in (None, use.with_mask):
        raise RunError(
            f"The run in {run.path} was started with other masks: the same training images must have a mask "
            "as then. Restore the data, or start a new run.",
            code="LEX-RUN-013",
        )


def _check_same_data(use: MaskUse, run: Run) -> None:
    """Refuse to resume on other images or other splits than the run was started on."""
    if run.splits is None:
        raise RunError(
            f"{run.path} cannot be resumed: its splits.json is missing. Start a new run.", code="LEX-RUN-014"
        )
    index = use.index
    # Images that are left out are no concern of the training; masks.json tells whether they are the same.
    # Where the check of the labellers decides whether they are left out, the training starts with them.
    left_out = set() if use.checked else set(run.splits.left_out)
    for split in LEARNED_SPLITS:
        expected = set(getattr(run.splits, split)) - left_out
        found = {sample.id for sample in index.split(split)}
        if expected != found:
            raise RunError(
                f"The run in {run.path} was started on other data: the {split} split of {index.root} "
                f"lacks {len(expected - found)} of the run's {counted(len(expected), 'image')} and holds "
                f"{counted(len(found - expected), 'other image')}. Resume with the same data.",
                code="LEX-RUN-015",
            )


def _check_same_files(use: MaskUse, run: Run, *, reads_reports: bool) -> None:
    """Refuse to resume where files have another content than at the start, under the same names."""
    stored = read_image_hashes(run.path)
    if stored is None:
        return
    possible = [use.index]
    if use.checked:  # the check of the labellers may have left the others out already
        possible.append(use.with_masks_only().index)
    changes = [changed_files(index, stored, reads_reports=reads_reports) for index in possible]
    changed = min(changes, key=len)
    if changed:
        raise RunError(
            f"The run in {run.path} was started on other files: since then, {' and '.join(changed)} of "
            f"{use.index.root} have changed, and the training would go on with a mixture. Restore the files "
            "as they were, or start a new run.",
            code="LEX-RUN-1883",
        )


def changed_files(index: DatasetIndex, stored: ImageHashesRecord, *, reads_reports: bool) -> list[str]:
    """Return what differs from the start of a run, one part of a sentence each.

    Args:
        index: The data set.
        stored: The hashes at the start of the run.
        reads_reports: Whether the run reads the reports.
    """
    found = image_hashes(index)
    changed = []
    if stored.images is None:
        other_images = (found.train, found.val) != (stored.train, stored.val)
    else:
        other_images = found.images != stored.images
    if other_images:
        changed.append(f"training or validation images ({_unlike(index, stored)})")
    if _differ(stored.masks, found.masks):
        changed.append("masks")
    if reads_reports and _differ(stored.reports, found.reports):
        changed.append("reports")
    return changed


def _differ(stored: str | None, found: str | None) -> bool:
    return stored is not None and stored != found


def _unlike(index: DatasetIndex, stored: ImageHashesRecord) -> str:
    """Return the ids of the images whose files the run does not know, the first ones only."""
    names = []
    for split in LEARNED_SPLITS:
        samples = index.split(split)
        record = stored if split == "train" else ImageHashesRecord(train=stored.val)
        known = {sample.id for sample in record.learned_of(samples, "val")}
        names += [sample.id for sample in samples if sample.id not in known]
    return some(names) if names else "they have exchanged their names, or their files were written anew"
