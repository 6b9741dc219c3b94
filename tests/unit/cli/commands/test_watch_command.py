"""The command `lexiseg watch`."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lexiseg import extras
from lexiseg.cli.app import app
from lexiseg.extras import install_command
from refusals import refuses


def test_a_base_installation_names_the_extra_of_the_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "is_installed", lambda package: False)
    with refuses("LEX-USE-860", install_command("gateway")):
        CliRunner().invoke(app, ["watch", "gateway.yaml"], catch_exceptions=False)


def test_a_gateway_without_sources_does_not_start(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text("rules: [{name: all, run: covid-xray}]\n", encoding="utf-8")
    with refuses("LEX-USE-1245", "gateway.yaml has no sources", "--once"):
        CliRunner().invoke(app, ["watch", str(path)], catch_exceptions=False)
    assert [file.name for file in tmp_path.iterdir()] == ["gateway.yaml"]
