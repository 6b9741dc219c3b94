"""Print the oldest version of each dependency that pyproject.toml allows, as constraints for pip."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

_BOUND = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*(?:>=|==)\s*([0-9][^,;\s]*)")
#: Extras that no user installs.
_OF_DEVELOPERS = ("dev", "docs")


def main() -> None:
    """Print one line for each dependency of the package, and of its extras for users."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    groups = [project["dependencies"], *(extras[name] for name in extras if name not in _OF_DEVELOPERS)]
    for dependency in (dependency for group in groups for dependency in group):
        if dependency.startswith("lexiseg["):
            continue
        found = _BOUND.match(dependency)
        if found is None:
            raise SystemExit(f"pyproject.toml: '{dependency}' has no lower bound")
        print(f"{found[1]}=={found[2]}")


if __name__ == "__main__":
    main()
