"""For everyone: axe, names for screen readers, both languages, narrow screens, dark colours, no motion."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, FilePayload, Page, expect
from stub_server import PageServer

Read = Callable[[list[FilePayload]], None]

_PAGE = Path(str(files("lexiseg.serving") / "page"))
_VIEWS = [(width, scheme) for width in (1280, 390) for scheme in ("light", "dark")]


def problems(page: Page) -> list[str]:
    """Return what axe finds, serious or not, as one line each."""
    found = Axe().run(page).response["violations"]
    return [f"{entry['id']}: {node['html'][:120]}" for entry in found for node in entry["nodes"]]


@pytest.fixture(params=_VIEWS, ids=lambda view: f"{view[0]}-{view[1]}")
def any_page(
    request: pytest.FixtureRequest, browser: Browser, server: PageServer, images: list[FilePayload]
) -> Iterator[Page]:
    """Return the page at a width in a colour scheme, without a policy, which axe's own script would break."""
    width, scheme = request.param
    context = browser.new_context(
        viewport={"width": width, "height": 844},
        color_scheme=scheme,
        locale="en-GB",
        reduced_motion="reduce",
        bypass_csp=True,
        has_touch=width == 390,
    )
    page = context.new_page()
    page.goto(server.address)
    expect(page.locator("#model option")).to_have_count(2)
    yield page
    context.close()


@pytest.mark.slow
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(
    any_page: Page, images: list[FilePayload]
) -> None:
    page = any_page

    def check() -> None:
        assert problems(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        expect(page.locator(".purpose")).to_be_in_viewport()

    check()
    page.set_input_files(
        "#files", [*images[:2], {"name": "no.txt", "mimeType": "text/plain", "buffer": b"no"}]
    )
    expect(page.locator("#queue-count")).to_contain_text("1 not read")
    expect(page.locator("#queue-count")).not_to_contain_text("in progress")
    check()
    page.locator('.word[data-factor="left"] .chip').click()
    expect(page.locator("#zone-caption")).to_be_visible()
    check()
    page.locator(".phrase").first.click()
    expect(page.locator("#history .step")).to_have_count(2)
    page.fill("#say-text", "gibberish")
    page.click("#say button")
    expect(page.locator(".notice.bad")).to_be_visible()
    check()
    page.locator("#help-button").click()
    check()
    page.keyboard.press("Escape")
    page.locator(".case").last.click()
    expect(page.locator("#failure")).to_be_visible()
    check()


def test_a_screen_reader_hears_the_finding_and_what_follows(
    page: Page, images: list[FilePayload], read: Read
) -> None:
    read(images[:1])
    canvas = page.locator("#canvas")
    expect(canvas).to_have_attribute(
        "aria-label", re.compile(r"^phantom.*, 96 by 96 pixels\. Lesion: [\d,]+ pixels")
    )
    chip = page.get_by_role("button", name=re.compile("Left lung"))
    expect(chip).to_have_attribute("aria-expanded", "false")
    expect(chip).to_have_accessible_name(re.compile(r"Left lung.*model.*left lung.*%"))
    chip.click()
    options = page.get_by_role("listbox", name="Left lung").get_by_role("option")
    expect(options).to_have_count(8)
    expect(page.get_by_role("option", selected=True).and_(page.locator(".phrase"))).to_have_count(1)
    options.nth(0).click()
    expect(page.locator("#spoken")).to_contain_text("Left lung: upper left lung")
    expect(page.locator("#spoken")).to_contain_text("pixels")


def test_german_has_all_texts_and_is_remembered(page: Page, images: list[FilePayload], read: Read) -> None:
    read(images[:1])
    page.select_option("#language", "de")
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.locator("#finding-title")).to_have_text("Befund")
    expect(page.locator("#finding")).to_contain_text("Erwarteter Dice")
    assert re.search(r"0,\d\d", page.locator("#finding").inner_text())
    page.reload()
    expect(page.locator("#welcome-title")).to_have_text("Bilder hier ablegen")
    expect(page.locator(".purpose")).to_contain_text("nicht f\u00fcr die Diagnose")


def test_the_colours_follow_the_choice(page: Page) -> None:
    surface = "getComputedStyle(document.querySelector('.bar')).backgroundColor"
    light = page.evaluate(surface)
    page.click("#theme")
    dark = page.evaluate(surface)
    assert light != dark
    page.reload()
    expect(page.locator("#model option")).to_have_count(2)
    assert page.evaluate(surface) == dark


def keys(language: str) -> dict[str, set[str]]:
    """Return the keys of a language with the words in braces of each."""
    source = (_PAGE / "texts" / f"{language}.js").read_text(encoding="utf-8")
    rows = re.findall(r'^  "([\w.]+)": "(.*)",?$', source, re.MULTILINE)
    assert len(rows) > 100
    assert len(rows) == len(dict(rows))
    return {key: set(re.findall(r"\{(\w+)\}", value)) for key, value in rows}


def test_languages_have_the_same_texts_and_each_is_used() -> None:
    english = keys("en")
    assert english == keys("de")
    sources = [*_PAGE.glob("modules/*.js"), _PAGE / "index.html"]
    code = "\n".join(source.read_text(encoding="utf-8") for source in sources)
    literal = set(re.findall(r'["`]([\w.]+)["`]', code))
    dynamic = tuple(re.findall(r"`([\w.]+\.)\$\{", code))
    counted = {f"{key}.{form}" for key in literal for form in ("one", "other")}
    unused = [key for key in english if key not in literal | counted and not key.startswith(dynamic)]
    assert unused == []
    placed = set(re.findall(r'data-text(?:-label)?="([\w.]+)"', code))
    assert placed <= set(english)


def test_the_service_worker_keeps_every_file_of_the_page() -> None:
    source = (_PAGE / "service-worker.js").read_text(encoding="utf-8")
    listed = set(re.findall(r'"([\w/-]+\.(?:js|css|svg))"', source))
    there = {file.relative_to(_PAGE).as_posix() for file in _PAGE.rglob("*") if file.is_file()}
    assert listed == there - {"index.html", "service-worker.js"} | {"page_style/tokens.css"}


def test_nothing_is_inline_or_set_as_html() -> None:
    page = (_PAGE / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"\sstyle=|\son\w+=|<style|<script(?! type=\"module\" src=)", page)
    for module in _PAGE.glob("modules/*.js"):
        source = module.read_text(encoding="utf-8")
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", source
        )
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", source)
        assert source.isascii()
        assert len(source.splitlines()) < 400
