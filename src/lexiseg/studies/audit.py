"""The audit: did the words improve the masks? From a data set to trained arms, figures and a verdict."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

import pandas as pd
from rich.console import Console

from lexiseg.console import PrintableConsole
from lexiseg.data import SPLITS, DatasetIndex
from lexiseg.data.leaks import refuse_leaks
from lexiseg.errors import DataError, UsageError
from lexiseg.evaluation.options import EvaluationOptions
from lexiseg.files import refuse_blocked, write_text
from lexiseg.json_records import write_record
from lexiseg.printable import brief, cell
from lexiseg.studies.arm_summary import ARMS_FOLDER, ArmResults
from lexiseg.studies.arms import Arms, AuditArm, Need, known_arms, plan_arms, read_arms
from lexiseg.studies.audit_cases import audit_pictures
from lexiseg.studies.audit_file import AuditResult
from lexiseg.studies.audit_options import AuditKeywords, AuditOptions
from lexiseg.studies.audit_page import build_page
from lexiseg.studies.audit_result import audit_result
from lexiseg.studies.results import read_results
from lexiseg.studies.shared_settings import audit_trials, keep_settings, shared_settings
from lexiseg.studies.study_data import has_reports, images_without_mask, open_study_data
from lexiseg.studies.trial_claims import STALE_MINUTES
from lexiseg.studies.trials import CLAIMS_FOLDER, Study, run_study
from lexiseg.studies.undertraining import best_constant_dice
from lexiseg.validation import check_keywords


@dataclass(frozen=True, kw_only=True)
class Audit:
    """The result of `audit`.

    Attributes:
        out: Folder that holds `audit.json`, `cases.csv`, `audit.html`, and a run folder per training.
        result: The content of `audit.json`.
    """

    out: Path
    result: AuditResult

    def __repr__(self) -> str:
        verdicts = (f"{found.model}: {found.words}" for found in self.result.verdicts)
        return brief(self, str(self.out), *verdicts)


def audit(
    data: str | Path,
    out: str | Path,
    *,
    stale_minutes: float = STALE_MINUTES,
    console: Console | None = None,
    **options: Unpack[AuditKeywords],
) -> Audit:
    """Train arms that differ only in their words, compare them case by case, and write a verdict.

    An interrupted audit continues where it stopped, arm by arm, if it is called again with the same settings.
    Several processes, also on several machines, may work on one `out` at the same time; each arm is done
    once.

    Args:
        data: The data set's folder, in any known layout.
        out: Folder of the audit.
        stale_minutes: Minutes without a heartbeat after which another process's arm is taken over.
        console: Where progress is shown; None shows nothing.
        **options: Fields of `AuditOptions`, such as `epochs=5`.

    Returns:
        The audit.

    Raises:
        UsageError: An option is not possible, or would make the arms differ in more than their words.
        DataError: The data set cannot be used, or has no words for an arm.
        RunError: `out` holds something else, or an audit or arm with other settings.
        DiskError: There is no space or no permission.

    Examples:
        >>> audit = audit("data/chest", "audits/chest", epochs=5)  # doctest: +SKIP
        >>> print(*(verdict.words for verdict in audit.result.verdicts))  # doctest: +SKIP
    """
    check_keywords(options, AuditKeywords)
    settings = AuditOptions(**options)
    if settings.split not in SPLITS:
        raise UsageError(
            f"Unknown split '{settings.split}': expected one of {', '.join(SPLITS)}.", code="LEX-USE-099"
        )
    refuse_blocked(out)
    config = settings.example_configuration()
    if config.masks is not None and settings.split == "train":
        raise UsageError(
            "--split train would score the arms against the masks that --masks hides. Use --split test or "
            "--split val.",
            code="LEX-USE-100",
        )
    seeds = range(max(1, settings.seeds))
    index = open_study_data(Path(data), seeds=seeds, limit=settings.limit, share=config.masks)
    index = refuse_leaks(index, allow=config.allow_leak)
    return audit_on(index, settings, out=Path(out), stale_minutes=stale_minutes, console=console)


def audit_on(
    index: DatasetIndex,
    options: AuditOptions,
    *,
    out: Path,
    stale_minutes: float = STALE_MINUTES,
    console: Console | None = None,
) -> Audit:
    """Audit a data set that `open_study_data` has opened; see `audit`.

    Args:
        index: The data set, limited.
        options: What is compared, and how.
        out: Folder of the audit.
        stale_minutes: As for `audit`.
        console: As for `audit`.
    """
    reports = has_reports(index)
    known = known_arms(
        reports=reports, further=() if options.arms_file is None else read_arms(options.arms_file)
    )
    names = _possible_arms(index, options, known) if options.arms is None else options.arms
    arms = plan_arms(options.systems, names, options.seeds, known)
    _check_reports(index, arms)
    trials = audit_trials(arms, index, options.shared_fields, options.config_file)
    settings = shared_settings(index, arms, trials, options.limit)
    keep_settings(out, settings)
    study = Study(
        index=index,
        trials=trials,
        folder=out / ARMS_FOLDER,
        claims_folder=out / CLAIMS_FOLDER,
        evaluation=EvaluationOptions(split=options.split),
    )
    run_study(study, stale_minutes=stale_minutes, console=console or PrintableConsole(quiet=True))
    results = read_results(study)
    by_arm = [
        ArmResults(arm=arm, trials=tuple(trial for trial in results if trial.arm == arm.name)) for arm in arms
    ]
    command = options.command(index.root, out, names)
    constant = best_constant_dice(index, options.split)
    result = audit_result(by_arm, settings, known, command=command, reports=reports, constant_dice=constant)
    write_text(out / "cases.csv", all_cases(by_arm))
    write_text(out / "audit.html", build_page(result, audit_pictures(result, results, study)))
    # Last: its presence means that the audit is complete.
    write_record(out / "audit.json", result)
    return Audit(out=out, result=result)


def _possible_arms(index: DatasetIndex, options: AuditOptions, known: Arms) -> tuple[str, ...]:
    """Return the arms that the data set allows."""
    config = options.example_configuration()
    possible: dict[Need | None, bool] = {
        None: True,
        "reports": has_reports(index),
        "images_without_mask": images_without_mask(index, config) > 0,
    }
    return tuple(name for name, spec in known.items() if possible[spec.needs])


def _check_reports(index: DatasetIndex, arms: Sequence[AuditArm]) -> None:
    for arm in arms:
        if arm.spec.needs == "reports" and not has_reports(index):
            raise DataError(
                f"The arm '{arm.spec.name}' needs a report for every training and validation image of "
                f"{index.root}, but some have none. Remove it from --arms, or add the reports.",
                code="LEX-DATA-149",
            )


def all_cases(results: Sequence[ArmResults]) -> str:
    """Return the cases of all arms as one CSV table, seed by seed.

    Args:
        results: The results of all arms; the same seeds for every arm.
    """
    tables = [
        _with_ids(trial.cases).assign(model=result.arm.model, arm=result.arm.spec.name, seed=trial.seed)
        for position in range(len(results[0].trials))
        for result in results
        for trial in (result.trials[position],)
    ]
    joined = pd.concat(tables, ignore_index=True)
    first = ["model", "arm", "seed"]
    ordered = joined[first + [name for name in joined.columns if name not in first]]
    for name in ("patient", "source"):
        if name in ordered:
            ordered[name] = ordered[name].map(cell, na_action="ignore")
    return str(
        ordered.to_csv(index=False, float_format="%.6g", lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
    )


def _with_ids(cases: pd.DataFrame) -> pd.DataFrame:
    """Return cases with their ids in a column, as cells; columns hold no bytes that are not UTF-8."""
    return cases.set_axis(pd.Index([cell(case) for case in cases.index], name="id")).reset_index()
