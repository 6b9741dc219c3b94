"""Looking and correcting: words, where they act, the mask that follows, undo, and who said what."""

from __future__ import annotations

import json
from collections.abc import Callable

from playwright.sync_api import FilePayload, Locator, Page, expect
from stub_server import PageServer

Read = Callable[[list[FilePayload]], None]

#: What is drawn, after the next frame.
_DRAWN = """() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(
    () => done(document.getElementById("canvas").toDataURL()))))"""
_LOOKS, _MILLISECONDS = 50, 100


def chip(page: Page, factor: str) -> Locator:
    return page.locator(f'.word[data-factor="{factor}"] .chip')


def choose(page: Page, factor: str, phrase: str) -> None:
    chip(page, factor).click()
    page.get_by_role("option", name=phrase, exact=False).first.click()
    expect(page.get_by_role("listbox")).to_have_count(0)


def drawn(page: Page) -> str:
    """Return what is drawn on the image, once it stays the same: images arrive and frames come later."""
    found = str(page.evaluate(_DRAWN))
    for _ in range(_LOOKS):
        page.wait_for_timeout(_MILLISECONDS)
        found, before = str(page.evaluate(_DRAWN)), found
        if found == before:
            return found
    raise AssertionError("the image does not come to rest")


def test_words_stand_coarse_to_fine_with_their_probability(
    page: Page, images: list[FilePayload], read: Read
) -> None:
    read(images[:1])
    expect(page.locator(".word")).to_have_count(4)
    factors = [row.get_attribute("data-factor") for row in page.locator(".word").all()]
    assert factors == ["laterality", "count", "left", "right"]
    shares = [float(share.inner_text().rstrip("%")) for share in page.locator(".chip-share").all()]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] - shares[3] == 15


def test_a_word_that_is_pointed_at_shows_where_it_acts(
    page: Page, server: PageServer, images: list[FilePayload], read: Read
) -> None:
    read(images[:1])
    expect(page.locator("#legend")).to_contain_text("mask")
    plain = drawn(page)
    chip(page, "right").hover()
    expect(page.locator("#zone-caption")).to_contain_text("Where")
    expect(page.locator("#legend")).to_contain_text("where the word acts")
    assert drawn(page) != plain
    page.mouse.move(5, 5)
    expect(page.locator("#zone-caption")).to_be_hidden()
    assert drawn(page) == plain
    chip(page, "right").hover()
    expect(page.locator("#zone-caption")).to_be_visible()
    assert len([path for path in server.stub.seen if "/zones/" in path]) == 1
    chip(page, "count").hover()
    expect(page.locator("#zone-caption")).to_contain_text("no map")


def test_the_mask_follows_a_chosen_word_and_returns_when_it_is_undone(
    page: Page, server: PageServer, images: list[FilePayload], read: Read
) -> None:
    read(images[:1])
    first = page.locator("#finding").inner_text()
    before = drawn(page)
    choose(page, "left", "upper lower left lung")
    expect(chip(page, "left")).to_contain_text("you")
    expect(page.locator("#legend")).to_contain_text("mask of the model")
    expect(chip(page, "left")).to_be_focused()
    assert json.loads(server.stub.said[-1]) == {"left": "upper lower left lung"}
    after = drawn(page)
    assert after != before
    expect(page.locator("#finding")).to_contain_text("Overlap with the model")
    expect(page.locator("#history .step")).to_have_count(2)
    expect(page.locator("#history .step").nth(1)).to_contain_text(
        "Left lung: upper lower left lung, instead of"
    )

    page.click("#undo")
    expect(page.locator("#history .undone")).to_have_count(1)
    assert page.locator("#finding").inner_text() == first
    page.mouse.move(5, 5)
    expect(page.locator("#legend")).not_to_contain_text("mask of the model")
    assert drawn(page) == before
    page.keyboard.press("Control+Shift+z")
    expect(page.locator("#legend")).to_contain_text("mask of the model")
    assert drawn(page) == after
    page.keyboard.press("Control+z")
    expect(page.locator("#history .undone")).to_have_count(1)
    page.locator("#history .step").nth(1).click()
    expect(page.locator("#history .undone")).to_have_count(0)
    assert len(server.stub.said) == 1


def test_words_add_up_and_one_can_be_withdrawn(
    page: Page, server: PageServer, images: list[FilePayload], read: Read
) -> None:
    read(images[:1])
    choose(page, "left", "middle left lung")
    choose(page, "right", "no lesion in right lung")
    expect(page.locator("#history .step")).to_have_count(3)
    assert json.loads(server.stub.said[-1]) == {
        "left": "middle left lung",
        "right": "no lesion in right lung",
    }
    choose(page, "left", "Withdraw")
    expect(page.locator("#history .step").nth(3)).to_contain_text("withdrawn")
    assert json.loads(server.stub.said[-1]) == {"right": "no lesion in right lung"}
    choose(page, "right", "Withdraw")
    expect(page.locator(".chip.person")).to_have_count(0)
    assert len(server.stub.said) == 3


def test_a_word_about_no_place_is_noted_and_the_mask_stays(
    page: Page, server: PageServer, images: list[FilePayload], read: Read
) -> None:
    read(images[:1])
    other = (
        "one infected area" if "multiple" in chip(page, "count").inner_text() else "multiple infected areas"
    )
    choose(page, "count", other)
    expect(page.locator("#notices")).to_contain_text("the mask stays as it is")
    expect(chip(page, "count")).to_contain_text("you")
    assert server.stub.said == []
    choose(page, "left", "lower left lung")
    expect(page.locator("#history .step")).to_have_count(3)
    assert json.loads(server.stub.said[-1]) == {"count": other, "left": "lower left lung"}


def test_free_words_join_what_was_said_before(
    page: Page, server: PageServer, images: list[FilePayload], read: Read
) -> None:
    read(images[:1])
    choose(page, "left", "lower left lung")
    expect(page.locator("#history .step")).to_have_count(2)
    page.fill("#say-text", "no lesion in right lung, heart normal")
    page.keyboard.press("Enter")
    expect(page.locator(".chip.person")).to_have_count(2)
    assert json.loads(server.stub.said[-1]) == {"left": "lower left lung", "right": "no lesion in right lung"}
    expect(page.locator("#unread")).to_contain_text("'heart' is not part of the vocabulary.")
    expect(page.locator("#say-text")).to_have_value("")


def test_words_that_nobody_understands_change_nothing(
    page: Page, images: list[FilePayload], read: Read
) -> None:
    read(images[:1])
    page.fill("#say-text", "gibberish")
    page.click("#say button")
    expect(page.locator(".notice.bad")).to_contain_text("Nothing of 'gibberish' could be read.")
    expect(page.locator("#history .step")).to_have_count(1)
    expect(page.locator("#say-text")).to_have_value("gibberish")


def test_the_keyboard_alone_is_enough(page: Page, images: list[FilePayload], read: Read) -> None:
    read(images[:2])
    name = page.locator("#case-name").inner_text()
    page.keyboard.press("n")
    expect(page.locator("#case-name")).not_to_have_text(name)
    page.keyboard.press("p")
    expect(page.locator("#case-name")).to_have_text(name)
    page.keyboard.press("3")
    expect(page.get_by_role("listbox", name="Left lung: right phrase")).to_be_focused()
    page.keyboard.press("Escape")
    expect(chip(page, "left")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Home")
    expect(page.locator(".phrase.active")).to_contain_text("upper left lung")
    expect(page.locator("#zone-caption")).to_contain_text("upper left lung")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(".chip.person .chip-phrase")).to_have_text("middle left lung")
    page.keyboard.press("u")
    expect(page.locator(".chip.person")).to_have_count(0)
    page.keyboard.press("r")
    expect(page.locator(".chip.person")).to_have_count(1)
    page.keyboard.press("s")
    expect(page.locator("#say-text")).to_be_focused()
    page.keyboard.type("np")
    expect(page.locator("#case-name")).to_have_text(name)


def test_single_keys_can_be_switched_off(page: Page, images: list[FilePayload], read: Read) -> None:
    read(images[:2])
    name = page.locator("#case-name").inner_text()
    page.keyboard.press("?")
    page.uncheck("#keys-on")
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    expect(page.locator("#case-name")).to_have_text(name)


def test_zoom_window_and_mask_change_the_view(page: Page, images: list[FilePayload], read: Read) -> None:
    read(images[:1])
    seen = [drawn(page)]

    def differs() -> None:
        seen.append(drawn(page))
        assert len(set(seen)) == len(seen)

    page.locator("#viewport").focus()
    page.keyboard.press("+")
    expect(page.locator("#zoom-level")).to_have_text("125%")
    differs()
    page.keyboard.press("ArrowLeft")
    differs()
    page.keyboard.press("0")
    expect(page.locator("#zoom-level")).to_have_text("100%")
    assert drawn(page) == seen[0]
    page.locator("#brightness").fill("40")
    differs()
    page.locator("#contrast").fill("30")
    differs()
    page.locator("#opacity").fill("90")
    differs()
    page.click("#view-reset")
    assert drawn(page) == seen[0]
    page.click("#mask-shown")
    expect(page.locator("#mask-shown")).to_have_attribute("aria-pressed", "false")
    differs()
    expect(page.locator("#legend li")).to_have_count(0)


def test_undo_beside_an_open_list_shows_the_words_that_stand(
    page: Page, images: list[FilePayload], read: Read
) -> None:
    read(images[:1])
    said = chip(page, "left").inner_text()
    choose(page, "left", "upper lower left lung")
    expect(chip(page, "left")).not_to_have_text(said, use_inner_text=True)
    chip(page, "right").click()
    expect(page.get_by_role("listbox")).to_have_count(1)
    page.keyboard.press("Control+z")
    expect(page.get_by_role("listbox")).to_have_count(0)
    expect(chip(page, "left")).to_have_text(said, use_inner_text=True)
    expect(chip(page, "right")).to_be_focused()
