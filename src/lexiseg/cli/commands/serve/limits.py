"""Limits of `lexiseg serve`, as options."""

from __future__ import annotations

from typing import Annotated

import typer

MaxFileMb = Annotated[float, typer.Option(min=0.001, help="Largest image, in megabytes.")]
MaxPixels = Annotated[int, typer.Option(min=1, help="Most pixels of an image.")]
MaxSeconds = Annotated[float, typer.Option(min=0.1, help="Longest request, in seconds; jobs excepted.")]
MaxWaiting = Annotated[int, typer.Option(min=1, help="Most images that wait for a model.")]
MaxJobs = Annotated[int, typer.Option(min=1, help="Most jobs that arrive, wait or run at a time.")]
MaxJobMb = Annotated[float, typer.Option(min=0.001, help="Most megabytes of the files of a job.")]
MaxJobSeconds = Annotated[float, typer.Option(min=0.1, help="Longest upload of a job, in seconds.")]
MaxVolumeMb = Annotated[
    float, typer.Option(min=0.001, help="Largest volume file or zip file of a job, in megabytes.")
]
MaxUnpackedMb = Annotated[
    float, typer.Option(min=0.001, help="Most megabytes that the zip files of a job hold when unpacked.")
]
MaxVoxels = Annotated[int, typer.Option(min=1, help="Most voxels of a volume.")]
MaxSlices = Annotated[int, typer.Option(min=1, help="Most slices of a volume.")]
KeepJobs = Annotated[int, typer.Option(min=1, help="Most finished jobs that are kept; the oldest go first.")]
KeepMinutes = Annotated[float, typer.Option(min=0.01, help="Minutes for which a finished job is kept.")]
JobDiskMb = Annotated[
    float,
    typer.Option(
        min=0.001, help="Megabytes on the disk for uploads of all jobs and results of finished ones."
    ),
]
WatchSeconds = Annotated[
    float,
    typer.Option(
        min=0, help="Seconds between two looks at the run folders, to replace changed models; 0: never look."
    ),
]

#: Bytes of a megabyte.
MEGABYTE = 1_000_000
