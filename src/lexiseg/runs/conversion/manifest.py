"""The manifest of a run that was converted from published weights."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from lexiseg._version import __version__
from lexiseg.models.spec import NetworkSpec
from lexiseg.runs.run import Manifest, TextSource
from lexiseg.systems.build import normalisation
from lexiseg.words.vocabulary import Vocabulary


def converted_manifest(
    checkpoint: Path,
    spec: NetworkSpec,
    *,
    image_size: int,
    class_names: tuple[str, ...],
    text: TextSource = "none",
    vocabulary: Vocabulary | None = None,
    text_encoder: str | None = None,
) -> Manifest:
    """Return the manifest of a converted run, with the checkpoint's name and SHA-256.

    Args:
        checkpoint: The file it was converted from.
        spec: The network.
        image_size: Height and width of the images the network is to see.
        class_names: Name per label; index 0 is the background.
        text: Where the words of its training came from, as far as is known.
        vocabulary: The vocabulary of the words it names, left being the image's left; None: it names none.
        text_encoder: What embedded them.
    """
    norm = normalisation(spec)
    with open(checkpoint, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Manifest(
        lexiseg_version=__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        network=spec,
        image_size=image_size,
        mean=norm.mean,
        std=norm.std,
        class_names=class_names,
        text=text,
        side="image",
        vocabulary=None if vocabulary is None else vocabulary.to_dict(),
        training={
            "finished": True,
            "converted_from": checkpoint.name,
            "sha256": digest,
            **({} if text_encoder is None else {"text_encoder": text_encoder}),
        },
    )
