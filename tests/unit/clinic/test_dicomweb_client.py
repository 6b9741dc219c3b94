"""The client of DICOMweb services: how images are asked for, and answers above a limit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from requests.exceptions import ProxyError

from dicom_files import dicom_file
from dicomweb_server import dicomweb_service
from lexiseg.clinic.dicomweb_client import AS_STORED, dicomweb_client
from refusals import refuses


def fetched(address: str, image: Dataset, largest_mb: float | None) -> Dataset:
    client = dicomweb_client(address, timeout_s=10, token="secret", largest_mb=largest_mb)
    return client.retrieve_instance(
        image.StudyInstanceUID, image.SeriesInstanceUID, image.SOPInstanceUID, media_types=AS_STORED
    )


@pytest.mark.parametrize("limit", [None, 0.05])
def test_an_answer_within_the_limit_is_the_stored_image(tmp_path: Path, limit: float | None) -> None:
    file = dicom_file(tmp_path / "a.dcm", (np.arange(40_000) % 251).astype(np.uint8).reshape(200, 200))
    with dicomweb_service([file]) as service:
        image = dcmread(file)
        assert fetched(service.address, image, limit) == image
        assert set(service.tokens) == {"Bearer secret"}


def test_a_service_on_this_machine_is_asked_without_a_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there: using it would fail
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    file = dicom_file(tmp_path / "a.dcm", np.zeros((20, 20), np.uint8))
    with dicomweb_service([file]) as service:
        image = dcmread(file)
        assert fetched(service.address, image, None) == image
        assert fetched(service.address.replace("127.0.0.1", "localhost"), image, None) == image
    with pytest.raises(ProxyError):
        fetched("http://archive.example/dicom-web", image, None)


def test_an_answer_above_the_limit_is_not_read_to_its_end(tmp_path: Path) -> None:
    file = dicom_file(tmp_path / "a.dcm", np.zeros((1000, 1000), np.uint8))
    with dicomweb_service([file]) as service, refuses("LEX-DATA-1403", "more than 0.2 MB"):
        fetched(service.address, dcmread(file, stop_before_pixels=True), 0.2)
