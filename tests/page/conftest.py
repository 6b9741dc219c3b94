"""A real Chromium, a small server, and the page in a new window for each test."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable, Iterator

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, FilePayload, Page, expect, sync_playwright
from stub_server import PageServer

from lexiseg.data.phantom import make_phantom

_NAMES = ("chromium", "chromium-browser", "google-chrome")
#: Milliseconds; a busy machine is no bug.
_PATIENCE = 30_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return Chromium; tests skip where there is none. LEXISEG_CHROMIUM gives its path.

    It ends with the file of tests: while it is there, an event loop runs in this thread, and tests of other
    files could not start one.
    """
    path = os.environ.get("LEXISEG_CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        pytest.skip("needs Chromium: install it, or give its path in LEXISEG_CHROMIUM")
    expect.set_options(timeout=_PATIENCE)
    with sync_playwright() as playwright:
        # A container has no sandbox for its superuser; the pages are our own.
        sandbox = [] if not hasattr(os, "geteuid") or os.geteuid() else ["--no-sandbox"]
        chromium = playwright.chromium.launch(executable_path=path, args=sandbox)
        yield chromium
        chromium.close()


@pytest.fixture
def server() -> Iterator[PageServer]:
    """Return a server of its own."""
    server = PageServer()
    yield server
    server.stop()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """Return a window without memory of earlier tests, in English."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 800},
        locale="en-GB",
        permissions=["clipboard-read", "clipboard-write"],
    )
    context.set_default_timeout(_PATIENCE)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, server: PageServer) -> Iterator[Page]:
    """Return the page, open and connected; an error of a script, or a broken policy, fails the test."""
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda m: problems.append(m.text) if "Content Security Policy" in m.text else None)
    page.goto(server.address)
    expect(page.locator("#model option")).to_have_count(2)
    yield page
    assert problems == []


@pytest.fixture(scope="session")
def phantoms() -> list[tuple[FilePayload, object]]:
    """Return phantom images as files, with their labels."""
    found = []
    for case in make_phantom({"train": 6, "val": 0, "test": 0}, size=96, seed=3):
        content = io.BytesIO()
        Image.fromarray(case.image).save(content, "PNG")
        file = FilePayload(name=f"{case.name}.png", mimeType="image/png", buffer=content.getvalue())
        found.append((file, case.labels))
    return found


@pytest.fixture
def images(server: PageServer, phantoms: list[tuple[FilePayload, object]]) -> list[FilePayload]:
    """Return phantom images as files; the server knows their masks."""
    for file, labels in phantoms:
        server.stub.show(file["buffer"], labels)  # type: ignore[arg-type]
    return [file for file, _ in phantoms]


@pytest.fixture
def read(page: Page) -> Callable[[list[FilePayload]], None]:
    """Return what adds files to the page and waits until all are read."""

    def add(files: list[FilePayload]) -> None:
        before = page.locator(".case").count()
        page.set_input_files("#files", files)
        expect(page.locator(".case")).to_have_count(before + len(files))
        expect(page.locator("#queue-count")).not_to_contain_text("in progress")

    return add
