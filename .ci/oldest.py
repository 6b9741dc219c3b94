"""Print the oldest version of each dependency that pyproject.toml allows, as constraints for pip."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

_BOUND = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*(?:>=|==)\s*([0-9][^,;\s]*)")


def main() -> None:
    """Print one line for each dependency of the package, and of its extras for users."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))["project"]
    groups = [
        project["dependencies"],
        *(project["optional-dependencies"][name] for name in ("train", "openvino", "volumes", "dicom", "lmm")),
    ]
    for dependency in (dependency for group in groups for dependency in group):
        found = _BOUND.match(dependency)
        if found is None:
            raise SystemExit(f"pyproject.toml: '{dependency}' has no lower bound")
        print(f"{found[1]}=={found[2]}")


if __name__ == "__main__":
    main()
