"""The command `lexiseg demo` without the extra `train`."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lexiseg import extras
from lexiseg.cli.app import app
from lexiseg.extras import install_command
from refusals import refuses


def test_the_results_of_an_earlier_demo_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".lexiseg-demo").touch()
    (tmp_path / "report.html").touch()
    monkeypatch.setattr(extras, "is_installed", lambda package: False)
    with refuses("LEX-USE-860", install_command("train")):
        CliRunner().invoke(app, ["demo", "--out", str(tmp_path)], catch_exceptions=False)
    assert sorted(file.name for file in tmp_path.iterdir()) == [".lexiseg-demo", "report.html"]
