"""Names of the halves of an image, and of what is measured in one of them."""

from __future__ import annotations

from typing import Literal

#: Half of the image, as seen on screen.
Half = Literal["left", "right"]

#: For each share, a row feature is the row above which that share of the lesion's pixels lies.
ROW_SHARES = (0.05, 0.25, 0.50, 0.75, 0.95)

#: Names of the row features of `lexiseg.words.lesion_regions.half_profile`.
ROW_NAMES: tuple[str, ...] = tuple(f"row_{round(100 * share)}" for share in ROW_SHARES)
