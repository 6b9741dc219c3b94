"""The commands list, get and import under `lexiseg data`: public data sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lexiseg.cli.terminal.messages import result_console, say
from lexiseg.cli.terminal.output_mode import show_result
from lexiseg.cli.terminal.progress import counted_progress, downloads_progress
from lexiseg.printable import command_word, counted

if TYPE_CHECKING:
    from lexiseg.data.public.dataset_import import ImportResult
    from lexiseg.data.public.registry import Entry

_Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the data set, as `data list` shows it.")]
_Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help=r"Folder to create. \[default: its name, in the current folder]"),
]
_Seed = Annotated[int, typer.Option(min=0, help="Seed of the splits made here.")]
_PublishedSplit = Annotated[
    bool,
    typer.Option("--published-split", help="Keep the published split even if its parts share patients."),
]


def list_datasets(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Show all facts of one data set.")
    ] = None,
) -> None:
    """List the public data sets that can be downloaded or imported."""
    from lexiseg import find_entry, load_registry

    entries = list(load_registry().values()) if name is None else [find_entry(name)]
    show_result(entries)
    if name is None:
        result_console(highlight=False).print(_table(entries))
        result_console(highlight=False).print(
            "`lexiseg data list NAME` shows licence, layout, steps, and what was confirmed."
        )
    else:
        _show(entries[0], result_console(soft_wrap=True, highlight=False))


def get(
    name: _Name,
    out: _Out = None,
    keep_archives: Annotated[
        bool, typer.Option("--keep-archives", help="Keep the archives in OUT.download.")
    ] = False,
    published_split: _PublishedSplit = False,
    seed: _Seed = 0,
) -> None:
    """Download a public data set and convert it; resume an interrupted download."""
    from lexiseg import find_entry, get_dataset

    entry = find_entry(name)
    folder = Path(entry.name) if out is None else out
    if entry.downloads:
        size = f"{entry.download_bytes / 1e6:.0f} MB" if entry.download_bytes else "size not known"
        names = ", ".join(file.name for file in entry.downloads)
        say(f"{entry.title}: {names} ({size}). Licence: {entry.licence}. Home page: {entry.home}")
    with _bars() as (on_bytes, on_images):
        try:
            imported = get_dataset(
                name,
                folder,
                seed=seed,
                published_split=published_split,
                keep_archives=keep_archives,
                on_bytes=on_bytes,
                progress=on_images,
            )
        except KeyboardInterrupt as interrupt:
            raise KeyboardInterrupt("Run the same command again to resume.") from interrupt
    for file, known in zip(imported.downloads, entry.downloads, strict=True):
        checked = "as expected" if known.sha256 is not None else "no expected value: note it to compare later"
        say(f"{known.name}: {counted(file.size, 'byte')}, SHA-256 {file.sha256} ({checked}).")
    _report(imported)


def import_(
    name: _Name,
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The downloaded folder, or its .zip or .tar archive.")
    ],
    out: _Out = None,
    published_split: _PublishedSplit = False,
    seed: _Seed = 0,
) -> None:
    """Convert a public data set that you downloaded."""
    from lexiseg import find_entry, import_dataset

    out = Path(find_entry(name).name) if out is None else out
    with _bars() as (_, on_images):
        imported = import_dataset(
            name, folder, out, seed=seed, published_split=published_split, progress=on_images
        )
    _report(imported)


def _report(imported: ImportResult) -> None:
    show_result(
        {
            "folder": imported.folder,
            "name": imported.entry.name,
            "images": imported.counts,
            "licence": imported.entry.licence,
            "notes": imported.notes,
            "downloads": imported.downloads,
        }
    )
    for sentence in imported.notes:
        say(sentence)
    counts = ", ".join(f"{number} {split}" for split, number in imported.counts.items())
    say(f"{imported.entry.title}: {counts} images in {imported.folder}.")
    say(f"Licence: {imported.entry.licence}. Next: `lexiseg data check {command_word(imported.folder)}`")


def _table(entries: list[Entry]) -> Table:
    table = Table()
    for title in ("name", "data set", "modality", "classes", "get"):
        table.add_column(title, overflow="fold", no_wrap=title == "name")
    for entry in entries:
        classes = ", ".join(named.name for named in entry.classes)
        table.add_row(*map(escape, (entry.name, entry.title, entry.modality, classes, _how(entry))))
    return table


def _how(entry: Entry) -> str:
    """Return how to get a data set."""
    return "data get" if entry.downloads else "by hand, then data import"


def _show(entry: Entry, console: Console) -> None:
    side = "not known" if entry.side is None else f"the {entry.side}'s"
    spacing = "" if entry.spacing_mm is None else f"{entry.spacing_mm:g} mm a pixel"
    window = "" if entry.window_hu is None else f"{entry.window_hu[0]} to {entry.window_hu[1]} HU are kept"
    facts = {
        "name": ", ".join((entry.name, *entry.aliases)),
        "images": ", ".join(filter(None, (entry.modality, entry.colour, spacing, window))),
        "classes": "; ".join(f"{named.name} (keyword: {named.keyword})" for named in entry.classes),
        "left and right": side,
        "licence": entry.licence,
        "home": entry.home,
        "layout": entry.layout,
    }
    console.print(entry.title, style="bold")
    for title, text in facts.items():
        console.print(f"{title}: {text}")
    for file in entry.downloads:
        console.print(
            f"download: {file.url} ({counted(file.size, 'byte') if file.size else 'size unknown'}, SHA-256 "
            f"{file.sha256 or 'unknown'})"
        )
    for title, sentences in {
        "by hand": entry.steps,
        "confirmed": entry.confirmed,
        "not confirmed": entry.unconfirmed,
    }.items():
        for sentence in sentences:
            console.print(f"{title}: {sentence}")


@contextmanager
def _bars() -> Iterator[tuple[Callable[[str, int, int | None], None], Callable[[int, int | None], None]]]:
    """Yield callbacks that show the progress of bytes and of images, one bar after the other."""
    with downloads_progress() as downloads:
        tasks = {}

        def on_bytes(name: str, done: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = downloads.add_task(name, total=total)
            downloads.update(tasks[name], completed=done, total=total)

        images = counted_progress()
        task = images.add_task("converting", total=None)

        def on_images(done: int, total: int | None) -> None:
            if not images.live.is_started:
                downloads.stop()
                images.start()
            images.update(task, completed=done, total=total)

        try:
            yield on_bytes, on_images
        finally:
            images.stop()
