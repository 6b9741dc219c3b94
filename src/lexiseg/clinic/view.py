"""What of a DICOM file is shown to the network: the window of grey values and the frame."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from lexiseg.errors import UsageError

#: How values inside a window become grey, PS3.3 C.11.2.1.2 and C.11.2.1.3.
WindowFunction = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]

#: The value of the option `window` that chooses the window by the body part.
BODY_PART = "body-part"


@dataclass(frozen=True, kw_only=True)
class Window:
    """The range of values that is shown from black to white.

    Attributes:
        center: Its centre, in the units of the modality (Hounsfield units for CT).
        width: Its width, above 0.
        function: How values inside become grey.
    """

    center: float
    width: float
    function: WindowFunction = "LINEAR"


@dataclass(frozen=True, kw_only=True)
class View:
    """What of a DICOM file is shown.

    Attributes:
        window: The window; None takes that of the file, or the range of the values where the file has none.
        by_body_part: Whether CT images take the window of their body part instead of that of the file.
        frame: Number of the frame, from 1; None for a file with one frame.
    """

    window: Window | None = None
    by_body_part: bool = False
    frame: int | None = None


#: The view of a file as it is stored.
AS_STORED = View()


def parse_view(window: str | None, frame: int | None = None) -> View:
    """Return the view that two options of the command line choose.

    Args:
        window: Centre and width, as in "40,400", or "body-part"; None for the window of the file.
        frame: Number of the frame, from 1.

    Raises:
        UsageError: The window is not two numbers, its width is below 1, or the frame is below 1.
    """
    if frame is not None and frame < 1:
        raise UsageError(f"Expected the number of a frame from 1, got {frame}.", code="LEX-USE-941")
    if window is None:
        return View(frame=frame)
    if window.strip() == BODY_PART:
        return View(by_body_part=True, frame=frame)
    try:
        center, width = (float(part) for part in window.split(","))
    except ValueError as error:
        raise _no_window(window) from error
    if not math.isfinite(center) or not 1 <= width < math.inf:
        raise _no_window(window)
    return View(window=Window(center=center, width=width), frame=frame)


def _no_window(window: str) -> UsageError:
    return UsageError(
        f"Expected a window as centre and width (at least 1), such as 40,400, or the word {BODY_PART}; got "
        f"{window!r}.",
        code="LEX-USE-942",
    )
