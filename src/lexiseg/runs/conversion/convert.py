"""From a published checkpoint of any system to a run folder."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lexiseg._version import __version__
from lexiseg.errors import UsageError
from lexiseg.file_hashes import file_sha256
from lexiseg.files import atomic_folder, write_text
from lexiseg.models.network_weights import save_weights
from lexiseg.outputs.new_folder import reserve_folder
from lexiseg.printable import markdown_text
from lexiseg.runs.manifest import CARD_FILE, Manifest, TrainingRecord
from lexiseg.runs.run import Run
from lexiseg.systems.system import PublishedNetwork, System


def convert_published(
    system: System, checkpoint: str | Path, out: str | Path, **options: Any
) -> tuple[Run, int]:
    """Make a run folder from a published checkpoint.

    Args:
        system: The system of the checkpoint.
        checkpoint: The file.
        out: The run folder to make; it must not hold anything yet.
        **options: Further arguments of the system's `read_published`.

    Returns:
        The run, and how many published tensors were dropped because prediction does not use them.

    Raises:
        UsageError: The system has no published checkpoints, an option is not possible, or another process
            makes the folder.
        RunError: `out` is in use.
        WeightsError: A file cannot be read or does not fit.
        DiskError: There is no space or no permission; nothing half-written is left.
    """
    checkpoint, out = Path(checkpoint), Path(out)
    if system.builders.read_published is None:
        raise UsageError(
            f"The {system.called} has no published checkpoints to convert.",
            code="LEX-USE-505",
        )
    Run.refuse_existing(out)
    with reserve_folder(out):
        published = system.builders.read_published(checkpoint, **options)
        system.image_sizes.check(published.image_size)
        manifest = _manifest(system, published, checkpoint)
        _write(published, manifest, _model_card(system, published, manifest), out)
    return Run(out, manifest), published.dropped


def _write(published: PublishedNetwork, manifest: Manifest, card: str, out: Path) -> None:
    """Write the run folder, whole or not at all."""
    with atomic_folder(out) as beside:
        run = Run(beside, manifest)
        if published.bank is not None:
            published.bank.save(run.bank_file)
        save_weights(published.network, run.weights_file)
        write_text(beside / CARD_FILE, card)
        run.save()


def _manifest(system: System, published: PublishedNetwork, checkpoint: Path) -> Manifest:
    """Return the manifest of a converted run, with the checkpoint's name and SHA-256."""
    norm = system.builders.normalisation(published.spec)
    vocabulary = published.vocabulary
    return Manifest(
        lexiseg_version=__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        network=published.spec,
        image_size=published.image_size,
        mean=norm.mean,
        std=norm.std,
        class_names=published.class_names,
        text="none" if vocabulary is None else "reports",
        side="image",
        vocabulary=vocabulary,
        training=TrainingRecord(
            finished=True,
            converted_from=checkpoint.name,
            sha256=file_sha256(checkpoint),
            text_encoder=None if published.bank is None else published.bank.encoder,
        ),
    )


def _model_card(system: System, published: PublishedNetwork, manifest: Manifest) -> str:
    training = manifest.training
    embeddings = ""
    if published.bank is not None:
        embeddings = (
            f"- Text embeddings: {published.bank.encoder}. Left and right are the {manifest.side}'s.\n"
        )
    return f"""# Published {system.title}, converted

Research software, not a medical device: not for clinical use.

- Network: {published.about_network}
- Citation: {system.citation}
- Classes: {markdown_text(", ".join(manifest.class_names))}.
- Weights: {markdown_text(training.converted_from or "")}, SHA-256 {training.sha256}.
  Tensors that prediction does not use were left out.
{embeddings}- Training: {published.about_training}
- Limits: {" ".join(system.limits)}
- Converted by Lexiseg {manifest.lexiseg_version}, {manifest.created}.
"""
