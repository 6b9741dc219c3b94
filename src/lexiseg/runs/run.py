"""The run folder: one folder with everything, which is the model that predict and evaluate take.

run.json              manifest: what the network is, its classes, words, side convention, format version
config.yaml           the resolved training configuration
weights.safetensors   the selected weights
bank.safetensors      phrases and their embeddings (absent where the model names no words)
history.csv           one row per validation
splits.json           sample ids per split (absent in a run converted from a published checkpoint), and under
                      "left_out" those of "train" that took no part, as they had no mask
masks.json            ids of the training images that had a mask (absent where all had)
calibration.json      temperature and review rule (absent until `lexiseg calibrate` has fitted them)
model_card.md         what it is, what it was trained on, how well it does on validation
checkpoint.ckpt       training state, for --resume
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from lexiseg.errors import RunError
from lexiseg.files import refuse_blocked, write_json
from lexiseg.models.spec import NetworkSpec
from lexiseg.runs.shipped import model_folder, model_names, shown_folder
from lexiseg.systems.registry import get
from lexiseg.words.description import Side
from lexiseg.words.vocabulary import Vocabulary

#: Raised whenever an older Lexiseg could not read a newer run correctly.
FORMAT_VERSION = 1

TextSource = Literal["reports", "concepts", "lmm", "none"]

#: In a run folder: which training images had a mask; absent where all had.
MASKS_FILE = "masks.json"

#: In `splits.json`: which images of "train" took no part; absent where all did.
LEFT_OUT = "left_out"


class Manifest(BaseModel):
    """Contents of `run.json`.

    Attributes:
        format_version: Version of the run folder's format.
        lexiseg_version: Version that wrote it.
        created: ISO date and time, UTC.
        network: The network.
        image_size: Height and width in pixels the network sees; images are resized to it.
        mean: Per channel, subtracted after scaling pixels to 0..1.
        std: Per channel, divided by.
        class_names: Name per label; index 0 is the background.
        text: Where the words of training came from.
        side: Side convention of every word the model retrieves.
        vocabulary: The vocabulary as data; None with text "none".
        review_below: Predictions whose agreement is below this are flagged; chosen on validation.
        data: Name, counts and layout of the training data.
        training: Seed, steps, minutes, machine, validation scores.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int = FORMAT_VERSION
    lexiseg_version: str
    created: str
    network: NetworkSpec
    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    class_names: tuple[str, ...]
    text: TextSource
    side: Side
    vocabulary: dict[str, Any] | None
    review_below: float = 0.0
    data: dict[str, Any] = {}
    training: dict[str, Any] = {}


@dataclass(frozen=True)
class Run:
    """A run folder that has been opened.

    Attributes:
        path: The folder.
        manifest: Contents of its `run.json`.
    """

    path: Path
    manifest: Manifest

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """Open a run folder, or a model that comes with Lexiseg.

        Args:
            path: The folder, or the name of a shipped model (a folder of that name comes first).

        Raises:
            RunError: The folder is missing, is no run, is incomplete, or was written by a newer version.
        """
        shipped = None if Path(path).is_dir() else model_folder(str(path))
        path = shipped or Path(path)
        if not path.is_dir():
            names = ", ".join(model_names())
            raise RunError(
                f"Expected a run folder at {path}, but there is none. `lexiseg train` makes one"
                + (f"; Lexiseg comes with: {names}." if names else "."),
                code="LEX-RUN-001",
            )
        file = path / "run.json"
        if not file.is_file():
            hidden = model_folder(str(path)) is not None
            raise RunError(
                f"{path} is no run folder: it has no run.json. `lexiseg train DATA --out RUN` makes one."
                + (f" It hides the model '{path}' that comes with Lexiseg: rename it." if hidden else ""),
                code="LEX-RUN-002",
            )
        try:
            value = json.loads(file.read_text(encoding="utf-8"))
            version = int(value["format_version"])
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"{file} is damaged ({error!r}). Train the run again, or restore the file.",
                code="LEX-RUN-003",
            ) from error
        if version > FORMAT_VERSION:
            raise RunError(
                f"{path} was written by a newer Lexiseg ({value.get('lexiseg_version', 'unknown')}, format "
                f"{version}); this version reads formats up to {FORMAT_VERSION}. Upgrade with: "
                f"pip install --upgrade lexiseg",
                code="LEX-RUN-004",
            )
        try:
            return cls(path, Manifest.model_validate(value))
        except ValidationError as error:
            raise RunError(
                f"{file} is damaged: {error}. Train the run again, or restore the file.", code="LEX-RUN-005"
            ) from error

    @classmethod
    def of(cls, run: Run | str | Path) -> Run:
        """Return a run as it is, or open it by its folder or name (`Run.open`).

        Raises:
            RunError: See `Run.open`.
        """
        return run if isinstance(run, Run) else cls.open(run)

    @staticmethod
    def refuse_existing(path: str | Path) -> None:
        """Refuse a place for a new run that already holds something.

        Raises:
            RunError: `path` is a file, or a folder that is not empty.
            UsageError: It lies in a file.
        """
        path = Path(path)
        refuse_blocked(path.parent)
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            advice = (
                "Add --resume to go on with it" if (path / "run.json").is_file() else "Choose a new folder"
            )
            raise RunError(
                f"{path} already exists and is not empty. {advice}, or choose another --out.",
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
        write_json(self.path / "run.json", self.manifest.model_dump(mode="json"))

    def updated(self, **changes: Any) -> Run:
        """Return this run with some fields of its manifest replaced, and write it."""
        run = Run(self.path, self.manifest.model_copy(update=changes))
        run.save()
        return run

    @property
    def weights_file(self) -> Path:
        """The selected weights."""
        return self.path / "weights.safetensors"

    @property
    def bank_file(self) -> Path:
        """The text bank."""
        return self.path / "bank.safetensors"

    @cached_property
    def vocabulary(self) -> Vocabulary | None:
        """The vocabulary of the run's words; None if it was trained without text."""
        if self.manifest.vocabulary is None:
            return None
        return Vocabulary.from_dict(self.manifest.vocabulary, origin=str(self.path / "run.json"))

    @property
    def spoken_vocabulary(self) -> Vocabulary | None:
        """The vocabulary of the words that predictions name; None where they name none."""
        network = self.manifest.network
        return self.vocabulary if get(network.model, network.preset).names_words else None

    @property
    def splits(self) -> dict[str, tuple[str, ...]] | None:
        """Sample ids per split of the training data; None where the run holds none.

        Raises:
            RunError: The file is damaged.
        """
        if self._id_lists is None:
            return None
        return {name: ids for name, ids in self._id_lists.items() if name != LEFT_OUT}

    @property
    def left_out(self) -> frozenset[str]:
        """Ids of training images that took no part, as they had no mask.

        Runs of early versions do not name them, neither here nor in `splits`.

        Raises:
            RunError: The file is damaged.
        """
        return frozenset((self._id_lists or {}).get(LEFT_OUT, ()))

    @property
    def with_mask(self) -> tuple[str, ...] | None:
        """Ids of the training images that had a mask; None where all had.

        Raises:
            RunError: The file is missing or damaged.
        """
        if self.manifest.data.get("masks") is None:
            return None
        file = self.path / MASKS_FILE
        try:
            return tuple(json.loads(file.read_text(encoding="utf-8"))["with_mask"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"{file} cannot be read ({error!r}). Restore it, or train again.", code="LEX-RUN-007"
            ) from error

    @cached_property
    def _id_lists(self) -> dict[str, tuple[str, ...]] | None:
        """The lists of `splits.json`; None where there is no such file."""
        file = self.path / "splits.json"
        if not file.is_file():
            return None
        try:
            value = json.loads(file.read_text(encoding="utf-8"))
            return {str(split): tuple(map(str, ids)) for split, ids in value.items()}
        except (ValueError, AttributeError, TypeError) as error:
            raise RunError(
                f"{file} is damaged ({error!r}). Restore the file, or train again.", code="LEX-RUN-008"
            ) from error

    @property
    def history(self) -> list[dict[str, str]]:
        """Rows of `history.csv`, by column; empty where the run holds none."""
        file = self.path / "history.csv"
        if not file.is_file():
            return []
        with open(file, encoding="utf-8", newline="") as rows:
            return list(csv.DictReader(rows))

    @property
    def shipped(self) -> bool:
        """Whether it is a model that comes with Lexiseg, which nothing may change."""
        shipped = model_folder(self.path.resolve().name)
        return shipped is not None and shipped.resolve() == self.path.resolve()

    @property
    def shown(self) -> str:
        """What it is called where a person reads or types it: a shipped model's name, else the folder."""
        return shown_folder(self.path)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name per label; index 0 is the background."""
        return self.manifest.class_names

    @property
    def side(self) -> Side:
        """Side convention of the model's words."""
        return self.manifest.side

    @property
    def text_source(self) -> TextSource:
        """Where the words of training came from."""
        return self.manifest.text
