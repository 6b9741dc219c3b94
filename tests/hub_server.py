"""A hub on loopback: repositories in memory, with what the client of the hub asks for here."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_" + "a" * 34


@dataclass
class Hub:
    """The state of the hub.

    Attributes:
        url: Its address.
        repositories: The files of each repository, by their names.
        private: Whether each repository is private.
        requests: Method and path of every request.
    """

    url: str = ""
    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    private: dict[str, bool] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)


@contextmanager
def serving_hub() -> Iterator[Hub]:
    """Serve an empty hub on a free port."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            pass

        def answer(self, status: int, content: Any, **headers: str) -> None:
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def missing(self, code: str) -> None:
            self.answer(404, {"error": code}, X_Error_Code=code, X_Error_Message=code)

        def do_POST(self) -> None:
            path = urlsplit(self.path).path
            hub.requests.append(f"POST {path}")
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                self.answer(401, {"error": "Invalid credentials"})
                return
            if path == "/api/repos/create":
                asked = json.loads(body)
                owner = asked.get("organization") or "jane"
                name = f"{owner}/{asked['name']}"
                status = 409 if name in hub.repositories else 200
                hub.repositories.setdefault(name, {})
                hub.private.setdefault(name, asked.get("visibility") == "private")
                self.answer(status, {"url": f"{hub.url}/{name}"})
                return
            if path == "/api/validate-yaml":
                # As the hub does, which knows more of them.
                stated = re.search(r"^license: (.*)$", json.loads(body)["content"], re.MULTILINE)
                wrong = stated is not None and stated[1] not in ("apache-2.0", "cc-by-4.0", "mit")
                why = {"message": '"license" must be one of [apache-2.0, cc-by-4.0, mit]'}
                self.answer(400 if wrong else 200, {"errors": [why] if wrong else [], "warnings": []})
                return
            _, _, _, owner, name, action, *_ = path.split("/")
            repository = f"{owner}/{name}"
            if repository not in hub.repositories:
                self.missing("RepoNotFound")
            elif action == "preupload":
                files = json.loads(body)["files"]
                modes = [
                    {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in files
                ]
                self.answer(200, {"files": modes})
            elif action == "paths-info":
                held = hub.repositories[repository]
                asked_paths = parse_qs(body.decode())["paths"]
                found = [
                    {"type": "file", "path": path, "size": len(held[path]), "oid": "o" * 40}
                    for path in asked_paths
                    if path in held
                ]
                self.answer(200, found)
            elif action == "commit":
                for line in body.splitlines():
                    entry = json.loads(line)
                    if entry["key"] == "file":
                        value = entry["value"]
                        hub.repositories[repository][value["path"]] = base64.b64decode(value["content"])
                    elif entry["key"] == "deletedFile":
                        del hub.repositories[repository][entry["value"]["path"]]
                commit = f"{hub.url}/{repository}/commit/{'c' * 40}"
                self.answer(200, {"success": True, "commitOid": "c" * 40, "commitUrl": commit})
            else:
                self.missing("RepoNotFound")

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.requests.append(f"{self.command} {path}")
            parts = path.strip("/").split("/")
            if len(parts) < 5 or parts[2] != "resolve":
                self.answer(200, {"siblings": [], "id": "/".join(parts[2:4]), "sha": "c" * 40})
                return
            files = hub.repositories.get("/".join(parts[:2]))
            if files is None:
                self.missing("RepoNotFound")
            elif parts[3] not in ("main", "c" * 40):
                self.missing("RevisionNotFound")
            elif "/".join(parts[4:]) not in files:
                self.missing("EntryNotFound")
            else:
                content = files["/".join(parts[4:])]
                etag = f'"{hashlib.sha256(content).hexdigest()}"'
                self.answer(200, content, ETag=etag, X_Repo_Commit="c" * 40)

        def do_HEAD(self) -> None:
            self.do_GET()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
