"""What `make audit-dependencies` makes of the audit of the locked packages."""

import json
import subprocess
from pathlib import Path

import pytest

from script_module import load_script

script = load_script(Path(__file__).parents[2] / ".ci/audit_dependencies.py")

PACKAGES = [
    {"name": "good", "version": "1.0", "vulns": []},
    {"name": "bad", "version": "2.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1", "3.0"]}]},
    {"name": "own", "skip_reason": "not found"},
]


def answer(
    monkeypatch: pytest.MonkeyPatch, packages: list[dict[str, object]] | None, stderr: str = ""
) -> None:
    stdout = "" if packages is None else json.dumps({"dependencies": packages})
    done = subprocess.CompletedProcess([], 1, stdout, stderr)
    monkeypatch.setattr(script.subprocess, "run", lambda *args, **options: done)


def test_known_vulnerabilities_are_named_with_their_fix(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(monkeypatch, PACKAGES)
    assert script.main(["locks/dev.txt"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "locks/dev.txt: bad 2.0: PYSEC-1, fixed in 2.1, 3.0",
        "locks/dev.txt: 2 packages audited, 1 not known to the service, 1 vulnerabilities.",
    ]


def test_nothing_known_is_a_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, PACKAGES[:1])
    assert script.main(["locks/dev.txt"]) == 0


@pytest.mark.parametrize(
    ("packages", "stderr", "reason"),
    [
        (PACKAGES[2:], "", "knows none of the packages"),
        (None, "Traceback\nConnectionError: no network\n", "ConnectionError: no network"),
    ],
)
def test_an_audit_that_could_not_run_is_no_pass(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    packages: list[dict[str, object]] | None,
    stderr: str,
    reason: str,
) -> None:
    answer(monkeypatch, packages, stderr)
    assert script.main(["locks/dev.txt"]) == 3
    assert f"the audit could not run: {reason}" in capsys.readouterr().out.replace(
        "the vulnerability service ", ""
    )


@pytest.mark.parametrize("lock", ["runtime", "dev", "docs"])
def test_every_locked_package_has_a_hash(lock: str) -> None:
    text = (Path(__file__).parents[2] / "locks" / f"{lock}.txt").read_text()
    packages = [line for line in text.splitlines() if line and line[0] not in " #"]
    assert len(packages) > 20
    assert all(line.endswith("\\") for line in packages)
    assert "lightning==2.6.2" not in text
    assert "lightning==2.6.3" not in text
