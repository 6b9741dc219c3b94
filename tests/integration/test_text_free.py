"""Prediction sees images only: no text, no mask, no code that knows either."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import TIMEOUT_S, Command, Trained, environment

from fake_bank import fake_bank

_BLOCKED = """
import sys

class Block:
    names = (
        "lexiseg.words.reading", "lexiseg.embeddings", "lexiseg.describing", "lexiseg.training",
        "lexiseg.evaluation", "transformers", "lightning",
        # What a teacher is told words with.
        "lexiseg.models.word_map_network",
    )

    def find_spec(self, name, path=None, target=None):
        if any(name == blocked or name.startswith(blocked + ".") for blocked in self.names):
            raise ImportError("blocked: " + name)

sys.meta_path.insert(0, Block())
from lexiseg.cli import main
main()
"""


#: What says where the phrases of a vocabulary lie: only cards need it, for masks under other phrases.
_PLACES = '"lexiseg.words.zone_atlas", "lexiseg.words.zone_correction", '


def _fingerprint(out: Path) -> dict[str, str]:
    """Return a hash per mask, and the lines without the paths of the images."""
    prints = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in (out / "masks").rglob("*.png")}
    for line in (out / "predictions.jsonl").read_text().splitlines():
        value = json.loads(line)
        name = Path(value.pop("image")).name
        prints[f"{name}.json"] = json.dumps(value, sort_keys=True)
    return prints


def test_sheet_and_masks_beside_the_images_change_nothing(
    cli: Command, trained: Trained, phantom: Path, tmp_path: Path
) -> None:
    full = Path(shutil.copytree(phantom / "Test_Folder", tmp_path / "full"))
    assert sorted(path.name for path in full.iterdir()) == ["Test_text.xlsx", "img", "labelcol"]
    bare = Path(shutil.copytree(full / "img", tmp_path / "bare" / "img"))
    assert cli("predict", trained.run, full / "img", "--out", tmp_path / "a").code == 0
    assert cli("predict", trained.run, bare, "--out", tmp_path / "b").code == 0
    with_text, without = _fingerprint(tmp_path / "a"), _fingerprint(tmp_path / "b")
    assert len(without) == 12
    assert with_text == without


@pytest.mark.parametrize("model", ["stpnet", "cotexnet"])
def test_predicts_with_text_and_training_blocked(
    cli: Command, trained: Trained, trained_cotexnet: Trained, images: Path, tmp_path: Path, model: str
) -> None:
    run = {"stpnet": trained, "cotexnet": trained_cotexnet}[model].run
    for folder, blocked, explain in (("blocked", "", ["--explain"]), ("plain", _PLACES, [])):
        code = _BLOCKED.replace("names = (", f"names = ({blocked}")
        arguments = ["predict", str(run), str(images), "--out", str(tmp_path / folder), *explain]
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            env=environment(),
        )
        assert done.returncode == 0, done.stderr
        assert "6 of 6 images segmented" in done.stdout
    assert len(list((tmp_path / "blocked" / "cards").iterdir())) == 6
    assert cli("predict", run, images, "--out", tmp_path / "free").code == 0
    assert _fingerprint(tmp_path / "blocked") == _fingerprint(tmp_path / "free")


def test_a_text_bank_loads_without_text_packages(tmp_path: Path) -> None:
    fake_bank().save(tmp_path / "b.safetensors")
    script = (
        "import sys\n"
        "for name in 'transformers', 'lexiseg.embeddings', 'lexiseg.words': sys.modules[name] = None\n"
        "from lexiseg.models.text_bank import TextBank\n"
        f"print(TextBank.load({str(tmp_path / 'b.safetensors')!r}).width)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "384"
