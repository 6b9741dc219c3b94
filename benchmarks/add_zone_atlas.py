"""Make the zone atlas of a run that has none, from its training images, and save it with the run.

    python benchmarks/add_zone_atlas.py RUN DATA

RUN is the folder of a run, such as src/lexiseg/runs/shipped/NAME; its weights stay as they are. The strength
of the correction is fitted on masks of training images.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from machine import describe_machine
from rich.console import Console

from lexiseg.data import open_dataset
from lexiseg.runs.run import Run
from lexiseg.training.config import CONFIG_FILE, make_config
from lexiseg.training.text_source import WordSource
from lexiseg.training.zone_atlas import add_atlas


def main() -> None:
    """Parse the arguments, make the atlas, save it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    options = parser.parse_args()
    print(describe_machine())
    run = Run.open(options.run)
    index = open_dataset(options.data)
    config = make_config({}, run.path / CONFIG_FILE, ignore_foreign=True)
    text = run.manifest.text
    if run.vocabulary is None or text not in ("reports", "concepts", "lmm"):
        parser.error(f"{run.path} was trained without words")
    words, notes = WordSource(text).words(index, "train", run.vocabulary, side=run.side)
    for note in notes:
        print(note)
    added = add_atlas(run, index, words, config, Console())
    added.save()
    print(f"{added.zone_atlas_file}: {added.manifest.zone_atlas}")


if __name__ == "__main__":
    main()
