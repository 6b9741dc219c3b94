"""The page with the real server and the model that comes with Lexiseg."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, FilePayload, expect
from real_server import real_server

import lexiseg
from dicom_files import dicom_dataset
from lexiseg.data.phantom import make_phantom


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Return the address of `lexiseg serve covid-xray`, in a process of its own."""
    with real_server() as address:
        yield address


@pytest.mark.slow
def test_the_page_shows_what_python_computes(context: BrowserContext, address: str) -> None:
    [case] = make_phantom({"train": 1, "val": 0, "test": 0}, size=224, seed=5)
    content = io.BytesIO()
    Image.fromarray(case.image).save(content, "PNG")
    pixels = np.stack([case.image] * 3, axis=-1)
    predictor = lexiseg.load("covid-xray")
    prediction = predictor.predict(pixels)
    [left] = [word for word in prediction.words if word.factor == "left"]
    other = next(p for p in ("lower left lung", "upper left lung") if p != left.phrase)
    refined = lexiseg.refine(predictor, pixels, say={"left": other})

    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda m: problems.append(m.text) if "Security Policy" in m.text else None)
    page.goto(address)
    expect(page.locator("#model option")).to_have_text("covid-xray")
    page.set_input_files(
        "#files", [FilePayload(name="a.png", mimeType="image/png", buffer=content.getvalue())]
    )
    expect(page.locator(".word")).to_have_count(len(prediction.words))
    assert [chip.inner_text() for chip in page.locator(".chip-phrase").all()] == [
        word.phrase for word in prediction.words
    ]
    pixels_found = sum(prediction.area_px.values())
    expect(page.locator("#finding")).to_contain_text(
        f"{pixels_found:,} pixels" if pixels_found else "Nothing found"
    )
    chip = page.locator('.word[data-factor="left"] .chip')
    chip.hover()
    expect(page.locator("#zone-caption")).to_have_text(f'Where "{left.phrase}" acts')
    chip.click()
    page.get_by_role("option", name=re.compile(rf"^(\S )?{other}")).click()
    expect(page.locator("#history .step")).to_have_count(2)
    expect(page.locator("#finding")).to_contain_text(f"{sum(refined.area_px.values()):,} pixels")
    overlap = page.locator(".figure", has_text="Overlap with the model").locator(".value")
    expect(overlap).to_have_text(f"{refined.overlap:.2f}")
    page.click("#undo")
    expect(page.locator("#history .undone")).to_have_count(1)
    page.set_input_files("#files", [FilePayload(name="b.png", mimeType="image/png", buffer=b"broken")])
    expect(page.locator("#queue-count")).to_contain_text("1 not read")
    assert problems == []


@pytest.mark.slow
def test_dicom_objects_of_the_real_server(context: BrowserContext, address: str) -> None:
    [case] = make_phantom({"train": 1, "val": 0, "test": 0}, size=224, seed=5)
    content = io.BytesIO()
    pydicom.dcmwrite(content, dicom_dataset(case.image), enforce_file_format=True)
    page = context.new_page()
    page.goto(address)
    expect(page.locator("#model option")).to_have_text("covid-xray")
    chest = FilePayload(name="chest.dcm", mimeType="application/dicom", buffer=content.getvalue())
    page.set_input_files("#files", [chest])
    expect(page.locator("#export-dicom")).to_be_enabled()
    with page.expect_download() as download:
        page.click("#export-dicom")
    expect(page.locator("#notices")).to_contain_text("chest_dicom.zip is saved.")
    with zipfile.ZipFile(Path(download.value.path())) as zipped:
        kinds = {
            str(pydicom.dcmread(io.BytesIO(zipped.read(name))).Modality)
            for name in zipped.namelist()
            if name.endswith(".dcm")
        }
    assert kinds == {"SEG", "SR"}

    chip = page.locator('.word[data-factor="left"] .chip')
    said = chip.locator(".chip-phrase").inner_text()
    other = next(p for p in ("lower left lung", "upper left lung") if p != said)
    chip.click()
    page.get_by_role("option", name=re.compile(rf"^(\S )?{other}")).click()
    expect(page.locator("#history .step")).to_have_count(2)
    expect(page.locator("#export-note")).to_contain_text("hold the corrected mask")
    with page.expect_download() as download:
        page.click("#export-dicom")
    expect(page.locator("#notices")).to_contain_text("chest_corrected_dicom.zip is saved.")
    with zipfile.ZipFile(Path(download.value.path())) as zipped:
        segmentation, report = (
            pydicom.dcmread(io.BytesIO(zipped.read(f"{kind}/chest.dcm"))) for kind in ("seg", "sr")
        )
        refined = np.asarray(Image.open(io.BytesIO(zipped.read("refined/chest_refined.png"))))
    assert segmentation.SegmentSequence[0].SegmentAlgorithmType == "SEMIAUTOMATIC"
    assert "Words corrected by a person" in str(report)
    with page.expect_download() as download:
        page.click("#export-mask")
    mask = np.asarray(Image.open(download.value.path()).convert("L"))
    np.testing.assert_array_equal(refined > 0, mask > 0)
