"""The files of the folder `deploy` are valid, run without rights, and name options that exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from typer.main import get_command

from lexiseg.cli.app import app

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
KUBERNETES = list(yaml.safe_load_all((DEPLOY / "kubernetes" / "lexiseg.yaml").read_text()))


def known_options() -> set[str]:
    serve = get_command(app).commands["serve"]  # type: ignore[attr-defined]
    return {option for parameter in serve.params for option in parameter.opts}


@pytest.mark.parametrize("manifest", KUBERNETES, ids=lambda manifest: manifest["kind"])
def test_kubernetes_takes_the_manifests(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, "1.31", strict=True)


def test_the_pod_has_no_rights() -> None:
    pod = KUBERNETES[0]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert not pod["automountServiceAccountToken"]
    security = container["securityContext"]
    assert security["readOnlyRootFilesystem"]
    assert not security["allowPrivilegeEscalation"]
    assert {word.partition("=")[0] for word in container["args"] if word.startswith("--")} <= known_options()


def test_the_container_is_not_root_and_checks_its_health() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    assert re.search(r"^USER 10001:10001$", text, re.MULTILINE)
    assert "/readyz" in text
    (words,) = re.findall(r"^CMD (\[.*\])$", text, re.MULTILINE)
    assert {word for word in yaml.safe_load(words) if word.startswith("--")} <= known_options()


def test_the_service_starts_a_command_that_exists() -> None:
    text = (DEPLOY / "systemd" / "lexiseg.service").read_text()
    (line,) = re.findall(r"^ExecStart=(.+)$", text, re.MULTILINE)
    program, command, *words = shlex.split(line)
    assert (Path(program).name, command) == ("lexiseg", "serve")
    assert {word for word in words if word.startswith("--")} <= known_options()
    assert "DynamicUser=yes" in text
