"""Changes to the pages for the site; mkdocs calls these functions.

The pages can also be read in the repository. For the site, some files of the repository's root become pages,
and a link to a file that is not a page (a script or configuration) becomes its plain name. Code blocks lose
the second word of their kind, which only the tests use.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

#: Files of the repository's root, and their pages on the site.
ROOT_PAGES = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
#: Pages of the site for files that are not in docs/.
_ELSEWHERE = {**ROOT_PAGES, "README.md": "index.md"}

_FENCE = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)
_KIND = re.compile(r"^(```\w+) .*")
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are files of the repository's root."""
    root = Path(config.config_file_path).parent
    for source, page in ROOT_PAGES.items():
        text = (root / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Change links to pages of the site, and to plain text if the site has no such page."""
    here = page.file.src_uri
    originals = {made: source for source, made in ROOT_PAGES.items()}
    parts = _FENCE.split(markdown)
    # Every second part is a block of code.
    parts[::2] = [relinked(part, originals.get(here, f"docs/{here}"), here) for part in parts[::2]]
    parts[1::2] = [_KIND.sub(r"\1", part) for part in parts[1::2]]
    return "".join(parts)


def relinked(text: str, source: str, here: str) -> str:
    """Return text with links for the site.

    Args:
        text: Markdown without blocks of code.
        source: The page's path in the repository.
        here: The page's path on the site.
    """

    def link(match: re.Match[str]) -> str:
        picture, title, target = match.groups()
        if target.startswith(("https://", "#")):
            return match[0]
        path, hash_sign, anchor = target.partition("#")
        place = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        on_site = _ELSEWHERE.get(place, place.removeprefix("docs/") if place.startswith("docs/") else None)
        if on_site is None or on_site.endswith(".py"):
            return f"`{title.strip('`')}`"
        relative = posixpath.relpath(on_site, posixpath.dirname(here) or ".")
        return f"{picture}[{title}]({relative}{hash_sign}{anchor})"

    return _LINK.sub(link, text)
