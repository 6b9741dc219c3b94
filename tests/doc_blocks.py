"""The blocks of code of README and docs, and what the comments right before them say about running them.

<!-- start: my-data runs/first -->       begin in a new folder that holds these, made by the test
<!-- not run: needs a vision server -->  the block cannot run in a test, and why
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])

#: Kinds of blocks that a reader would run.
RUNNABLE = ("bash", "console", "python")

FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
DIRECTIVE = re.compile(r"^<!-- (start|not run): ([^\n]*) -->$", re.MULTILINE)
_COMMENTS = re.compile(r"(?:^<!-- (?:start|not run): [^\n]* -->\n)+\Z", re.MULTILINE)


class Block(NamedTuple):
    """One fenced block.

    Attributes:
        page: Path in the repository.
        line: Line of the opening fence, from 1.
        kind: What stands behind the fence.
        text: What stands inside.
        start: What the new folder holds that the block begins in; None: it goes on where the last one was.
        not_run: Why it cannot run in a test; None: it runs.
    """

    page: str
    line: int
    kind: str
    text: str
    start: tuple[str, ...] | None
    not_run: str | None

    @property
    def place(self) -> str:
        """Where it stands, for messages."""
        return f"{self.page}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """The command lines of a shell block; of a console block, those after "$ "."""
        lines = self.text.replace("\\\n", " ").splitlines()
        if self.kind == "console":
            lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        return [line for line in lines if line.strip() and not line.startswith("#")]


def blocks_of(page: Path) -> list[Block]:
    """Return the blocks of one page, in order."""
    return blocks_in(page.read_text(encoding="utf-8"), page.relative_to(ROOT).as_posix())


def blocks_in(text: str, page: str) -> list[Block]:
    """Return the blocks of a page's text, in order."""
    found = []
    for fence in FENCE.finditer(text):
        before = text[: fence.start()]
        comments = _COMMENTS.search(before)
        said = dict(DIRECTIVE.findall(comments[0])) if comments else {}
        found.append(
            Block(
                page=page,
                line=before.count("\n") + 1,
                kind=fence[1],
                text=fence[2],
                start=tuple(said["start"].split()) if "start" in said else None,
                not_run=said.get("not run"),
            )
        )
    return found


def blocks(*kinds: str) -> list[Block]:
    """Return all blocks of these kinds."""
    return [block for page in PAGES for block in blocks_of(page) if block.kind in kinds]
