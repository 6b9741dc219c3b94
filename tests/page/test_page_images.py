"""Images come in: dropped, pasted, many, unreadable; the server is busy, asks for a token, or goes away."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, FilePayload, Page, expect
from stub_server import PageServer

Read = Callable[[list[FilePayload]], None]

_DROP = """([content, name]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], name, {type: "image/png"}));
  for (const kind of ["dragover", "drop"]) {
    document.body.dispatchEvent(new DragEvent(kind, {bubbles: true, cancelable: true, dataTransfer: data}));
  }
}"""
_PASTE = """([content, name]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], name, {type: "image/png"}));
  document.body.dispatchEvent(new ClipboardEvent("paste", {bubbles: true, clipboardData: data}));
}"""


def code(file: FilePayload) -> str:
    return base64.b64encode(file["buffer"]).decode()


def test_dropped_and_pasted_images_are_read(page: Page, images: list[FilePayload]) -> None:
    page.evaluate(_DROP, [code(images[0]), "dropped.png"])
    expect(page.locator("#case-name")).to_have_text("dropped.png")
    expect(page.locator(".word")).to_have_count(4)
    expect(page.locator(".drop-veil")).to_be_hidden()
    page.evaluate(_PASTE, [code(images[1]), "pasted.png"])
    expect(page.locator(".case")).to_have_count(2)
    expect(page.locator("#queue-count")).not_to_contain_text("in progress")


def test_short_and_long_names_begin_where_their_marks_begin(
    page: Page, images: list[FilePayload], read: Read
) -> None:
    names = ("short.png", "a name that is longer than the list is wide.png")
    read([FilePayload(name=name, mimeType="image/png", buffer=images[0]["buffer"]) for name in names])
    lefts = """row => ["case-name", "case-status"].map(part => {
      const range = document.createRange();
      const texts = document.createTreeWalker(row.querySelector("." + part), NodeFilter.SHOW_TEXT);
      range.selectNodeContents(texts.nextNode());
      return Math.round(range.getBoundingClientRect().left);
    })"""
    for row in page.locator(".case").all():
        name, status = row.evaluate(lefts)
        assert name == status


@pytest.mark.parametrize("width", [390, 1280])
def test_no_mark_of_an_image_is_cut_off(
    page: Page, images: list[FilePayload], read: Read, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    read(images)
    row = page.locator(".case", has_text="check").first
    row.click()
    page.locator('.word[data-factor="left"] .chip').click()
    page.locator('[role="option"]:not([aria-selected="true"])').first.click()
    expect(page.locator("#history .step")).to_have_count(2)
    marks = page.locator('.case[aria-current="true"] .case-status')
    expect(marks).to_contain_text("corrected")
    expect(marks).to_contain_text("Dice 0.")
    needed, given = marks.evaluate("place => [place.scrollWidth, place.clientWidth]")
    assert needed <= given


def test_the_most_doubtful_image_is_shown_first_and_a_key_goes_on(
    page: Page, images: list[FilePayload], read: Read
) -> None:
    read(images)
    rows = [row.inner_text() for row in page.locator(".case-status").all()]
    flagged = ["check" in row for row in rows]
    assert flagged == sorted(flagged, reverse=True)
    dice = [float(row.split()[-1]) for row in rows if "." in row]
    assert dice == sorted(dice)
    expect(page.locator(".case").first).to_have_attribute("aria-current", "true")
    page.keyboard.press("n")
    expect(page.locator(".case").nth(1)).to_have_attribute("aria-current", "true")
    page.select_option("#order", "added")
    for row, file in enumerate(images):
        expect(page.locator(".case").nth(row)).to_have_attribute("title", file["name"])


def test_fifty_images_with_some_unreadable_ones(page: Page, images: list[FilePayload], read: Read) -> None:
    many = [
        FilePayload(name=f"image {i}.png", mimeType="image/png", buffer=images[i % len(images)]["buffer"])
        for i in range(47)
    ]
    broken = [FilePayload(name=f"notes {i}.txt", mimeType="text/plain", buffer=b"no image") for i in range(3)]
    read(many + broken)
    expect(page.locator("#queue-count")).to_contain_text("50 images, 1 seen")
    expect(page.locator("#queue-count")).to_contain_text("3 not read")
    expect(page.locator(".mark.failed")).to_have_count(3)
    last = page.locator(".case").last
    last.click()
    expect(page.locator("#failure")).to_contain_text("This image could not be read.")
    expect(page.locator("#failure code")).to_contain_text("LEX-DATA-")
    expect(page.locator("#words-part")).to_be_hidden()


def test_names_of_files_stay_text(page: Page, images: list[FilePayload], read: Read) -> None:
    name = '<img src=x onerror="document.title=1"><b>x.png'
    read([FilePayload(name=name, mimeType="image/png", buffer=images[0]["buffer"])])
    expect(page.locator("#case-name")).to_have_text(name)
    assert page.locator("main img, main b:not(.flag b, .steps b)").count() == 0
    assert page.title() == "Lexiseg"


def test_a_busy_server_gets_the_image_again_later(
    page: Page, server: PageServer, images: list[FilePayload], read: Read
) -> None:
    server.stub.busy = 2
    read(images[:1])
    expect(page.locator(".word")).to_have_count(4)
    assert server.stub.seen.count("POST /v1/predict") == 3
    expect(page.locator("#notices")).to_be_empty()


def test_a_server_that_goes_away_loses_nothing(
    page: Page, server: PageServer, images: list[FilePayload], read: Read
) -> None:
    read(images[:2])
    server.stop()
    page.set_input_files("#files", images[2:3])
    expect(page.locator(".notice.bad")).to_contain_text("The server does not answer.")
    page.keyboard.press("n")
    expect(page.locator(".word")).to_have_count(4)
    page.locator(".chip").nth(2).click()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(page.locator(".notice.bad").last).to_contain_text("The server does not answer.")
    expect(page.locator("#history .step")).to_have_count(1)
    server.start()
    page.get_by_role("button", name="Try again").first.click()
    expect(page.locator("#queue-count")).not_to_contain_text("in progress")
    expect(page.locator("#queue-count")).to_contain_text("3 images")


def test_the_page_opens_without_the_server_after_the_first_visit(
    page: Page, server: PageServer, context: BrowserContext
) -> None:
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    server.stop()
    page.reload()
    expect(page.locator("#welcome-title")).to_have_text("Drop images here")
    expect(page.locator(".notice.bad")).to_contain_text("The server does not answer.")
    expect(page.locator(".purpose")).to_contain_text("not for diagnosis")
    kept = page.evaluate("caches.open('lexiseg-page').then((c) => c.keys()).then((k) => k.map((r) => r.url))")
    assert kept
    assert not [address for address in kept if "/v1/" in address]


def test_a_server_that_wants_a_token_asks_for_it_once(
    context: BrowserContext, server: PageServer, images: list[FilePayload]
) -> None:
    server.stub.token = "right"
    page = context.new_page()
    page.goto(server.address)
    page.fill("#token-text", "wrong")
    page.keyboard.press("Enter")
    expect(page.locator("#token-text")).to_have_value("")
    expect(page.locator("#token-refused")).to_have_text(re.compile("did not accept the access token. Ask "))
    page.fill("#token-text", "right")
    page.keyboard.press("Enter")
    expect(page.locator("#model option")).to_have_count(2)
    page.set_input_files("#files", images[:2])
    expect(page.locator("#queue-count")).not_to_contain_text("in progress")
    expect(page.locator(".word")).to_have_count(4)
    assert page.evaluate("JSON.stringify({...localStorage, ...sessionStorage})").count("right") == 0


def test_only_the_server_of_the_page_is_asked(
    page: Page, server: PageServer, images: list[FilePayload], read: Read
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    read(images[:2])
    page.locator(".chip").nth(2).hover()
    expect(page.locator("#zone-caption")).to_be_visible()
    assert asked
    assert [address for address in asked if not address.startswith(server.address)] == []


def test_another_model_reads_all_images_again_and_late_answers_are_void(
    page: Page, server: PageServer, images: list[FilePayload], read: Read
) -> None:
    read(images[:2])
    server.stub.delay = 0.5
    page.set_input_files("#files", images[2:3])
    page.select_option("#model", "phantom-second")
    expect(page.locator("#queue-count")).not_to_contain_text("in progress")
    for position in range(3):
        page.locator(".case").nth(position).click()
        expect(page.locator("#case-facts")).to_contain_text("phantom-second")
        expect(page.locator("#history .step")).to_have_count(1)
    assert server.stub.asked_models.count("phantom-second") == 3


def test_another_model_asks_before_corrections_are_lost(
    page: Page, images: list[FilePayload], read: Read
) -> None:
    read(images[:1])
    page.locator(".chip").nth(2).click()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(page.locator("#history .step")).to_have_count(2)
    asked: list[str] = []
    page.once("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    page.select_option("#model", "phantom-second")
    assert asked == ["You corrected 1 image. If it is read again, your correction is lost. Continue?"]
    expect(page.locator("#model")).to_have_value("phantom-chest")
    expect(page.locator("#history .step")).to_have_count(2)
    page.once("dialog", lambda dialog: dialog.accept())
    page.select_option("#model", "phantom-second")
    expect(page.locator("#case-facts")).to_contain_text("phantom-second")
    expect(page.locator("#history .step")).to_have_count(1)


def test_a_replaced_run_is_noticed(
    page: Page, server: PageServer, images: list[FilePayload], read: Read
) -> None:
    read(images[:2])
    said = page.locator(".word").all_inner_texts()
    server.stub.version_of_all = "6f" * 32
    page.locator(".chip").nth(2).click()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(page.locator("#notices")).to_contain_text("replaced on the server since this image was read")
    expect(page.locator("#notices")).to_contain_text("2 images were read by an earlier version")
    expect(page.locator("#history .step")).to_have_count(1)
    assert page.locator(".word").all_inner_texts() == said
    expect(page.locator("#provenance")).to_contain_text("version 5e5e5e")
    # A new image is read by the present version, and can be corrected.
    read(images[2:3])
    page.locator(".case", has_text=images[2]["name"][-12:]).click()
    expect(page.locator("#provenance")).to_contain_text("version 6f6f6f")
    page.get_by_role("button", name="Read them again").click()
    expect(page.locator("#queue-count")).not_to_contain_text("in progress")
    expect(page.locator("#notices")).not_to_contain_text("earlier version")
    for position in range(3):
        page.locator(".case").nth(position).click()
        expect(page.locator("#provenance")).to_contain_text("version 6f6f6f")
    page.locator(".chip").nth(2).click()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(page.locator("#history .step")).to_have_count(2)


def test_a_file_that_is_gone_fails_alone(
    page: Page, server: PageServer, images: list[FilePayload], tmp_path: Path
) -> None:
    files = [tmp_path / f"{name}.png" for name in ("gone", "there")]
    for file, image in zip(files, images, strict=False):
        file.write_bytes(image["buffer"])
    server.stop()
    page.set_input_files("#files", files)
    expect(page.locator(".notice.bad")).to_contain_text("The server does not answer.")
    files[0].unlink()
    server.start()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#queue-count")).to_contain_text("2 images")
    expect(page.locator("#queue-count")).to_contain_text("1 not read")
    expect(page.locator("#queue-count")).not_to_contain_text("in progress")
    page.locator(".case", has_text="gone").click()
    expect(page.locator("#failure")).to_contain_text("changed, moved or removed after you added it")
    expect(page.locator("#notices")).to_be_empty()


@pytest.mark.parametrize("status", [502, 503, 504])
def test_images_wait_where_a_proxy_answers_for_the_server(
    page: Page, server: PageServer, images: list[FilePayload], status: int
) -> None:
    server.stub.away = status
    page.set_input_files("#files", images[:2])
    expect(page.locator(".notice.bad")).to_contain_text("The server does not answer.")
    expect(page.locator("#queue-count")).to_contain_text("2 in progress")
    server.stub.away = None
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#queue-count")).not_to_contain_text("in progress")
    expect(page.locator(".word")).to_have_count(4)


@pytest.mark.parametrize("status", [502, 503, 504])
def test_an_image_without_an_answer_fails_alone(
    page: Page, server: PageServer, images: list[FilePayload], status: int
) -> None:
    bad = images[0]["name"]
    server.stub.away_for[bad] = status
    page.set_input_files("#files", images[:6])
    expect(page.locator("#queue-count")).to_contain_text("1 not read")
    expect(page.locator("#queue-count")).not_to_contain_text("in progress")
    assert server.stub.read.count(bad) == 2
    assert sorted({*server.stub.read}) == sorted(image["name"] for image in images[:6])
    page.locator(".case", has_text=bad[-12:]).click()
    expect(page.locator("#failure")).to_contain_text(f"in 2 tries (status {status})")
    expect(page.locator("#notices")).to_be_empty()


def test_an_image_that_ends_the_server_fails_and_the_others_are_read(
    page: Page, server: PageServer, images: list[FilePayload]
) -> None:
    bad = images[0]["name"]
    server.stub.ended_by = bad
    page.set_input_files("#files", images[:6])
    for tries in (1, 2):
        for _ in range(600):
            if server.stub.read.count(bad) == tries:
                break
            page.wait_for_timeout(50)
        expect(page.locator(".notice.bad")).to_contain_text("The server does not answer.")
        server.stub.away = None
        page.get_by_role("button", name="Try again").click()
    expect(page.locator("#queue-count")).to_contain_text("1 not read")
    expect(page.locator("#queue-count")).not_to_contain_text("in progress")
    assert server.stub.read.count(bad) == 2
    expect(page.locator("#notices")).to_be_empty()


def test_an_image_that_two_outages_hit_can_be_tried_again(
    page: Page, server: PageServer, images: list[FilePayload]
) -> None:
    name = images[0]["name"]
    server.stub.ended_by = name
    page.set_input_files("#files", images[:2])
    for _ in range(2):
        expect(page.locator(".notice.bad")).to_contain_text("The server does not answer.")
        server.stub.away = None
        page.get_by_role("button", name="Try again").click()
    expect(page.locator("#queue-count")).to_contain_text("1 not read")
    page.locator(".case", has_text=name[-12:]).click()
    expect(page.locator("#failure")).to_contain_text("The server went away in 2 tries")
    server.stub.ended_by = None
    page.locator("#failure").get_by_role("button", name="Try again").click()
    expect(page.locator("#queue-count")).not_to_contain_text("not read")
    expect(page.locator("#queue-count")).not_to_contain_text("in progress")
    expect(page.locator(".word")).to_have_count(4)
    assert server.stub.read.count(name) == 3


def test_a_server_that_stays_away_makes_no_image_fail(
    page: Page, server: PageServer, images: list[FilePayload]
) -> None:
    server.stub.away = 502
    page.set_input_files("#files", images[:2])
    for _ in range(3):
        expect(page.locator(".notice.bad")).to_contain_text("The server does not answer.")
        expect(page.locator("#queue-count")).to_contain_text("2 in progress")
        page.get_by_role("button", name="Try again").click()
    expect(page.locator(".notice.bad")).to_contain_text("The server does not answer.")
    server.stub.away = None
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#queue-count")).not_to_contain_text("in progress")
    expect(page.locator("#queue-count")).not_to_contain_text("not read")


_DROP_FOLDER = """(content) => {
  const entry = (name, give) => ({ name, isFile: true, isDirectory: false, file: give });
  const good = entry("good.png", (done) => done(new File([Uint8Array.from(content)], "good.png")));
  const bad = entry("bad.png", (done, fail) => fail(new DOMException("gone", "NotFoundError")));
  const folder = (name, parts) => ({
    name, isFile: false, isDirectory: true,
    createReader: () => ({
      readEntries: (done, fail) => (parts ? done(parts.splice(0)) : fail(new Error())),
    }),
  });
  const items = [folder("images", [good, bad, folder("locked", null)])].map((found) => (
    { webkitGetAsEntry: () => found }
  ));
  const event = new Event("drop", { cancelable: true });
  Object.defineProperty(event, "dataTransfer", { value: { types: ["Files"], items, files: [] } });
  document.dispatchEvent(event);
}"""


def test_an_entry_of_a_folder_that_cannot_be_opened_is_said(page: Page, images: list[FilePayload]) -> None:
    page.evaluate(_DROP_FOLDER, list(images[0]["buffer"]))
    expect(page.locator(".case")).to_have_count(1)
    expect(page.locator(".notice.bad")).to_contain_text("2 files or folders could not be opened:")
    expect(page.locator(".notice.bad")).to_contain_text("bad.png")
    expect(page.locator(".notice.bad")).to_contain_text("locked")
    expect(page.locator(".word")).to_have_count(4)
