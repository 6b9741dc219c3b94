"""Prediction and refinement over HTTP say what `Predictor.predict` and `refine` say."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from starlette.testclient import TestClient

import lexiseg
from dicom_files import dicom_dataset
from lexiseg.inference.predictor import Predictor
from lexiseg.serving.records.predictions import PredictResponse
from lexiseg.serving.records.refinements import RefineResponse
from pictures import png_file, soft_picture


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return lexiseg.load("covid-xray")


def pixels_of(text: str) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


def test_an_answer_is_the_prediction(client: TestClient, predictor: Predictor, picture: bytes) -> None:
    answer = client.post("/v1/predict", files={"image": ("a.png", picture)})
    assert answer.status_code == 200
    (result,) = PredictResponse.model_validate_json(answer.content).results
    assert result.status == "done"
    expected = predictor.predict(soft_picture(0))
    assert np.array_equal(pixels_of(result.mask), expected.mask)
    assert [word.probabilities for word in result.words] == [word.probabilities for word in expected.words]
    assert result.area_px == expected.area_px
    assert (result.flagged, result.reasons, result.agreement) == (
        expected.flagged, expected.reasons, expected.agreement,
    )  # fmt: skip
    assert (result.size, result.name, result.preview) == ((64, 80), "a.png", None)


def test_images_of_one_request_do_not_change_each_other(client: TestClient, picture: bytes) -> None:
    others = [png_file(soft_picture(seed, 40 + seed, 64)) for seed in range(1, 10)]
    files = [
        ("image", (f"{i}.png", content)) for i, content in enumerate([*others[:4], picture, *others[4:]])
    ]
    together = client.post("/v1/predict", files=files, data={"exact": "true"}).json()["results"]
    alone = client.post("/v1/predict", files={"image": ("4.png", picture)}, data={"exact": "true"})
    assert [result["name"] for result in together] == [f"{i}.png" for i in range(10)]
    assert together[4] == alone.json()["results"][0]


def test_an_image_that_cannot_be_read_fails_alone(client: TestClient, picture: bytes) -> None:
    files = [
        ("image", ("a.png", picture)),
        ("image", ("b.png", b"GIF89a")),
        ("image", ("../../c.png", picture)),
    ]
    results = client.post("/v1/predict", files=files).json()["results"]
    assert [result["status"] for result in results] == ["done", "failed", "done"]
    assert results[1]["error"]["code"] == "LEX-DATA-013"
    assert results[2]["name"] == "c.png"


def test_a_preview_shows_a_mirrored_dicom_file_as_it_is_displayed(client: TestClient) -> None:
    pixels = soft_picture(3)
    files = {}
    for name, orientation in (("usual", ["L", "F"]), ("mirrored", ["R", "F"])):
        stored = pixels if name == "usual" else pixels[:, ::-1]
        buffer = io.BytesIO()
        dicom_dataset(
            np.ascontiguousarray(stored), PatientOrientation=orientation, WindowCenter=128, WindowWidth=256
        ).save_as(buffer, enforce_file_format=True)
        files[name] = buffer.getvalue()
    uploads = [("image", (f"{name}.dcm", content)) for name, content in files.items()]
    usual, mirrored = client.post("/v1/predict", files=uploads).json()["results"]
    assert (usual["preview"]["turned"], mirrored["preview"]["turned"]) == ("not turned", "mirrored")
    for field in ("image", "mask", "outlines"):
        assert usual["preview"][field] == mirrored["preview"][field]
    assert np.array_equal(pixels_of(usual["mask"]), pixels_of(mirrored["mask"])[:, ::-1])
    assert [word["phrase"] for word in usual["words"]] == [word["phrase"] for word in mirrored["words"]]
    assert usual["dicom"]["modality"] == "CR"


def test_outlines_follow_the_mask(client: TestClient, picture: bytes) -> None:
    result = client.post("/v1/predict", files={"image": ("a.png", picture)}).json()["results"][0]
    mask = pixels_of(result["mask"])
    (lesion,) = result["outlines"]
    assert (lesion["label"], lesion["name"]) == (1, "lesion")
    rows, columns = np.nonzero(mask)
    points = np.array(lesion["polygons"][0])
    assert (points[0] == points[-1]).all()
    assert points[:, 0].min() >= columns.min()
    assert points[:, 0].max() <= columns.max() + 1
    assert points[:, 1].max() <= rows.max() + 1


@pytest.mark.parametrize("said", ["left: lower left lung", json.dumps({"left": "lower left lung"})])
def test_refinement_is_that_of_the_package(
    client: TestClient, predictor: Predictor, picture: bytes, said: str
) -> None:
    answer = client.post("/v1/refine", files={"image": ("a.png", picture)}, data={"say": said})
    assert answer.status_code == 200, answer.text
    found = RefineResponse.model_validate_json(answer.content)
    expected = lexiseg.refine(predictor, soft_picture(0), say="left: lower left lung")
    assert np.array_equal(pixels_of(found.refined.mask), expected.mask)
    assert np.array_equal(pixels_of(found.prediction.mask), expected.prediction.mask)
    assert [(word.factor, word.phrase, word.said_by) for word in found.refined.words] == [
        (word.factor, word.phrase, word.said_by) for word in expected.words
    ]
    assert found.refined.overlap == expected.overlap


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"say": "left: nonsense"}, 422, "LEX-USE-303"),
        ({"say": "{not json"}, 422, "LEX-REQ-1114"),
        ({"say": '{"left": 3}'}, 422, "LEX-REQ-1115"),
        ({"say": " "}, 422, "LEX-USE-301"),
        ({}, 422, "LEX-REQ-1119"),
        ({"say": "left: lower left lung", "model": "other"}, 404, "LEX-REQ-1109"),
        ({"say": "left: lower left lung", "colour": "red"}, 422, "LEX-REQ-1119"),
        ({"say": "left: lower left lung", "window": "wide"}, 422, "LEX-USE-942"),
        ({"say": ["left: lower left lung", "right: lower right lung"]}, 422, "LEX-REQ-1118"),
    ],
)
def test_refused_fields(
    client: TestClient, picture: bytes, fields: dict[str, Any], status: int, code: str
) -> None:
    answer = client.post("/v1/refine", files={"image": ("a.png", picture)}, data=fields)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.headers["x-request-id"] == answer.json()["request_id"]


def test_refused_bodies(client: TestClient, picture: bytes) -> None:
    def code(**request: Any) -> tuple[int, str]:
        answer = client.post("/v1/predict", **request)
        return answer.status_code, answer.json()["error"]["code"]

    form = {"content-type": "multipart/form-data; boundary=x"}
    assert code(content=b"") == (415, "LEX-REQ-1101")
    assert code(content=b"--x\r\n", headers=form) == (400, "LEX-REQ-1103")
    assert code(content=b"nothing", headers=form) == (400, "LEX-REQ-1102")
    assert code(files={"picture": ("a.png", picture)}) == (422, "LEX-REQ-1117")
    assert code(data={"model": "covid-xray"}, files={}) == (415, "LEX-REQ-1101")
    assert code(files={"image": ("a.png", picture)}, data={"model": "x" * 70_000}) == (413, "LEX-REQ-1105")
    assert code(files=[("image", ("a.png", b""))] * 65) == (413, "LEX-REQ-1104")
    assert code(json={"urls": ["https://images.example.org/1.png"]}) == (403, "LEX-REQ-1127")
    assert code(json={"urls": []}) == (422, "LEX-REQ-1116")


def test_messages_say_how_to_send_an_image(client: TestClient) -> None:
    def message(**content: Any) -> str:
        return str(client.post("/v1/predict", **content).json()["error"]["message"])

    refused: tuple[tuple[dict[str, Any], str], ...] = (
        ({}, "got no type"),
        (
            {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}},
            "with a boundary, got 'multipart",
        ),
        ({"data": {"image": "case.png"}, "files": {"other": b"x"}}, "other"),
    )
    for sent, got in refused:
        assert got in message(**sent)
        assert "-F image=@FILE" in message(**sent)
