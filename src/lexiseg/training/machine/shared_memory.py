"""Whether worker processes can hand over batches: that takes shared memory, which containers may lack."""

from __future__ import annotations

import multiprocessing
import shutil
from pathlib import Path

import torch

#: Where Linux keeps shared memory.
_FOLDER = Path("/dev/shm")
#: Batches per worker that wait at a time: torch prefetches two, and one is in use.
_BATCHES = 3
#: Bytes per pixel of an example: three channels of the image, and a label of up to 8 bytes.
_PIXEL_BYTES = 3 + 8


def shared_memory_problem(*, workers: int, batch_size: int, image_size: int) -> str | None:
    """Return why worker processes cannot be used here; None if they can.

    Args:
        workers: Number of processes.
        batch_size: Images per batch.
        image_size: Height and width of an image in pixels.
    """
    try:
        multiprocessing.get_context().Lock()
        torch.zeros(1).share_memory_()  # type: ignore[no-untyped-call]
    except (OSError, RuntimeError) as error:
        return f"there is no shared memory ({error})"
    if not _FOLDER.is_dir():
        return None
    needed = workers * _BATCHES * batch_size * image_size**2 * _PIXEL_BYTES
    free = shutil.disk_usage(_FOLDER).free
    if needed > free:
        sizes = f"has {free / 2**20:.0f} MB free, and they need up to {needed / 2**20:.0f} MB"
        return f"shared memory ({_FOLDER}) {sizes}"
    return None
