"""One arm of an audit: trained, resumed where it was broken off, and evaluated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from lexiseg.data.sample import DatasetIndex, Split
from lexiseg.evaluation.evaluate import evaluate_predictor
from lexiseg.inference.predictor import Predictor
from lexiseg.studies.settings import check_arm, with_hidden
from lexiseg.systems.configuration import TrainConfig
from lexiseg.training.config import CONFIG_FILE, make_config
from lexiseg.training.train import train, train_on


def is_done(folder: Path, split: Split) -> bool:
    """Say whether an arm is trained and evaluated; `metrics.json` is written last."""
    return (folder / split / "metrics.json").is_file()


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What an audit's arms are trained and evaluated on.

    Attributes:
        data: The data set's folder.
        index: The data set, limited; it names masks that are hidden from some arms.
        limit: Whether it was.
        split: The split the arms are evaluated on.
    """

    data: Path
    index: DatasetIndex
    limit: bool
    split: Split


def train_and_evaluate(lesson: Lesson, config: TrainConfig, folder: Path, *, console: Console) -> None:
    """Train an arm, or go on where it was broken off, and evaluate it.

    Args:
        lesson: What it is trained and evaluated on.
        config: The arm's configuration.
        folder: The arm's run folder.
        console: Where progress is shown.

    Raises:
        RunError: The folder holds a training with other settings.
        DataError: The data set does not fit the arm, such as one without reports.
    """
    resume = (folder / "run.json").is_file()
    if resume:
        check_arm(folder, config)
    if lesson.limit:
        if resume:
            config = make_config({}, folder / CONFIG_FILE)
        index = with_hidden(lesson.index, config)
        run = train_on(index, config, folder, resume=resume, console=console)
    else:
        options = {} if resume else config.model_dump()
        run = train(lesson.data, folder, resume=resume, console=console, **options)
    evaluation = evaluate_predictor(
        Predictor(run), with_hidden(lesson.index, config), split=lesson.split, out=folder / lesson.split
    )
    console.print(
        f"{folder.name}: {lesson.split} Dice {evaluation.metrics['dice']['mean']:.4f} over "
        f"{len(evaluation.cases)} cases.",
        highlight=False,
    )
