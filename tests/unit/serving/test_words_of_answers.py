"""Answers of the server name what a request has, and no option of the command line."""

from __future__ import annotations

import ast
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

import lexiseg
from dicom_files import dicom_dataset
from pictures import soft_picture

PACKAGE = Path(lexiseg.__file__).parent
#: What reads uploads and answers requests. Options of `lexiseg serve` are named to who starts it.
READING = ("clinic", "data/decoding", "data/volumes", "serving/jobs", "serving/routes", "serving/volumes")
FILES = (
    "data/decode.py", "data/decoded_image.py", "data/file_limits.py", "data/readers.py",
    "serving/answers.py", "serving/corrected_files.py", "serving/request_body.py", "serving/request_forms.py",
    "serving/served_predictor.py", "serving/service.py",
)  # fmt: skip
OPTION = re.compile(r"(?<![\w-])--[a-z]")


def messages(file: Path) -> list[str]:
    """Return the texts of a module that are no docstrings."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, documented)
    }
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return [text for text in texts if isinstance(text, str) and text not in docstrings]


def test_what_reads_uploads_names_no_option_of_the_command_line() -> None:
    files = [file for folder in READING for file in sorted((PACKAGE / folder).rglob("*.py"))]
    files += [PACKAGE / name for name in FILES]
    assert len(files) > 40
    found = {file.name: text for file in files for text in messages(file) if OPTION.search(text)}
    assert found == {}


def dicom(**values: object) -> bytes:
    buffer = io.BytesIO()
    pixels = np.asarray(soft_picture(2))
    dicom_dataset(pixels, **values).save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"WindowCenter": [40, 50], "WindowWidth": [400, 80]}, "The option 'window' (centre and width)"),
        ({}, "The option 'window' (centre and width) chooses a window."),
    ],
)
def test_assumptions_name_the_field_of_the_request(
    client: TestClient, values: dict[str, object], said: str
) -> None:
    answer = client.post("/v1/predict", files={"image": ("a.dcm", dicom(**values))})
    (result,) = answer.json()["results"]
    assert any(said in sentence for sentence in result["assumptions"]), result["assumptions"]
    assert OPTION.search(answer.text) is None
    # What the sentence asks for is a field of the request.
    chosen = client.post(
        "/v1/predict", files={"image": ("a.dcm", dicom(**values))}, data={"window": "40,400"}
    )
    (result,) = chosen.json()["results"]
    assert not any("option 'window'" in sentence for sentence in result["assumptions"])


def test_frames_are_chosen_by_the_field_of_the_request(client: TestClient) -> None:
    frames = np.stack([np.asarray(soft_picture(k)) for k in range(3)])
    buffer = io.BytesIO()
    dicom_dataset(frames).save_as(buffer, enforce_file_format=True)
    answer = client.post("/v1/predict", files={"image": ("a.dcm", buffer.getvalue())})
    (result,) = answer.json()["results"]
    assert result["error"]["code"] == "LEX-DATA-948"
    assert "(1 to 3) with the option 'frame'" in result["error"]["message"]
    answer = client.post("/v1/predict", files={"image": ("a.dcm", buffer.getvalue())}, data={"frame": "2"})
    (result,) = answer.json()["results"]
    assert result["status"] != "failed", result["error"]
    assert result["dicom"]["frame"] == 2
    fields = {"frame": "3", "say": "left: lower left lung"}
    answer = client.post("/v1/refine", files={"image": ("a.dcm", buffer.getvalue())}, data=fields)
    assert answer.status_code == 200, answer.text
    assert answer.json()["prediction"]["dicom"]["frame"] == 3
    job = client.post("/v1/jobs", files={"image": ("a.dcm", buffer.getvalue())}, data={"frame": "2"}).json()
    end = client.get(f"/v1/jobs/{job['id']}/events").text.strip().rpartition("data: ")[2]
    assert (json.loads(end)["done"], json.loads(end)["failed"]) == (1, 0)
