"""The size of a pixel, from the right attribute (PS3.3 10.7.1, A.6, C.8.5.5 and C.7.6.16.2.1)."""

from __future__ import annotations

from pydicom.dataset import Dataset

from lexiseg.clinic.dataset import first_value, numbers
from lexiseg.clinic.facts import PixelSpacing

_PROJECTIONS = frozenset({"CR", "DX", "RG", "MG", "XA", "RF", "XRF", "IO", "PX", "DR"})
_SECTIONS = frozenset({"CT", "MR", "PT", "NM", "ST"})
#: Share by which the two spacings of a radiograph may differ because they are rounded; a correction for the
#: magnification changes them by more.
_ROUNDED = 0.01
_CENTIMETRES = 3
_TISSUE = 1

_NOT_CALIBRATED = (
    "the radiograph is not calibrated: its spacing is that of the detector, and how much larger the body "
    "appears there is not known"
)
_NOT_STATED = "the file states no pixel spacing"
_ZERO = "the file states a pixel spacing that is not above 0"
_UNKNOWN_PLACE = "the file states a pixel spacing without saying where it holds"


def pixel_spacing(dataset: Dataset, frame: int) -> PixelSpacing:
    """Return the size of a pixel of a frame, with its origin.

    Sections (CT, MR) state it in the body. Radiographs state that of the detector; it holds in the body only
    where a calibration or the magnification is stated. Ultrasound states it per region. Others have none.

    Args:
        dataset: The file.
        frame: The frame, from 0.
    """
    modality = str(dataset.get("Modality", "")).upper()
    stated = numbers(first_value(dataset, "PixelMeasuresSequence", "PixelSpacing", frame))
    imager = numbers(dataset.get("ImagerPixelSpacing"))
    if modality == "US" and dataset.get("SequenceOfUltrasoundRegions"):
        return _of_ultrasound(dataset)
    if not stated and not imager:
        return PixelSpacing(mm=None, origin="none", reason=_NOT_STATED)
    if modality in _PROJECTIONS or imager:
        return _of_radiograph(dataset, stated, imager)
    found = _pair(stated)
    if found is None:
        return PixelSpacing(mm=None, origin="none", reason=_ZERO)
    placed = first_value(dataset, "PlaneOrientationSequence", "ImageOrientationPatient", frame) is not None
    if modality in _SECTIONS or placed:
        return PixelSpacing(mm=found, origin="body")
    if dataset.get("PixelSpacingCalibrationType"):
        return PixelSpacing(mm=found, origin="calibrated")
    return PixelSpacing(mm=None, origin="none", reason=_UNKNOWN_PLACE)


def _of_radiograph(dataset: Dataset, stated: list[float], imager: list[float]) -> PixelSpacing:
    body, detector = _pair(stated), _pair(imager)
    # Values that differ from the detector's have been corrected for the magnification.
    is_corrected = body is not None and detector is not None and not _are_the_same(body, detector)
    if body is not None and (dataset.get("PixelSpacingCalibrationType") or is_corrected):
        return PixelSpacing(mm=body, origin="calibrated")
    at_detector = detector or body
    if at_detector is None:
        return PixelSpacing(mm=None, origin="none", reason=_ZERO)
    magnification = numbers(dataset.get("EstimatedRadiographicMagnificationFactor"))
    if detector is not None and magnification and magnification[0] > 1:
        height, width = (step / magnification[0] for step in detector)
        return PixelSpacing(mm=(height, width), origin="calibrated")
    return PixelSpacing(mm=at_detector, origin="detector", reason=_NOT_CALIBRATED)


def _are_the_same(first: tuple[float, float], second: tuple[float, float]) -> bool:
    """Return whether two spacings differ by rounding only."""
    return all(abs(a / b - 1) <= _ROUNDED for a, b in zip(first, second, strict=True))


def _of_ultrasound(dataset: Dataset) -> PixelSpacing:
    """Return the spacing of the regions with tissue, if all of them have the same one."""
    found = set()
    for region in dataset.SequenceOfUltrasoundRegions:
        units = [region.get(name) for name in ("PhysicalUnitsXDirection", "PhysicalUnitsYDirection")]
        steps = numbers([region.get("PhysicalDeltaY"), region.get("PhysicalDeltaX")])
        if (
            units == [_CENTIMETRES] * 2
            and region.get("RegionDataType", _TISSUE) == _TISSUE
            and len(steps) == 2
        ):
            found.add(_pair([abs(step) * 10 for step in steps]))
    if len(found) == 1 and None not in found:
        return PixelSpacing(mm=found.pop(), origin="body")
    reason = "its ultrasound regions differ in pixel spacing" if found else _NOT_STATED
    return PixelSpacing(mm=None, origin="none", reason=reason)


def _pair(values: list[float]) -> tuple[float, float] | None:
    """Return height and width in millimetres; None unless both are above 0 and finite."""
    if len(values) != 2 or not all(0 < value < float("inf") for value in values):
        return None
    return values[0], values[1]
