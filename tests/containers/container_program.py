"""Images and containers of docker or podman."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

#: What docs/deploy.md starts a container with: nothing can be written but /tmp, and there are no rights.
WITHOUT_RIGHTS = (
    "--read-only",
    "--tmpfs",
    "/tmp",
    "--cap-drop",
    "ALL",
    "--security-opt",
    "no-new-privileges",
)
_SECONDS = 120.0


@dataclass(frozen=True)
class ContainerProgram:
    """The program that builds images and starts containers.

    Attributes:
        name: docker or podman.
    """

    name: str

    def run(self, *words: str | Path, check: bool = True) -> str:
        """Return what a command of the program prints, errors included.

        Raises:
            AssertionError: It fails, and `check` is set.
        """
        done = subprocess.run(
            [self.name, *map(str, words)],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
        )
        assert done.returncode == 0 or not check, done.stdout
        return done.stdout

    def build(self, target: str) -> str:
        """Build one target of deploy/Dockerfile; return the name of the image."""
        image = f"lexiseg-test-{target}"
        form = ["--format", "docker"] if self.name == "podman" else []
        # More options of the build, such as those of a mirror of packages.
        more = os.environ.get("LEXISEG_CONTAINERS_BUILD", "").split()
        self.run("build", *form, *more, "-f", "deploy/Dockerfile", "--target", target, "-t", image, ".")
        return image

    def inspected(self, image: str) -> dict[str, Any]:
        """Return what the program knows of an image."""
        found: dict[str, Any] = json.loads(self.run("image", "inspect", image))[0]
        return found

    @contextmanager
    def started(self, image: str, *options: str | Path, words: tuple[str, ...] = ()) -> Iterator[str]:
        """Run a container until the block ends; yield its id."""
        container = self.run("run", "--detach", *WITHOUT_RIGHTS, *options, image, *words).split()[-1]
        try:
            yield container
        finally:
            self.run("rm", "--force", "--volumes", container)

    def becomes_healthy(self, container: str, image: str) -> bool:
        """Return whether the health check of an image succeeds in a container within two minutes."""
        found = self.inspected(image)
        # docker and podman keep it in different places.
        kind, *check = (found["Config"].get("Healthcheck") or found["Healthcheck"])["Test"]
        assert kind == "CMD"
        end = time.monotonic() + _SECONDS
        while time.monotonic() < end:
            if subprocess.run([self.name, "exec", container, *check], capture_output=True).returncode == 0:
                return True
            time.sleep(0.5)
        print(self.run("logs", container))
        return False
