"""MONAI bundles: a run in the layout that MONAI's tools and platforms read.

The bundle holds the run in `models/`, with its network as `models/model.onnx`, and `configs/metadata.json`
and `configs/inference.json`. Its inference runs Lexiseg, so masks, words and flags are those of `lexiseg
predict`:

    python -m monai.bundle run --config_file configs/inference.json --bundle_root . --dataset_dir IMAGES

Source of the layout: https://docs.monai.io/en/stable/mb_specification.html
"""

from __future__ import annotations

import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lexiseg._version import __version__
from lexiseg.engines.model_file import INPUT_NAME, INSIDE_NAME, LOGITS_NAME
from lexiseg.files import atomic_folder, write_json, write_text
from lexiseg.json_records import write_record
from lexiseg.outputs.new_folder import reserve_folder
from lexiseg.runs.manifest import Manifest
from lexiseg.runs.run import Run
from lexiseg.sharing.contents import BUNDLE_FILE, Contents, model_card
from lexiseg.sharing.pack import shared_contents

#: Version of the bundle's own content; the run states its version itself.
_BUNDLE_VERSION = "1.0.0"
_SCHEMA = (
    "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
)

#: The oldest MONAI that runs such a configuration.
_OLDEST_MONAI = "1.3.0"
#: Where MONAI's tools look for what was trained.
_RUN_FOLDER = "models"

_NOT_CLINICAL = "Research software, not a medical device: not for clinical use."


def export_monai(
    run: Run | str | Path,
    out: str | Path,
    *,
    license: str | None = None,
    image_names: bool = True,
) -> Path:
    """Write a run as a MONAI bundle.

    Args:
        run: The run, or its folder or name.
        out: The folder of the bundle, which must not exist yet, or be empty.
        license: Licence of the weights, as an SPDX identifier; None: not stated.
        image_names: Whether the names of the training images are among it.

    Returns:
        The folder.

    Raises:
        RunError: The folder is no run, its training is not finished, or `out` holds something already.
        WeightsError: The network cannot be exported.
        UsageError: The run has no `model.onnx`, and torch is not installed.
        DiskError: There is no space or no permission.
    """
    run, out = Run.of(run), Path(out)
    Run.refuse_existing(out)
    with (
        shared_contents(run, license=license, image_names=image_names) as contents,
        reserve_folder(out),
        atomic_folder(out) as folder,
    ):
        for name in ("configs", "docs", _RUN_FOLDER):
            (folder / name).mkdir()
        for name, path in contents.paths.items():
            shutil.copyfile(path, folder / _RUN_FOLDER / name)
        write_record(folder / _RUN_FOLDER / BUNDLE_FILE, contents.record)
        write_json(folder / "configs" / "metadata.json", _metadata(run, contents))
        write_json(folder / "configs" / "inference.json", _inference())
        write_text(folder / "docs" / "README.md", model_card(contents))
        write_text(folder / "LICENSE", _licences(contents))
    return out


def _metadata(run: Run, contents: Contents) -> dict[str, Any]:
    """Return what MONAI wants to know: the network's input and output, the versions, and the task."""
    manifest = run.manifest
    size, pairs = manifest.image_size, list(zip(manifest.mean, manifest.std, strict=True))
    scores = 1 if len(manifest.class_names) == 2 else len(manifest.class_names)
    return {
        "schema": _SCHEMA,
        "version": _BUNDLE_VERSION,
        "changelog": {_BUNDLE_VERSION: f"Written by Lexiseg {__version__}."},
        "monai_version": _OLDEST_MONAI,
        "pytorch_version": manifest.training.torch or "",
        "numpy_version": version("numpy"),
        "required_packages_version": {"lexiseg": __version__},
        "name": contents.record.name,
        "task": f"Segmentation of {', '.join(manifest.class_names[1:])}",
        "description": f"{_NOT_CLINICAL} The network sees an image alone; words taught it.",
        "authors": "",
        "copyright": "",
        "data_source": manifest.data.name or "",
        "intended_use": _NOT_CLINICAL,
        "network_data_format": {
            "inputs": {
                INPUT_NAME: {
                    "type": "image",
                    "format": "RGB",
                    "num_channels": 3,
                    "spatial_shape": [size, size],
                    "dtype": "float32",
                    "value_range": [
                        min(-mean / std for mean, std in pairs),
                        max((1 - mean) / std for mean, std in pairs),
                    ],
                    "is_patch_data": manifest.fit == "tiles",
                    "channel_def": {"0": "red", "1": "green", "2": "blue"},
                },
                **({} if manifest.fit == "stretch" else {INSIDE_NAME: _inside(manifest)}),
            },
            "outputs": {
                LOGITS_NAME: {
                    "type": "raw",
                    "format": "segmentation",
                    "num_channels": scores,
                    "spatial_shape": [size, size],
                    "dtype": "float32",
                    "value_range": [],
                    "is_patch_data": manifest.fit == "tiles",
                    "channel_def": dict(
                        zip(map(str, range(scores)), manifest.class_names[-scores:], strict=True)
                    ),
                }
            },
        },
    }


def _inside(manifest: Manifest) -> dict[str, Any]:
    """Return the second input of a network whose pictures may hold what is no image."""
    return {
        "type": "mask",
        "format": "segmentation",
        "num_channels": 1,
        "spatial_shape": [manifest.image_size, manifest.image_size],
        "dtype": "float32",
        "value_range": [0, 1],
        "is_patch_data": manifest.fit == "tiles",
        "channel_def": {"0": "where the picture shows the image"},
    }


def _inference() -> dict[str, Any]:
    """Return the configuration of inference: expressions that MONAI evaluates, one after the other."""
    return {
        "imports": ["$import lexiseg"],
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/images'",
        "output_dir": "$@bundle_root + '/eval'",
        "device": "cpu",
        "predictor": f"$lexiseg.load(@bundle_root + '/{_RUN_FOLDER}', device=@device)",
        "targets": "$lexiseg.find_targets([@dataset_dir])",
        "run": ["$lexiseg.predict_to_files(@predictor, @targets, @output_dir)"],
    }


def _licences(contents: Contents) -> str:
    licences = contents.record.licences
    return (
        f"Weights: {licences.model or 'the owner of the model states no licence'}.\n"
        f"Lexiseg, which runs them: {licences.lexiseg}.\n"
    )
