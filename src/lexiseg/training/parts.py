"""What a training is made of: network, objective and, where there is one, a teacher with its lessons."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from lexiseg.models.encoder_weights import encoder_state_dict, load_encoder_weights
from lexiseg.models.spec import NetworkSpec
from lexiseg.models.teaching import Teacher
from lexiseg.systems.build import build_network, check_encoder_takes
from lexiseg.systems.cotexnet.compact import CompactCoTexNet
from lexiseg.systems.cotexnet.compact_objective import CompactObjective as CompactCoTexNetObjective
from lexiseg.systems.cotexnet.compact_teacher import CompactTeacher
from lexiseg.systems.stpnet.compact import CompactStpNet
from lexiseg.systems.stpnet.compact_objective import CompactObjective
from lexiseg.systems.stpnet.objective import PaperObjective
from lexiseg.training.config import TrainConfig
from lexiseg.training.lessons import Lessons, SentenceLessons, TokenLessons
from lexiseg.training.module import small_size
from lexiseg.training.plan import Plan
from lexiseg.training.unmasked import UnmaskedTeaching


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a training is made of.

    Attributes:
        network: Returns a `SegmentationOutput`.
        objective: Called with output, labels and indices; returns the parts of the loss and `total`.
        teacher: Runs the network's training pass; None: the network trains as it predicts.
        lessons: Makes of phrase indices what the teacher reads; None without teacher.
        unmasked: What images without mask teach; None: every image has a mask.
    """

    network: nn.Module
    objective: nn.Module
    teacher: Teacher | None = None
    lessons: Lessons | None = None
    unmasked: UnmaskedTeaching | None = None


def make_parts(config: TrainConfig, plan: Plan, *, pretrained: bool) -> Parts:
    """Build what a training is made of.

    Args:
        config: The configuration.
        plan: Words, bank and network.
        pretrained: Whether to load the weights the training starts from; not where a checkpoint follows.

    Raises:
        UsageError: The parts do not fit together.
        WeightsError: Weights or a tokenizer cannot be found.
    """
    if not config.paper:
        return _compact(config, plan, pretrained=pretrained)
    if config.model == "cotexnet":
        return _published_cotexnet(config, plan, pretrained=pretrained)
    weights = _resnet101(config.start_weights) if pretrained else None
    network = build_network(plan.manifest.network, plan.bank, pretrained=False, encoder_weights=weights)
    return Parts(network=network, objective=PaperObjective())


def _compact(config: TrainConfig, plan: Plan, *, pretrained: bool) -> Parts:
    start = config.start_weights
    network = build_network(plan.manifest.network, plan.bank, pretrained=pretrained and start == "imagenet")
    assert isinstance(network, CompactStpNet | CompactCoTexNet)
    if pretrained and start not in ("imagenet", "none"):
        load_encoder_weights(config.encoder, network.encoder, path=start)
    sizes = {config.size, small_size(config.size)} if config.small_first > 0 else {config.size}
    check_encoder_takes(network.encoder, name=config.encoder, sizes=sizes)
    unmasked = None
    if plan.unmasked is not None:
        unmasked = UnmaskedTeaching(config, plan.train if plan.unmasked == "words" else None)
    if isinstance(network, CompactStpNet):
        of_stpnet = CompactObjective(retrieval_weight=config.retrieval_weight)
        return Parts(network=network, objective=of_stpnet, unmasked=unmasked)
    objective = CompactCoTexNetObjective(
        retrieval_weight=config.retrieval_weight, distillation_weight=config.distillation_weight
    )
    network.words_only_read = config.teach in ("pseudo_word", "none")
    if plan.train is None or plan.vocabulary is None or config.teach == "none":
        return Parts(network=network, objective=objective, unmasked=unmasked)
    assert plan.encoder is not None
    lessons = SentenceLessons(plan.vocabulary, plan.encoder)
    teacher = CompactTeacher(
        parts=config.teach,
        width=config.width,
        classes=max(1, plan.manifest.network.out_channels - 1),
        centre=lessons.mean(plan.train.indices),
    )
    return Parts(network=network, objective=objective, teacher=teacher, lessons=lessons, unmasked=unmasked)


def _published_cotexnet(config: TrainConfig, plan: Plan, *, pretrained: bool) -> Parts:
    # Imported here, as transformers takes seconds.
    from lexiseg.systems.cotexnet.framed_sentences import load_framed_tokenizer
    from lexiseg.systems.cotexnet.objective import PaperObjective as PaperCoTexNetObjective
    from lexiseg.systems.cotexnet.paper import PSEUDO_WORD_POSITION, CoTexNet
    from lexiseg.systems.cotexnet.paper_teacher import PaperTeacher
    from lexiseg.systems.cotexnet.pretrained import load_clipseg
    from lexiseg.systems.cotexnet.published import read_config

    spec = plan.manifest.network
    assert spec.clipseg is not None
    assert plan.vocabulary is not None
    classes = _classes(spec)
    network = (
        load_clipseg(config.start_weights, num_classes=classes)
        if pretrained
        else CoTexNet(read_config(spec.clipseg), classes)
    )
    tokenizer = load_framed_tokenizer(
        config.start_weights,
        position=PSEUDO_WORD_POSITION,
        max_tokens=network.text_tokens,
        vocabulary_size=network.text_vocabulary_size,
    )
    return Parts(
        network=network,
        objective=PaperCoTexNetObjective(reference_compat=config.reference_compat),
        teacher=PaperTeacher(),
        lessons=TokenLessons(plan.vocabulary, tokenizer),
    )


def _classes(spec: NetworkSpec) -> int:
    """Return the number of classes with the background."""
    return max(2, spec.out_channels)


def _resnet101(choice: str) -> dict[str, Tensor] | None:
    """Return the start of STPNet's published image encoder: "imagenet", "none", or a file."""
    if choice == "none":
        return None
    return encoder_state_dict("resnet101.tv_in1k", path=None if choice == "imagenet" else choice)
