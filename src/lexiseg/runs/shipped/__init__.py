"""The models that come with Lexiseg: run folders without training state, beside this file.

A name stands wherever a run folder may: `lexiseg predict covid-xray IMAGE --out DIR`. It is the newest
version of the model; `covid-xray@0.1` is a certain one. A folder of that name in the working directory wins
over the shipped model. Each model's `model_card.md` says what it was trained on, how well it does, and what
it must not be used for; `benchmarks/pack_zoo.py` makes the folders. `model.onnx` shares the weights of
`weights.safetensors`.

The newest version of a model lies in the folder `NAME`, each older one in `NAME@VERSION`; `versions.json`
names the newest version of each.
"""

from __future__ import annotations

from pathlib import Path

from lexiseg.structured_text import read_json

#: Separates the name of a model from its version.
VERSION_MARK = "@"
#: The newest version of each model, by name.
VERSIONS_FILE = "versions.json"

_HERE = Path(__file__).parent


def model_names() -> tuple[str, ...]:
    """Return the names of the shipped models, without versions."""
    return tuple(name for name in _folders() if VERSION_MARK not in name)


def model_versions(name: str) -> tuple[str, ...]:
    """Return the versions of a shipped model, the newest first.

    Args:
        name: One of `model_names()`.
    """
    newest = str(read_json(_HERE / VERSIONS_FILE)[name])
    older = [folder.partition(VERSION_MARK)[2] for folder in _folders() if folder.startswith(f"{name}@")]
    return (newest, *sorted(older, key=_number, reverse=True))


def model_folder(name: str) -> Path | None:
    """Return the run folder of a shipped model, or None if there is none of that name.

    Args:
        name: Name of a model, with or without a version: "covid-xray" (the newest), "covid-xray@0.1".
    """
    model, mark, version = name.partition(VERSION_MARK)
    if model not in model_names():
        return None
    if not mark:
        return _HERE / model
    versions = model_versions(model)
    if version not in versions:
        return None
    return _HERE / (model if version == versions[0] else name)


def known_versions(name: str) -> tuple[str, ...]:
    """Return the names with version of a shipped model whose version is not known; empty for other names.

    Args:
        name: What does not name a run, such as "covid-xray@9".
    """
    model, mark, _ = name.partition(VERSION_MARK)
    if not mark or model not in model_names() or model_folder(name) is not None:
        return ()
    return tuple(f"{model}{VERSION_MARK}{version}" for version in model_versions(model))


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


def _folders() -> tuple[str, ...]:
    return tuple(sorted(manifest.parent.name for manifest in _HERE.glob("*/run.json")))


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
