"""The page behind nginx, with the site of deploy/proxy: encrypted, with a password, also below a folder."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from playwright.sync_api import Browser, FilePayload, expect
from real_server import real_server

from dicom_files import dicom_dataset
from lexiseg.data.phantom import make_phantom
from nginx_program import NAME, PASSWORD, proxied

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Return the address of a server that a proxy protects."""
    with real_server("--behind-proxy") as address:
        yield address


@pytest.mark.parametrize("place", ["/", "/lexiseg/"])
def test_the_page_works_behind_nginx(browser: Browser, address: str, place: str, tmp_path: Path) -> None:
    [case] = make_phantom({"train": 1, "val": 0, "test": 0}, size=224, seed=5)
    content = io.BytesIO()
    pydicom.dcmwrite(content, dicom_dataset(case.image), enforce_file_format=True)
    problems: list[str] = []
    with (
        proxied(address, tmp_path, place=place) as proxy,
        browser.new_context(
            ignore_https_errors=True,
            http_credentials={"username": NAME, "password": PASSWORD},
            locale="en-GB",
            # Chromium takes a service worker only with a certificate that it trusts.
            service_workers="block",
        ) as context,
    ):
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
        page.goto(f"{proxy.address}{place.removesuffix('/') or '/'}")
        assert page.url == f"{proxy.address}{place}"
        expect(page.locator("#model option")).to_have_text("covid-xray")
        chest = FilePayload(name="chest.dcm", mimeType="application/dicom", buffer=content.getvalue())
        page.set_input_files("#files", [chest])
        chip = page.locator('.word[data-factor="left"] .chip')
        said = chip.locator(".chip-phrase").inner_text()
        other = next(p for p in ("lower left lung", "upper left lung") if p != said)
        chip.click()
        page.get_by_role("option", name=re.compile(rf"^(\S )?{other}")).click()
        expect(page.locator("#history .step")).to_have_count(2)
        # A job, whose events come through the proxy.
        with page.expect_download() as download:
            page.click("#export-dicom")
        with zipfile.ZipFile(Path(download.value.path())) as zipped:
            assert {"seg/chest.dcm", "sr/chest.dcm"} <= set(zipped.namelist())
        assert context.request.get(f"{proxy.address}{place}metrics").status == 404
        asked = {line.split('"')[1].split()[1] for line in proxy.access_log.read_text().splitlines()}
        assert asked
        assert all(path.startswith(place) or path == place.removesuffix("/") for path in asked)
    assert problems == []
