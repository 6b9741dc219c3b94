"""A digest of what is predicted and how, which tells whether results are still those of a command."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from lexiseg.inference.batch_job import BatchJob
from lexiseg.inference.volumes.targets import VolumeTarget
from lexiseg.inference.writers.base import Target
from lexiseg.json_records import record_text


def inputs_digest(
    job: BatchJob, images: Iterable[Target], volumes: Iterable[VolumeTarget], *, names: Iterable[str]
) -> str:
    """Return a SHA-256 that differs if the results could differ.

    A file counts by its name, its size and the time of its last change; an image at a URL by its name alone.

    Args:
        job: How images are predicted.
        images: The images.
        volumes: The volumes.
        names: Names of the outputs of all images, also those of other shards.
    """
    digest = hashlib.sha256(record_text(job).encode())

    def add(*parts: object) -> None:
        digest.update("\0".join(map(str, parts)).encode("utf-8", "surrogatepass") + b"\n")

    for name in names:
        add(name)
    for image in images:
        file = image.image if image.origin is None else image.origin.local_file
        add(image.label, image.name.as_posix(), *_state(file))
    for volume in volumes:
        add(volume.label, volume.name.as_posix())
        for file in volume.files():
            add(file, *_state(file))
    return digest.hexdigest()


def _state(file: Path | None) -> tuple[int, ...]:
    """Return size and time of the last change of a file; nothing for one that is not here, or is gone."""
    try:
        found = None if file is None else os.stat(file)
    except OSError:
        return ()
    # The second time also tells a file that was copied with its old time.
    return () if found is None else (found.st_size, max(found.st_mtime_ns, found.st_ctime_ns))
