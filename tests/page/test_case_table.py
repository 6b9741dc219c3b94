"""The script of the report in a browser: it sorts, filters and copies the table of cases."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from lexiseg.html_template import page_script

_ROWS = """<tr data-flagged><th>b10</th><td data-value="0.25">0.250</td><td data-value="12">12.0</td></tr>
<tr><th>b9, "x"</th><td data-value="0.5">0.500</td><td></td></tr>
<tr><th>a_1</th><td data-value="0.125">0.125</td><td data-value="3">3.0</td></tr>"""


@pytest.fixture
def table(context: BrowserContext, tmp_path: Path) -> Page:
    """Return a page from the disk, with the script and its policy."""
    script = page_script("case_table.js")
    file = tmp_path / "report.html"
    file.write_text(
        f"""<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>t</title>
<meta http-equiv="Content-Security-Policy" content="{script.policy}"></head><body>
<table class="cases" aria-label="Cases">
<thead><tr><th>Case</th><th class="n">Dice</th><th class="n">HD95, px</th></tr></thead>
<tbody>{_ROWS}</tbody></table><script>{script.code}</script></body></html>"""
    )
    page = context.new_page()
    page.goto(file.as_uri())
    return page


def names(page: Page) -> list[str]:
    return [cell.inner_text() for cell in page.locator("tbody tr:not([hidden]) th").all()]


def copied(page: Page, kind: str) -> str:
    """Copy the table and return the text, once the page says that it is there: it says nothing before."""
    said = page.locator(".copy").get_by_role("status")
    page.get_by_role("button", name=f"Copy as {kind}: Cases").click()
    expect(said).to_have_text(f"Copied as {kind}.")
    return str(page.evaluate("navigator.clipboard.readText()"))


def test_numbers_sort_as_numbers_and_rows_without_a_value_stay_last(table: Page) -> None:
    table.get_by_role("button", name="Dice").click()
    assert names(table) == ["a_1", "b10", 'b9, "x"']
    expect(table.get_by_role("columnheader", name="Dice")).to_have_attribute("aria-sort", "ascending")
    table.get_by_role("button", name="Dice").click()
    assert names(table) == ['b9, "x"', "b10", "a_1"]
    for first in ("a_1", "b10"):
        table.get_by_role("button", name="HD95").click()
        assert names(table)[0] == first
        assert names(table)[2] == 'b9, "x"'
    table.get_by_role("button", name="Case", exact=True).click()
    assert names(table) == ["a_1", 'b9, "x"', "b10"]


def test_names_and_flags_filter(table: Page) -> None:
    status = table.locator(".count")
    expect(status).to_have_text("3 of 3 cases")
    table.get_by_role("searchbox").fill("B")
    assert names(table) == ["b10", 'b9, "x"']
    expect(status).to_have_text("2 of 3 cases")
    table.get_by_label("flagged only").check()
    assert names(table) == ["b10"]


def test_what_is_shown_can_be_copied(table: Page) -> None:
    table.get_by_role("searchbox").fill("b9")
    assert copied(table, "CSV") == 'Case,Dice,"HD95, px"\n"b9, ""x""",0.500,'
    table.get_by_role("searchbox").fill("a_1")
    text = copied(table, "LaTeX")
    assert text.splitlines()[4] == r"a\_1 & 0.125 & 3.0 \\"
    assert text.startswith(r"\begin{tabular}{lrr}")


def test_no_cell_becomes_a_formula_or_a_command(table: Page) -> None:
    row = table.locator("tbody tr").nth(0)
    row.locator("th").evaluate("(cell) => { cell.textContent = '=cmd|A1'; }")
    row.locator("td").nth(0).evaluate("(cell) => { cell.textContent = '-0.1 to +0.2'; }")
    row.locator("td").nth(1).evaluate("(cell) => { cell.textContent = '\\\\input{x} ~ ^ <'; }")
    assert "'=cmd|A1,-0.1 to +0.2," in copied(table, "CSV")
    assert r"\textbackslash{}input\{x\} \textasciitilde{} \textasciicircum{} \textless{} \\" in copied(
        table, "LaTeX"
    )


def test_where_a_browser_forbids_copying_the_text_is_selected(table: Page) -> None:
    table.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    for _ in range(2):
        table.get_by_role("button", name="CSV").click()
        expect(table.locator("textarea")).to_have_count(1)
    expect(table.get_by_label("Table as CSV")).to_be_focused()
    expect(table.locator(".copy").get_by_role("status")).to_contain_text("Ctrl+C")
    chosen = table.locator("textarea").evaluate(
        "(field) => field.value.slice(field.selectionStart, field.selectionEnd)"
    )
    assert chosen.startswith("Case,Dice,")
