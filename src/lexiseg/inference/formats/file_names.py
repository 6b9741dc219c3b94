"""Names of the files and folders, in an output folder, that hold the results of all images or volumes."""

from __future__ import annotations

#: The lines of a finished batch of images.
RESULTS_FILE = "predictions.jsonl"
#: The lines of a batch of images that is not finished.
PARTIAL_FILE = f"{RESULTS_FILE}.partial"

#: The lines of a finished batch of volumes.
VOLUMES_FILE = "volumes.jsonl"
#: The lines of a batch of volumes that is not finished.
PARTIAL_VOLUMES_FILE = f"{VOLUMES_FILE}.partial"

#: Folder of the tar archives that hold outputs.
ARCHIVE_FOLDER = "archives"
