"""The console: everything printed on it passes through `lexiseg.printable`."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from lexiseg.printable import printable, printable_block


def duration_text(seconds: float) -> str:
    """Return a duration for people: seconds below 90 s, minutes below two hours, else hours."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{round(seconds)} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def print_note(console: Console, note: str) -> None:
    """Print what was assumed; it may hold paths, so nothing in it is markup."""
    console.print(note, style="dim", markup=False, highlight=False)


class PrintableConsole(Console):
    """A rich console on which texts from outside cannot do more than be read.

    A text given to `print` is one message: its line breaks are shown as escapes, so that a file name cannot
    imitate a second message. In the cells of tables line breaks stay. Markup such as "[bold]" is off by
    default; who turns it on escapes names with `rich.markup.escape`.
    """

    def __init__(self, *, markup: bool = False, **options: Any) -> None:
        super().__init__(markup=markup, **options)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print messages; see `rich.console.Console.print`."""
        super().print(*(printable(o) if isinstance(o, str) else o for o in objects), **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a cell or message as styled text."""
        return super().render_str(printable_block(text), **options)
