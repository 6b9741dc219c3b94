"""What a check of the installation found."""

from __future__ import annotations

from typing import Literal

from lexiseg.json_records import Record
from lexiseg.printable import brief, counted


class ExtraState(Record):
    """An extra of the installation.

    Attributes:
        name: Its name, such as "dicom".
        installed: Its installed packages with their versions.
        missing: Its packages that are not installed.
    """

    name: str
    installed: dict[str, str]
    missing: tuple[str, ...]


class DeviceState(Record):
    """A device that computes networks.

    Attributes:
        name: Its name for `--device`, such as "cpu" or "cuda:0".
        title: Its model; empty if it is not known.
        memory_gb: Its whole memory in GB (10^9 bytes); None if it is not known.
    """

    name: str
    title: str
    memory_gb: float | None = None


class FolderState(Record):
    """A folder that Lexiseg or its packages write to.

    Attributes:
        purpose: What it is for.
        path: The folder.
        exists: Whether it exists; caches are made when they are needed.
        writable: Whether files can be written there.
        free_gb: Free space of its disk in GB (10^9 bytes).
    """

    purpose: str
    path: str
    exists: bool
    writable: bool
    free_gb: float


class EngineTest(Record):
    """The self-test of an engine: it predicted a drawn image with a model that comes with Lexiseg.

    Attributes:
        name: The engine.
        description: Engine, version, type of the numbers, device; None if it could not start.
        load_seconds: Time to load the package and the model, and to predict the first image; until the error
            if there was one.
        image_seconds: Time of the image when it is predicted once more; None if the engine gave no mask.
        dice: Dice of its mask with the stored one, 0..1; None if it gave no mask.
        words_equal: Whether it retrieved the stored words; None if it gave no mask.
        error: Why it gave no mask; None if it did.
    """

    name: str
    description: str | None
    load_seconds: float
    image_seconds: float | None
    dice: float | None
    words_equal: bool | None
    error: str | None


class Finding(Record):
    """Something that a person should know.

    Attributes:
        kind: "problem": something is broken; "note": something is missing or unusual, and may be meant so.
        text: What it is.
        remedy: What to do.
    """

    kind: Literal["problem", "note"]
    text: str
    remedy: str


class InstallationReport(Record):
    """The state of an installation.

    Attributes:
        lexiseg: Version of Lexiseg.
        python: Version of Python.
        platform: Operating system and processor.
        packages: Required packages with their versions.
        extras: The extras.
        devices: The devices.
        cores: Processor cores that the process may use.
        threads: Threads that an engine computes with.
        folders: Folders that are written to, with the free space of their disks.
        engines: The self-test of each installed engine.
        findings: What a person should know, problems first.
    """

    lexiseg: str
    python: str
    platform: str
    packages: dict[str, str]
    extras: tuple[ExtraState, ...]
    devices: tuple[DeviceState, ...]
    cores: int
    threads: int
    folders: tuple[FolderState, ...]
    engines: tuple[EngineTest, ...]
    findings: tuple[Finding, ...]

    @property
    def problems(self) -> tuple[Finding, ...]:
        """What is broken."""
        return tuple(finding for finding in self.findings if finding.kind == "problem")

    def __repr__(self) -> str:
        return brief(self, f"Lexiseg {self.lexiseg}", counted(len(self.problems), "problem"), self.platform)
