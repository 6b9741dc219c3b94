"""The formats of volumes."""

from __future__ import annotations

from lexiseg.inference.volumes.dicom_writers import (
    CaptureVolumeWriter,
    LabelmapVolumeWriter,
    PresentationStateVolumeWriter,
    ReportVolumeWriter,
    SegmentationVolumeWriter,
)
from lexiseg.inference.volumes.nifti_writer import NiftiVolumeWriter
from lexiseg.inference.volumes.picture_writers import CardVolumeWriter, OverlayVolumeWriter
from lexiseg.inference.volumes.volume_writer import VolumeWriter

#: In the order in which they are written: a report refers to the segmentation before it.
VOLUME_WRITERS: tuple[type[VolumeWriter], ...] = (
    NiftiVolumeWriter,
    SegmentationVolumeWriter,
    LabelmapVolumeWriter,
    ReportVolumeWriter,
    CaptureVolumeWriter,
    PresentationStateVolumeWriter,
    OverlayVolumeWriter,
    CardVolumeWriter,
)
