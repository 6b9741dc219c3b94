"""What a DICOM file says about its image besides the pixels; pydicom is not needed to hold it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from lexiseg.clinic.orientation import NO_TURN, Directions, Turn

#: Where the size of a pixel comes from: the patient's body, the detector, a calibration, nowhere.
SpacingOrigin = Literal["body", "detector", "calibrated", "none"]

#: What the assumption begins with that says why there are no areas in mm2.
NO_AREA = "No areas in mm2: "


@dataclass(frozen=True, kw_only=True)
class PixelSpacing:
    """The size of a pixel, and whether lengths in the body may be computed from it.

    Attributes:
        mm: Height and width of a pixel in millimetres at the place that `origin` names; None if not known.
        origin: Where it comes from.
        reason: Why it gives no millimetres in the body; empty where it does.
    """

    mm: tuple[float, float] | None
    origin: SpacingOrigin
    reason: str = ""

    @property
    def body_mm(self) -> tuple[float, float] | None:
        """The size of a pixel in the patient's body; None where it is not known."""
        return self.mm if self.origin in ("body", "calibrated") else None


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """What a DICOM file says about one frame.

    Attributes:
        modality: Such as "CR"; empty where the file states none.
        frame: Number of the frame that was read, from 1.
        directions: Directions of the stored rows and columns; None where they are not known.
        turn: What turns the stored image to the usual display, as the network gets it.
        spacing: The size of a pixel.
        shown: How grey values are shown, such as "window 40, 400 of the file".
        assumptions: What was assumed, one sentence per kind, the same sentence for each file of the kind.
    """

    modality: str
    frame: int
    directions: Directions | None
    turn: Turn
    spacing: PixelSpacing
    shown: str
    assumptions: tuple[str, ...] = ()

    @property
    def knows_sides(self) -> bool:
        """Whether the file says where the patient's left and right are."""
        return self.directions is not None and self.directions.knows_sides

    @property
    def displayed(self) -> ImageFacts:
        """The facts of the image in its usual display: of rows, columns and pixels after the turn."""
        spacing = self.spacing
        if self.turn.transpose and spacing.mm is not None:
            spacing = dataclasses.replace(spacing, mm=(spacing.mm[1], spacing.mm[0]))
        directions = self.turn.directions(self.directions)
        return dataclasses.replace(self, directions=directions, turn=NO_TURN, spacing=spacing)
