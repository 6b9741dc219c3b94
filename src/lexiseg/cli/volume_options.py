"""Options of volumes for `lexiseg predict`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class AxisOption(StrEnum):
    """The slices of volumes, as an option."""

    AUTO = "auto"
    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"
    I = "i"  # noqa: E741
    J = "j"
    K = "k"


Axis = Annotated[
    AxisOption,
    typer.Option(
        "--axis",
        help="Volumes: the slices to predict, by the plane of the body or the voxel axis. auto: the acquired "
        "slices, or those along the longest side of a voxel, or axial ones.",
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
