"""The extras of the installation: which packages each one adds, and the message where one is missing."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from lexiseg.errors import UsageError

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
            return UsageError(
                f"This needs the package '{package}', which is not installed. Install it with: pip install "
                f"'lexiseg[{extra}]'",
                code="LEX-USE-860",
            )
    return None
