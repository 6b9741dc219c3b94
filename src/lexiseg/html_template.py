"""Templates of the pages that Lexiseg writes: every value is escaped as HTML and printable."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup
from PIL import Image

from lexiseg.printable import counted, printable_block


def html_template(package: str, name: str, filters: Mapping[str, Callable[..., Any]]) -> Template:
    """Return a template.

    Args:
        package: The package whose folder `templates` holds it.
        name: Its file name.
        filters: Its filters by name.
    """
    environment = Environment(
        # What all pages share, such as colours, can be included.
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("lexiseg", "page_style")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    environment.filters |= {"counted": counted, **filters}
    return environment.get_template(name)


@dataclass(frozen=True, kw_only=True)
class PageScript:
    """A script of a page, and the policy under which a browser runs it and nothing else.

    Attributes:
        code: The script: the content of a script element, which is not escaped.
        policy: Content Security Policy: this script, inline styles and pictures of the page; no requests.
    """

    code: Markup
    policy: str


#: The policy of a page without scripts: inline styles and pictures of the page; no requests.
_JPEG_QUALITY = 88

NO_SCRIPTS = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
)


def page_script(name: str) -> PageScript:
    """Return a script of the folder `page_style`.

    Args:
        name: Its file name.
    """
    code = (files("lexiseg") / "page_style" / name).read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    policy = NO_SCRIPTS.replace("; ", f"; script-src 'sha256-{digest}'; ", 1)
    return PageScript(code=Markup(code), policy=policy)


def jpeg_uri(picture: Image.Image) -> str:
    """Return a picture as a data URI, for a page that loads nothing.

    Args:
        picture: The picture, in RGB.
    """
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _printable(value: Any) -> Any:
    # Markup is a str of its own type; it is already escaped.
    return printable_block(value) if type(value) is str else value
