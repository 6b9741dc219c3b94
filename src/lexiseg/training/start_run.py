"""The finished run whose weights a training starts from: what it may be, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from rich.console import Console
from torch import nn

from lexiseg.data.sample import DatasetIndex
from lexiseg.errors import RunError, UsageError, WeightsError
from lexiseg.models.network_weights import read_weights, training_only
from lexiseg.models.text_bank import TextBank
from lexiseg.printable import counted
from lexiseg.runs.image_hashes import ImageHashesRecord, read_image_hashes
from lexiseg.runs.learned_images import LearnedImages
from lexiseg.runs.manifest import Manifest, StartRecord
from lexiseg.runs.run import Run
from lexiseg.systems.configuration import TrainConfig
from lexiseg.systems.registry import system_of
from lexiseg.training.earlier_runs import (
    check_finished,
    check_not_scored,
    refuse_revealed,
    with_training,
)
from lexiseg.training.start_settings import check_network
from lexiseg.training.unmasked_images import MaskUse


def open_start(index: DatasetIndex, config: TrainConfig, console: Console) -> Run | None:
    """Open the run that a configuration starts from, and refuse one that it cannot start from.

    Args:
        index: The data set of the training.
        config: Its configuration.
        console: Where it is said that the images of the run cannot be compared with those of the training.

    Returns:
        The run; None where the configuration names none.

    Raises:
        RunError: It is no finished run.
        UsageError: Its network is another one.
        DataError: It was trained on validation or test images of the training, or selected on its test
            images.
    """
    if config.start_from is None:
        return None
    run = Run.open(config.start_from)
    check_finished(run, "start_from")
    check_network(config, run)
    learned = LearnedImages(run)
    check_not_scored(learned, index, "start_from", console)
    if not learned.knows_all:
        console.print(
            f"{run.shown} learned from earlier runs, and their images are not known. Make sure that none of "
            "these runs has learned validation or test images of this training.",
            style="yellow",
            markup=False,
            highlight=False,
        )
    return run


def check_start(index: DatasetIndex, use: MaskUse, start: Run, manifest: Manifest) -> None:
    """Refuse a training that cannot start from a run.

    Args:
        index: The data set, with the images that are left out.
        use: Which training images take part.
        start: The run, as `open_start` returns it.
        manifest: The manifest of the training.

    Raises:
        UsageError: Images without mask take part too, the run has learned masks that are left out, or only
            one of the two networks names words.
        RunError: The hashes of the images of the run are damaged.
    """
    if use.unmasked is not None:
        raise UsageError(
            "start_from: every training image needs a mask, as the teachers of images without mask start "
            "anew. Leave these images out (--unmasked leave_out), or leave `start_from` out.",
            code="LEX-USE-1963",
        )
    refuse_revealed(LearnedImages(start), index, use, "start_from")
    words = manifest.spoken_vocabulary is not None
    if words != (start.spoken_vocabulary is not None):
        names, other = ("no words", "words") if words else ("words", "none")
        raise UsageError(
            f"start_from: the network of {start.shown} names {names}, but this training has {other}, so its "
            "network is another one. Change --text, or start from another run.",
            code="LEX-USE-1964",
        )


@dataclass(frozen=True, kw_only=True)
class StartWeights:
    """What a network took from the run that its training starts from.

    Attributes:
        taken: Number of tensors that it took.
        anew: Names of the tensors that start anew, as they belong to other phrases or classes.
    """

    taken: int
    anew: tuple[str, ...]

    def sentence(self, start: Run) -> str:
        """Return what was taken, for people."""
        if not self.anew:
            return f"The training starts from the weights of {start.shown}: all {self.taken} tensors."
        return (
            f"The training starts from the weights of {start.shown}: {self.taken} of "
            f"{counted(self.taken + len(self.anew), 'tensor')}. The others start anew, as they belong to "
            "other phrases or classes."
        )


def load_start(network: nn.Module, start: Run, manifest: Manifest, bank: TextBank | None) -> StartWeights:
    """Load the weights of a run into the network of a training.

    Tensors that belong to certain phrases are taken where both have the same text bank, and those that belong
    to certain classes where both have the same classes. Where phrases or classes differ, tensors whose shape
    depends on their number start anew too.

    Args:
        network: The network of the training, as its system builds it.
        start: The run.
        manifest: The manifest of the training.
        bank: The text bank of the training; None where the network names no words.

    Raises:
        WeightsError: The weights are damaged, or do not fit though phrases and classes are the same.
    """
    system = system_of(manifest.network)
    same_bank, same_classes = _same_bank(bank, start), _same_classes(manifest, start.manifest)
    others = (*(() if same_bank else system.phrase_tensors), *(() if same_classes else system.class_tensors))
    own, state = network.state_dict(), read_weights(start.weights_file)
    left_out = training_only(network)
    expected = {name for name in own if not name.startswith(left_out)}
    # A network of more or fewer factors has more or fewer of these tensors.
    of_others = {
        name
        for name in expected | state.keys()
        if any(name == other or name.startswith(f"{other}.") for other in others)
    }
    anew = expected & of_others
    if others:
        anew |= {n for n in expected & state.keys() if own[n].shape != state[n].shape}
    misfits = (expected ^ state.keys()) - of_others
    misfits |= {n for n in expected & state.keys() - anew if own[n].shape != state[n].shape}
    if misfits:
        raise WeightsError(
            f"start_from: the weights of {start.shown} do not fit the network of this training: "
            f"{counted(len(misfits), 'tensor')} missing, unknown or of another shape (for example "
            f"{min(misfits)}). Restore the run, or start from another one.",
            code="LEX-WEIGHTS-1965",
        )
    chosen = expected - anew
    with torch.no_grad():
        for name in chosen:
            own[name].copy_(state[name])
    return StartWeights(taken=len(chosen), anew=tuple(sorted(anew)))


def _same_bank(bank: TextBank | None, start: Run) -> bool:
    """Return whether the network of a training has the phrases of a run, embedded by the same encoder."""
    if bank is None or start.spoken_vocabulary is None:
        return bank is None and start.spoken_vocabulary is None
    theirs = TextBank.load(start.bank_file)
    return (
        bank.encoder == theirs.encoder
        and list(bank.phrases.items()) == list(theirs.phrases.items())
        and all(torch.equal(bank.embeddings[name], theirs.embeddings[name]) for name in bank.phrases)
    )


def _same_classes(manifest: Manifest, theirs: Manifest) -> bool:
    """Return whether two networks have the same classes; the name of a single one is a matter of taste."""
    if manifest.network.out_channels != theirs.network.out_channels:
        return False
    return len(manifest.class_names) == 2 or manifest.class_names == theirs.class_names


def start_record(start: Run) -> StartRecord:
    """Return what a run keeps of the run that it started from."""
    learned = LearnedImages(start)
    return StartRecord(
        name=start.path.resolve().name if start.version_name is None else start.version_name,
        data=start.manifest.data.name or "",
        weights_sha256=start.weights_sha256(),
        images_known=learned.knows_all and learned.knows_files,
    )


def with_start(manifest: Manifest, start: Run | None) -> Manifest:
    """Return the manifest of a training with what it keeps of the run that it starts from."""
    return manifest if start is None else with_training(manifest, start=start_record(start))


def with_earlier_images(hashes: ImageHashesRecord, start: Run | None) -> ImageHashesRecord:
    """Return the hashes of the images of a training with those of the run that it starts from.

    So a run is also recognised as one that has learned the images of the runs before it.

    Raises:
        RunError: The hashes of the run are damaged.
    """
    earlier = None if start is None else read_image_hashes(start.path)
    if earlier is None:
        return hashes
    return hashes.model_copy(
        update={
            "train": tuple(sorted({*hashes.train, *earlier.train})),
            "val": tuple(sorted({*hashes.val, *earlier.val})),
        }
    )


def check_same_start(run: Run, start: Run | None) -> None:
    """Refuse to resume a training whose start has changed.

    Args:
        run: The interrupted run.
        start: The run that it starts from; None where it starts from none.

    Raises:
        RunError: It has.
    """
    kept = run.manifest.training.start
    if start is not None and (kept is None or kept.weights_sha256 != start.weights_sha256()):
        raise RunError(
            f"The run in {run.path} was started from other weights of {start.shown}. Restore them, or start "
            "a new run.",
            code="LEX-RUN-1966",
        )
