"""Results of `lexiseg predict` at a URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lexiseg.cli.common_options import say

if TYPE_CHECKING:
    from lexiseg.cli.predict_options import PredictRequest
    from lexiseg.inference.remote_folder import RemoteFolder


def remote_folder(request: PredictRequest) -> RemoteFolder | None:
    """Return the folder at a URL for all results, or for those of a shard; None for results on this computer.

    Raises:
        DataError: The folder holds files, an upload of another command was not finished, or the URL cannot be
            reached.
        UsageError: There are no credentials.
    """
    from lexiseg.inference.file_systems import is_url, shown_url

    if not is_url(request.out) or request.dry_run:
        return None
    from lexiseg.inference.remote_folder import RemoteFolder

    # All that decides about the results: an upload goes on for the same command only. A new key of an address
    # decides nothing, and is not stored.
    paths = [shown_url(path) for path in request.paths]
    command = (
        f"{request.run} {paths} {list(request.formats)} {request.tar} {request.spacing_mm} {request.view} "
        f"{request.axis} {request.smooth_slices} {request.single_slices} {request.engine} "
        f"{request.precision} {request.flip_average} {request.average_with}"
    )
    if request.shard is None:
        return RemoteFolder(request.out, command=command)
    part = request.shard.folder
    return RemoteFolder(f"{request.out.rstrip('/')}/{part}", command=command, inner=part)


def upload(remote: RemoteFolder) -> str:
    """Upload the results and return the URL of their lines.

    Raises:
        DataError: The URL cannot be reached; the results stay on this computer.
        UsageError: There are no credentials.
    """
    say(f"Files uploaded to {remote.url}: {remote.upload()}.")
    return f"{remote.url}/predictions.jsonl"
