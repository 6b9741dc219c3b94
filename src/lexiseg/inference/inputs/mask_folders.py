"""Folders of data sets that hold masks: they lie beside the folders of the images, and are not predicted."""

from __future__ import annotations

import os
from array import array
from functools import cache
from itertools import chain

#: Name of the folder of the images beside each folder of masks, in the layouts of `lexiseg.data.layouts`;
#: they may have any letter case.
IMAGES_BESIDE = {"masks": "images", "labelcol": "img", "labelstr": "imagestr", "labelsts": "imagests"}

#: What to do with masks that are meant as images.
MASKS_ADVICE = "To predict such a file, give its folder or its path."


class MaskFolders:
    """Recognises masks of data sets among the files of folders and glob patterns."""

    def __init__(self) -> None:
        self._is_one = cache(_has_images_beside)

    def hold(self, file: str, searched: str) -> bool:
        """Return whether a file lies in a folder of masks.

        Args:
            file: Its path.
            searched: The folder that was searched, with which the path begins. This one is meant, whatever
                its name is.
        """
        folder = os.path.dirname(file)
        while len(folder) > len(searched):
            if self._is_one(folder):
                return True
            folder = os.path.dirname(folder)
        return False


class ListedMasks:
    """Recognises masks of data sets in a list of names, as that of an archive, once the list is whole."""

    def __init__(self) -> None:
        self._images: set[str] = set()
        self._masks: dict[str, array[int]] = {}

    def add(self, position: int, name: str) -> None:
        """Add a file.

        Args:
            position: Its position, which `positions` returns if it is a mask.
            name: Its path, with "/" between folders.
        """
        folders = name.split("/")[:-1]
        for depth, folder in enumerate(map(str.lower, folders)):
            above = folders[:depth]
            if folder in IMAGES_BESIDE:
                beside = "/".join([*above, IMAGES_BESIDE[folder]])
                self._masks.setdefault(beside, array("q")).append(position)
            elif folder in IMAGES_BESIDE.values():
                self._images.add("/".join([*above, folder]))

    def positions(self) -> list[int]:
        """Return the positions of the files in folders of masks, each once."""
        found = (self._masks[folder] for folder in self._images & self._masks.keys())
        return sorted(set(chain.from_iterable(found)))


def _has_images_beside(folder: str) -> bool:
    above, name = os.path.split(folder)
    beside = IMAGES_BESIDE.get(name.lower())
    if beside is None:
        return False
    with os.scandir(above or ".") as entries:
        return any(entry.name.lower() == beside and entry.is_dir() for entry in entries)
