"""Reports, comparisons, audits and cards in a browser: axe, narrow screens, the dark, paper, and copying."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from test_page_for_everyone import problems

from written_pages import PAGES, write_pages

_VIEWS = [(width, scheme) for width in (1280, 390) for scheme in ("light", "dark")]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    files = write_pages(tmp_path_factory.mktemp("pages"))
    assert tuple(sorted(files)) == tuple(sorted(PAGES))
    return files


@pytest.fixture(params=_VIEWS, ids=lambda view: f"{view[0]}-{view[1]}")
def window(request: pytest.FixtureRequest, browser: Browser) -> Iterator[BrowserContext]:
    """Return a window at a width in a colour scheme, without the policy, which axe's script would break."""
    width, scheme = request.param
    window = browser.new_context(
        viewport={"width": width, "height": 844}, color_scheme=scheme, bypass_csp=True, locale="en-GB"
    )
    yield window
    window.close()


def opened(window: BrowserContext, file: Path) -> Page:
    page = window.new_page()
    page.goto(file.as_uri())
    return page


@pytest.mark.slow
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(
    window: BrowserContext, files: dict[str, Path]
) -> None:
    for name, file in files.items():
        page = opened(window, file)
        page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
        assert problems(page) == [], name
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        page.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_asks_for_nothing_and_keeps_its_policy(
    context: BrowserContext, files: dict[str, Path], name: str
) -> None:
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(files[name].as_uri())
    assert [url for url in asked if not url.startswith("data:")] == [files[name].as_uri()]
    assert said == []
    # What an attacker could slip into the page does not run.
    page.evaluate("document.body.append(document.createElement('script'))")
    page.evaluate("document.querySelector('body > script:last-child').textContent = 'window.slipped = 1'")
    assert page.evaluate("window.slipped") is None


@pytest.mark.parametrize("name", ["report", "comparison", "audit"])
def test_three_cases_lie_in_a_row_on_paper(
    context: BrowserContext, files: dict[str, Path], name: str
) -> None:
    page = opened(context, files[name])
    page.set_viewport_size({"width": 680, "height": 960})  # A4 without its margins
    page.emulate_media(media="print", color_scheme="light")
    tops = page.locator(".cards").first.evaluate(
        "(cards) => [...cards.children].map((card) => Math.round(card.getBoundingClientRect().top))"
    )
    assert len(tops) == 3
    assert len(set(tops)) == 1
    expect(page.locator(".table-tools").first).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("name", ["report", "comparison", "audit", "suspicions"])
def test_the_heads_of_a_table_can_repeat_on_each_sheet(
    context: BrowserContext, files: dict[str, Path], name: str
) -> None:
    page = opened(context, files[name])
    shown = "(head) => getComputedStyle(head).display"
    heading = page.locator("thead .sort").first
    assert heading.evaluate(shown) != "contents"
    page.emulate_media(media="print")
    # Chromium repeats a head that holds no box of a button.
    assert heading.evaluate(shown) == "contents"


def test_suspicious_cases_lie_three_in_a_row_on_paper(
    context: BrowserContext, files: dict[str, Path]
) -> None:
    page = opened(context, files["suspicions"])
    page.set_viewport_size({"width": 680, "height": 960})
    page.emulate_media(media="print")
    tops = page.locator(".suspects > .card").evaluate_all(
        "(cards) => cards.slice(0, 6).map((card) => Math.round(card.getBoundingClientRect().top))"
    )
    assert len(set(tops[:3])) == 1
    assert len(set(tops)) == 2


@pytest.mark.parametrize("name", ["report", "comparison", "audit"])
def test_tables_are_copied_with_the_keyboard_and_it_is_read_out(
    context: BrowserContext, files: dict[str, Path], name: str
) -> None:
    page = opened(context, files[name])
    tables = page.locator("table.copyable:visible")
    bar = page.locator("table.copyable:visible + .table-tools").first
    for kind, begin in (("CSV", ","), ("LaTeX", r"\begin{tabular}{l")):
        button = bar.get_by_role("button", name=f"Copy as {kind}: ")
        button.focus()
        page.keyboard.press("Enter")
        expect(bar.get_by_role("status")).to_have_text(f"Copied as {kind}.")
        copied = page.evaluate("navigator.clipboard.readText()")
        assert begin in copied
        rows = tables.first.locator("tbody tr").count()
        assert len(copied.splitlines()) == rows + (1 if kind == "CSV" else 6)
    # Drawings are in no copy.
    assert "worse" not in copied
    assert "better0" not in copied


def test_a_case_of_the_table_leads_to_its_picture(context: BrowserContext, files: dict[str, Path]) -> None:
    for name in ("report", "comparison", "audit", "suspicions"):
        page = opened(context, files[name])
        link = page.locator("table.cases tbody a").first
        target = page.locator(link.get_attribute("href") or "")
        expect(target.locator("img").first).to_be_attached()
        link.click()
        expect(target.locator("img").first).to_be_in_viewport()
        page.close()


def test_cases_are_chosen_by_the_error_that_is_suspected(
    context: BrowserContext, files: dict[str, Path]
) -> None:
    page = opened(context, files["suspicions"])
    kinds = page.get_by_label("Suspected error")
    values = [option.inner_text() for option in kinds.locator("option").all()]
    assert values[0] == "all"
    assert len(values) > 2
    kinds.select_option(values[1])
    shown = page.locator("table.cases tbody tr:not([hidden])")
    assert set(shown.locator("td:nth-child(3)").all_inner_texts()) == {values[1]}
    expect(page.locator(".count")).to_have_text(re.compile(rf"^{shown.count()} of \d+ cases$"))
    expect(page.get_by_label("flagged only")).to_have_count(0)


def test_pictures_follow_the_colours_of_the_screen(browser: Browser, files: dict[str, Path]) -> None:
    """A figure on a dark page is dark: it is no white rectangle."""
    corners = {}
    for scheme in ("light", "dark"):
        window = browser.new_context(color_scheme=scheme)
        page = window.new_page()
        page.goto(files["report"].as_uri())
        corners[scheme] = page.evaluate(
            """async () => {
                const image = document.querySelector('#spread img');
                await image.decode();
                const canvas = document.createElement('canvas');
                const pen = canvas.getContext('2d');
                pen.drawImage(image, 0, 0);
                return pen.getImageData(2, 2, 1, 1).data[0];
            }"""
        )
        window.close()
    assert corners["light"] > 240
    assert corners["dark"] < 40
