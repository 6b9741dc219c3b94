from __future__ import annotations

import asyncio
import io
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from PIL import Image
from starlette.testclient import TestClient

from lexiseg.inference.options import PredictionOptions
from lexiseg.runs.run import Run
from lexiseg.serving.batching import BatchSettings
from lexiseg.serving.interface import RECORDS
from lexiseg.serving.interface_examples import EXAMPLES
from lexiseg.serving.isolated_decoding import IsolatedDecoding
from lexiseg.serving.limits import Limits
from lexiseg.serving.models import Models
from lexiseg.serving.zone_picture import zone_picture


def test_models_say_what_their_words_can_do(client: TestClient) -> None:
    (model,) = client.get("/v1/models").json()["models"]
    assert (model["name"], model["is_default"], model["can_refine"]) == ("covid-xray", True, True)
    assert model["weights_sha256"] == Run.open("covid-xray").weights_sha256()
    factors = {factor["name"]: factor["phrases"] for factor in model["vocabulary"]["factors"]}
    assert list(factors) == ["laterality", "count", "left", "right"]
    assert all(phrase["moves_mask"] and phrase["has_zone"] for phrase in factors["left"])
    assert not any(phrase["moves_mask"] or phrase["has_zone"] for phrase in factors["count"])
    assert model["card"].startswith("#")
    assert (model["image_size"], model["fit"]) == (224, "stretch")


def test_a_zone_lies_in_its_half(client: TestClient) -> None:
    answer = client.get("/v1/models/covid-xray/zones/left/2")  # lower left lung
    assert answer.headers["content-type"] == "image/png"
    zone = np.asarray(Image.open(io.BytesIO(answer.content)))
    assert (zone.shape, zone.dtype, zone.max()) == ((64, 64), np.uint8, 255)
    assert not zone[:, 32:].any()
    rows = np.average(np.arange(64), weights=zone.sum(axis=1))
    upper = np.asarray(Image.open(io.BytesIO(client.get("/v1/models/covid-xray/zones/left/0").content)))
    assert rows > np.average(np.arange(64), weights=upper.sum(axis=1)) + 5


def test_a_half_without_a_lesion_is_its_zone() -> None:
    run = Run.open("covid-xray")
    vocabulary = run.spoken_vocabulary
    assert vocabulary is not None
    position = vocabulary.names.index("right")
    index = vocabulary.factors[position].phrases.index("no lesion in right lung")
    zone = zone_picture(run, vocabulary, position, index)
    assert zone is not None
    assert (zone[:, 32:] == 255).all()
    assert not zone[:, :32].any()


@pytest.mark.parametrize("place", ["count/0", "left/8", "left/-1", "nothing/0"])
def test_no_zone(client: TestClient, place: str) -> None:
    answer = client.get(f"/v1/models/covid-xray/zones/{place}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "LEX-REQ-1134")


def test_unknown_addresses_and_methods_are_refused_in_the_same_way(client: TestClient) -> None:
    for answer, status, code in (
        (client.get("/v1/nothing"), 404, "LEX-REQ-1135"),
        (client.get("/v1/predict"), 405, "LEX-REQ-1135"),
        (client.post("/v1/jobs/", follow_redirects=False), 404, "LEX-REQ-1135"),
        (client.get("/v1/models/x/zones/left/1"), 404, "LEX-REQ-1109"),
        (client.get("/v1/models/x/zones/left/one"), 422, "LEX-REQ-1136"),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_the_page_and_its_files(client: TestClient) -> None:
    start = client.get("/")
    assert start.headers["content-type"].startswith("text/html")
    assert client.get("/modules/main.js").headers["content-type"].startswith("text/javascript")
    assert client.get("/modules/..%2findex.html").status_code == 404
    assert client.get("/styles/missing.css").json()["error"]["code"] == "LEX-REQ-1135"
    assert client.post("/").status_code == 405


def test_health(client: TestClient) -> None:
    assert client.get("/healthz").json()["status"] == "ok"
    assert client.get("/readyz").json()["status"] == "ok"


def test_metrics_count_words_and_images(client: TestClient, picture: bytes) -> None:
    client.post("/v1/predict", files={"image": ("a.png", picture)})
    text = client.get("/metrics").text
    assert 'lexiseg_requests_total{method="POST",route="/v1/predict",status="200"}' in text
    assert 'lexiseg_words_total{factor="left",model="covid-xray",phrase=' in text
    assert 'lexiseg_waiting_images{model="covid-xray"} 0.0' in text
    assert "a.png" not in text


def test_the_interface_describes_itself(client: TestClient) -> None:
    interface = client.get("/openapi.json").json()
    assert interface["openapi"] == "3.1.0"
    schemas = interface["components"]["schemas"]
    for name, example in EXAMPLES.items():
        record = RECORDS[name].model_validate(example)
        assert record.model_dump(mode="json") == example, name
        Draft202012Validator({"$ref": f"#/components/schemas/{name}", **interface}).validate(example)
    for name in set(schemas) & set(RECORDS):
        for field, about in schemas[name].get("properties", {}).items():
            assert about.get("description"), f"{name}.{field}"
    body = interface["paths"]["/v1/predict"]["post"]["requestBody"]["content"]
    assert set(body) == {"multipart/form-data", "application/json"}


def test_the_models_of_a_later_signal_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    limits, began = Limits(), list[str]()
    with ThreadPoolExecutor(1) as executor:
        models = Models(
            ("chest",),
            PredictionOptions(),
            BatchSettings(most=1, max_wait=0, waiting=1),
            executor=executor,
            finishing=executor,
            decoding=IsolatedDecoding(1, limits),
            on_batch=lambda name, images, seconds: None,
        )

        def load(name: str, path: Path, loop: object) -> str:
            number = len(began)
            began.append(name)
            time.sleep(0.2 if number == 0 else 0)  # the earlier one takes longer
            return f"{name} {number}"

        async def is_current(model: str) -> bool:
            return True

        monkeypatch.setattr(models, "_load", load)
        monkeypatch.setattr("lexiseg.serving.models._is_current", is_current)

        async def load_twice() -> None:
            await asyncio.gather(models.load(), models.load())

        asyncio.run(load_twice())
    assert models.all() == ("chest 1",)
