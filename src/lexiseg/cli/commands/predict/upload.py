"""Results of `lexiseg predict` at a URL."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lexiseg.cli.terminal.messages import say
from lexiseg.cli.terminal.output_mode import show_result
from lexiseg.errors import PartialFailureError
from lexiseg.printable import counted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lexiseg.cli.commands.predict.inputs import PredictInputs
    from lexiseg.cli.commands.predict.options import PredictRequest
    from lexiseg.cli.commands.predict.summary import PredictOutcome
    from lexiseg.inference.predictor import Predictor
    from lexiseg.inference.remote.folder import RemoteFolder


def remote_folder(request: PredictRequest) -> RemoteFolder | None:
    """Return the folder at a URL for all results, or for those of a shard; None for results on this computer.

    Nothing is written there yet.

    Raises:
        DataError: The folder holds files, an upload of another command was not finished, or the URL cannot be
            reached.
        UsageError: There are no credentials, or the URL holds a password.
    """
    from lexiseg.inference.remote.file_systems import is_url, refuse_password, shown_url

    if not is_url(request.out):
        return None
    refuse_password(request.out)
    if request.dry_run:
        return None
    from lexiseg.inference.remote.folder import RemoteFolder

    # An upload goes on for the same command only. A new key of an address decides nothing, and is not stored.
    paths = [shown_url(path) for path in request.paths]
    options = request.options
    command = (
        f"{request.run} {paths} {list(request.formats)} {request.tar} {options.spacing_mm} {options.view} "
        f"{request.axis} {request.smooth_slices} {request.single_slices} {options.engine} "
        f"{options.precision} {options.flip_average} {options.average_with}"
    )
    if request.shard is None:
        return RemoteFolder(request.out, command=command)
    part = request.shard.folder
    return RemoteFolder(f"{request.out.rstrip('/')}/{part}", command=command, inner=part)


def digest_of(
    request: PredictRequest, predictor: Predictor, inputs: PredictInputs, copies: Mapping[Path, str]
) -> str:
    """Return a digest of what is predicted and how: weights, calibration, options and files.

    Args:
        request: The request.
        predictor: The predictor.
        inputs: What is predicted.
        copies: What the folders of private copies are called.
    """
    from lexiseg.inference.batches.batch_job import BatchJob
    from lexiseg.inference.batches.inputs_digest import inputs_digest

    job = BatchJob.of(predictor, request.formats)
    names = inputs.all_images.names()
    return inputs_digest(job, inputs.images, inputs.volumes, names=names, copies=copies)


def upload_finished(remote: RemoteFolder, digest: str, inputs: PredictInputs) -> bool:
    """Upload results that an earlier command finished for the same inputs; return whether there are such.

    Args:
        remote: The folder at a URL.
        digest: What is predicted now, and how.
        inputs: What is predicted now.

    Raises:
        PartialFailureError: Some of the images, volumes or outputs failed in the earlier command.
        DataError: The URL cannot be reached; the results stay on this computer.
        UsageError: There are no credentials.
    """
    made = remote.made(digest)
    if made is None:
        remote.begin_results()
        return False
    remote.begin()
    say("The results were made before; the upload was left.")
    upload(remote)
    images, volumes = remote_results(remote, inputs)
    left: dict[str, object] = {} if images is None else {"results": images}
    left |= {} if volumes is None else {"volumes": {"results": volumes}}
    for results in (volumes, images):
        if results is not None:
            say(f"Results: {results}")
    show_result({**left, "failed": made.failed})
    if made.failed:
        raise PartialFailureError(
            f"{counted(made.failed, 'image, volume or output', 'images, volumes or outputs')} failed when "
            f"these results were made; {remote.url} holds the reasons.",
            code="LEX-PART-1831",
        )
    return True


def upload_outcome(
    remote: RemoteFolder, digest: str, inputs: PredictInputs, outcome: PredictOutcome
) -> PredictOutcome:
    """Upload the results that were made now, and return the outcome with the URLs of their lines.

    Raises:
        DataError: The URL cannot be reached; the results stay on this computer.
        UsageError: There are no credentials.
    """
    from lexiseg.inference.remote.folder import MadeRecord

    parts = (outcome.images, outcome.volumes)
    failed = sum(len(part.failed) + len(part.refused) for part in parts if part is not None)
    remote.finish_results(MadeRecord(inputs_sha256=digest, failed=failed))
    upload(remote)
    images, volumes = remote_results(remote, inputs)
    return replace(outcome, results=images, volume_results=volumes)


def remote_results(remote: RemoteFolder, inputs: PredictInputs) -> tuple[str | None, str | None]:
    """Return the URLs of the lines of images and of volumes; None for lines that a command does not write.

    Args:
        remote: The folder at a URL.
        inputs: What the command predicts.
    """
    from lexiseg.inference.formats.file_names import RESULTS_FILE, VOLUMES_FILE

    return (
        f"{remote.url}/{RESULTS_FILE}" if inputs.has_lines_of_images else None,
        f"{remote.url}/{VOLUMES_FILE}" if inputs.volumes else None,
    )


def upload(remote: RemoteFolder) -> None:
    """Upload the results.

    Raises:
        DataError: The URL cannot be reached; the results stay on this computer.
        UsageError: There are no credentials.
    """
    say(f"Files uploaded to {remote.url}: {remote.upload()}.")
