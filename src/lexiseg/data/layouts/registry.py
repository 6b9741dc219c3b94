"""The known folder layouts."""

from __future__ import annotations

from pathlib import Path

from lexiseg.data.layouts import cotexnet_csvs, lvit_folders, nnunet_folders, plain_folders
from lexiseg.data.layouts.layout import Layout

#: The layouts; the first one that matches a folder is used. A new one is a module with its `LAYOUT`, and an
#: entry here.
LAYOUTS: tuple[Layout, ...] = (
    lvit_folders.LAYOUT,
    cotexnet_csvs.LAYOUT,
    plain_folders.LAYOUT,
    nnunet_folders.LAYOUT,
)


def find_layout(root: Path) -> Layout | None:
    """Return the layout of a folder; None if no layout matches."""
    return next((layout for layout in LAYOUTS if layout.matches(root)), None)


def expected_layouts() -> str:
    """Return the descriptions of all layouts, for messages."""
    return "; or ".join(layout.description for layout in LAYOUTS)
