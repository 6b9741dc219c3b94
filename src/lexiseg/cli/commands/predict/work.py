"""The work of `lexiseg predict`: paths become inputs, and inputs become files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lexiseg.cli.commands.predict.inputs import PredictInputs, find_inputs
from lexiseg.cli.commands.predict.job import PredictJob
from lexiseg.cli.commands.predict.options import PredictRequest
from lexiseg.cli.commands.predict.summary import PredictOutcome, raise_for_failures, say_outcome
from lexiseg.cli.commands.predict.upload import digest_of, remote_folder, upload_finished, upload_outcome
from lexiseg.cli.commands.predict.volumes import end_volumes, predict_volumes, say_volumes
from lexiseg.cli.terminal.messages import say, warn
from lexiseg.cli.terminal.output_mode import show_result
from lexiseg.cli.terminal.progress import counted_progress
from lexiseg.errors import LexisegError
from lexiseg.extras import load_module
from lexiseg.inference.formats.registry import needs_torch

if TYPE_CHECKING:
    from lexiseg.inference.batches.batch_summary import BatchSummary
    from lexiseg.inference.predictor import Predictor
    from lexiseg.inference.writers.base import Writer


def run_prediction(context: typer.Context, request: PredictRequest) -> None:
    """Predict what a request names, and say what was done.

    Args:
        context: The context of the command, whose end removes private copies.
        request: The request.

    Raises:
        LexisegError: Nothing can be predicted, or a part of it failed.
    """
    from lexiseg.inference.sources.local_sources import local_sources

    writers = _writers(request)
    remote = remote_folder(request)
    place = Path(request.out) if remote is None else remote.work
    sources = context.with_resource(local_sources(request.paths))
    for note in sources.notes:
        warn(note)
    with sources.naming():
        inputs = find_inputs(request, sources, place)
    predictor = _loaded(request)
    if request.dry_run:
        _say_forecast(request, predictor, inputs)
        return
    digest = "" if remote is None else digest_of(request, predictor, inputs, sources.labels)
    if remote is not None and upload_finished(remote, digest, inputs):
        return
    if request.ray is not None:
        predictor = _on_cluster(predictor, inputs, request.ray)
    if remote is not None:
        remote.begin()
    say(f"Engine: {predictor.engine.description}.")
    job = PredictJob(
        request=request,
        predictor=predictor,
        inputs=inputs,
        place=place,
        writers=writers,
        named=sources.named,
    )
    outcome = _predict(job, uploaded=remote is not None)
    if remote is not None:
        outcome = upload_outcome(remote, digest, inputs, outcome)
        if outcome.volumes is not None:
            say(f"Results of volumes: {outcome.volume_results}")
    say_outcome(outcome, predictor, place)
    raise_for_failures(outcome)


def _predict(job: PredictJob, *, uploaded: bool) -> PredictOutcome:
    """Predict volumes and images to files of this computer.

    Args:
        job: The request, with what it found.
        uploaded: Whether the files are uploaded later, so that their places here are not said.
    """
    volumes = images = None
    if job.inputs.volumes and job.inputs.images:
        from lexiseg.inference.batches.batch import refuse_early

        # Before the volumes, which can take hours.
        refuse_early(job.predictor, job.inputs.all_images, job.place, formats=job.writers)
    if job.inputs.volumes:
        volumes = predict_volumes(job)
        # Before the images: what is known of the volumes is not lost if the images are interrupted.
        results = None if uploaded else str(volumes.results)
        say_volumes(volumes, results=results, named=job.named)
    if job.inputs.has_lines_of_images:
        images = _predict_images(job)
    if volumes is not None and images is not None:
        end_volumes(job)
    return PredictOutcome(
        images=images,
        named_images=len(job.inputs.images),
        results=None if images is None else str(images.results),
        volumes=volumes,
        volume_results=None if volumes is None else str(volumes.results),
        named=job.named,
    )


def _writers(request: PredictRequest) -> Sequence[str | Writer]:
    """Return the output formats, or what writes them into tar archives."""
    from lexiseg.inference.writers.tar import into_archives

    return request.formats if request.tar is None else into_archives(request.formats, request.tar)


def _loaded(request: PredictRequest) -> Predictor:
    """Load the run.

    Raises:
        LexisegError: It cannot be loaded, or cards are asked for and its engine cannot explain.
    """
    from lexiseg import Predictor

    explains = needs_torch(request.formats)
    predictor = Predictor(request.run, request.options.explaining() if explains else request.options)
    if explains:
        from lexiseg.inference.explanation.explain import check_explainable

        check_explainable(predictor)
    return predictor


def _on_cluster(predictor: Predictor, inputs: PredictInputs, address: str) -> Predictor:
    """Return the predictor on a Ray cluster."""
    on_ray = load_module("lexiseg.inference.batches.ray_predictor")
    on_ray.refuse_sources(inputs.images)
    on_cluster: Predictor = on_ray.RayPredictor(predictor, address)
    return on_cluster


def _say_forecast(request: PredictRequest, predictor: Predictor, inputs: PredictInputs) -> None:
    """Say what would be done."""
    from lexiseg import forecast_prediction

    forecast = forecast_prediction(
        predictor,
        inputs.images,
        request.out,
        formats=request.formats,
        volumes=len(inputs.volumes),
        shard=request.shard,
        tar=request.tar,
    )
    show_result(forecast)
    for sentence in forecast.sentences():
        say(sentence)
    for error in forecast.unreadable.values():
        warn(f"Would be skipped: {error}")


def _predict_images(job: PredictJob) -> BatchSummary:
    """Predict the images, with a progress bar.

    Raises:
        KeyboardInterrupt: A person stopped it; the message says how it goes on.
    """
    from lexiseg import predict_to_files
    from lexiseg.inference.batches.shards import predict_shard

    request, place, shard = job.request, job.place, job.request.shard
    with counted_progress() as progress:
        task = progress.add_task("predicting", total=len(job.inputs.images))

        def show(label: str, result: object) -> None:
            progress.advance(task)
            if isinstance(result, LexisegError):
                warn(f"Skipped: {job.named(str(result))}")

        try:
            predict_all = predict_to_files if shard is None else partial(predict_shard, shard=shard)
            return predict_all(
                job.predictor,
                job.inputs.all_images,
                place,
                formats=job.writers,
                on_result=show,
                on_resumed=lambda label: progress.advance(task),
            )
        except KeyboardInterrupt as interrupt:
            done = place if shard is None else place / shard.folder
            has_masks = "mask" in request.formats and request.tar is None
            files = f"masks so far are in {done / 'masks'}" if has_masks else f"files so far are in {done}"
            raise KeyboardInterrupt(
                f"The {files}. Run the command again: it goes on with the rest."
            ) from interrupt
