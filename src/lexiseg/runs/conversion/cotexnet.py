"""From a published CoTexNet checkpoint to a run folder that predict and evaluate take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lexiseg.errors import UsageError
from lexiseg.files import atomic_folder, write_text
from lexiseg.models.checkpoint import without_prefix
from lexiseg.models.encoder_weights import read_state_dict
from lexiseg.models.spec import PUBLISHED_CLIPSEG, NetworkSpec
from lexiseg.runs.conversion.manifest import converted_manifest
from lexiseg.runs.run import Manifest, Run
from lexiseg.systems.build import check_image_size, count_parameters, save_weights
from lexiseg.systems.cotexnet.pretrained import clipseg_config
from lexiseg.systems.cotexnet.published import load_published, num_classes_of

#: Height and width of the images it was published with.
IMAGE_SIZE = 224


def convert_cotexnet(
    checkpoint: str | Path,
    out: str | Path,
    *,
    clipseg: str | Path | None = None,
    class_names: Sequence[str] | None = None,
    image_size: int = IMAGE_SIZE,
) -> tuple[Run, int]:
    """Make a run folder from a published CoTexNet checkpoint.

    Args:
        checkpoint: safetensors, or a PyTorch file (read with `weights_only`): the published state_dict, or a
            dict that holds it under `model` or `state_dict`.
        out: The run folder to make; it must not hold anything yet.
        clipseg: The CLIPSeg it was built on: a folder with its `config.json`, or a Hugging Face name. Only
            the configuration is read. None: the published one, "CIDAS/clipseg-rd64-refined".
        class_names: Names of the foreground classes; None: "lesion", or "class 1", "class 2", ...
        image_size: Height and width of the images the network is to see.

    Returns:
        The run, and how many published tensors were dropped because prediction never uses them.

    Raises:
        UsageError: The number of names is not that of the checkpoint's classes, or the image size is too
            small.
        RunError: `out` is in use.
        WeightsError: A file cannot be read or does not fit, or the configuration cannot be found.
        DiskError: There is no space or no permission; nothing half-written is left.
    """
    checkpoint, out = Path(checkpoint), Path(out)
    Run.refuse_existing(out)
    state = without_prefix(read_state_dict(checkpoint))
    classes = num_classes_of(state)
    names = _names(class_names, classes)
    clipseg = PUBLISHED_CLIPSEG if clipseg is None else clipseg
    config = clipseg_config(clipseg)
    net = load_published(state, config, classes)
    kept = [name for name in net.state_dict() if not name.startswith(net.teaching_parts)]
    spec = NetworkSpec(
        model="cotexnet",
        preset="paper",
        encoder=str(clipseg),
        out_channels=1 if classes == 2 else classes,
        clipseg=config,
        num_parameters=count_parameters(net),
    )
    check_image_size(spec, image_size)
    # What a multimodal model told the network in its training is not known: by Lexiseg, it had no words.
    manifest = converted_manifest(checkpoint, spec, image_size=image_size, class_names=names)
    with atomic_folder(out) as beside:
        run = Run(beside, manifest)
        save_weights(net, run.weights_file)
        write_text(beside / "model_card.md", _model_card(manifest))
        run.save()
    return Run(out, manifest), len(state) - len(kept)


def _names(given: Sequence[str] | None, classes: int) -> tuple[str, ...]:
    """Return the names of all classes, the background first."""
    if given is None:
        given = ["lesion"] if classes == 2 else [f"class {label}" for label in range(1, classes)]
    if len(given) != classes - 1 or len(set(given)) != len(given):
        raise UsageError(
            f"The checkpoint segments {classes - 1} foreground class{'es' if classes > 2 else ''}, but the "
            f"names given are {', '.join(given)}. Name each once, in the order of the labels.",
            code="LEX-USE-037",
        )
    return ("background", *given)


def _model_card(manifest: Manifest) -> str:
    training = manifest.training
    return f"""# Published CoTexNet, converted

Research software, not a medical device: not for clinical use.

- Network: CoTexNet as published (doi 10.1016/j.eng.2026.04.006) on {manifest.network.encoder},
  {manifest.network.num_parameters / 1e6:.1f} M parameters, {manifest.image_size} px; it names
  no words.
- Classes: {", ".join(manifest.class_names)}.
- Weights: {training["converted_from"]}, SHA-256 {training["sha256"]}. What only training needs was left
  out.
- Training: not by Lexiseg. The published test loop averages Dice over batches, so published scores depend on
  the batch size.
- Converted by Lexiseg {manifest.lexiseg_version}, {manifest.created}.
"""
