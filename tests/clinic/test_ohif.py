"""OHIF beside Orthanc: the segment is seen where the mask is, in usual and in flipped orientation.

Set LEXISEG_OHIF to the folder `package/dist` that `npm pack @ohif/app` and `tar xzf` make.
"""

from __future__ import annotations

import dataclasses
import io
import os
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from archive_programs import orthanc
from PIL import Image
from playwright.sync_api import Page, sync_playwright
from pydicom.dataset import Dataset
from viewer_server import viewer

from dicom_files import dicom_dataset
from gateway_setup import wait_until
from lexiseg.clinic.segmentation_object import build_segmentation
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.writers.dicom_content import result_content

SIZE = 256
#: The mask, in rows and columns of the stored image.
ROWS, COLUMNS = (40, 90), (30, 90)
#: Chromium without a graphics card.
ARGUMENTS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


def slice_of_ct(*, flipped: bool) -> Dataset:
    """Return a slice that is dark in its first column; in a flipped one the patient's left is there."""
    grey = np.tile(np.linspace(20, 120, SIZE).astype(np.uint8), (SIZE, 1))
    return dicom_dataset(
        grey, modality="CT", PatientOrientation=None, ViewPosition=None, WindowCenter="128",
        WindowWidth="256",
        PixelSpacing=[0.5, 0.5], SliceThickness="2", FrameOfReferenceUID="2.25.77",
        PositionReferenceIndicator="",
        ImageOrientationPatient=[-1 if flipped else 1, 0, 0, 0, 1, 0], ImagePositionPatient=[0, 0, 0],
        RescaleSlope="1", RescaleIntercept="0", KVP="", ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
        AcquisitionNumber="1",
    )  # fmt: skip


def stored(dataset: Dataset) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def segmentation(dataset: Dataset, path: Path, predictor: Predictor) -> Dataset:
    """Return the segmentation object of the known mask."""
    path.write_bytes(stored(dataset))
    prediction = predictor.predict(path)
    assert prediction.facts is not None
    content = result_content(prediction, prediction.facts, predictor)
    mask = np.zeros((SIZE, SIZE), np.bool_)
    mask[slice(*ROWS), slice(*COLUMNS)] = True
    segment = dataclasses.replace(content.segments[0], mask=mask)
    return build_segmentation(
        dataset, path, dataclasses.replace(content, segments=(segment,)), as_labels=False
    )


def picture(page: Page) -> npt.NDArray[np.int16]:
    """Return what the viewport shows, `(H, W, 3)`."""
    shot = page.locator(".cornerstone-viewport-element, .viewport-element").first.screenshot()
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(np.int16)


def coloured(shown: npt.NDArray[np.int16]) -> npt.NDArray[np.bool_]:
    """Return the pixels that are red, as the segment is."""
    return shown[..., 0] - shown[..., 2] > 40


def box(pixels: npt.NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Return the first and the last row and column of the pixels that hold."""
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


@pytest.mark.parametrize("flipped", [False, True], ids=["usual", "flipped"])
def test_the_segment_is_seen_where_the_mask_is(tmp_path: Path, shipped: Predictor, flipped: bool) -> None:
    dist, chromium = os.environ.get("LEXISEG_OHIF"), shutil.which("chromium")
    if dist is None or chromium is None:
        pytest.skip("needs chromium, and LEXISEG_OHIF: the folder package/dist of `npm pack @ohif/app`")
    image = slice_of_ct(flipped=flipped)
    segment = segmentation(image, tmp_path / "image.dcm", shipped)
    with (
        orthanc(tmp_path / "orthanc") as archive,
        viewer(Path(dist), archive.dicomweb) as address,
        sync_playwright() as playwright,
    ):
        archive.put(stored(image))
        archive.put(stored(segment))
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1200, "height": 800})
        page.set_default_timeout(180_000)
        series = f"initialSeriesInstanceUID={segment.SeriesInstanceUID}"
        page.goto(f"{address}/viewer?StudyInstanceUIDs={image.StudyInstanceUID}&{series}")
        page.get_by_text("Skip all").click()
        wait_until(lambda: bool(coloured(picture(page)).sum() > 1000), seconds=180)
        shown = picture(page)
        browser.close()
    # The image fills the height of the viewport; the segment must lie in it as the mask in the stored image.
    segment_box = box(coloured(shown))
    image_box = box(shown.min(axis=2) > 12)
    scale = shown.shape[0] / SIZE
    left = (image_box[2] + image_box[3]) / 2 - scale * SIZE / 2
    expected = (scale * ROWS[0], scale * ROWS[1], left + scale * COLUMNS[0], left + scale * COLUMNS[1])
    assert segment_box == pytest.approx(expected, abs=6)
    # And the image itself is shown as it is stored: dark in its first column.
    middle = shown[int(0.7 * shown.shape[0])].mean(axis=1)
    assert middle[int(left + 0.1 * scale * SIZE)] < middle[int(left + 0.9 * scale * SIZE)]
