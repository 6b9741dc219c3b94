"""nginx with the site of deploy/proxy, on free ports of this machine."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from certificates import Certificate, make_certificate

_SITE = Path(__file__).parents[1] / "deploy" / "proxy" / "nginx.conf"
#: Who may use the site.
NAME, PASSWORD = "reader", "a password"  # pragma: allowlist secret
_SECONDS = 30.0


@dataclass(frozen=True)
class Proxy:
    """A proxy that runs.

    Attributes:
        address: Address of the site.
        unencrypted: Its address without encryption.
        certificate: Its certificate, which is its own authority.
        access_log: Who asked for what.
        error_log: What went wrong, and which bodies were written to the disk.
    """

    address: str
    unencrypted: str
    certificate: Certificate
    access_log: Path
    error_log: Path


@contextmanager
def proxied(server: str, folder: Path, *, place: str = "/") -> Iterator[Proxy]:
    """Run nginx in front of a server; the test is skipped where nginx is missing.

    Args:
        server: Address of the server.
        folder: Empty folder for its files.
        place: Where the server is below the address of the site, as docs/deploy.md explains.
    """
    if shutil.which("nginx") is None:
        pytest.skip("nginx is not installed (apt-get install nginx)")
    certificate = make_certificate(folder, "site")
    encrypted, unencrypted = _free_port(), _free_port()
    proxy = Proxy(
        address=f"https://127.0.0.1:{encrypted}",
        unencrypted=f"http://127.0.0.1:{unencrypted}",
        certificate=certificate,
        access_log=folder / "access.log",
        error_log=folder / "error.log",
    )
    (folder / "passwords").write_text(f"{NAME}:{{PLAIN}}{PASSWORD}\n")
    changes = {
        "listen 80;": f"listen 127.0.0.1:{unencrypted};",
        "listen 443 ssl;": f"listen 127.0.0.1:{encrypted} ssl;",
        "/etc/ssl/lexiseg/certificate.pem": certificate.certificate,
        "/etc/ssl/lexiseg/key.pem": certificate.key,
        "/etc/nginx/lexiseg.htpasswd": folder / "passwords",
        "/var/log/nginx/lexiseg.log": proxy.access_log,
        "location / {": f"location {place} {{",
        "location = /metrics {": f"location = {place}metrics {{",
        "proxy_pass http://127.0.0.1:8000;": f"proxy_pass {server}{place.removesuffix('/') and '/'};",
    }
    site = _SITE.read_text()
    for written, changed in changes.items():
        assert site.count(written) == 1, written
        site = site.replace(written, str(changed))
    (folder / "nginx.conf").write_text(_main(folder, site))
    with subprocess.Popen(["nginx", "-p", folder, "-c", folder / "nginx.conf"]) as process:
        try:
            _wait_for(encrypted, process, proxy.error_log)
            yield proxy
        finally:
            process.terminate()


def _main(folder: Path, site: str) -> str:
    """Return a configuration of nginx that writes into a folder only."""
    # Started by the superuser, its workers would be a user who cannot read the folder.
    user = "" if os.geteuid() else "user root;"
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "\n".join(f"{kind}_temp_path {folder / kind};" for kind in kinds)
    return (
        f"{user}\ndaemon off;\npid {folder / 'pid'};\nerror_log {folder / 'error.log'} warn;\n"
        f"events {{}}\nhttp {{\n{places}\n{site}\n}}\n"
    )


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(log.read_text())
