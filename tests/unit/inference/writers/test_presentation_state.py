"""DICOM presentation states: their outlines, their window, and what they refer to."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi
from torch import nn

from dicom_files import dicom_file, ramp, shipped
from lexiseg.clinic import presentation_state
from lexiseg.clinic.outlines import Outline, region_of
from lexiseg.clinic.view import AS_STORED, View, Window
from lexiseg.data.readers import read_image_with_facts
from lexiseg.inference.formats.earlier_outputs import earlier_outputs
from lexiseg.inference.inputs.target import Target
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.result import Prediction
from lexiseg.inference.writers.base import Batch, PredictedImage
from lexiseg.inference.writers.gsps import PresentationStateWriter
from lexiseg.outputs.output_folder import owned_folder
from lexiseg.runs.run import Run


@pytest.fixture(scope="module")
def predictor(made: tuple[Run, nn.Module]) -> Predictor:
    return Predictor(made[0])


def blocks(shape: tuple[int, int]) -> np.ndarray:
    """Return two blocks, one of them with a hole."""
    mask = np.zeros(shape, np.uint8)
    mask[2:8, 3:9] = 1
    mask[4, 5] = 0
    mask[10:12, 10:14] = 1
    return mask


def write(
    predictor: Predictor, path: Path, out: Path, *, view: View = AS_STORED, empty: bool = False
) -> tuple[PredictedImage, Dataset | None]:
    facts = read_image_with_facts(path, view).facts
    assert facts is not None
    shape = read_image_with_facts(path, view).pixels.shape[:2]
    mask = blocks((shape[0], shape[1])) * (0 if empty else 1)
    prediction = Prediction(
        mask=mask,
        probability=mask[None].astype(np.float32),
        words=(),
        measured=None,
        side="image",
        agreement=None,
        flagged=False,
        area_px={"lesion": int(mask.sum())},
        area_mm2=None,
        facts=facts,
    )
    image = PredictedImage(target=Target(image=path, name=Path(path.stem)), prediction=prediction, view=view)
    with owned_folder(out, earlier=earlier_outputs) as folder:
        batch = Batch(folder=folder, predictor=predictor, formats=("gsps",))
        PresentationStateWriter().write(image, batch)
    file = out / "gsps" / f"{path.stem}.dcm"
    return image, pydicom.dcmread(file) if file.is_file() else None


def drawn(state: Dataset, shape: tuple[int, int]) -> np.ndarray:
    region = np.zeros(shape, bool)
    for annotation in state.GraphicAnnotationSequence:
        for line in annotation.get("GraphicObjectSequence", []):
            assert (line.GraphicAnnotationUnits, line.GraphicType) == ("PIXEL", "POLYLINE")
            points = np.asarray(line.GraphicData, float).reshape(-1, 2)
            region |= region_of(Outline(points=points, area_px=0), shape)
    return region


def test_outlines_lie_on_the_mask_and_the_source_is_named(tmp_path: Path, predictor: Predictor) -> None:
    path = dicom_file(tmp_path / "a.dcm", ramp(20, 30), WindowCenter="500", WindowWidth="900")
    image, state = write(predictor, path, tmp_path / "out")
    assert image.refused == {}
    assert state is not None
    wanted = blocks((20, 30)) > 0
    wanted[4, 5] = True  # outlines leave out holes
    assert np.array_equal(drawn(state, (20, 30)), wanted)
    assert state.SOPClassUID == "1.2.840.10008.5.1.4.1.1.11.1"
    assert state.Modality == "PR"
    assert state.SeriesNumber == 104
    assert (
        state.ReferencedSeriesSequence[0].ReferencedImageSequence[0].ReferencedSOPInstanceUID == "2.25.10001"
    )
    assert state.PresentationLUTShape == "IDENTITY"
    (voi,) = state.SoftcopyVOILUTSequence
    assert (voi.WindowCenter, voi.WindowWidth) == (500, 900)
    texts = [
        text.UnformattedTextValue
        for a in state.GraphicAnnotationSequence
        for text in a.get("TextObjectSequence", [])
    ]
    assert texts == ["Research use only. Not for diagnosis."]
    before = (tmp_path / "out" / "gsps" / "a.dcm").read_bytes()
    write(predictor, path, tmp_path / "out")
    assert (tmp_path / "out" / "gsps" / "a.dcm").read_bytes() == before


def test_scale_and_window_of_the_file_are_stated(tmp_path: Path, predictor: Predictor) -> None:
    path = dicom_file(
        tmp_path / "a.dcm",
        ramp(20, 24),
        modality="CT",
        RescaleSlope="2",
        RescaleIntercept="-1024",
        RescaleType="HU",
        WindowCenter="40",
        WindowWidth="400",
    )
    image, state = write(predictor, path, tmp_path / "out")
    assert image.refused == {}
    assert state is not None
    assert (state.RescaleSlope, state.RescaleIntercept, state.RescaleType) == (2, -1024, "HU")
    (window,) = state.SoftcopyVOILUTSequence
    assert (window.WindowCenter, window.WindowWidth) == (40, 400)


def test_what_the_user_chose_and_inversion_are_stated(tmp_path: Path, predictor: Predictor) -> None:
    path = dicom_file(tmp_path / "a.dcm", ramp(20, 30), photometric="MONOCHROME1")
    _, state = write(predictor, path, tmp_path / "out", view=View(window=Window(center=40, width=400)))
    assert state is not None
    assert state.PresentationLUTShape == "INVERSE"
    assert state.SoftcopyVOILUTSequence[0].WindowCenter == 40


def table(entries: list[int], first: int, bits: int, kind: str = "US") -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", kind, [len(entries), first, bits])
    item.add_new("LUTData", "US", entries)
    return item


def shown_by(state: Dataset, stored: np.ndarray) -> np.ndarray:
    """Return the grey values, 0 to 255, that a viewer makes of stored values, as pydicom does."""
    values = np.rint(apply_modality_lut(stored, state)).astype(np.int64)
    (voi,) = state.SoftcopyVOILUTSequence
    voi.file_meta = state.file_meta
    return np.asarray(apply_voi(values, voi) / 257)


@pytest.mark.parametrize(
    ("item", "values"),
    [
        (table([0, 40, 90, 4095], 100, 12), {}),
        (table([0, 40, 90, 255], 100, 8), {"WindowCenter": "40", "WindowWidth": "400"}),
        # A table of Hounsfield units, which states fewer bits than it uses.
        (table(list(range(0, 6000, 2)), -1000, 12, "SS"), {"RescaleSlope": "2", "RescaleIntercept": "-1024"}),
    ],
)
def test_the_table_that_an_image_is_shown_with_is_stated(
    tmp_path: Path, predictor: Predictor, item: Dataset, values: dict[str, str]
) -> None:
    stored = ramp(20, 24, step=3)
    path = dicom_file(tmp_path / "a.dcm", stored, modality="CT", VOILUTSequence=[item], **values)
    image, state = write(predictor, path, tmp_path / "out")
    assert image.refused == {}
    assert state is not None
    assert "WindowCenter" not in state.SoftcopyVOILUTSequence[0]
    shown = read_image_with_facts(path).pixels[..., 0]
    assert np.ptp(shown) > 100
    assert np.abs(shown_by(state, stored) - shown).max() <= 0.5 + 1e-2


def test_the_modality_table_of_the_file_is_stated(tmp_path: Path, predictor: Predictor) -> None:
    path = Path(shutil.copy(shipped("mlut_18.dcm"), tmp_path / "a.dcm"))
    image, state = write(predictor, path, tmp_path / "out")
    assert image.refused == {}
    assert state is not None
    source = pydicom.dcmread(path)
    np.testing.assert_array_equal(
        apply_modality_lut(source.pixel_array, state), apply_modality_lut(source.pixel_array, source)
    )


def test_angiography_gets_no_scale_that_it_is_not_shown_with(tmp_path: Path, predictor: Predictor) -> None:
    scale = {"RescaleSlope": "2", "RescaleIntercept": "7", "WindowCenter": "128", "WindowWidth": "256"}
    path = dicom_file(tmp_path / "a.dcm", ramp(20, 24, dtype=np.uint8, step=1), modality="XA", **scale)
    image, state = write(predictor, path, tmp_path / "out")
    assert image.refused == {}
    assert state is not None
    assert "RescaleSlope" not in state


def test_a_window_that_is_not_used_is_not_stated(tmp_path: Path, predictor: Predictor) -> None:
    path = dicom_file(tmp_path / "a.dcm", ramp(20, 24), WindowCenter="0", WindowWidth="1")
    _, state = write(predictor, path, tmp_path / "out")
    assert state is not None
    assert "SoftcopyVOILUTSequence" not in state


def test_colours_frames_and_empty_masks(tmp_path: Path, predictor: Predictor) -> None:
    path = Path(shutil.copy(shipped("examples_ybr_color.dcm"), tmp_path / "us.dcm"))
    image, state = write(predictor, path, tmp_path / "out", view=View(frame=3))
    assert image.refused == {}
    assert state is not None
    assert state.SOPClassUID == "1.2.840.10008.5.1.4.1.1.11.2"
    source = pydicom.dcmread(path)
    (named,) = state.ReferencedSeriesSequence[0].ReferencedImageSequence
    assert (named.ReferencedSOPInstanceUID, named.ReferencedFrameNumber) == (source.SOPInstanceUID, 3)
    path = Path(shutil.copy(shipped("examples_palette.dcm"), tmp_path / "palette.dcm"))
    image, state = write(predictor, path, tmp_path / "out")
    assert image.refused == {}
    assert state is not None
    assert state.SOPClassUID == "1.2.840.10008.5.1.4.1.1.11.2"
    path = dicom_file(tmp_path / "b.dcm", ramp(20, 30))
    _, state = write(predictor, path, tmp_path / "out", empty=True)
    assert state is not None
    assert not drawn(state, (20, 30)).any()


def test_a_state_that_differs_is_not_kept(
    tmp_path: Path, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    outlines = presentation_state.outlines

    def shifted(mask: np.ndarray) -> tuple[tuple[Outline, ...], int]:
        found, count = outlines(mask)
        return tuple(dataclasses.replace(one, points=one.points + 1) for one in found), count

    monkeypatch.setattr(presentation_state, "outlines", shifted)
    path = dicom_file(tmp_path / "a.dcm", ramp(20, 30))
    image, state = write(predictor, path, tmp_path / "out")
    assert state is None
    assert "LEX-DATA-1221" in str(image.refused["gsps"])
