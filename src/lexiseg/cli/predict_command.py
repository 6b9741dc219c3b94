"""The command `lexiseg predict`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lexiseg.cli.common_options import (
    RUN_HELP,
    AverageWith,
    BatchSize,
    Device,
    DryRun,
    EngineName,
    EngineOption,
    FlipAverage,
    Frame,
    PrecisionName,
    PrecisionOption,
    Shared,
    Window,
    progress_bar,
    say,
    say_side,
    warn,
)
from lexiseg.cli.output_mode import show_result
from lexiseg.cli.volume_options import Axis, AxisOption, SingleSlices, SmoothSlices, predict_volumes
from lexiseg.clinic.view import parse_view
from lexiseg.errors import LexisegError, PartialFailureError, UsageError
from lexiseg.extras import load_module
from lexiseg.inference.writers.registry import check_formats, format_names
from lexiseg.printable import counted
from lexiseg.words.description import Side

if TYPE_CHECKING:
    from lexiseg.inference.batch_summary import BatchSummary
    from lexiseg.inference.predictor import Predictor
    from lexiseg.inference.remote_folder import RemoteFolder
    from lexiseg.inference.target_list import Shard
    from lexiseg.inference.targets import SkippedFiles
    from lexiseg.inference.volumes.batch import VolumeSummary


def predict(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(metavar="RUN", help=RUN_HELP)],
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATHS",
            help="Images, volumes, folders, quoted glob patterns, .zip and .tar files, DICOMDIR, addresses "
            "of DICOMweb studies, or URLs.",
        ),
    ],
    out: Annotated[
        str,
        typer.Option(
            "--out", "-o", help="Folder for masks and predictions.jsonl; it may be a URL such as s3://...."
        ),
    ] = "predictions",
    write: Annotated[
        str, typer.Option(help=f"Output formats, separated by commas: {', '.join(format_names())}.")
    ] = "mask",
    overlays: Annotated[
        bool,
        typer.Option(
            "--overlays",
            help="Also write each image with the contour of its mask, as the format overlay does.",
        ),
    ] = False,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Also write a card per image, as the format card does: the words by scale, the place where "
            "each word acts, and the masks that other words would give.",
        ),
    ] = False,
    spacing_mm: Annotated[
        tuple[float, float] | None,
        typer.Option(
            help="Height and width of a pixel in mm, the same for all images. Areas are then also given in "
            "mm2."
        ),
    ] = None,
    window: Window = None,
    frame: Frame = None,
    axis: Axis = AxisOption.AUTO,
    smooth_slices: SmoothSlices = False,
    single_slices: SingleSlices = False,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER/COUNT",
            help="Predict one part of the images, such as 3/16, into a folder of its own in --out. `lexiseg "
            "join` makes one list of the results of all parts.",
        ),
    ] = None,
    tar: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="IMAGES",
            help="Write the files of the images into tar archives of so many images each, as WebDataset "
            "reads them.",
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Predict on a Ray cluster: auto for that of this machine, or its address, such as "
            "10.0.0.1:6379. All machines see run and images at the same paths.",
        ),
    ] = None,
    batch_size: BatchSize = 8,
    device: Device = "cpu",
    engine: EngineOption = EngineName.AUTO,
    precision: PrecisionOption = PrecisionName.FP32,
    flip_average: FlipAverage = False,
    average_with: AverageWith = None,
    dry_run: DryRun = False,
    shared: Shared = False,
) -> None:
    """Segment images and volumes: write masks in their size, the retrieved words, and a review flag."""
    formats = [name.strip() for name in write.split(",") if name.strip()]
    if not formats:
        raise UsageError(
            f"--write {write!r} names no output format: expected some of {', '.join(format_names())}.",
            code="LEX-USE-743",
        )
    formats += ["overlay"] * overlays + ["card"] * explain
    check_formats(formats)
    view = parse_view(window, frame)

    from lexiseg import forecast_prediction, load, predict_to_files
    from lexiseg.inference.image_sources import is_url
    from lexiseg.inference.shards import predict_shard
    from lexiseg.inference.sources.local_sources import local_sources
    from lexiseg.inference.tar_archives import is_plain_tar
    from lexiseg.inference.target_list import Shard
    from lexiseg.inference.targets import find_images
    from lexiseg.inference.volumes.targets import check_apart, find_volumes
    from lexiseg.inference.writers.tar import into_archives

    part = None if shard is None else Shard.parse(shard)
    writers = into_archives(formats, tar) if tar is not None else formats
    remote = None
    if is_url(out) and not dry_run:
        # All that decides about the results: an upload goes on for the same command only.
        command = (
            f"{run} {paths} {formats} {tar} {spacing_mm} {view} {axis} {smooth_slices} {single_slices} "
            f"{engine} {precision} {flip_average} {average_with}"
        )
        remote = _remote_folder(out, part, command)
        if remote.is_predicted:
            say("The images were predicted before; the upload was left.")
            _upload(remote)
            return
    place = Path(out) if remote is None else remote.work
    # Private copies stay until the command ends.
    sources = context.with_resource(local_sources(paths))
    for note in sources.notes:
        warn(note)
    volumes = find_volumes(
        [path for path in sources.patterns if not is_url(str(path)) and not is_plain_tar(str(path))],
        out=place,
        with_dicom=not single_slices and frame is None,
        labels=sources.labels,
    )
    if volumes.targets and part is not None:
        raise UsageError(
            f"--shard predicts a part of the images, and {volumes.targets[0].label} is a volume. Predict "
            "volumes with a command without --shard, or the slices of DICOM series as images with "
            "--single-slices.",
            code="LEX-USE-1185",
        )
    images = find_images(sources.patterns, out=place, of_volumes=volumes.files, labels=sources.labels)
    targets = images.targets if part is None else images.targets.chosen(part.holds)
    check_apart(volumes.targets, targets)
    _say_skipped(images.skipped)
    _say_earlier(images.earlier_outputs)
    predictor = load(
        run,
        device=device,
        # Cards look into the network, which only torch allows.
        engine="torch" if "card" in formats and engine == EngineName.AUTO else engine.value,
        precision=precision.value,
        flip_average=flip_average,
        average_with=average_with,
        batch_size=batch_size,
        spacing_mm=spacing_mm,
        view=view,
    )
    if dry_run:
        forecast = forecast_prediction(
            predictor, targets, place, formats=formats, volumes=len(volumes.targets)
        )
        show_result(forecast)
        for sentence in forecast.sentences():
            say(sentence)
        for error in forecast.unreadable.values():
            warn(f"Would be skipped: {error}")
        return
    if ray is not None:
        on_ray = load_module("lexiseg.inference.ray_predictor")
        on_ray.refuse_sources(targets)
        predictor = on_ray.RayPredictor(predictor, ray)
    say(f"Engine: {predictor.engine.description}.")
    volumes_done = volume_failure = None
    if volumes.targets:
        volumes_done, volume_failure = predict_volumes(
            predictor,
            volumes.targets,
            place,
            formats=formats,
            axis=axis,
            smooth=smooth_slices,
            named=sources.named,
        )
        if not targets:
            if remote is not None:
                _upload(remote)
            show_result(_result(None, None, volumes_done, predictor, sources.named))
            if volume_failure is not None:
                raise volume_failure
            return
    with progress_bar() as progress:
        task = progress.add_task("predicting", total=len(targets))

        def show(path: Path, result: object) -> None:
            progress.advance(task)
            if isinstance(result, LexisegError):
                warn(f"Skipped: {sources.named(str(result))}")

        try:
            predict_all = predict_to_files if part is None else partial(predict_shard, shard=part)
            summary = predict_all(
                predictor,
                images.targets,
                place,
                writers=writers,
                on_result=show,
                on_resumed=lambda path: progress.advance(task),
            )
        except KeyboardInterrupt as interrupt:
            done = place if part is None else place / part.folder
            raise KeyboardInterrupt(
                f"The masks so far are in {done / 'masks'}. Run the command again: it goes on with the rest."
                if "mask" in formats and tar is None
                else f"The files so far are in {done}. Run the command again: it goes on with the rest."
            ) from interrupt
    results = str(summary.results) if remote is None else _upload(remote)
    _say_tries(summary)
    show_result(_result(summary, results, volumes_done, predictor, sources.named))
    compares = predictor.compares_images
    can_flag = predictor.run.spoken_vocabulary is not None or predictor.calibration is not None or compares
    review = f"; {summary.flagged} flagged for review" if can_flag else ""
    say(f"{summary.done} of {counted(len(targets), 'image')} segmented{review}. Results: {results}")
    for sentence, count in summary.assumptions:
        say(f"{sentence} ({counted(count, 'image')})")
    if summary.unlike:
        say(
            f"{counted(summary.unlike, 'image is', 'images are')} unlike the training images of the run: "
            "flagged, and the expected Dice is unknown."
        )
    if not compares:
        say(
            "The run does not hold what its training images look like, so images unlike them are not "
            "noticed. `lexiseg calibrate RUN DATA` adds it."
        )
    if predictor.run.spoken_vocabulary is not None:
        _say_sides(predictor.run.side, summary.done, summary.sides_unknown)
    if not summary.locked:
        warn(f"The disk of {place} supports no locks: start no second prediction into this folder meanwhile.")
    if summary.turned:
        say(
            f"{counted(summary.turned, 'image has', 'images have')} an EXIF "
            "orientation, with which viewers rotate or mirror images. Masks, sizes, left and right are those "
            "of the image as the file stores it (see exif_orientation in the results)."
        )
    for image, name, reason in summary.refused:
        warn(f"The {name} of {sources.named(str(image))} is not written: {reason}")
    if volume_failure is not None and (summary.refused or summary.failed):
        warn(str(volume_failure))
    if summary.refused and not summary.failed:
        raise PartialFailureError(
            f"{counted(len(summary.refused), 'output was', 'outputs were')} not written; each is named above "
            f"and in {results}.",
            code="LEX-PART-940",
        )
    if summary.failed:
        raise PartialFailureError(
            f"{len(summary.failed)} of {counted(len(targets), 'image')} could not be read; "
            f"each is named above and in {results}.",
            code="LEX-PART-005",
        )
    if volume_failure is not None:
        raise volume_failure


def _result(
    images: BatchSummary | None,
    results: str | None,
    volumes: VolumeSummary | None,
    predictor: Predictor,
    named: Callable[[str], str],
) -> dict[str, object]:
    """Return what --json prints: the counts of images, of volumes, or of both."""

    def lists(summary: BatchSummary | VolumeSummary) -> dict[str, object]:
        failed = [{"image": named(str(image)), "error": named(error)} for image, error in summary.failed]
        refused = [
            {"image": named(str(image)), "format": name, "reason": reason}
            for image, name, reason in summary.refused
        ]
        return {"failed": failed, "refused": refused}

    found: dict[str, object] = {"engine": str(predictor.engine.description)}
    if images is not None:
        found |= {"done": images.done, "flagged": images.flagged, "unlike": images.unlike, **lists(images)}
        found |= {"results": results, "resumed": images.resumed, "recovered": images.recovered}
    if volumes is not None:
        counts = {"done": volumes.done, "slices": volumes.slices, "flagged": volumes.flagged}
        found["volumes"] = {**counts, **lists(volumes), "results": volumes.results}
    return found


def _remote_folder(url: str, part: Shard | None, command: str) -> RemoteFolder:
    """Return the folder at a URL for all results, or for those of a shard."""
    from lexiseg.inference.remote_folder import RemoteFolder

    if part is None:
        return RemoteFolder(url, command=command)
    return RemoteFolder(f"{url.rstrip('/')}/{part.folder}", command=command, inner=part.folder)


def _upload(remote: RemoteFolder) -> str:
    """Upload the results and return the URL of their lines."""
    say(f"Files uploaded to {remote.url}: {remote.upload()}.")
    return f"{remote.url}/predictions.jsonl"


def _say_tries(summary: BatchSummary) -> None:
    """Say how many images were finished before, and how many needed a second try."""
    if summary.resumed:
        images = counted(summary.resumed, "image")
        say(f"Not predicted again, as an interrupted command had finished them: {images}.")
    if summary.recovered:
        images = counted(summary.recovered, "image")
        say(f"{images} failed at first and succeeded at the second try.")


def _say_sides(side: Side, done: int, unknown: int) -> None:
    """Say whose left and right the words mean; nothing where the side of all words is unknown.

    Args:
        side: Side convention of the run.
        done: Number of images segmented.
        unknown: Number of them of which the side is unknown. An assumption names the reason of each.
    """
    if done == unknown:
        return
    images = counted(unknown, "image")
    but = f", except in the {images} whose side is unknown" if unknown else ""
    say_side(side, but)


def _say_earlier(earlier: Sequence[Path]) -> None:
    """Name the pictures that are not read because an earlier prediction wrote them."""
    if earlier:
        pictures_are = counted(len(earlier), "picture is", "pictures are")
        warn(
            f"{pictures_are} not read because an earlier prediction wrote them: {earlier[0]}"
            + (" and others. " if len(earlier) > 1 else ". ")
            + "To predict such a picture, give its path."
        )


def _say_skipped(skipped: Mapping[str, SkippedFiles]) -> None:
    """Name the files in folders of images that are not read because of their ending."""
    if skipped:
        shown = ", ".join(
            f"{files.count} {ending or 'without ending'} ({files.example.name})"
            for ending, files in sorted(skipped.items())
        )
        count = sum(files.count for files in skipped.values())
        files_are = counted(count, "file is", "files are")
        warn(f"{files_are} not read because of the ending: {shown}. Save images as PNG or JPEG.")
