"""Compare lock files with the known vulnerabilities of their packages; say plainly if that was not possible.

python .ci/audit_dependencies.py LOCK...

Exit codes: 0 no known vulnerability, 1 some are known, 3 the audit could not run.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

VULNERABLE, NOT_RUN = 1, 3


class Audit(NamedTuple):
    """What the service says of a set of packages.

    Attributes:
        audited: Number of packages that the service knows.
        skipped: Packages that it does not know.
        findings: A sentence for each known vulnerability.
    """

    audited: int
    skipped: tuple[str, ...]
    findings: tuple[str, ...]


def read_audit(text: str) -> Audit:
    """Return what pip-audit's JSON says."""
    packages = json.loads(text)["dependencies"]
    skipped = tuple(package["name"] for package in packages if "skip_reason" in package)
    findings = tuple(
        f"{package['name']} {package['version']}: {vulnerability['id']}, "
        f"fixed in {', '.join(vulnerability['fix_versions']) or 'no version yet'}"
        for package in packages
        for vulnerability in package.get("vulns", ())
    )
    return Audit(audited=len(packages) - len(skipped), skipped=skipped, findings=findings)


def run(lock: Path) -> Audit | str:
    """Audit a lock file; return why that is not possible if it is not."""
    command = ["-m", "pip_audit", "--requirement", str(lock), "--require-hashes", "--disable-pip"]
    done = subprocess.run(
        [sys.executable, *command, "--format", "json", "--progress-spinner", "off"],
        capture_output=True,
        text=True,
    )
    try:
        audit = read_audit(done.stdout)
    except (ValueError, KeyError):
        lines = done.stderr.strip().splitlines()
        return lines[-1] if lines else f"pip-audit ended with exit code {done.returncode}"
    # A mirror of the index without its database of vulnerabilities knows no package at all.
    if not audit.audited:
        return "the vulnerability service knows none of the packages; is it PyPI itself, or a mirror?"
    return audit


def main(locks: list[str]) -> int:
    """Audit lock files one by one."""
    code = 0
    for lock in map(Path, locks):
        audit = run(lock)
        if isinstance(audit, str):
            print(f"{lock}: the audit could not run: {audit}")
            return NOT_RUN
        for finding in audit.findings:
            print(f"{lock}: {finding}")
        not_known = f", {len(audit.skipped)} not known to the service" if audit.skipped else ""
        print(f"{lock}: {audit.audited} packages audited{not_known}, {len(audit.findings)} vulnerabilities.")
        code = VULNERABLE if audit.findings else code
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
