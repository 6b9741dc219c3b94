"""The program that builds images, where the environment names one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from container_program import ContainerProgram

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def program() -> ContainerProgram:
    name = os.environ.get("LEXISEG_CONTAINERS", "")
    if not name:
        pytest.skip("builds images of 0.5 GB: set LEXISEG_CONTAINERS to docker or podman")
    if shutil.which(name) is None:
        pytest.skip(f"not installed: {name}")
    return ContainerProgram(name)


@pytest.fixture(scope="session")
def server(program: ContainerProgram) -> str:
    return program.build("server")


@pytest.fixture(scope="session")
def gateway(program: ContainerProgram) -> str:
    return program.build("gateway")


@pytest.fixture(scope="session")
def mercure(program: ContainerProgram) -> str:
    return program.build("mercure")
