"""The command `lexiseg watch`."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from lexiseg.cli.app import app
from refusals import refuses


def test_a_gateway_without_sources_does_not_start(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text("rules: [{name: all, run: covid-xray}]\n", encoding="utf-8")
    with refuses("LEX-USE-1245", "gateway.yaml has no sources", "--once"):
        CliRunner().invoke(app, ["watch", str(path)], catch_exceptions=False)
    assert [file.name for file in tmp_path.iterdir()] == ["gateway.yaml"]
