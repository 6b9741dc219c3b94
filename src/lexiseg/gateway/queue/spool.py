"""The files of a gateway: received images, results that are not deleted yet, and the quarantine.

The queue says how far each image is; files follow it. After a kill, `tidy` makes the files fit the queue.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from lexiseg.files import TEMPORARY_PREFIX, disk_errors, make_folder, remove_leftovers
from lexiseg.gateway.queue.quarantine_record import QuarantineRecord
from lexiseg.json_records import write_record

#: The folder of the quarantine in the state folder.
QUARANTINE = "quarantine"
_RECEIVED, _RESULTS, _WORK = "received", "results", "work"
#: The folders in the state folder in which `Spool.tidy` removes what the queue does not name.
CLEANED = (_RECEIVED, _RESULTS, QUARANTINE, _WORK)

#: Ending of all images, whatever they are.
IMAGE_SUFFIX = ".dcm"
#: Ending of the reason beside an image in quarantine.
REASON_SUFFIX = ".json"


class Spool:
    """The folders of the state folder.

    Args:
        state: The state folder; its folders are created if needed.

    Attributes:
        state: As given.

    Raises:
        DiskError: There is no space or no permission.
    """

    def __init__(self, state: Path) -> None:
        self.state = state
        self._received, self._results = state / _RECEIVED, state / _RESULTS
        self._quarantine, self._work = state / QUARANTINE, state / _WORK
        for folder in (self._received, self._results, self._quarantine, self._work):
            with disk_errors(folder):
                make_folder(folder)

    def image(self, id: str) -> Path:
        """Return where a received image is that is not in quarantine."""
        return self._received / f"{id}{IMAGE_SUFFIX}"

    def results(self, id: str) -> Path:
        """Return the folder of the results of an image, one file per format."""
        return self._results / id

    def work(self, name: str) -> Path:
        """Return a folder for a batch; `tidy` removes it if it is left behind."""
        return self._work / name

    def sync_received(self) -> None:
        """Have the names of received images on the disk, where the system can do that."""
        _sync(self._received)

    def drop(self, id: str) -> None:
        """Remove the image and the results of an image."""
        self.image(id).unlink(missing_ok=True)
        (self._quarantine / f"{id}{IMAGE_SUFFIX}").unlink(missing_ok=True)
        (self._quarantine / f"{id}{REASON_SUFFIX}").unlink(missing_ok=True)
        shutil.rmtree(self.results(id), ignore_errors=True)

    def keep_results(self, id: str, made: Path) -> None:
        """Give a folder with the results of an image its place, in one step.

        Raises:
            DiskError: There is no space or no permission.
        """
        place = self.results(id)
        with disk_errors(place):
            shutil.rmtree(place, ignore_errors=True)  # of a prediction that a kill ended before it was noted
            os.replace(made, place)
        _sync(self._results)

    def explain(self, id: str, record: QuarantineRecord) -> None:
        """Write why an image goes into quarantine, before the queue says that it is there.

        The first reason of an image stays.

        Raises:
            DiskError: There is no space or no permission.
        """
        file = self._quarantine / f"{id}{REASON_SUFFIX}"
        if not file.exists():
            write_record(file, record)

    def to_quarantine(self, id: str) -> None:
        """Move an image that the queue says is in quarantine."""
        if self.image(id).exists():
            os.replace(self.image(id), self._quarantine / f"{id}{IMAGE_SUFFIX}")

    def from_quarantine(self, id: str) -> None:
        """Move an image back; its results are removed, as they are made again."""
        kept = self._quarantine / f"{id}{IMAGE_SUFFIX}"
        if kept.exists():
            os.replace(kept, self.image(id))
        (self._quarantine / f"{id}{REASON_SUFFIX}").unlink(missing_ok=True)
        shutil.rmtree(self.results(id), ignore_errors=True)

    def free_bytes(self) -> int:
        """Return the free space on the disk."""
        return shutil.disk_usage(self.state).free

    def is_empty(self) -> bool:
        """Return whether there is no image, no result and no reason; half-written files do not count."""
        folders = (self._received, self._results, self._quarantine)
        return all(file.name.startswith(TEMPORARY_PREFIX) for folder in folders for file in folder.iterdir())

    def tidy(
        self, *, with_image: Iterable[str], with_results: Iterable[str], quarantined: Iterable[str]
    ) -> None:
        """Make the files fit the queue after a process was killed.

        Only the process that holds the lock of the state folder may call this, and only with a queue that was
        there when the files came: everything that is not named here is removed.

        Args:
            with_image: Images whose file is kept; any other was not acknowledged, or was deleted.
            with_results: Images whose results are kept.
            quarantined: Images in quarantine.
        """
        images, results = set(with_image), set(with_results)
        shutil.rmtree(self._work, ignore_errors=True)
        make_folder(self._work)
        for folder in (self.state, self._received, self._quarantine):
            remove_leftovers(folder)
        for id in quarantined:
            self.to_quarantine(id)
            images.add(id)
        for folder in (self._received, self._quarantine):
            for file in folder.iterdir():
                if file.name.split(".")[0] not in images:
                    file.unlink(missing_ok=True)
        for folder in self._results.iterdir():
            if folder.name not in results:
                shutil.rmtree(folder, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Have the names in a folder on the disk, where the system can do that."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
