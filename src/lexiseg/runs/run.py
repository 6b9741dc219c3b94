"""The run folder: one folder with everything, which is the model that predict and evaluate take.

`lexiseg.runs` lists its files.
"""

from __future__ import annotations

import csv
import io
import os
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from safetensors import SafetensorError, safe_open

from lexiseg.errors import RunError, WeightsError
from lexiseg.file_hashes import file_sha256
from lexiseg.files import refuse_blocked, write_json
from lexiseg.open_files import too_many_open
from lexiseg.printable import brief
from lexiseg.runs.manifest import MANIFEST_FILE, FinishedTraining, Manifest, TextSource, read_manifest
from lexiseg.runs.shipped import VERSION_MARK, known_versions, model_folder, model_names, shown_folder
from lexiseg.runs.splits import SplitsRecord, read_splits_record, read_with_mask
from lexiseg.structured_text import read_bytes
from lexiseg.words.description import ShownSide, Side
from lexiseg.words.vocabulary import Vocabulary

if TYPE_CHECKING:  # a run is opened without the geometry, which takes longer to import
    from lexiseg.words.zone_atlas import ZoneAtlas

# Largest history.csv in bytes; one row per hundred steps takes about 100.
_MAX_HISTORY = 64 << 20


@dataclass(frozen=True)
class Run:
    """A run folder that has been opened.

    Attributes:
        path: The folder.
        manifest: Contents of its `run.json`.
        version_name: Name and version by which a shipped model was opened, such as "covid-xray@0.1"; None
            where no version was named.
    """

    path: Path
    manifest: Manifest
    version_name: str | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        return brief(
            self,
            self.path.name,
            f"{self.manifest.network.model} {self.manifest.network.preset}",
            ", ".join(self.class_names[1:]),
            f"{self.manifest.image_size} px",
            f"text {self.manifest.text}",
        )

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """Open a run folder, or a model that comes with Lexiseg.

        Args:
            path: The folder, or the name of a shipped model (a folder of that name comes first): the newest
                version ("covid-xray"), or a certain one ("covid-xray@0.1").

        Raises:
            RunError: The folder is missing, is no run, is incomplete, or was written by a newer version; or
                the model has no such version.
        """
        shipped = None if Path(path).is_dir() else model_folder(str(path))
        versions = () if Path(path).is_dir() else known_versions(str(path))
        if versions:
            raise RunError(
                f"Lexiseg comes with no model {path}; the versions it comes with are: {', '.join(versions)}.",
                code="LEX-RUN-1560",
            )
        version_name = str(path) if shipped is not None and VERSION_MARK in str(path) else None
        path = shipped or Path(path)
        if not path.is_dir():
            names = ", ".join(model_names())
            raise RunError(
                f"Expected a run folder at {path}, but there is none. `lexiseg train` makes one"
                + (f"; Lexiseg comes with: {names}." if names else "."),
                code="LEX-RUN-001",
            )
        if not (path / MANIFEST_FILE).is_file():
            hidden = model_folder(str(path)) is not None
            raise RunError(
                f"{path} is not a run folder: it has no run.json. `lexiseg train DATA --out RUN` makes one."
                + (f" Rename it to use the model '{path}' that comes with Lexiseg." if hidden else ""),
                code="LEX-RUN-002",
            )
        return cls(path, read_manifest(path), version_name)

    @classmethod
    def of(cls, run: Run | str | Path) -> Run:
        """Return a run as it is, or open it by its folder or name (`Run.open`).

        Raises:
            RunError: See `Run.open`.
        """
        return run if isinstance(run, Run) else cls.open(run)

    @staticmethod
    def refuse_existing(path: str | Path, *, resumable: bool = False) -> None:
        """Refuse a place for a new run that already holds something.

        Args:
            path: The place.
            resumable: Whether the command can go on with a run that it finds there.

        Raises:
            RunError: `path` is a file, or a folder that is not empty.
            UsageError: It lies in a file.
        """
        path = Path(path)
        refuse_blocked(path.parent)
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            advice = "Choose another --out."
            if resumable and (path / MANIFEST_FILE).is_file():
                advice = "Add --resume to go on with it, or choose another --out."
            raise RunError(
                f"{path} already exists and is not empty. {advice}",
                code="LEX-RUN-006",
            )

    @classmethod
    def create(cls, path: str | Path, manifest: Manifest) -> Run:
        """Write `run.json` into `path` (made if needed) and return the run."""
        run = cls(Path(path), manifest)
        run.save()
        return run

    def save(self) -> None:
        """Write the manifest."""
        write_json(self.path / MANIFEST_FILE, self.manifest.model_dump(mode="json"))

    def updated(self, **changes: Any) -> Run:
        """Return this run with some fields of its manifest replaced, and write it."""
        run = Run(self.path, self.manifest.model_copy(update=changes))
        run.save()
        return run

    @property
    def weights_file(self) -> Path:
        """The selected weights."""
        return self.path / "weights.safetensors"

    def weights_sha256(self) -> str:
        """Return the SHA-256 of the weights as they are now.

        Everything that belongs to the weights names it and compares it, so a file is hashed once, and again
        after it has changed.

        Raises:
            WeightsError: They are missing, cut off or damaged, or cannot be read.
        """
        try:
            return _digest(self.weights_file, _version_of(self.weights_file))
        except OSError as error:
            raise too_many_open(self.weights_file, error) or WeightsError(
                f"The weights {self.weights_file} cannot be read ({error}). Restore the file or train again.",
                code="LEX-WEIGHTS-048",
            ) from error
        except SafetensorError as error:
            raise too_many_open(self.weights_file, error) or WeightsError(
                f"The weights {self.weights_file} are cut off or damaged ({error}). Restore the file or "
                f"train again.",
                code="LEX-WEIGHTS-1710",
            ) from error

    @property
    def bank_file(self) -> Path:
        """The text bank."""
        return self.path / "bank.safetensors"

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The vocabulary of the run's words; None if it was trained without text."""
        return self.manifest.vocabulary

    @property
    def spoken_vocabulary(self) -> Vocabulary | None:
        """The vocabulary of the words that predictions name; None where they name none."""
        return self.manifest.spoken_vocabulary

    @property
    def spoken_side(self) -> ShownSide | None:
        """Whose left the words that predictions name mean; None where they name none."""
        return None if self.spoken_vocabulary is None else self.shown_side

    @property
    def zone_atlas_file(self) -> Path:
        """The zone atlas."""
        return self.path / "zone_atlas.safetensors"

    @cached_property
    def zone_atlas(self) -> ZoneAtlas | None:
        """Where lesions lie in images with each phrase; None where the run has no atlas.

        Raises:
            RunError: The file is missing or damaged.
        """
        if self.manifest.zone_atlas is None or self.vocabulary is None:
            return None
        from lexiseg.words.zone_atlas import ZoneAtlas

        return ZoneAtlas.load(self.zone_atlas_file, self.vocabulary)

    @cached_property
    def splits(self) -> SplitsRecord | None:
        """Image ids per split of the training data; None where the run holds none.

        Runs of early versions do not name images that were left out, neither in `left_out` nor in `train`.

        Raises:
            RunError: The file is damaged.
        """
        return read_splits_record(self.path)

    @property
    def with_mask(self) -> tuple[str, ...] | None:
        """Ids of the training images that had a mask; None where all had.

        Raises:
            RunError: The file is missing or damaged.
        """
        return None if self.manifest.data.masks is None else read_with_mask(self.path).with_mask

    @property
    def finished_training(self) -> FinishedTraining:
        """The training, with everything that is known once it is finished.

        Raises:
            RunError: The training is not finished, or Lexiseg did not train the run.
        """
        try:
            return FinishedTraining.model_validate(self.manifest.training.model_dump())
        except ValidationError as error:
            missing = ", ".join(str(found["loc"][0]) for found in error.errors())
            raise RunError(
                f"The run in {self.shown} holds no finished training of Lexiseg: its run.json does not state "
                f"{missing}. Finish the training with --resume, or choose another run.",
                code="LEX-RUN-570",
            ) from error

    @property
    def history(self) -> list[dict[str, str]]:
        """Rows of `history.csv`, by column; empty where the run holds none.

        Raises:
            RunError: The file is damaged: no CSV in UTF-8, or a value of it is no number.
        """
        file = self.path / "history.csv"
        if not file.is_file():
            return []
        try:
            text = read_bytes(file, _MAX_HISTORY).decode("utf-8")
            rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
            for row in rows:
                for value in filter(None, row.values()):
                    float(value)
        # A row that is longer than the first has a list of values, for which float raises TypeError.
        except (OSError, ValueError, TypeError, csv.Error) as error:
            raise RunError(
                f"{file} is damaged ({error}). Restore the file, or remove it.", code="LEX-RUN-777"
            ) from error
        return rows

    @property
    def shipped(self) -> bool:
        """Whether it is a model that comes with Lexiseg, which nothing may change."""
        shipped = model_folder(self.path.resolve().name)
        return shipped is not None and shipped.resolve() == self.path.resolve()

    @property
    def shown(self) -> str:
        """What it is called where a person reads or types it: a shipped model's name, else the folder.

        The name has a version where the run was opened by one, so that it means the same model later.
        """
        return self.version_name or shown_folder(self.path)

    @property
    def name(self) -> str:
        """Name of its folder; of a shipped model also the version, where it was opened by one."""
        return self.version_name or self.path.name

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name per label; index 0 is the background."""
        return self.manifest.class_names

    @property
    def side(self) -> Side:
        """Side convention of the model's words."""
        return self.manifest.side

    @property
    def shown_side(self) -> ShownSide:
        """Whose left the model's words mean; "unknown" for sentences of a sheet whose side nothing states."""
        return self.side if self.vocabulary is None else self.vocabulary.shown_side(self.side)

    @property
    def text_source(self) -> TextSource:
        """Where the words of training came from."""
        return self.manifest.text


def _version_of(file: Path) -> tuple[int, ...]:
    """Return what differs between a file and the same file after a change: place, size and times."""
    about = os.stat(file)
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns


@lru_cache(maxsize=16)
def _digest(file: Path, version: tuple[int, ...]) -> str:
    """Return the SHA-256 of a version of a file, whose length must be what its header says."""
    with safe_open(file, framework="numpy"):
        pass
    return file_sha256(file)
