"""A server behind nginx, with the site of deploy/proxy."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator

import httpx2
import pytest

from nginx_program import NAME, PASSWORD, Proxy, proxied
from pictures import png_file, soft_picture
from server_process import ServerProcess, served

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with served("covid-xray", "--behind-proxy", "--max-file-mb", "8") as server:
        yield server


@pytest.fixture(scope="module")
def proxy(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with proxied(server.address, tmp_path_factory.mktemp("nginx")) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def trusted(proxy: Proxy) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(proxy.certificate.certificate))


@pytest.fixture(scope="module")
def client(proxy: Proxy, trusted: ssl.SSLContext) -> Iterator[httpx2.Client]:
    with httpx2.Client(
        base_url=proxy.address, verify=trusted, auth=(NAME, PASSWORD), timeout=120, trust_env=False
    ) as client:
        yield client


def image(seed: int = 1) -> dict[str, tuple[str, bytes]]:
    return {"image": ("a.png", png_file(soft_picture(seed)))}


def test_an_unencrypted_address_leads_to_the_encrypted_one(proxy: Proxy) -> None:
    answer = httpx2.get(f"{proxy.unencrypted}/v1/models?a=1", trust_env=False)
    assert (answer.status_code, answer.headers["location"]) == (301, "https://127.0.0.1/v1/models?a=1")


def test_a_name_and_a_password_are_asked_for(proxy: Proxy, trusted: ssl.SSLContext) -> None:
    for auth in (None, (NAME, "another")):
        answer = httpx2.get(f"{proxy.address}/readyz", verify=trusted, auth=auth, trust_env=False)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Basic realm="Lexiseg"')
        assert answer.headers["strict-transport-security"] == "max-age=31536000"


def test_results_are_those_of_the_server_and_both_logs_have_one_number(
    proxy: Proxy, server: ServerProcess, client: httpx2.Client
) -> None:
    found = client.post("/v1/predict", files=image())
    direct = httpx2.post(f"{server.address}/v1/predict", files=image(), timeout=120, trust_env=False)
    assert found.json()["results"] == direct.json()["results"]
    number = found.headers["x-request-id"]
    assert found.json()["request_id"] == number
    (line,) = (line for line in proxy.access_log.read_text().splitlines() if line.endswith(number))
    assert line.startswith(f"127.0.0.1 {NAME} [")
    assert '] "POST /v1/predict HTTP/1.1" 200 ' in line
    records = [json.loads(line) for line in server.log.read_text().splitlines()]
    (record,) = (record for record in records if record.get("request_id") == number)
    assert (record["route"], record["status"]) == ("/v1/predict", 200)


def test_the_page_of_this_address_may_send_images_and_others_may_not(
    proxy: Proxy, client: httpx2.Client
) -> None:
    # As a browser sends it that states no Sec-Fetch-Site.
    for origin, status in ((proxy.address, 200), ("https://other.example", 403)):
        assert client.post("/v1/predict", files=image(), headers={"Origin": origin}).status_code == status


def test_the_server_says_what_is_too_large_and_nothing_is_written(
    proxy: Proxy, client: httpx2.Client
) -> None:
    for size, code in ((9_000_000, "LEX-REQ-1106"), (40_000_000, "LEX-REQ-1121")):
        answer = client.post("/v1/predict", files={"image": ("a.png", bytes(size))})
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, code)
    # nginx would say which body or answer it has written to a file.
    assert "temporary file" not in proxy.error_log.read_text()


def test_events_of_a_job_come_before_it_has_ended(client: httpx2.Client) -> None:
    files = [("image", (f"{seed}.png", png_file(soft_picture(seed, 300, 300)))) for seed in range(16)]
    job = client.post("/v1/jobs", files=files, data={"formats": "mask"}).json()["id"]
    with client.stream("GET", f"/v1/jobs/{job}/events") as answer:
        lines = answer.iter_lines()
        assert next(lines) == "event: progress"
        assert client.get(f"/v1/jobs/{job}").json()["state"] in {"queued", "running"}
        names = [line for line in lines if line.startswith("event: ")]
    assert names[-1] == "event: end"
    assert client.get(f"/v1/jobs/{job}/result").content.startswith(b"PK")


def test_metrics_are_not_for_those_outside(server: ServerProcess, client: httpx2.Client) -> None:
    assert client.get("/metrics").status_code == 404
    assert httpx2.get(f"{server.address}/metrics", trust_env=False).status_code == 200


def test_monitors_may_ask_for_the_headers_only(client: httpx2.Client) -> None:
    for address in ("/", "/healthz", "/readyz"):
        answer = client.head(address)
        assert (answer.status_code, answer.content) == (200, b"")
