"""Every block of code in README and docs runs, or says why it cannot.

Pages are worked through from top to bottom, each in folders of its own: `<!-- start: ... -->` before a
block names what its folder holds, and `<!-- not run: ... -->` why a block stays out (see doc_blocks.py).
Trainings and phantoms are made short: a pass over 24 images at 64 pixels, whatever length the page asks
for. A server of our own stands in for the vision server at `VISION_SERVER`, a miniature for the download of
Kvasir-SEG, and untrained networks for published ones. The rest is as written.
"""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import Command, Trained
from safetensors.torch import save_file
from transformers import CLIPSegConfig

import lexiseg
import originals
import range_server
import tiny_clipseg
import vision_server
from doc_blocks import PAGES, ROOT, RUNNABLE, Block, blocks, blocks_of
from lexiseg.data.public import dataset_import
from lexiseg.data.public.registry import RemoteFile, find_entry
from lexiseg.systems.cotexnet.paper_network import CoTexNet
from lexiseg.systems.stpnet.paper_network import StpNet
from lexiseg.words.vocabulary import load_vocabulary
from published_checkpoints import published_cotexnet, published_stpnet
from volume_files import body, ct_series, nifti, stored

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

#: Where the pages say that a vision server answers.
VISION_SERVER = "http://localhost:8000/v1"

#: STPNet's text embeddings, by factor and by published name.
BANKS = {
    "laterality": "Unilateral_emb",
    "count": "num_emb",
    "left": "left_loc_emb",
    "right": "right_loc_emb",
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

    @cached_property
    def banks(self) -> dict[str, torch.Tensor]:
        """Embeddings of the phrases of COVID-Xray, at random."""
        draw = torch.Generator().manual_seed(0)
        factors = load_vocabulary("chest").factors
        return {f.name: torch.randn(len(f.phrases), 1, 30, 768, generator=draw) for f in factors}

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
            case ["scan.nii.gz"]:
                nifti(target, *stored(body(), (0, 1, 2), (1, 1, 1)))
            case ["ct"]:
                ct_series(target)
            case ["runs", _]:
                shutil.copytree(self.run, target)
            case ["runs", _, "val" | "test"]:
                shutil.copytree(self.evaluation, target)
            case ["training.yaml"]:
                block = next(block for block in blocks_of(page) if block.kind == "yaml config")
                target.write_text(block.text, encoding="utf-8")
            case ["Downloads", "bkai-igh-neopolyp.zip"]:
                originals.MAKERS["bkai"](Path("bkai"))
                shutil.make_archive(str(target.with_suffix("")), "zip", "bkai")
            case ["Downloads", "ACDC"]:
                originals.MAKERS["acdc"](target)
            case ["models", "clipseg"]:
                tiny_clipseg.write_clipseg(target)
            case ["cotexnet.pth"]:
                torch.manual_seed(0)
                net = CoTexNet(CLIPSegConfig.from_dict(tiny_clipseg.CONFIG), 2)
                torch.save(published_cotexnet(net), target)
            case ["banks.safetensors"]:
                save_file({BANKS[name]: bank for name, bank in self.banks.items()}, target)
            case ["stpnet.pth"]:
                torch.manual_seed(0)
                torch.save(published_stpnet(StpNet(self.banks)), target)
            case _:
                pytest.fail(
                    f"{page.name} starts with '{name}', which this test cannot make: add it to Shelf.put"
                )


@pytest.fixture(scope="module")
def shelf(request: pytest.FixtureRequest) -> Shelf:
    return Shelf(request)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Serve what pages ask the network for; return what stands in for which address."""
    folder = tmp_path_factory.mktemp("kvasir")
    originals.MAKERS["kvasir-seg"](folder / "original")
    archive = Path(shutil.make_archive(str(folder / "packed"), "zip", folder / "original"))
    factors = load_vocabulary("chest").factors
    answer = json.dumps({f.name: 1 if f.name == "count" else f.phrases[0] for f in factors})
    with (
        range_server.serving(range_server.Served(archive.read_bytes())) as download,
        vision_server.serving(lambda asked: vision_server.says(answer)) as vision,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            patch.delenv(name, raising=False)
        # Entries take https only.
        file = RemoteFile.model_construct(name="kvasir-seg.zip", url=download.url, size=None, sha256=None)
        served = find_entry("kvasir-seg").model_copy(update={"downloads": (file,)})
        patch.setattr(
            dataset_import, "find_entry", lambda name: served if name == served.name else find_entry(name)
        )
        yield {VISION_SERVER: vision.url}


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make trainings and phantoms short, for the command line and for Python alike."""
    train, write_phantom = lexiseg.train, lexiseg.write_phantom

    def short_training(data: str | Path, out: str | Path, **options: Any) -> lexiseg.Run:
        assert not (options.get("epochs") and options.get("max_minutes")), "only one of them sets the length"
        tiny = {} if options.get("resume") else dict(TINY)
        if options.get("preset") == "paper":
            tiny.pop("width", None)  # The published networks have one width
        return train(data, out, **{**options, **tiny})

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
    network: dict[str, str],
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
        text = block.text
        for address, stand_in in network.items():
            text = text.replace(address, stand_in)
        # Of the few images of these tests, 5 % is one: too few for teachers that are checked on three parts.
        text = text.replace("--masks 0.05", "--masks 0.25")
        execute(block._replace(text=text), cli)


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
