"""The cases that an audit shows in pictures: the masks of the first seed, with and without words."""

from __future__ import annotations

from collections.abc import Sequence

from lexiseg.evaluation.comparison.change_figures import ModelMasks, draw_changes
from lexiseg.inference.predictor import Predictor
from lexiseg.runs.run import Run
from lexiseg.studies.audit_file import AuditResult
from lexiseg.studies.audit_page import AuditPictures
from lexiseg.studies.results import TrialResult
from lexiseg.studies.trials import Study


def audit_pictures(result: AuditResult, results: Sequence[TrialResult], study: Study) -> AuditPictures | None:
    """Return the largest gain, the median and the largest loss of the first pair of arms, in pictures.

    Args:
        result: The content of `audit.json`.
        results: The results of all trainings.
        study: The study, with the run folders of the trainings.

    Returns:
        The cases; None for an audit without true words.

    Raises:
        LexisegError: A run or an image can no longer be read.
    """
    if not result.differences.pairs:
        return None
    pair = result.differences.pairs[0]
    titles = {arm.arm: arm.title for arm in result.arms}
    models = []
    for arm in (pair.against, pair.arm):
        trial = next(trial for trial in results if trial.arm == f"{pair.model}-{arm}")
        run = Run.open(study.folder / trial.name)
        dice = trial.cases["dice"]
        models.append(
            ModelMasks(
                title=f"{titles[arm]}, seed {trial.seed}",
                predictor=Predictor(run, study.evaluation),
                dice={str(case): float(value) for case, value in dice.items()},
            )
        )
    differences = dict(zip(result.differences.ids, pair.values, strict=True))
    cases = draw_changes(differences, models, study.index, study.evaluation.split)
    return AuditPictures(pair=pair, cases=tuple(cases))
