"""A digest of what is predicted and how, which tells whether results are still those of a command."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from lexiseg.file_hashes import file_sha256
from lexiseg.files import disk_errors
from lexiseg.inference.batches.batch_job import BatchJob
from lexiseg.inference.inputs.target import Target
from lexiseg.inference.inputs.volume_target import VolumeTarget
from lexiseg.json_records import record_text


def inputs_digest(
    job: BatchJob,
    images: Iterable[Target],
    volumes: Iterable[VolumeTarget],
    *,
    names: Iterable[str],
    copies: Mapping[Path, str] | None = None,
) -> str:
    """Return a SHA-256 that differs if the results could differ.

    A file counts by its name, its size and the time of its last change; an image at a URL by its name alone.
    A private copy, such as a file of an archive, is made anew by each command: it counts by its content.

    Args:
        job: How images are predicted.
        images: The images.
        volumes: The volumes.
        names: Names of the outputs of all images, also those of other shards.
        copies: What the folders of private copies are called (`lexiseg.inference.sources.local_sources`).

    Raises:
        DiskError: A private copy cannot be read.
    """
    copied = {} if copies is None else copies
    digest = hashlib.sha256(record_text(job).encode())

    def add(*parts: object) -> None:
        digest.update("\0".join(map(str, parts)).encode("utf-8", "surrogatepass") + b"\n")

    for name in names:
        add(name)
    for image in images:
        file = image.image if image.origin is None else image.origin.local_file
        add(image.label, image.name.as_posix(), *_state(file, copied))
    for volume in volumes:
        add(volume.label, volume.name.as_posix())
        for file in volume.files():
            add(_named(file, copied), *_state(file, copied))
    return digest.hexdigest()


def _named(file: Path, copies: Mapping[Path, str]) -> str:
    """Return what is the same of a file for each command: a private copy is called by its source."""
    for folder, label in copies.items():
        if file.is_relative_to(folder):
            return f"{label}/{file.relative_to(folder).as_posix()}"
    return str(file)


def _state(file: Path | None, copies: Mapping[Path, str]) -> tuple[object, ...]:
    """Return size and time of the last change of a file; nothing for one that is not here, or is gone.

    Of a private copy, the SHA-256 is returned.
    """
    if file is not None and any(file.is_relative_to(folder) for folder in copies):
        with disk_errors(file):
            return (file_sha256(file),)
    try:
        found = None if file is None else os.stat(file)
    except OSError:
        return ()
    # The second time also tells a file that was copied with its old time.
    return () if found is None else (found.st_size, max(found.st_mtime_ns, found.st_ctime_ns))
