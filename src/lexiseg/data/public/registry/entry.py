"""The facts of one data set in the registry, loaded from `entries/*.yaml`."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from lexiseg.data.sample import Split
from lexiseg.words.description import Side

#: Names of the importers in `lexiseg.data.public.importers`.
Importer = Literal[
    "pairs", "clinicdb", "busi", "ddti", "chest", "glas", "camus", "acdc", "chaos-mr", "chaos-ct"
]

_COLOUR = re.compile(r"#[0-9a-f]{6}")


class _Facts(BaseModel):
    """Base of the models: unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ClassEntry(_Facts):
    """One class of a data set.

    Attributes:
        name: Its name.
        keyword: Its name in sentences, such as "polyp area".
        original: Its values in the published masks: grey values or colours "#rrggbb".
    """

    name: str
    keyword: str
    original: tuple[int | str, ...] = Field(min_length=1)

    @field_validator("original")
    @classmethod
    def _known(cls, values: tuple[int | str, ...]) -> tuple[int | str, ...]:
        for value in values:
            if isinstance(value, str) and not _COLOUR.fullmatch(value):
                raise ValueError(f"expected a colour such as '#ff0000', got {value!r}")
        return values


class RemoteFile(_Facts):
    """One archive to download.

    Attributes:
        name: File name under which it is stored.
        url: Its address; https only.
        size: Its size in bytes, where known.
        sha256: Its checksum, where known.
    """

    name: str = Field(pattern=r"^[\w.-]+\.(zip|tar|tar\.gz|tgz)$")
    url: str = Field(pattern=r"^https://")
    size: Annotated[int, Field(gt=0)] | None = None
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")


class PairFolders(_Facts):
    """A folder of images and the folder of their masks, as published.

    Attributes:
        images: Path below the data set's root.
        masks: The same for its masks.
        split: Their split; None if the publisher made none.
    """

    images: str
    masks: str
    split: Split | None = None


class Entry(_Facts):
    """One data set of the registry.

    Attributes:
        name: Its name on the command line.
        title: Name shown to readers.
        aliases: Other names for it.
        modality: How the images were made.
        colour: Whether the images are in colour or grey.
        side: Side convention of its reports; "image" where it has no reports; None where unknown.
        vocabulary: The shipped vocabulary for it, if there is one.
        classes: Its classes without the background, in the order of the labels 1, 2, ...
        licence: Its licence, as far as known.
        home: Its home page.
        importer: The importer that reads it.
        layout: The published folder, in words.
        pairs: Folders of images and masks, for importers of picture files. With stated splits all of them
            are read, otherwise the first that exist.
        patient: Regular expression whose first group is the patient in a file name.
        spacing_mm: Pixel spacing of all images in millimetres, where it is the same for all.
        window_hu: For CT: the Hounsfield units that are kept.
        downloads: Archives that need no login; empty if there are none.
        steps: How to get the data by hand.
        confirmed: Facts that public documents or code confirm.
        unconfirmed: Facts that could not be confirmed.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9+-]*$")
    title: str
    aliases: tuple[str, ...] = ()
    modality: str
    colour: Literal["grey", "colour"]
    side: Side | None = None
    vocabulary: str | None = None
    classes: tuple[ClassEntry, ...] = Field(min_length=1)
    licence: str
    home: str = Field(pattern=r"^https://")
    importer: Importer
    layout: str
    pairs: tuple[PairFolders, ...] = ()
    patient: str | None = None
    spacing_mm: Annotated[float, Field(gt=0)] | None = None
    window_hu: tuple[int, int] | None = None
    downloads: tuple[RemoteFile, ...] = ()
    steps: tuple[str, ...] = Field(min_length=1)
    confirmed: tuple[str, ...] = Field(min_length=1)
    unconfirmed: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len({entry.name for entry in self.classes}) < len(self.classes):
            raise ValueError("two classes have the same name")
        if self.window_hu is not None and self.window_hu[0] >= self.window_hu[1]:
            raise ValueError(f"window_hu: expected rising numbers, got {list(self.window_hu)}")
        if self.patient is not None and re.compile(self.patient).groups != 1:
            raise ValueError("patient: expected a pattern with one group")
        return self

    @property
    def num_classes(self) -> int:
        """Number of labels, background included."""
        return len(self.classes) + 1

    @property
    def download_bytes(self) -> int | None:
        """Size of all downloads; None where one is not known, or there is none."""
        sizes = [file.size for file in self.downloads]
        known = [size for size in sizes if size is not None]
        return sum(known) if sizes and len(known) == len(sizes) else None
