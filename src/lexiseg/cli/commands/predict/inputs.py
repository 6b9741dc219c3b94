"""What `lexiseg predict` predicts: the volumes and images that its paths name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lexiseg.cli.terminal.messages import warn
from lexiseg.errors import UsageError

if TYPE_CHECKING:
    from lexiseg.cli.commands.predict.options import PredictRequest
    from lexiseg.inference.inputs.target_list import TargetList
    from lexiseg.inference.inputs.volume_target import VolumeTarget
    from lexiseg.inference.sources.local_sources import LocalSources


@dataclass(frozen=True, kw_only=True)
class PredictInputs:
    """What is predicted.

    Attributes:
        volumes: The volumes.
        all_images: The images of all shards together.
        images: The images of this command.
    """

    volumes: tuple[VolumeTarget, ...]
    all_images: TargetList
    images: TargetList

    @property
    def has_lines_of_images(self) -> bool:
        """Whether predictions.jsonl is written; a command without volumes always writes it."""
        return bool(self.images) or not self.volumes


def find_inputs(request: PredictRequest, sources: LocalSources, out: Path) -> PredictInputs:
    """Return what is predicted, and name the files that are not read.

    Args:
        request: The request.
        sources: Its paths, each on this computer or at a URL.
        out: The output folder on this computer.

    Raises:
        DataError: Nothing is found, or two images or volumes would write the same files.
        UsageError: A part of volumes is asked for, or a URL needs credentials or packages that are missing.
    """
    from lexiseg.inference.inputs.tar_archives import is_plain_tar
    from lexiseg.inference.inputs.target_search import find_images
    from lexiseg.inference.remote.file_systems import is_url
    from lexiseg.inference.volumes.targets import check_apart, find_volumes

    volumes = find_volumes(
        [path for path in sources.patterns if not is_url(str(path)) and not is_plain_tar(str(path))],
        out=out,
        with_dicom=not request.single_slices and request.options.view.frame is None,
        labels=sources.labels,
    )
    if volumes.targets and request.shard is not None:
        raise UsageError(
            f"--shard predicts a part of the images, and {volumes.targets[0].label} is a volume. Predict "
            "volumes with a command without --shard, or the slices of DICOM series as images with "
            "--single-slices.",
            code="LEX-USE-1185",
        )
    found = find_images(sources.patterns, out=out, of_volumes=volumes.files, labels=sources.labels)
    images = found.targets if request.shard is None else found.targets.chosen(request.shard.holds_name)
    check_apart(volumes.targets, images)
    for note in found.unread.notes():
        warn(sources.named(note))
    return PredictInputs(volumes=volumes.targets, all_images=found.targets, images=images)
