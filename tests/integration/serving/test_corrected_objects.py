"""DICOM objects of a corrected mask: they hold the mask, and say that a person changed the words."""

from __future__ import annotations

import base64
import io
import json
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from starlette.testclient import TestClient

from dicom_files import dicom_dataset
from lexiseg.clinic.dataset import all_items
from lexiseg.clinic.segmentation_mask import segmentation_labels
from lexiseg.errors import DataError
from lexiseg.serving.app import make_app
from lexiseg.serving.options import ServeOptions
from lexiseg.serving.tokens import new_token
from pictures import soft_picture
from serving_fixtures import ended

SAID = {"left": "lower left lung"}


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Let private folders be made where the tests see them."""
    folder = tmp_path_factory.mktemp("private")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder))
        yield folder


@pytest.fixture(scope="module")
def client(temporary: Path) -> Iterator[TestClient]:
    app = make_app(ServeOptions(runs=("covid-xray",), decoders=1))
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        yield client


def dicom(orientation: tuple[str, str] | None = ("L", "F")) -> bytes:
    buffer = io.BytesIO()
    dataset = dicom_dataset(
        np.asarray(soft_picture(2)),
        PatientOrientation=None if orientation is None else list(orientation),
        PixelSpacing=[1, 1],
    )
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def refined(client: TestClient, content: bytes, formats: str, **options: Any) -> dict[str, Any]:
    answer = client.post(
        "/v1/refine",
        files={"image": ("chest.dcm", content)},
        data={"say": json.dumps(SAID), "formats": formats},
        **options,
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["refined"]
    return found


def read(content: bytes) -> Dataset:
    return pydicom.dcmread(io.BytesIO(content))


def objects(answer: dict[str, Any]) -> dict[str, Dataset]:
    return {file["format"]: read(base64.b64decode(file["content"])) for file in answer["files"]}


def texts(report: Dataset) -> dict[str, list[str]]:
    """Return the texts, codes and names of a report by the meaning of their concepts."""
    found: dict[str, list[str]] = {}
    for item in all_items(report):
        if "ConceptNameCodeSequence" in item and "ValueType" in item:
            value = item.get("TextValue") or item.get("PersonName")
            if "ConceptCodeSequence" in item:
                value = item.ConceptCodeSequence[0].CodeMeaning
            found.setdefault(item.ConceptNameCodeSequence[0].CodeMeaning, []).append(str(value))
    return found


def words_of_person(report: Dataset) -> dict[str, str]:
    """Return each word that a person said, with the phrase that the model had retrieved."""
    found = {}
    for item in all_items(report):
        inside = texts(item) if "ContentSequence" in item else {}
        if inside.get("Who said the word") == ["a person"]:
            codes = item.get("ConceptCodeSequence")
            word = str(codes[0].CodeMeaning) if codes else str(item.TextValue)
            found[word] = inside["Phrase that the model retrieved"][0]
    return found


def test_objects_hold_the_corrected_mask(client: TestClient, temporary: Path) -> None:
    answer = refined(client, dicom(), "seg,sr")
    assert [(file["format"], file["name"]) for file in answer["files"]] == [
        ("seg", "chest.dcm"),
        ("sr", "chest.dcm"),
    ], answer["not_written"]
    found = objects(answer)
    mask = np.asarray(Image.open(io.BytesIO(base64.b64decode(answer["mask"]))))
    labels = segmentation_labels(found["seg"], Path("a"), pixel_limit=10**6)
    assert np.array_equal(labels, mask)
    (segment,) = found["seg"].SegmentSequence
    assert segment.SegmentAlgorithmType == "SEMIAUTOMATIC"
    assert found["seg"].SeriesDescription == "Lexiseg corrected mask. Research use only. Not for diagnosis."
    said = texts(found["sr"])
    assert said["Words corrected by a person"] == ["Yes"]
    assert said["Who corrected the words"] == ["not known"]
    origins = said["Who said the word"]
    assert len(origins) == len(answer["words"])
    assert len(said.get("Certainty of Finding", ())) == origins.count("the model")
    # The words of this model mean the left of the image, which is the right of the patient.
    (left,) = (word for word in answer["words"] if word["factor"] == "left")
    assert left["retrieved"] != "lower left lung"
    assert words_of_person(found["sr"]) == {"lower right lung": left["retrieved"].replace("left", "right")}
    assert "Person Observer Name" not in said
    assert found["sr"].SeriesDescription.startswith("Lexiseg corrected report.")
    # Nothing of the image stays on the disk.
    assert list(temporary.rglob("*.dcm")) == []


@pytest.mark.parametrize("name", ["out", "image", "1.2.840.113619.2.55"])
def test_an_image_may_have_any_name(client: TestClient, temporary: Path, name: str) -> None:
    answer = client.post(
        "/v1/refine", files={"image": (name, dicom())}, data={"say": json.dumps(SAID), "formats": "seg"}
    )
    assert answer.status_code == 200, answer.text
    assert [file["name"] for file in answer.json()["refined"]["files"]] == [f"{name}.dcm"]
    assert str(temporary) not in answer.text


def test_outputs_have_the_whole_name_of_a_file_that_is_named_by_its_uid(client: TestClient) -> None:
    uid = "1.2.840.113619.2.55"
    job = client.post(
        "/v1/jobs",
        files={"image": (uid, dicom())},
        data={"formats": "mask,seg", "say": json.dumps(SAID)},
    ).json()
    ended(client, job["id"])
    archive = zipfile.ZipFile(io.BytesIO(client.get(f"/v1/jobs/{job['id']}/result").content))
    assert archive.namelist() == [
        f"refined/{uid}.json", f"refined/{uid}_model.png", f"refined/{uid}_overlay.png",
        f"refined/{uid}_refined.png", f"seg/{uid}.dcm",
    ]  # fmt: skip


def test_checks_that_fail_name_no_place_of_the_server(
    client: TestClient, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def differs(path: Path, *_: object, **__: object) -> None:
        raise DataError(f"{path} differs.", code="LEX-DATA-1429")

    monkeypatch.setattr("lexiseg.inference.writers.sr.verify_report", differs)
    refused = refined(client, dicom(), "sr")["not_written"]["sr"]
    assert "differs." in refused
    assert str(temporary) not in refused
    twice = [("image", (name, dicom())) for name in ("a.dcm", "b.dcm")]
    job = client.post("/v1/jobs", files=twice, data={"formats": "sr"}).json()
    ended(client, job["id"])
    archive = zipfile.ZipFile(io.BytesIO(client.get(f"/v1/jobs/{job['id']}/result").content))
    text = archive.read("predictions.jsonl").decode()
    assert ("differs." in text, "has the same SOP instance UID as" in text) == (True, True)
    assert str(temporary) not in text


def test_an_answer_without_formats_has_no_files(client: TestClient) -> None:
    answer = client.post(
        "/v1/refine", files={"image": ("chest.dcm", dicom())}, data={"say": json.dumps(SAID)}
    ).json()["refined"]
    assert (answer["files"], answer["not_written"]) == ([], {})


def test_corrected_objects_replace_none_of_the_model(client: TestClient) -> None:
    job = client.post("/v1/jobs", files={"image": ("chest.dcm", dicom())}, data={"formats": "seg,sr"}).json()
    ended(client, job["id"])
    archive = zipfile.ZipFile(io.BytesIO(client.get(f"/v1/jobs/{job['id']}/result").content))
    corrected = objects(refined(client, dicom(), "seg,sr"))
    again = objects(refined(client, dicom(), "seg,sr"))
    for kind in ("seg", "sr"):
        of_model = read(archive.read(f"{kind}/chest.dcm"))
        assert of_model.SOPInstanceUID != corrected[kind].SOPInstanceUID
        assert of_model.SeriesInstanceUID != corrected[kind].SeriesInstanceUID
        assert of_model.StudyInstanceUID == corrected[kind].StudyInstanceUID
        assert again[kind].SOPInstanceUID == corrected[kind].SOPInstanceUID
    assert "Words corrected by a person" not in texts(read(archive.read("sr/chest.dcm")))


def test_the_report_names_the_token(serving: Callable[..., TestClient], tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    token = new_token(file, "reading-room", ("predict",))
    client = serving(token_file=file)
    answer = refined(client, dicom(), "sr", headers={"Authorization": f"Bearer {token}"})
    said = texts(objects(answer)["sr"])
    assert said["Who corrected the words"] == ["reading-room"]
    assert said["Person Observer Name"] == ["reading-room^"]
    assert said["Person Observer's Login Name"] == ["reading-room"]


def test_a_job_corrects_one_image(client: TestClient) -> None:
    job = client.post(
        "/v1/jobs",
        files={"image": ("chest.dcm", dicom())},
        data={"formats": "mask,seg,sr", "say": json.dumps(SAID)},
    ).json()
    job = ended(client, job["id"])
    assert (job["state"], job["images"], job["done"], job["notes"]) == ("done", 1, 1, [])
    archive = zipfile.ZipFile(io.BytesIO(client.get(f"/v1/jobs/{job['id']}/result").content))
    assert archive.namelist() == [
        "refined/chest.json", "refined/chest_model.png", "refined/chest_overlay.png",
        "refined/chest_refined.png", "seg/chest.dcm", "sr/chest.dcm",
    ]  # fmt: skip
    record = json.loads(archive.read("refined/chest.json"))
    assert (record["image"], record["said"]) == ("chest.dcm", ["left: lower left lung"])
    assert read(archive.read("seg/chest.dcm")).SegmentSequence[0].SegmentAlgorithmType == "SEMIAUTOMATIC"


def test_what_cannot_be_corrected_is_refused(client: TestClient, picture: bytes) -> None:
    def code(route: str, *names: str, **fields: str) -> tuple[int, str]:
        files = [("image", (name, picture)) for name in names]
        answer = client.post(route, files=files, data={"say": json.dumps(SAID), **fields})
        return answer.status_code, answer.json().get("error", {}).get("code", "")

    assert code("/v1/refine", "a.png", formats="overlay") == (422, "LEX-DATA-1458")
    assert code("/v1/jobs", "a.png", formats="mask,overlay") == (422, "LEX-DATA-1458")
    assert code("/v1/jobs", "a.png", say="left: nonsense") == (422, "LEX-USE-303")
    files = [("image", (name, picture)) for name in ("a.png", "b.png")]
    job = client.post("/v1/jobs", files=files, data={"say": json.dumps(SAID)}).json()
    job = ended(client, job["id"])
    assert (job["state"], job["error"]["code"]) == ("failed", "LEX-DATA-1459")
    answer = client.post(
        "/v1/refine",
        files={"image": ("a.png", picture)},
        data={"say": json.dumps(SAID), "formats": "seg"},
    ).json()["refined"]
    assert answer["files"] == []
    assert answer["not_written"]["seg"].startswith("a.png is no DICOM file")
    job = client.post(
        "/v1/jobs", files={"image": ("a.png", picture)}, data={"say": json.dumps(SAID), "formats": "seg"}
    ).json()
    (note,) = ended(client, job["id"])["notes"]
    assert note.startswith("The seg is not written: a.png is no DICOM file")
