"""What a person saves: pictures, masks, JSON, DICOM objects, and the printed card."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image
from playwright.sync_api import FilePayload, Page, expect
from stub_server import PageServer

from dicom_files import dicom_dataset

Read = Callable[[list[FilePayload]], None]


def saved(page: Page, button: str) -> tuple[str, bytes]:
    """Return the name and the content of the file that a button saves."""
    with page.expect_download() as download:
        page.click(button)
    expect(page.locator("#notices")).to_contain_text("is saved.")
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def correct(page: Page) -> None:
    page.locator('.word[data-factor="left"] .chip').click()
    page.get_by_role("option", name="upper middle lower left lung").click()
    expect(page.locator("#history .step")).to_have_count(2)
    expect(page.locator("#legend")).to_contain_text("mask of the model")


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def test_the_mask_is_saved_as_it_is_shown(
    page: Page, server: PageServer, images: list[FilePayload], read: Read
) -> None:
    read(images[:1])
    name, content = saved(page, "#export-mask")
    assert name == images[0]["name"].replace(".png", "_mask.png")
    mask = pixels(content)
    true = server.stub.mask(images[0]["buffer"], pixels(images[0]["buffer"]))
    np.testing.assert_array_equal(mask, 255 * np.stack([true] * 3, axis=-1))
    correct(page)
    _, content = saved(page, "#export-mask")
    assert pixels(content)[:, :48].any()
    np.testing.assert_array_equal(pixels(content)[:, 48:], mask[:, 48:])


def test_the_picture_holds_image_outline_and_a_strip_of_words(
    page: Page, images: list[FilePayload], read: Read
) -> None:
    read(images[:1])
    name, content = saved(page, "#export-picture")
    assert name.endswith("_lexiseg.png")
    picture = pixels(content).astype(int)
    assert picture.shape[1] == 960
    assert picture.shape[0] > 960
    orange = (picture[..., 0] > 180) & (picture[..., 2] < 60)
    assert orange[:960].sum() > 500
    strip = picture[960:]
    assert (strip == 255).mean() > 0.7
    assert (strip < 100).any()


def test_json_says_who_said_what(page: Page, images: list[FilePayload], read: Read) -> None:
    read(images[:2])
    correct(page)
    shown = page.locator("#case-name").inner_text()
    name, content = saved(page, "#export-json")
    assert name == shown.replace(".png", "_lexiseg.json")
    record = json.loads(content)
    assert record["purpose"].startswith("For teaching and reviewing, not for diagnosis.")
    [image] = record["images"]
    assert image["image"] == shown
    assert [step["said_by"] for step in image["steps"]] == ["model", "person"]
    assert image["steps"][1]["said"] == {"left": "upper middle lower left lung"}
    words = {word["factor"]: word["said_by"] for word in image["steps"][1]["words"]}
    assert words == {"laterality": "model", "count": "model", "left": "person", "right": "model"}
    assert image["model"]["version"] == "5e" * 32
    assert image["prediction"]["outlines"]
    page.click("#undo")
    _, content = saved(page, "#export-all")
    everything = json.loads(content)["images"]
    assert sorted(entry["image"] for entry in everything) == sorted(file["name"] for file in images[:2])
    assert all(len(entry["steps"]) == 1 for entry in everything)


def read_dicom(read: Read) -> None:
    """Let the page read a DICOM image."""
    drawn = np.full((64, 64), 40, np.uint8)
    drawn[20:40, 10:25] = 220
    content = io.BytesIO()
    pydicom.dcmwrite(content, dicom_dataset(drawn), enforce_file_format=True)
    read([FilePayload(name="chest.dcm", mimeType="application/dicom", buffer=content.getvalue())])


def waited_for(server: PageServer, request: str) -> None:
    """Wait until a request has come to the server."""
    until = time.monotonic() + 30
    while request not in server.stub.seen:
        assert time.monotonic() < until, server.stub.seen
        time.sleep(0.02)


def test_a_page_that_is_closed_removes_its_job(page: Page, server: PageServer, read: Read) -> None:
    read_dicom(read)
    server.stub.job_lasts = 5.0
    page.click("#export-dicom")
    waited_for(server, "GET /v1/jobs/job-1/events")
    page.goto("about:blank")
    waited_for(server, "DELETE /v1/jobs/job-1")


def test_dicom_objects_come_from_the_server(page: Page, server: PageServer, read: Read) -> None:
    read_dicom(read)
    expect(page.locator("#case-facts")).to_contain_text("CR")
    name, zipped = saved(page, "#export-dicom")
    assert (name, zipped) == ("chest_dicom.zip", b"PK\x05\x06")
    waited_for(server, "DELETE /v1/jobs/job-1")
    assert server.stub.seen[-4:] == [
        "POST /v1/jobs",
        "GET /v1/jobs/job-1/events",
        "GET /v1/jobs/job-1/result",
        "DELETE /v1/jobs/job-1",
    ]
    correct(page)
    expect(page.locator("#export-note")).to_contain_text("hold the corrected mask")
    name, _ = saved(page, "#export-dicom")
    assert name == "chest_corrected_dicom.zip"
    assert [json.loads(said) for said in server.stub.job_words] == [{"left": "upper middle lower left lung"}]
    page.click("#undo")
    expect(page.locator("#export-note")).to_be_empty()


def test_other_images_have_no_dicom_objects(page: Page, images: list[FilePayload], read: Read) -> None:
    read(images[:1])
    expect(page.locator("#export-dicom")).to_be_disabled()
    expect(page.locator("#export-note")).to_contain_text("need a DICOM image")


def test_the_printed_card_holds_what_matters(page: Page, images: list[FilePayload], read: Read) -> None:
    read(images[:1])
    correct(page)
    page.emulate_media(media="print")
    for part in (
        "#canvas",
        "#case-name",
        "#finding",
        "#words .chip >> nth=0",
        "#history",
        ".purpose",
        "#legend",
    ):
        expect(page.locator(part)).to_be_visible()
    for part in (".queue", ".view-tools", "#say", "#export-part", ".bar-tools"):
        expect(page.locator(part)).to_be_hidden()
