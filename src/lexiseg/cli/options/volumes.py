"""Options of volumes."""

from __future__ import annotations

from typing import Annotated

import typer

from lexiseg.choices import AxisName

Axis = Annotated[
    AxisName,
    typer.Option(
        "--axis",
        help="Volumes: the slices to predict, by the plane of the body or the voxel axis. auto: the acquired "
        "slices, or the only one, or those along the longest side of a voxel, or axial ones.",
    ),
]
SmoothSlices = Annotated[
    bool,
    typer.Option(
        "--smooth-slices",
        help="Volumes: average each probability with those of the two neighbouring slices.",
    ),
]
SingleSlices = Annotated[
    bool,
    typer.Option(
        "--single-slices",
        help="Predict the slices of a DICOM series as images of their own, not as a volume.",
    ),
]

#: What is said where the size of a pixel is given for a volume.
SPACING_UNUSED = (
    "--spacing-mm is not used for volumes: areas in mm2 and volumes in mm3 take the size of a voxel that "
    "each file states, and are unknown where it states none."
)
