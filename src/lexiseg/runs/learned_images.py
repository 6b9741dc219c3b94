"""The images that a run has learned from: which samples of a data set are among them, by name and by file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from lexiseg.data.leaks import showing_something
from lexiseg.data.sample import Sample, Split
from lexiseg.runs.image_hashes import ImageHashesRecord, read_image_hashes
from lexiseg.runs.run import Run


@dataclass(frozen=True)
class LearnedImages:
    """What a run says of the images that it has learned from.

    A name of an image is unique within a data set only. So names are compared where the data set has the name
    of that of the training (from dataset.yaml, else the folder's). Files are compared byte for byte, whatever
    their names; copies in other files are not recognised.

    Attributes:
        run: The run.
    """

    run: Run

    @property
    def knows_all(self) -> bool:
        """Whether the images are known that the runs before the run have learned, where there are such.

        Only the hashes of a run tell the images of its start, and runs that were shared lack them.

        Raises:
            RunError: The hashes are damaged.
        """
        training = self.run.manifest.training
        if training.distillation is not None:
            return False
        return training.start is None or (training.start.images_known and self.knows_files)

    def unknown_runs(self, data: str) -> tuple[str, ...]:
        """Return the names of earlier runs that may have learned images of a data set unknown to this run.

        A training refuses teachers, and a start, that have learned the images on which it is scored, so
        teachers say nothing of other data only.

        Args:
            data: Name of the data set.

        Raises:
            RunError: The hashes of the run are damaged.
        """
        training, found = self.run.manifest.training, list[str]()
        if training.start is not None and not (training.start.images_known and self.knows_files):
            found.append(training.start.name)
        if training.distillation is not None and not self.same_data(data):
            found += [teacher.name for teacher in training.distillation.teachers]
        return tuple(found)

    @property
    def knows_names(self) -> bool:
        """Whether the run holds the names of its images.

        Raises:
            RunError: The file with the names is damaged.
        """
        return self.run.splits is not None

    @property
    def knows_files(self) -> bool:
        """Whether the run holds the hashes of the files of its images.

        Raises:
            RunError: The hashes are damaged.
        """
        return self._hashes is not None

    def same_data(self, data: str) -> bool:
        """Return whether the run was trained on data of this name, so that names of images compare."""
        return self.run.manifest.data.name == data

    def by_name(self, samples: Sequence[Sample], *, data: str, split: Split = "train") -> tuple[Sample, ...]:
        """Return the samples that the run was trained on, or, for "test", selected on, by their names.

        Args:
            samples: The samples.
            data: Name of their data set; none is known of other data than those of the training.
            split: The split that they are in.

        Raises:
            RunError: The file with the names is damaged.
        """
        no_part = set() if self.run.splits is None else set(self.run.splits.left_out)
        found = self.in_splits(samples, data=data, split=split)
        return tuple(sample for sample in found if sample.id not in no_part)

    def in_splits(
        self, samples: Sequence[Sample], *, data: str, split: Split = "train"
    ) -> tuple[Sample, ...]:
        """Return what `by_name` does, with the images of the training split that took no part in it.

        They had no mask. The run may have learned from others of the same patients.
        """
        splits = self.run.splits
        if splits is None or not self.same_data(data):
            return ()
        names = {*splits.train, *(splits.val if split == "test" else ())}
        return tuple(sample for sample in samples if sample.id in names)

    def by_file(self, samples: Sequence[Sample], *, split: Split = "train") -> tuple[Sample, ...]:
        """Return what `by_name` does, by the files of the images; of a run without hashes, none is known.

        Pictures of a single colour, such as empty slices of volumes, taught the run nothing and do not count.

        Raises:
            RunError: The hashes are damaged.
        """
        found = () if self._hashes is None else self._hashes.learned_of(samples, split)
        shown = showing_something([sample.image for sample in found])
        return tuple(sample for sample in found if sample.image in shown)

    def without_mask(self, samples: Sequence[Sample], *, data: str) -> tuple[Sample, ...]:
        """Return the samples that are known as training images without a mask of the run.

        Nothing is known of other data than those of the training, and of what earlier runs taught this one.

        Args:
            samples: The samples.
            data: Name of their data set.

        Raises:
            RunError: A file of the run is damaged.
        """
        training, splits = self.run.manifest.training, self.run.splits
        if splits is None or not self.same_data(data):
            return ()
        if training.start is not None or training.distillation is not None:
            return ()
        had = self.run.with_mask
        names = set() if had is None else {*splits.train} - {*had}
        return tuple(sample for sample in samples if sample.id in names)

    @cached_property
    def _hashes(self) -> ImageHashesRecord | None:
        return read_image_hashes(self.run.path)


def unknown_images(names: Sequence[str], then: str, *, run: str = "The run") -> str:
    """Return what a reader must know where a run learned images that it does not know.

    Args:
        names: The earlier runs that it learned from, as `LearnedImages.unknown_runs` returns them.
        then: What follows where images at hand are among them, one sentence.
        run: What the run is called, at the beginning of a sentence.
    """
    return (
        f"{run} learned from {', '.join(names)}, and not all images that it has learned this way are known. "
        f"{then}"
    )
