"""What `lexiseg serve --json` prints once the server takes requests."""

from __future__ import annotations

from lexiseg.json_records import Record


class ServeResult(Record):
    """The result of `lexiseg serve --json`; the command runs on.

    Attributes:
        address: Address of the server, such as "http://127.0.0.1:8000".
        runs: The runs as they were given; the first one is the default model.
    """

    address: str
    runs: tuple[str, ...]
