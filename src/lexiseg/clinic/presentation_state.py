"""Presentation states (GSPS): the outline of the mask over the source image.

A grey image gets a Grayscale Softcopy Presentation State, a colour image a Color one (PS3.3 A.33). They are
for viewers that show no segmentations.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from highdicom.color import CIELabColor
from highdicom.pr import (
    AnnotationUnitsValues,
    ColorSoftcopyPresentationState,
    GraphicAnnotation,
    GraphicLayer,
    GraphicObject,
    GraphicTypeValues,
    GrayscaleSoftcopyPresentationState,
    TextObject,
)
from PIL import ImageCms
from pydicom.dataset import Dataset

from lexiseg.clinic.dataset import LACKING, all_items, lack_named
from lexiseg.clinic.object_identity import derived_uid, identity_of
from lexiseg.clinic.outlines import outlines
from lexiseg.clinic.presentation_greyscale import grey_transformations, without_grey_values
from lexiseg.clinic.rendering import Recipe
from lexiseg.clinic.result_content import NOT_FOR_DIAGNOSIS, ResultContent, SegmentContent
from lexiseg.clinic.segmentation_object import (
    LONGEST_LABEL,
    MANUFACTURER,
    as_single_frame,
    finish,
    restore_class,
    tracking_name,
    tracking_uid,
)
from lexiseg.clinic.source_header import referenced_frame, source_header
from lexiseg.errors import DataError

_LABEL = "LEXISEG"
#: Colours of the outlines of segments, in CIELab: yellow, cyan, magenta, green.
_COLOURS = ((97.0, -22.0, 94.0), (91.0, -48.0, -14.0), (60.0, 98.0, -61.0), (88.0, -86.0, 83.0))
#: Where the text stands: left, top, right and bottom as shares of the display.
_TEXT_BOX = (0.01, 0.94, 0.6, 0.99)
# Where the header of a colour profile holds its class and the moment of its making (ICC.1:2010, 7.2).
_PROFILE_CLASS, _PROFILE_DATE = slice(12, 16), slice(24, 36)
_COLOUR_SAMPLES = 3


def build_presentation_state(source: Dataset, path: Path, content: ResultContent, shown: Recipe) -> Dataset:
    """Return a presentation state with the outlines of a mask.

    Args:
        source: The source image.
        path: Its name, for messages.
        content: The prediction.
        shown: How the image was shown to the network; its window or table is stated.

    Raises:
        DataError: The source lacks what a presentation state needs.
    """
    index = content.facts.frame - 1
    header = source_header(source, path, index)
    identity = identity_of(source, content, "gsps")
    frame = referenced_frame(source, index)
    # Also a file of one frame: its class may be one of several frames, such as that of angiography.
    as_single_frame(header)
    common: dict[str, Any] = {
        "referenced_images": [header],
        "series_instance_uid": identity.series_uid,
        "series_number": identity.series_number,
        "sop_instance_uid": identity.instance_uid,
        "instance_number": identity.instance_number,
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": content.algorithm.name[:LONGEST_LABEL],
        "software_versions": content.algorithm.software_version,
        "device_serial_number": derived_uid(content.algorithm.identity)[-16:],
        "content_label": _LABEL,
        "content_description": f"Outline of the mask. {NOT_FOR_DIAGNOSIS}"[:LONGEST_LABEL],
    }
    try:
        layers, annotations = _drawing(source, header, content)
        common |= {"graphic_layers": layers, "graphic_annotations": annotations}
        written: Dataset
        if not shown.is_grey:
            # The library takes the indices of a palette for grey values.
            header.SamplesPerPixel = _COLOUR_SAMPLES
            profile = None if header.get("ICCProfile") else _srgb_profile()
            written = ColorSoftcopyPresentationState(**common, icc_profile=profile)
        else:
            grey = grey_transformations(source, path, index, shown)
            without_grey_values(header)
            written = GrayscaleSoftcopyPresentationState(**common, **grey)
    except LACKING as error:
        raise DataError(
            f"{path} lacks what a presentation state needs: {lack_named(error)}. Export it from the archive.",
            code="LEX-DATA-1220",
        ) from error
    written.SeriesDescription = f"Lexiseg outline. {NOT_FOR_DIAGNOSIS}"[:LONGEST_LABEL]
    written.Laterality = source.get("Laterality") or ""
    written.PresentationCreationDate, written.PresentationCreationTime = identity.date, identity.time
    finish(written, header, source, identity)
    restore_class(written, source)
    if frame is not None:
        for item in all_items(written):
            if item.get("ReferencedSOPInstanceUID") == source.SOPInstanceUID:
                item.ReferencedFrameNumber = frame
    return written


def _srgb_profile() -> bytes:
    """Return the colour profile sRGB, for colour images that state none; always the same bytes."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    # DICOM wants the class of an input device (PS3.3 C.11.15.1.1); the one made here is that of a display.
    profile[_PROFILE_CLASS] = b"scnr"
    profile[_PROFILE_DATE] = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
    return bytes(profile)


def _drawing(
    source: Dataset, header: Dataset, content: ResultContent
) -> tuple[list[GraphicLayer], list[GraphicAnnotation]]:
    """Return a layer per segment with its outlines, and one with the text."""
    text_layer = GraphicLayer(layer_name="TEXT", order=len(content.segments) + 1)
    layers, annotations = [text_layer], []
    for segment in content.segments:
        color = CIELabColor(*_COLOURS[(segment.number - 1) % len(_COLOURS)])
        layer = GraphicLayer(
            layer_name=f"SEGMENT{segment.number}",
            order=segment.number,
            description=segment.name[:LONGEST_LABEL],
            display_color=color,
        )
        lines = _lines(source, content, segment)
        if lines:
            layers.append(layer)
            annotations.append(
                GraphicAnnotation(referenced_images=[header], graphic_layer=layer, graphic_objects=lines)
            )
    text = TextObject(
        text_value=NOT_FOR_DIAGNOSIS, units=AnnotationUnitsValues.DISPLAY, bounding_box=_TEXT_BOX
    )
    annotations.append(
        GraphicAnnotation(referenced_images=[header], graphic_layer=text_layer, text_objects=[text])
    )
    return layers, annotations


def _lines(source: Dataset, content: ResultContent, segment: SegmentContent) -> Sequence[GraphicObject]:
    return [
        GraphicObject(
            graphic_type=GraphicTypeValues.POLYLINE,
            graphic_data=np.asarray(outline.points),
            units=AnnotationUnitsValues.PIXEL,
            tracking_id=tracking_name(segment.number, segment.name),
            tracking_uid=tracking_uid(source, content, segment.number),
        )
        for outline in outlines(segment.mask)[0]
    ]
