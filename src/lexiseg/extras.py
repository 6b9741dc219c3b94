"""The extras of the installation: which packages each one adds, and how to install one that is missing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit
from urllib.request import url2pathname

from lexiseg.errors import UsageError
from lexiseg.printable import command_word

#: Packages that the base installation lacks, by the extra that installs them.
PACKAGES = {
    "train": (
        "torch",
        "torchvision",
        "timm",
        "lightning",
        "transformers",
        "tokenizers",
        "tensorboard",
        "einops",
        "onnx",
        "onnxscript",
    ),
    "openvino": ("openvino",),
    "cluster": ("ray",),
    "share": ("huggingface_hub", "mlcroissant"),
    "volumes": ("nibabel", "SimpleITK"),
    "dicom": ("pydicom", "highdicom"),
    "dicomweb": ("dicomweb_client", "requests"),
    "serve": ("fastapi", "httpx2", "prometheus_client", "python_multipart", "starlette", "uvicorn"),
    "mlflow": ("mlflow",),
    "wandb": ("wandb",),
    "gateway": ("pynetdicom", "prometheus_client"),
}

# What pip and others record of an installation that does not come from an index (PEP 610).
_ORIGIN_FILE = "direct_url.json"
_HINT = re.compile(r"Install the extra '([\w-]+)' with: ")


@dataclass(frozen=True, kw_only=True)
class _Origin:
    """Where the installation of Lexiseg comes from: a folder, an address, or else an index.

    Attributes:
        folder: The folder.
        editable: Whether Lexiseg runs in the folder itself instead of a copy.
        address: The address of a package file or a repository, in the form that pip takes.
    """

    folder: Path | None = None
    editable: bool = False
    address: str = ""


def is_installed(package: str) -> bool:
    """Return whether a package is installed; it is not imported."""
    return find_spec(package) is not None


def load_module(module: str) -> ModuleType:
    """Import a module of Lexiseg that needs packages of an extra.

    Raises:
        UsageError: One of these packages is not installed; the message names the extra.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        missing = missing_package(error)
        if missing is None:
            raise
        raise missing from error


def missing_package(error: ModuleNotFoundError) -> UsageError | None:
    """Return the error that names the extra for a failed import; None where no extra holds the package."""
    package = (error.name or "").split(".")[0]
    for extra, packages in PACKAGES.items():
        if package in packages:
            return _not_installed(package, extra)
    return None


def require_extra(extra: str) -> None:
    """Check that an extra is installed, before work begins that needs it later.

    Raises:
        UsageError: One of its packages is not installed.
    """
    for package in PACKAGES[extra]:
        if not is_installed(package):
            raise _not_installed(package, extra)


def _not_installed(package: str, extra: str) -> UsageError:
    return UsageError(
        f"This needs the package '{package}', which is not installed. {install_hint(extra)}",
        code="LEX-USE-860",
    )


def install_hint(extra: str) -> str:
    """Return the sentence that says how an extra is installed; it ends with the command."""
    return f"Install the extra '{extra}' with: {install_command(extra)}"


def without_commands(text: str) -> str:
    """Return what a server says of a missing extra: the commands, which name folders of it, are left out.

    Args:
        text: With hints as of `install_hint`, or without.
    """
    for extra in set(_HINT.findall(text)):
        text = text.replace(install_hint(extra), f"Install the extra '{extra}' on the server.")
    return text


def install_command(extra: str = "") -> str:
    """Return the command that installs Lexiseg with an extra, from where this installation comes.

    Args:
        extra: The extra; several are separated by commas; empty for the base installation.

    Returns:
        The command, such as "pip install -e '/home/jane/lexiseg[train]'". Where the folder of the
        installation is gone, the words that say in which folder to run it follow.
    """
    origin, names = _origin(), f"[{extra}]" if extra else ""
    if origin.address:
        return f"pip install {command_word(f'lexiseg{names} @ {origin.address}')}"
    if origin.folder is None:
        return f"pip install {command_word(f'lexiseg{names}')}"
    if not (origin.folder / "pyproject.toml").is_file():
        return f"pip install {command_word(f'.{names}')}, in the source folder of Lexiseg"
    return f"pip install {'-e ' if origin.editable else ''}{command_word(f'{origin.folder}{names}')}"


def upgrade_hint() -> str:
    """Return the sentence that says how Lexiseg is upgraded, from where this installation comes."""
    origin = _origin()
    if origin.address:
        return f"Upgrade Lexiseg: it is installed from {origin.address}; install the newer version from there"
    if origin.folder is None:
        return "Upgrade Lexiseg with: pip install --upgrade lexiseg"
    return (
        f"Upgrade Lexiseg: it is installed from the folder {origin.folder}; get the newer version there, "
        f"then run: {install_command()}"
    )


def _origin() -> _Origin:
    try:
        recorded = metadata.distribution("lexiseg").read_text(_ORIGIN_FILE)
    except metadata.PackageNotFoundError:
        # Run from a source folder without installation.
        return _Origin(folder=Path(__file__).resolve().parents[2], editable=True)
    if recorded is None:
        return _Origin()
    # It loads a parser of YAML, for which no command should wait that needs no extra.
    from lexiseg.structured_text import parse_json

    facts = parse_json(recorded)
    url = facts["url"]
    if "dir_info" in facts:
        folder = Path(url2pathname(urlsplit(url).path))
        return _Origin(folder=folder, editable=bool(facts["dir_info"].get("editable")))
    if "vcs_info" in facts:
        source = facts["vcs_info"]
        version = source.get("requested_revision") or source["commit_id"]
        return _Origin(address=f"{source['vcs']}+{url}@{version}")
    return _Origin(address=url)
