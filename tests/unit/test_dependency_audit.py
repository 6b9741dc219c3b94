"""What `make audit-dependencies` makes of the audit of the locked packages."""

import json
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from script_module import load_script

ROOT = Path(__file__).parents[2]
script = load_script(ROOT / ".ci/audit_dependencies.py")

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


def locked(lock: str) -> dict[str, set[str]]:
    """Return the versions of each package in a lock file; some differ between versions of Python."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / "locks" / f"{lock}.txt").read_text().splitlines():
        if line and line[0] not in " #":
            assert line.endswith("\\"), f"{line} has no hash"
            name, _, version = line.split(" ")[0].partition("==")
            found.setdefault(canonicalize_name(name), set()).add(version)
    return found


@pytest.mark.parametrize(("lock", "extra"), [("runtime", None), ("dev", "dev"), ("docs", "docs")])
def test_locks_hold_what_the_project_asks_for(lock: str, extra: str | None) -> None:
    """After a change of a dependency, run `make lock`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [*project["dependencies"], *(project["optional-dependencies"][extra] if extra else ())]
    versions = locked(lock)
    assert len(versions) > 20
    for requirement in map(Requirement, wanted):
        if canonicalize_name(requirement.name) != "lexiseg":
            found = versions[canonicalize_name(requirement.name)]
            assert all(requirement.specifier.contains(version) for version in found), requirement


def test_known_bad_releases_are_in_no_lock() -> None:
    for lock in ("runtime", "dev", "docs"):
        assert not locked(lock).get("lightning", set()) & {"2.6.2", "2.6.3"}
