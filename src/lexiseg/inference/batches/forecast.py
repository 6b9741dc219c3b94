"""What a prediction of many images would do: how many images, how long, which files."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from lexiseg.console import duration_text
from lexiseg.errors import LexisegError
from lexiseg.inference.batches.shards import SHARD_FILE
from lexiseg.inference.formats.file_names import ARCHIVE_FOLDER, RESULTS_FILE, VOLUMES_FILE
from lexiseg.inference.formats.registry import FORMATS, needs_torch, volume_formats, volume_names
from lexiseg.inference.inputs.target import Target
from lexiseg.inference.inputs.target_list import Shard
from lexiseg.inference.inputs.target_search import all_images
from lexiseg.inference.predictor import Predictor, predictor_of
from lexiseg.inference.remote.file_systems import is_url
from lexiseg.json_records import Record
from lexiseg.printable import counted
from lexiseg.renamed_arguments import renamed
from lexiseg.runs.run import Run

#: Images that are predicted to measure the time, after one that is not counted.
_MEASURED = 4


class PredictionForecast(Record):
    """What a prediction would do; nothing is written.

    Attributes:
        images: Number of images.
        volumes: Number of volumes; no time is estimated for them.
        engine: What would compute the network.
        seconds_per_image: Time to read and predict an image, measured on the first ones; the files that are
            written take more. None if none of the first images can be read.
        minutes: Estimate for all images.
        out: The output folder, or its URL.
        exists: Whether the folder exists on this computer; outputs of these images that an earlier prediction
            wrote there would be replaced.
        files: What would be written, with the number of files.
        unreadable: Those of the first images that cannot be read, with the reason.
    """

    images: int
    volumes: int
    engine: str
    seconds_per_image: float | None
    minutes: float | None
    out: str
    exists: bool
    files: dict[str, int]
    unreadable: dict[str, str]

    def sentences(self) -> tuple[str, ...]:
        """Return the forecast for people, one sentence per subject."""
        images = counted(self.images, "image")
        said = [f"{images} would be predicted by {self.engine}."]
        if self.volumes:
            volumes = counted(self.volumes, "volume")
            said.append(f"{volumes} would be predicted slice by slice; the time of volumes is not estimated.")
        if self.minutes is not None and self.seconds_per_image is not None:
            said.append(
                f"Time: about {duration_text(60 * self.minutes)} ({self.seconds_per_image:.2f} s per image, "
                "without the writing of files)."
            )
        # A place is a folder, or the one file of its name.
        files = (
            place if Path(place).suffix else f"{number} in {place}" for place, number in self.files.items()
        )
        said.append(f"Files: {', '.join(files)}.")
        if self.exists:
            said.append(f"{self.out} exists: what an earlier prediction of these images wrote is replaced.")
        return tuple(said)


@renamed(targets="inputs")
def forecast_prediction(
    predictor: Predictor | Run | str | Path,
    inputs: Sequence[str | Path | Target],
    out: str | Path,
    *,
    formats: Sequence[str],
    volumes: int = 0,
    shard: Shard | None = None,
    tar: int | None = None,
) -> PredictionForecast:
    """Return what a prediction would do; the first images are predicted, and nothing is written.

    Args:
        predictor: A loaded run, or a run folder or the name of a run, which is loaded with the default
            options.
        inputs: As for `predict_to_files`.
        out: Output folder, or its URL.
        formats: Names of output formats.
        volumes: Number of volumes that would be predicted too.
        shard: The part of all images that the inputs are; None where they are all.
        tar: Images of each tar archive of results; None for files.
    """
    predictor = predictor_of(predictor, needs_torch=needs_torch(formats))
    targets = all_images(inputs, out=None if is_url(str(out)) else out)
    # Images of other computers are not fetched for a forecast.
    first = [target for target in targets[: _MEASURED + 1] if target.origin is None]
    unreadable: dict[str, str] = {}
    seconds: list[float] = []
    for target in first:
        started = time.perf_counter()
        try:
            predictor.predict(target.image)
        except LexisegError as error:
            unreadable[target.label] = target.named(str(error))
        else:
            seconds.append(time.perf_counter() - started)
    # The first pass through a network takes longer than the others.
    counted = seconds[1:] or seconds
    each = sum(counted) / len(counted) if counted else None
    files: Counter[str] = Counter()
    if targets or not volumes:
        files += _files_of_images(len(targets), formats, shard, tar)
    if volumes:
        files += _files_of_volumes(volumes, formats)
    return PredictionForecast(
        images=len(targets),
        volumes=volumes,
        engine=str(predictor.engine.description),
        seconds_per_image=each,
        minutes=None if each is None else each * len(targets) / 60,
        out=str(out),
        exists=not is_url(str(out)) and Path(out).is_dir(),
        files={_inside(out, name): number for name, number in files.items()},
        unreadable=unreadable,
    )


def _files_of_images(
    images: int, formats: Sequence[str], shard: Shard | None, tar: int | None
) -> Counter[str]:
    """Return the number of files of images in each place below the output folder."""
    chosen = [known for known in FORMATS if known.name in formats]
    folders = [known.folder for known in chosen if known.folder is not None]
    if tar is None:
        files = Counter(dict.fromkeys(folders, images))
    else:
        files = Counter({ARCHIVE_FOLDER: math.ceil(images / tar)})
    for known in chosen:
        if known.folder is None:
            files[f"predictions{known.suffix}"] = 1
    files[RESULTS_FILE] = 1  # always, and last
    if shard is None:
        return files
    files[SHARD_FILE] = 1
    return Counter({f"{shard.folder}/{name}": number for name, number in files.items()})


def _files_of_volumes(volumes: int, formats: Sequence[str]) -> Counter[str]:
    """Return the number of files of volumes in each place below the output folder."""
    names = volume_names(formats)
    files = Counter({str(known.folder): volumes for known in volume_formats() if known.name in names})
    files[VOLUMES_FILE] = 1
    return files


def _inside(out: str | Path, name: str) -> str:
    """Return the path or the URL of a file or folder in the output folder."""
    return f"{str(out).rstrip('/')}/{name}" if is_url(str(out)) else str(Path(out) / name)
