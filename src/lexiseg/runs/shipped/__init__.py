"""The models that come with Lexiseg: run folders without training state, one per folder beside this file.

A name stands wherever a run folder may: `lexiseg predict covid-xray IMAGE --out DIR`. A folder of that name
in the working directory wins over the shipped model. Each model's `model_card.md` says what it was trained
on, how well it does, and what it must not be used for; `benchmarks/pack_zoo.py` makes the folders.
`model.onnx` shares the weights of `weights.safetensors`.
"""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent


def model_names() -> tuple[str, ...]:
    """Return the names of the shipped models."""
    return tuple(sorted(manifest.parent.name for manifest in _HERE.glob("*/run.json")))


def model_folder(name: str) -> Path | None:
    """Return the run folder of a shipped model, or None if there is none of that name."""
    return _HERE / name if name in model_names() else None


def shown_folder(path: Path) -> str:
    """Return what a run folder is called: the name of a shipped model, else its path.

    A folder of that name in the working directory hides the model, so then it is the path too.

    Args:
        path: The folder, as it was given or found.
    """
    folder = model_folder(path.resolve().name)
    if folder is None or folder.resolve() != path.resolve() or Path(folder.name).is_dir():
        return str(path)
    return folder.name
