"""DICOM files as inputs: small files of pydicom are read as images and masks, and objects refer to them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from lexiseg.clinic.facts import ImageFacts
    from lexiseg.clinic.result_content import ResultContent

#: Whether the packages are installed that read and write DICOM files.
INSTALLED = all(find_spec(name) is not None for name in ("pydicom", "highdicom"))

#: Images of several transfer syntaxes, numbers of bits and colours; a segmentation, a report and a plan.
_SEEDS = (
    "MR_small.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm", "MR_small_RLE.dcm",
    "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "JPEG2000.dcm", "JPGExtended.dcm",
    "SC_rgb_small_odd.dcm", "SC_rgb_rle_2frame.dcm", "SC_rgb_jpeg_gdcm.dcm", "SC_rgb_dcmtk_+eb+cy+np.dcm",
    "image_dfl.dcm", "rtdose_1frame.dcm", "ExplVR_LitEndNoMeta.dcm", "CT_small.dcm", "liver_1frame.dcm",
    "test-SR.dcm", "rtplan.dcm",
)  # fmt: skip


@cache
def dicom_seeds() -> list[Mapping[str, bytes]]:
    """Return the files, each as a whole input."""
    from pydicom.data import get_testdata_file

    found = [get_testdata_file(name, download=False) for name in _SEEDS]
    return [{"a.dcm": Path(str(path)).read_bytes()} for path in found if path is not None]


def read_dicom(folder: Path) -> None:
    """Read a file as a mask and as an image, and write what objects refer to it."""
    from lexiseg.data.content import read_content
    from lexiseg.data.decode import decode_mask
    from lexiseg.data.readers import image_size, read_image_with_facts
    from lexiseg.errors import LexisegError

    (path,) = folder.iterdir()
    content = read_content(path)
    image_size(path)
    try:
        decoded = read_image_with_facts(path)
    except LexisegError as error:
        # Pixels that cannot be decoded are the same for a mask.
        if error.code != "LEX-DATA-953":
            decode_mask(content, path)
        raise
    with suppress(LexisegError):
        decode_mask(content, path)
    assert decoded.pixels.ndim == 3
    assert decoded.pixels.dtype == np.uint8
    assert decoded.facts is not None
    if decoded.pixels.shape[0] * decoded.pixels.shape[1] <= 1 << 16:
        _write_objects(content, path, decoded.facts, decoded.pixels)


def _write_objects(content: bytes, path: Path, facts: ImageFacts, pixels: np.ndarray) -> None:
    from lexiseg.clinic.plane_affine import plane_affine
    from lexiseg.clinic.secondary_capture import build_capture
    from lexiseg.clinic.segmentation_object import build_segmentation
    from lexiseg.clinic.structured_report import build_report
    from lexiseg.clinic.verification import verify_capture, verify_report, verify_segmentation
    from lexiseg.inference.writers.dicom_objects import source_dataset

    source = source_dataset(content, path)
    made = _result(facts, pixels.shape[:2])
    plane_affine(source, facts.frame - 1, facts.spacing)
    segmentation = build_segmentation(source, path, made)
    report = build_report(source, path, made, segmentation)
    capture = build_capture(source, path, made, pixels)
    for name, written in (("seg", segmentation), ("sr", report), ("sc", capture)):
        written.save_as(path.parent / name, enforce_file_format=True)
    verify_segmentation(path.parent / "seg", source, made)
    verify_report(path.parent / "sr", source, made, segmentation)
    verify_capture(path.parent / "sc", source, made, pixels)


def _result(facts: ImageFacts, shape: tuple[int, ...]) -> ResultContent:
    from lexiseg.clinic.result_content import Algorithm, ResultContent, SegmentContent

    mask = np.zeros(shape, np.bool_)
    mask[: max(1, shape[0] // 2), : max(1, shape[1] // 2)] = True
    return ResultContent(
        facts=facts,
        segments=(SegmentContent(number=1, name="lesion", code=None, mask=mask, area_mm2=None),),
        words=(),
        side="image",
        agreement=None,
        expected_dice=None,
        flagged=False,
        reasons=(),
        draft="",
        algorithm=Algorithm(name="a", version="0", software_version="0", parameters=()),
        fallback_date="20260101000000",
    )
