"""CoTexNet as systems: the compact preset and the published network."""

from __future__ import annotations

from lexiseg.systems.cotexnet.configuration import CompactCoTexNetConfig, PaperCoTexNetConfig
from lexiseg.systems.system import Builders, ImageSizes, System

_CITATION = (
    "CoTexNet: Learning Conceptual Text Prompts from Visual Regions of Interest for Medical Image "
    "Segmentation. Engineering 2026, doi 10.1016/j.eng.2026.04.006."
)


def _compact() -> Builders:
    from lexiseg.systems.cotexnet.compact_builders import BUILDERS

    return BUILDERS


def _paper() -> Builders:
    from lexiseg.systems.cotexnet.paper_builders import BUILDERS

    return BUILDERS


#: The compact preset first: it is the default.
SYSTEMS = (
    System(
        name="cotexnet",
        preset="compact",
        title="CoTexNet",
        summary="small, trains on a CPU",
        citation=_CITATION,
        limits=(
            "It differs from the published network; docs/cotexnet.md lists how.",
            "It predicts the phrases of the vocabulary that it was trained with, and no others.",
            "One embedding of the image prompts all scales of the decoder; the words do not act one by one.",
        ),
        configuration=CompactCoTexNetConfig,
        image_sizes=ImageSizes(multiple=32),
        load_builders=_compact,
        fits=("stretch", "pad", "tiles"),
        reads_sentences=True,
        phrase_tensors=("phrases.text", "phrases.bias"),
        class_tensors=("decoder.head",),
    ),
    System(
        name="cotexnet",
        preset="paper",
        title="CoTexNet",
        summary="the published network",
        citation=_CITATION,
        limits=(
            "It predicts a mask and no words.",
            "It cannot be trained without text.",
            "It learns from images with masks only.",
            "It starts from the weights of a CLIPSeg, whose towers stay frozen.",
        ),
        configuration=PaperCoTexNetConfig,
        image_sizes=ImageSizes(),
        load_builders=_paper,
        names_words=False,
        has_form_without_text=False,
        folds_batch_norms=False,
        reads_sentences=True,
        class_tensors=("decoder.output",),
    ),
)
