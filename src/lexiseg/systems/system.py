"""What a system is: one published method in one preset, as data and the functions that build its parts.

A system is found by its name and preset in `lexiseg.systems.registry`. This module imports no torch: the
command line reads systems for `--help`. The functions load with `System.builders`, when they are first used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lexiseg.errors import UsageError
from lexiseg.models.normalisation import Normalisation
from lexiseg.models.spec import NetworkSpec
from lexiseg.systems.configuration import TrainConfig

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

    from lexiseg.data.image_fit import Fit
    from lexiseg.embeddings.text_encoders import TextEncoder
    from lexiseg.models.prompt_trace import TracePrompts
    from lexiseg.models.text_bank import TextBank
    from lexiseg.models.text_supervisor import TextInputs, TextSupervisor
    from lexiseg.words.description import Indices
    from lexiseg.words.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True)
class ImageSizes:
    """The image sizes that a network takes, in pixels; height and width are equal.

    Attributes:
        only: The only size; None: any size that fits the rest.
        multiple: Every size is a multiple of this.
        smallest: The smallest size.
    """

    only: int | None = None
    multiple: int = 1
    smallest: int = 64

    def check(self, image_size: int) -> None:
        """Refuse a size that the network does not take.

        Raises:
            UsageError: The size does not fit.
        """
        if self.only is not None:
            if image_size != self.only:
                raise UsageError(
                    f"This preset takes {self.only} px only, not {image_size}. Leave out --image-size.",
                    code="LEX-USE-021",
                )
        elif self.multiple == 1 and image_size < self.smallest:
            raise UsageError(
                f"--image-size must be at least {self.smallest}; got {image_size}.", code="LEX-USE-022"
            )
        elif image_size < self.smallest or image_size % self.multiple:
            raise UsageError(
                f"--image-size must be a multiple of {self.multiple}, at least {self.smallest}; got "
                f"{image_size}.",
                code="LEX-USE-023",
            )


@dataclass(frozen=True, kw_only=True)
class TrainingInputs:
    """What the parts of a training are built from.

    Attributes:
        spec: The network.
        bank: The text bank; None without text, and where the network names no words.
        vocabulary: The vocabulary; None without text.
        indices: Phrases of the training samples, one row `(factors,)` per sample; None without text.
        text_encoder: The text encoder; None without text, and where a resumed training does not need it.
        pretrained: Whether the network that predicts starts with the weights that the configuration names.
            False where a checkpoint, or the weights of a run, are loaded afterwards.
        goes_on: Whether a checkpoint is loaded afterwards, which holds also what only the training uses.
    """

    spec: NetworkSpec
    bank: TextBank | None
    vocabulary: Vocabulary | None
    indices: Sequence[Indices] | None
    text_encoder: TextEncoder | None
    pretrained: bool
    goes_on: bool = False


@dataclass(frozen=True, kw_only=True)
class TrainingParts:
    """The parts of a training.

    Attributes:
        network: Its output follows `lexiseg.models.output.SegmentationOutput`.
        objective: Called with output, labels `(B, 1, H, W)` and indices `(B, factors)`; with `masked` `(B,)`
            where images without mask take part; and, for other fits than "stretch", with `inside` `(B, 1, H,
            W)` bool: pixels outside it are no image and must not count. Returns the parts of the loss and
            `total`.
        text_supervisor: Runs the network's training pass; None: the network trains as it predicts.
        text_inputs: Turns phrase indices into what the text supervisor reads; given with a text supervisor.
    """

    network: nn.Module
    objective: nn.Module
    text_supervisor: TextSupervisor | None = None
    text_inputs: TextInputs | None = None


@dataclass(frozen=True, kw_only=True)
class Builders:
    """The functions of a system; "config" is an object of the system's own configuration class.

    Attributes:
        network_spec: `(config, out_channels)` to the network that the configuration asks for.
        network: `(spec, bank)` to the network that predicts, with random weights. The bank is None without
            text, and where the network names no words.
        training: `(config, inputs)` to the parts of a training. What is random depends on torch's seed alone.
        optimizer: `(config, modules)` to the optimiser of all parameters that require a gradient.
        learning_rate: `(config, step, share, steps_per_epoch)` to the learning rate of the coming step; share
            is the part of the training that is done, 0..1.
        normalisation: `(spec)` to how the network expects its input.
        trace_prompts: Traces the prompts in a network that was trained with words; None where the network
            names no words.
        read_published: Reads a published checkpoint; None where there is none.
    """

    network_spec: Callable[[Any, int], NetworkSpec]
    network: Callable[[NetworkSpec, TextBank | None], nn.Module]
    training: Callable[[Any, TrainingInputs], TrainingParts]
    optimizer: Callable[[Any, nn.Module], Optimizer]
    learning_rate: Callable[[Any, int, float, int], float]
    normalisation: Callable[[NetworkSpec], Normalisation]
    trace_prompts: TracePrompts | None = None
    read_published: Callable[..., PublishedNetwork] | None = None


@dataclass(frozen=True, kw_only=True)
class PublishedNetwork:
    """A network that was read from a published checkpoint.

    Attributes:
        network: The network with its weights.
        spec: Its description, parameters counted.
        image_size: Height and width in pixels that it sees.
        class_names: Name per label; index 0 is the background.
        dropped: Number of tensors of the checkpoint that prediction does not use.
        bank: The text bank; None where the network names no words.
        vocabulary: The vocabulary of the words that it names, left being the image's left; None: it names
            none.
        about_network: What the network is, for the run's model card.
        about_training: How it was trained, for the run's model card.
    """

    network: nn.Module
    spec: NetworkSpec
    image_size: int
    class_names: tuple[str, ...]
    dropped: int
    bank: TextBank | None = None
    vocabulary: Vocabulary | None = None
    about_network: str
    about_training: str


@dataclass(frozen=True, kw_only=True)
class System:
    """One published method in one preset.

    Attributes:
        name: Name of the method, as `--model` takes it.
        preset: Name of the preset, as `--preset` takes it.
        title: Name of the method for people.
        summary: What the preset is, in a few words for `--help`.
        citation: The publication.
        limits: What the system cannot do, one sentence each.
        configuration: The class of its configuration, with all its defaults.
        image_sizes: The image sizes that its network takes.
        fits: How images may fit the pictures that its network sees; for more than "stretch" see
            `TrainingParts.objective` and `lexiseg.models.output.SegmentationOutput`.
        load_builders: Returns its functions; heavy imports belong in here.
        names_words: Whether its network, trained with words, names words itself.
        has_form_without_text: Whether it can be trained with `--text none`.
        several_classes: Whether it can segment more than one class.
        folds_batch_norms: Whether batch norms are folded into convolutions for prediction.
        reads_sentences: Whether its text supervisor reads sentences, not only phrases.
        phrase_tensors: Names of the network's tensors, or modules, that belong to certain phrases; a training
            with another text bank does not take them from an earlier run.
        class_tensors: The same for those that belong to certain classes.
    """

    name: str
    preset: str
    title: str
    summary: str
    citation: str
    limits: tuple[str, ...]
    configuration: type[TrainConfig]
    image_sizes: ImageSizes
    load_builders: Callable[[], Builders]
    names_words: bool = True
    has_form_without_text: bool = True
    several_classes: bool = True
    folds_batch_norms: bool = True
    reads_sentences: bool = False
    fits: tuple[Fit, ...] = ("stretch",)
    phrase_tensors: tuple[str, ...] = ()
    class_tensors: tuple[str, ...] = ()

    @property
    def called(self) -> str:
        """Its preset and title in a sentence, such as "compact preset of STPNet"."""
        return f"{self.preset} preset of {self.title}"

    @cached_property
    def builders(self) -> Builders:
        """The functions of the system."""
        return self.load_builders()

    def check_fit(self, fit: Fit) -> None:
        """Refuse a way of fitting images that the system does not have.

        Raises:
            UsageError: The network can only be trained on stretched images.
        """
        if fit not in self.fits:
            raise UsageError(
                f"fit: the {self.called} takes {' or '.join(self.fits)} only, not "
                f"{fit}. Choose another --fit or another --preset.",
                code="LEX-USE-1330",
            )

    def check_network(self, spec: NetworkSpec, *, with_text: bool) -> None:
        """Refuse a network that the system does not have.

        Raises:
            UsageError: There is no form without text, or none for several classes.
        """
        if not with_text and not self.has_form_without_text:
            raise UsageError(
                f"The {self.called} cannot be trained without text. Choose another "
                "--preset with --text none.",
                code="LEX-USE-019",
            )
        if spec.out_channels != 1 and not self.several_classes:
            raise UsageError(
                f"The {self.called} segments one class. Choose another --preset for several classes.",
                code="LEX-USE-020",
            )
