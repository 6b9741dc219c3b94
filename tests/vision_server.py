"""A real HTTP server that speaks the chat completions protocol, and misbehaves when it is told to."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Asked:
    """One request."""

    headers: dict[str, str]
    path: str
    body: dict[str, Any]
    number: int  # how many requests there were about this picture before
    total: int  # how many requests there were before

    @property
    def picture(self) -> bytes:
        """The PNG file that was sent."""
        url = self.body["messages"][0]["content"][1]["image_url"]["url"]
        return base64.b64decode(url.removeprefix("data:image/png;base64,"))

    @property
    def complaint(self) -> str:
        """The last thing the model was told."""
        content = self.body["messages"][-1]["content"]
        return content if isinstance(content, str) else content[0]["text"]


@dataclass(frozen=True)
class Reply:
    """What the server does."""

    status: int = 200
    content: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    stall_s: float = 0.0
    drip_s: float = 0.0  # between two bytes
    cut: bool = False  # close the connection in the middle
    raw: Callable[[], Iterable[bytes]] | None = None  # sent as it is, in place of an answer


def says(text: str | None, *, tokens: tuple[int, int] = (100, 20)) -> Reply:
    """Answer with a chat completion."""
    completion = {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {
            "prompt_tokens": tokens[0],
            "completion_tokens": tokens[1],
            "total_tokens": sum(tokens),
        },
    }
    return Reply(content=json.dumps(completion).encode(), headers={"Content-Type": "application/json"})


def fails(status: int, message: str = "no", **headers: str) -> Reply:
    """Answer with an error, in the protocol's shape."""
    content = json.dumps({"error": {"message": message}}).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status=status, content=content, headers={"Content-Type": "application/json", **named})


class VisionServer(ThreadingHTTPServer):
    """Answers with what `behave` makes of each request, and remembers them all."""

    daemon_threads = True

    def __init__(self, behave: Callable[[Asked], Reply]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behave = behave
        self.asked: list[Asked] = []
        self.lock = threading.Lock()
        self.at_once = self.most_at_once = 0

    @property
    def url(self) -> str:
        """Base URL."""
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up on a stalling server is no error of the test."""


class _Handler(BaseHTTPRequestHandler):
    server: VisionServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.lock:
            asked = Asked(dict(self.headers), self.path, body, 0, len(server.asked))
            number = sum(before.picture == asked.picture for before in server.asked)
            asked = Asked(asked.headers, asked.path, body, number, asked.total)
            server.asked.append(asked)
            server.at_once += 1
            server.most_at_once = max(server.most_at_once, server.at_once)
        try:
            reply = server.behave(asked)
            time.sleep(reply.stall_s)
        finally:
            # Before the answer: a client that has it may ask again at once.
            with server.lock:
                server.at_once -= 1
        self._reply(reply)

    def _reply(self, reply: Reply) -> None:
        if reply.raw is not None:
            self.close_connection = True
            for piece in reply.raw():
                self.wfile.write(piece)
                time.sleep(reply.drip_s)
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.content)))
        self.end_headers()
        if reply.cut:
            self.wfile.write(reply.content[: len(reply.content) // 2])
            self.close_connection = True
            return
        if reply.drip_s:
            for position in range(len(reply.content)):
                self.wfile.write(reply.content[position : position + 1])
                self.wfile.flush()
                time.sleep(reply.drip_s)
            return
        self.wfile.write(reply.content)

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""


@contextmanager
def serving(behave: Callable[[Asked], Reply]) -> Iterator[VisionServer]:
    """Serve in a thread."""
    server = VisionServer(behave)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
