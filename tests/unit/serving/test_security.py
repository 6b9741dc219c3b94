from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import re
import threading
import zlib
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from lexiseg.serving.image_addresses import AllowedHost, ImageAddresses, is_public
from lexiseg.serving.jobs.job_list import JobList
from lexiseg.serving.limits import Budget, Limits
from lexiseg.serving.logs import JsonLines
from lexiseg.serving.options import ServeOptions
from refusals import refuses


def test_a_server_that_anybody_can_reach_is_refused(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "::", "192.168.1.5", "example.org"):
        with refuses("LEX-USE-1109", "--token-file"):
            ServeOptions(runs=("covid-xray",), host=host)
        ServeOptions(runs=("covid-xray",), host=host, token_file=tmp_path / "t.json")
        ServeOptions(runs=("covid-xray",), host=host, behind_proxy=True)
    for host in ("127.0.0.1", "127.0.0.2", "::1", "localhost"):
        ServeOptions(runs=("covid-xray",), host=host)
    with refuses("LEX-USE-1110", "--tls-key"):
        ServeOptions(runs=("covid-xray",), tls_certificate=tmp_path / "c.pem")
    with refuses("LEX-USE-1100", "pixels"):
        Limits(pixels=0)


def test_answers_have_headers_that_limit_browsers(client: TestClient) -> None:
    for answer in (client.get("/v1/models"), client.get("/v1/nothing"), client.get("/healthz")):
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in answer.headers
        assert "strict-transport-security" not in answer.headers
    assert client.get("/v1/models").headers["cache-control"] == "no-store"
    preflight = client.options(
        "/v1/predict", headers={"Origin": "https://other.example", "Access-Control-Request-Method": "POST"}
    )
    assert preflight.status_code == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "other.example"}, 421),
        ({"Host": "127.0.0.1.other.example:8000"}, 421),
        ({"Host": "[::1"}, 421),
        ({"Host": "localhost:8000"}, 200),
        ({"Origin": "https://other.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://[::1"}, 403),
        ({"Origin": "http://127.0.0.1:8000"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200),
    ],
)
def test_pages_of_other_sites_are_kept_away(client: TestClient, headers: dict[str, str], status: int) -> None:
    assert client.get("/v1/models", headers=headers).status_code == status


def test_the_headers_of_an_answer_may_be_asked_for_alone(client: TestClient) -> None:
    for address, status in (("/", 200), ("/healthz", 200), ("/v1/models", 200), ("/v1/nothing", 404)):
        whole, alone = client.get(address), client.head(address)
        assert (whole.status_code, alone.status_code, alone.content) == (status, status, b"")
        assert alone.headers["content-type"] == whole.headers["content-type"]
        assert alone.headers["content-length"] == whole.headers["content-length"]
    assert client.head("/v1/predict").status_code == 405


def test_questions_for_headers_are_counted_and_logged_as_such(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    counted = re.compile(r'lexiseg_requests_total{method="(\w+)",route="/v1/models",status="200"} (\S+)')
    before = dict(counted.findall(client.get("/metrics").text))
    with caplog.at_level("INFO", "lexiseg.serving"):
        client.head("/v1/models")
    assert [record.method for record in caplog.records if record.message == "request"] == ["HEAD"]
    after = dict(counted.findall(client.get("/metrics").text))
    assert float(after["HEAD"]) == float(before.get("HEAD", 0)) + 1
    assert after.get("GET") == before.get("GET")


def test_headers_of_events_do_not_wait_for_the_end_of_the_job(
    client: TestClient, picture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def follows(jobs: JobList, job: object) -> None:
        raise AssertionError("it waits for the job")

    number = client.post("/v1/jobs", files={"image": ("a.png", picture)}).json()["id"]
    monkeypatch.setattr(JobList, "progress", follows)
    answer = client.head(f"/v1/jobs/{number}/events")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"].startswith("text/event-stream")
    client.delete(f"/v1/jobs/{number}")


def test_methods_that_nobody_knows_are_counted_together(client: TestClient) -> None:
    for method in ("BREW", "WHEN", "A" * 200):
        assert client.request(method, "/v1/models").status_code == 405
    found = client.get("/metrics").text
    assert 'method="other",route="/v1/models",status="405"} 3.0' in found
    assert "BREW" not in found


def test_a_form_of_another_site_is_refused(client: TestClient, picture: bytes) -> None:
    sent = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    answer = client.post("/v1/predict", headers=sent, files={"image": ("a.png", picture)})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "LEX-REQ-1111")


def test_limits_refuse_before_decoding(serving: Callable[..., TestClient], picture: bytes) -> None:
    limits = Limits(file_bytes=len(picture), request_bytes=3 * len(picture), pixels=64 * 80, images=3)
    client = serving(limits=limits)

    def post(*contents: bytes) -> tuple[int, str]:
        answer = client.post("/v1/predict", files=[("image", ("a.png", content)) for content in contents])
        found = answer.json()
        code = (
            found["error"]["code"]
            if "error" in found
            else found["results"][0].get("error", {}).get("code", "")
        )
        return answer.status_code, code

    assert post(picture) == (200, "")
    assert post(picture + b"\0") == (413, "LEX-REQ-1106")
    assert post(picture, picture, picture) == (413, "LEX-REQ-1121")
    for height, width in ((65, 80), (65_535, 65_535)):
        header = b"IHDR" + height.to_bytes(4, "big") + width.to_bytes(4, "big") + picture[24:29]
        bomb = picture[:12] + header + zlib.crc32(header).to_bytes(4, "big") + picture[33:]
        assert post(bomb) == (200, "LEX-DATA-1102")


def test_a_budget_is_given_back() -> None:
    budget = Budget(10)
    with budget.share() as one, budget.share() as other:
        one.add(6)
        other.add(4)
        with refuses("LEX-REQ-1100"):
            other.add(1)
    assert budget.held == 0


def test_only_allowed_public_hosts_are_asked() -> None:
    async def refused(url: str) -> None:
        await addresses.fetch(url, 100)

    addresses = ImageAddresses((AllowedHost.parse("localhost"), AllowedHost.parse("images.example.org:8443")))
    for url, code in {
        "ftp://localhost/a": "LEX-REQ-1129",
        "http://user@localhost/a": "LEX-REQ-1129",
        "http://[::1/a": "LEX-REQ-1129",
        "nothing": "LEX-REQ-1129",
        "http://localhost/" + "a" * 3000: "LEX-REQ-1129",
        "http://localhost:81/a": "LEX-REQ-1130",
        "http://localhost.example.org/a": "LEX-REQ-1130",
        "https://images.example.org/a": "LEX-REQ-1130",
        "http://localhost/a": "LEX-REQ-1131",
    }.items():
        with refuses(code):
            asyncio.run(refused(url))
    for text in ("*.example.org", "http://a", "a/b", "", "a:b", "u@a"):
        with refuses("LEX-USE-1108"):
            AllowedHost.parse(text)


def test_private_addresses() -> None:
    private = (
        "127.0.0.1", "10.0.0.1", "192.168.0.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "224.0.0.1", "255.255.255.255", "::1", "fe80::1", "fc00::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1",
        "2002:7f00:1::", "2001:0:7f00:1::",
    )  # fmt: skip
    assert [text for text in private if is_public(ipaddress.ip_address(text))] == []
    for text in ("8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"):
        assert is_public(ipaddress.ip_address(text))


def test_the_log_names_no_file_and_no_message() -> None:
    logger = logging.getLogger("lexiseg.serving")
    try:
        raise ValueError("patient Smith")
    except ValueError as error:
        record = logger.makeRecord("a", logging.ERROR, "f", 1, "broken", (), (ValueError, error, error.__traceback__), extra={"code": "X"})  # fmt: skip  # noqa: E501
    line = JsonLines().format(record)
    found = json.loads(line)
    assert "Smith" not in line
    assert (found["event"], found["error"], found["code"]) == ("broken", "ValueError", "X")
    assert "\n" not in line


def test_each_request_is_one_line_of_the_log(
    client: TestClient, picture: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="lexiseg.serving"):
        client.post(
            "/v1/predict",
            headers={"X-Request-Id": "abc-1"},
            files={"image": ("Smith.png", picture)},
        )
        client.get("/v1/Smith")
    lines = [JsonLines().format(record) for record in caplog.records if record.name == "lexiseg.serving"]
    assert len(lines) == 2
    assert all("Smith" not in line for line in lines)
    first = json.loads(lines[0])
    assert (first["route"], first["status"], first["images"]) == ("/v1/predict", 200, 1)
    assert json.loads(lines[1])["route"] == "none"


def test_images_are_fetched_from_the_address_that_was_checked() -> None:
    asked: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["Host"]))
            status, content = {
                "/a.png?b=1": (200, b"content"),
                "/large": (200, bytes(200)),
                "/moved": (302, b""),
            }.get(self.path, (404, b""))
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Location", "http://10.0.0.1/")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    place = f"localhost:{server.server_port}"
    addresses = ImageAddresses((AllowedHost.parse(place),), is_public=lambda address: address.is_loopback)

    def fetch(path: str) -> bytes:
        return asyncio.run(addresses.fetch(f"http://{place}{path}", 100))

    try:
        assert fetch("/a.png?b=1#c") == b"content"
        assert asked == [("/a.png?b=1", place)]
        for path, code in (("/large", "LEX-REQ-1132"), ("/moved", "LEX-REQ-1133"), ("/none", "LEX-REQ-1133")):
            with refuses(code):
                fetch(path)
        assert len(asked) == 4
    finally:
        server.shutdown()
        server.server_close()
