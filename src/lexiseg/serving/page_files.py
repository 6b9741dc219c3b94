"""The files of the page: they are served as they are."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

_START = "index.html"


def add_page(app: FastAPI) -> None:
    """Serve the page at "/", and its files and styles beside it; other addresses stay unknown."""
    app.mount("/page_style", StaticFiles(directory=str(files("lexiseg") / "page_style")), name="page_style")
    folder = Path(str(files("lexiseg.serving"))) / "page"
    for entry in sorted(folder.iterdir()):
        if entry.is_dir():
            app.mount(f"/{entry.name}", StaticFiles(directory=entry), name=entry.name)
        else:
            _add_file(app, "/" if entry.name == _START else f"/{entry.name}", entry)


def _add_file(app: FastAPI, address: str, file: Path) -> None:
    @app.get(address, include_in_schema=False)
    async def read() -> FileResponse:
        return FileResponse(file)
