"""STPNet as systems: the compact preset and the published network."""

from __future__ import annotations

from lexiseg.systems.stpnet.configuration import CompactStpNetConfig, PaperStpNetConfig
from lexiseg.systems.system import Builders, ImageSizes, System

_CITATION = (
    "Shan et al. STPNet: Scale-aware Text Prompt Network for Medical Image Segmentation. IEEE Transactions "
    "on Image Processing 2025, arXiv 2504.01561."
)


def _compact() -> Builders:
    from lexiseg.systems.stpnet.compact_builders import BUILDERS

    return BUILDERS


def _paper() -> Builders:
    from lexiseg.systems.stpnet.paper_builders import BUILDERS

    return BUILDERS


#: The compact preset first: it is the default.
SYSTEMS = (
    System(
        name="stpnet",
        preset="compact",
        title="STPNet",
        summary="small, trains on a CPU",
        citation=_CITATION,
        limits=(
            "It differs from the published network; docs/stpnet.md lists how.",
            "It predicts the phrases of the vocabulary that it was trained with, and no others.",
        ),
        configuration=CompactStpNetConfig,
        image_sizes=ImageSizes(multiple=32),
        load_builders=_compact,
        fits=("stretch", "pad", "tiles"),
        phrase_tensors=("retrieval.text", "retrieval.bias"),
        class_tensors=("decoder.head",),
    ),
    System(
        name="stpnet",
        preset="paper",
        title="STPNet",
        summary="the published network",
        citation=_CITATION,
        limits=(
            "It segments one class.",
            "It takes images of 224 x 224 pixels only.",
            "It cannot be trained without text.",
            "It learns from images with masks only.",
            "It does not show where a phrase acts.",
        ),
        configuration=PaperStpNetConfig,
        image_sizes=ImageSizes(only=224),
        load_builders=_paper,
        has_form_without_text=False,
        several_classes=False,
        folds_batch_norms=False,
        phrase_tensors=("heads",),
        class_tensors=("head",),
    ),
)
