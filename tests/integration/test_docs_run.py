"""Every block of code in README and docs runs, or says why it cannot.

Pages are worked through from top to bottom, each in folders of its own: `<!-- start: ... -->` before a
block names what its folder holds, and `<!-- not run: ... -->` why a block stays out (see doc_blocks.py).
Trainings and phantoms are made short: a pass over 24 images at 64 pixels, whatever length the page asks
for. The rest is as written.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from command_line import Command, Trained

import lexiseg
import originals
from doc_blocks import PAGES, ROOT, RUNNABLE, Block, blocks, blocks_of
from tiny_clipseg import write_clipseg

pytestmark = pytest.mark.slow

#: What a training is shortened to.
TINY = {
    "epochs": 1,
    "max_minutes": None,
    "image_size": 64,
    "batch_size": 4,
    "width": 32,
    "precision": "fp32",
    "workers": 0,
}

LEFT_OUT = [block for block in blocks(*RUNNABLE) if block.not_run is not None]


def runs(page: Path) -> list[Block]:
    return [block for block in blocks_of(page) if block.kind in RUNNABLE and block.not_run is None]


class Shelf:
    """Makes what the blocks begin with, by the names that the pages use, once a page asks for it."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._request = request

    @property
    def phantom(self) -> Path:
        folder: Path = self._request.getfixturevalue("phantom")
        return folder

    @property
    def pictures(self) -> list[Path]:
        return sorted((self.phantom / "Test_Folder" / "img").iterdir())

    @property
    def run(self) -> Path:
        trained: Trained = self._request.getfixturevalue("trained")
        return trained.run

    @cached_property
    def evaluation(self) -> Path:
        """An evaluation of the validation split."""
        factory: pytest.TempPathFactory = self._request.getfixturevalue("tmp_path_factory")
        out = factory.mktemp("evaluation") / "val"
        lexiseg.evaluate(self.run, self.phantom, split="val", out=out)
        return out

    def put(self, name: str, page: Path) -> None:
        """Make a file or folder in the current folder."""
        target = Path(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        match name.split("/"):
            case ["my-data" | "DATA"]:
                shutil.copytree(self.phantom, target)
            case ["new-images" | "images" | "folder" | "more"]:
                target.mkdir()
                # Other names in each folder: two images of one name would write one mask.
                stem = "case" if name == "new-images" else name
                for number, picture in enumerate(self.pictures, 1):
                    shutil.copy(picture, target / f"{stem}-{number}.png")
            case [picture] if picture.endswith(".png"):
                shutil.copy(self.pictures[0], target)
            case ["runs", _]:
                shutil.copytree(self.run, target)
            case ["runs", _, "val" | "test"]:
                shutil.copytree(self.evaluation, target)
            case ["training.yaml"]:
                (block,) = [block for block in blocks_of(page) if block.kind == "yaml config"]
                target.write_text(block.text, encoding="utf-8")
            case ["Downloads", "bkai-igh-neopolyp.zip"]:
                originals.MAKERS["bkai"](Path("bkai"))
                shutil.make_archive(str(target.with_suffix("")), "zip", "bkai")
            case ["Downloads", "ACDC"]:
                originals.MAKERS["acdc"](target)
            case ["models", "clipseg"]:
                write_clipseg(target)
            case _:
                pytest.fail(
                    f"{page.name} starts with '{name}', which this test cannot make: add it to Shelf.put"
                )


@pytest.fixture(scope="module")
def shelf(request: pytest.FixtureRequest) -> Shelf:
    return Shelf(request)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make trainings and phantoms short, for the command line and for Python alike."""
    train, write_phantom = lexiseg.train, lexiseg.write_phantom

    def short_training(data: str | Path, out: str | Path, **options: Any) -> lexiseg.Run:
        assert not (options.get("epochs") and options.get("max_minutes")), "only one of them sets the length"
        return train(data, out, **{**options, **({} if options.get("resume") else TINY)})

    def small_phantom(folder: str | Path, **options: Any) -> None:
        write_phantom(folder, **{**options, "num_train": 24, "num_val": 6, "num_test": 6, "size": 96})

    monkeypatch.setattr(lexiseg, "train", short_training)
    monkeypatch.setattr(lexiseg, "write_phantom", small_phantom)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(
    "page", [page for page in PAGES if runs(page)], ids=lambda page: page.relative_to(ROOT).as_posix()
)
def test_page(
    page: Path,
    shelf: Shelf,
    cli: Command,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("page"))
    for block in runs(page):
        if block.start is not None:
            monkeypatch.chdir(tmp_path_factory.mktemp("page"))
            for name in block.start:
                shelf.put(name, page)
        execute(block, cli)


def execute(block: Block, cli: Callable[..., Any]) -> None:
    """Run one block in the current folder."""
    if block.kind == "python":
        exec(compile(block.text, block.place, "exec"), {"__name__": "block"})
        return
    for line in block.commands:
        program, *arguments = shlex.split(line)
        if program != "lexiseg":
            pytest.fail(
                f"{block.place} runs '{program}', which this test does not: say <!-- not run: WHY -->"
            )
        outcome = cli(*arguments)
        assert outcome.code == 0, f"{block.place}: {line}\n{outcome.stderr}"


@pytest.mark.parametrize("block", LEFT_OUT, ids=lambda block: block.place)
def test_left_out(block: Block) -> None:
    """List the blocks that do not run, each with its reason, where pytest lists what it skipped."""
    assert block.not_run
    assert len(block.not_run.split()) > 2, f"{block.place}: '{block.not_run}' is no reason"
    pytest.skip(f"{block.place}: {block.not_run}")


def test_most_blocks_run() -> None:
    assert len(LEFT_OUT) < len(blocks(*RUNNABLE)) / 2
