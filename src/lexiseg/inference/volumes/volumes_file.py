"""The lines of `volumes.jsonl`: one record per volume."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from lexiseg.clinic.orientation import Letter
from lexiseg.clinic.volume_geometry import PlaneName
from lexiseg.data.volumes.volume import Volume
from lexiseg.inference.records.not_written import NotWritten, StoredReason
from lexiseg.inference.records.predictions_file import WordRecord, rounded_sizes, written_findings
from lexiseg.inference.volumes.prediction import SliceResult, VolumePrediction
from lexiseg.json_records import FileRecord, Record
from lexiseg.words.description import ShownSide

_AXES: tuple[Literal["i", "j", "k"], ...] = ("i", "j", "k")


class SliceRecord(Record):
    """One slice of a volume.

    Attributes:
        number: Its number along the axis, from 1.
        file: The DICOM file of an acquired slice; None for other slices.
        area_px: Pixels per foreground class name, after smoothing.
        area_mm2: Square millimetres per foreground class name; None if the voxel size is not known.
        words: One retrieved phrase per factor; empty if the model names no words.
        agreement: Share of factors on which retrieved and measured words agree, 0..1; None without words.
        flagged: Whether a person should look at the slice.
        reasons: Why, in words.
        expected_dice: Dice that is expected of the mask before smoothing, 0..1; None where it is not known.
    """

    number: int
    file: str | None
    area_px: dict[str, int]
    area_mm2: dict[str, float] | None
    words: tuple[WordRecord, ...]
    agreement: float | None
    flagged: bool
    reasons: tuple[str, ...]
    expected_dice: float | None


class VolumeRecord(FileRecord):
    """A predicted volume without its voxels: one line of `volumes.jsonl`.

    Attributes:
        schema_version: Version of this schema.
        image: The volume file, or the folder of the DICOM series.
        name: Its outputs are `FOLDER/NAME` with the suffix of the format.
        kind: What it is, such as "NIfTI" or "DICOM series, CT".
        mask: Its label volume as NIfTI, from the folder of the file; None where the batch wrote none.
        voxels_ijk: Number of voxels along i, j and k.
        steps_mm: Distance of neighbouring voxels along i, j and k in millimetres; None if not known.
        orientation: The directions of the body that are nearest to i, j and k, such as ["L", "P", "H"]; None
            if not known.
        axis: The voxel axis along which slices are counted.
        plane: The plane of the body that is nearest to the slices.
        smoothed: Whether labels are smoothed between slices.
        shown: How the grey values of the first slice were shown to the network.
        voxels: Voxels per foreground class name.
        volume_mm3: Cubic millimetres per foreground class name; None if the voxel size is not known.
        side: Whose left is meant in every word; "unknown" where left and right are not known or do not lie in
            the slices, and for sentences of a sheet whose side nothing states.
        words: One phrase per factor: the mean of the slices, weighted with the area of their lesions.
        measured: What the labels of most of the lesion measure, phrase per factor name; None without words.
        agreement: Share of factors on which words and measured phrases agree, 0..1; None without words, or
            where nothing can be measured.
        expected_dice: None: the Dice that is expected of the whole label volume is unknown.
        no_expected_dice: Why it is unknown.
        flagged: Whether a person should look at the volume: at least one slice is flagged.
        flagged_slices: Number of flagged slices.
        reasons: The most frequent reasons of flagged slices, each with the number of slices.
        slices: All slices in order.
        assumptions: What was assumed, one sentence each.
        not_written: Why an output of the batch was not written, by format; empty if all were.
        engine: What computed the (first) network.
    """

    image: str
    name: str
    kind: str
    mask: str | None
    voxels_ijk: tuple[int, int, int]
    steps_mm: tuple[float, float, float] | None
    orientation: tuple[Letter, Letter, Letter] | None
    axis: Literal["i", "j", "k"]
    plane: PlaneName
    smoothed: bool
    shown: str
    voxels: dict[str, int]
    volume_mm3: dict[str, float] | None
    side: ShownSide
    words: tuple[WordRecord, ...]
    measured: dict[str, str | None] | None
    agreement: float | None
    expected_dice: None = None
    no_expected_dice: str
    flagged: bool
    flagged_slices: int
    reasons: tuple[str, ...]
    slices: tuple[SliceRecord, ...]
    assumptions: tuple[str, ...]
    not_written: dict[str, StoredReason]
    engine: str | None

    @classmethod
    def of(
        cls,
        prediction: VolumePrediction,
        volume: Volume,
        *,
        image: str,
        name: str,
        mask: str | None,
        files: tuple[str, ...] = (),
        not_written: Mapping[str, NotWritten] | None = None,
    ) -> VolumeRecord:
        """Return the record of a predicted volume.

        Args:
            prediction: The prediction.
            volume: The volume.
            image: What the volume is called.
            name: Name of its outputs, without suffix.
            mask: Path of its label volume, from the folder of the records; None without one.
            files: The DICOM file of each slice, in order; empty where slices have no file of their own.
            not_written: Why an output was not written, by format.
        """
        grid = prediction.grid
        return cls(
            image=image,
            name=name,
            kind=volume.kind,
            mask=mask,
            voxels_ijk=grid.shape,
            steps_mm=grid.steps_mm if grid.has_spacing else None,
            orientation=grid.letters,
            axis=_AXES[prediction.axis],
            plane=prediction.plane,
            smoothed=prediction.smoothed,
            shown=prediction.facts.shown,
            voxels=prediction.voxels,
            volume_mm3=rounded_sizes(prediction.volume_mm3),
            side=prediction.side,
            words=tuple(map(WordRecord.of, prediction.words)),
            measured=None if prediction.measured is None else prediction.measured.phrases,
            agreement=prediction.agreement,
            no_expected_dice=prediction.no_expected_dice,
            flagged=prediction.flagged,
            flagged_slices=sum(found.flagged for found in prediction.slices),
            reasons=prediction.reasons,
            slices=tuple(
                _slice(found, files[number] if files else None)
                for number, found in enumerate(prediction.slices)
            ),
            assumptions=prediction.assumptions,
            not_written=dict(not_written or {}),
            engine=prediction.engine,
        )


def _slice(found: SliceResult, file: str | None) -> SliceRecord:
    return SliceRecord(
        number=found.number,
        file=file,
        words=tuple(map(WordRecord.of, found.words)),
        **written_findings(found),
    )
