"""What is refused before a training starts or goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lexiseg.data.sample import DatasetIndex, Split
from lexiseg.errors import DataError, UsageError
from lexiseg.runs.run import Run
from lexiseg.training.config import CONFIG_FILE, TrainConfig, make_config


def check_splits(index: DatasetIndex) -> None:
    """Refuse a data set without training or validation images.

    Raises:
        DataError: One of the two splits is empty.
    """
    needed: tuple[Split, ...] = ("train", "val")
    for split in needed:
        if not index.split(split):
            raise DataError(
                f"{index.root} has no {split} images, and training needs some: the best weights are chosen "
                f"on the validation split. Add a split, or remove splits.json to have one made.",
                code="LEX-DATA-118",
            )


def resumed_config(out: Path, options: dict[str, Any], config_file: str | Path | None) -> TrainConfig:
    """Return the configuration of the run in `out`.

    Args:
        out: The run folder.
        options: Options given with `--resume`; only `workers` may differ from the run's.
        config_file: A configuration file given with `--resume`; always refused.

    Raises:
        RunError: `out` is no run.
        UsageError: The configuration would change.
    """
    Run.open(out)
    stored = make_config({}, out / CONFIG_FILE)
    given = {name: value for name, value in options.items() if value is not None and name != "workers"}
    if "text" in given:  # a file's path may be written in several ways
        given["text"] = make_config({"text": given["text"]}).text
    unknown = given.keys() - TrainConfig.model_fields.keys()
    differing = {name for name, value in given.items() if name in unknown or getattr(stored, name) != value}
    if differing or config_file is not None:
        named = ", ".join(sorted(differing)) or "--config"
        raise UsageError(
            f"A resumed run keeps its configuration, but {named} would change it. Resume without, or start "
            f"a new run.",
            code="LEX-USE-068",
        )
    workers = options.get("workers")
    return stored if workers is None else stored.model_copy(update={"workers": workers})
