"""Templates of the pages that Lexiseg writes: every value is escaped as HTML and printable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from lexiseg.printable import printable_block


def html_template(package: str, name: str, filters: Mapping[str, Callable[..., Any]]) -> Template:
    """Return a template.

    Args:
        package: The package whose folder `templates` holds it.
        name: Its file name.
        filters: Its filters by name.
    """
    environment = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    environment.filters |= filters
    return environment.get_template(name)


def _printable(value: Any) -> Any:
    # Markup is a str of its own type; it is already escaped.
    return printable_block(value) if type(value) is str else value
