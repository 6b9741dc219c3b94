"""A gateway beside Orthanc: a study goes in, its results come back into the same study."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import requests
from archive_programs import Orthanc, orthanc, require, run, send

from certificates import make_certificate
from gateway_setup import image_bytes, opened, running, settings, wait_until
from lexiseg.gateway.quarantine import quarantined_objects

PORT = {"kind": "dicom", "port": 0, "allow": ["ARCHIVE"]}


def images(folder: Path, count: int = 2) -> list[Path]:
    folder.mkdir()
    files = [folder / f"{number}.dcm" for number in range(1, count + 1)]
    for number, file in enumerate(files, start=1):
        file.write_bytes(image_bytes(number))
    return files


def to(archive: Orthanc, **values: Any) -> dict[str, Any]:
    return {"kind": "dicom", "host": "127.0.0.1", "port": archive.dicom_port, "ae_title": "ARCHIVE", **values}


def rule(**values: Any) -> list[dict[str, Any]]:
    return [{"name": "chest", "modality": ["CR"], "run": "covid-xray", "send_to": ["archive"], **values}]


def check_study(archive: Orthanc, count: int) -> None:
    """Check that the archive has each image, its segmentation and its report, once, in one study."""
    assert archive.modalities() == ["CR"] * count + ["SEG"] * count + ["SR"] * count
    assert len(archive.get("/studies")) == 1
    assert len(archive.get("/patients")) == 1
    for tags in archive.instances():
        assert tags["StudyInstanceUID"] == "2.25.1"
        if tags["Modality"] == "SEG":
            (series,) = tags["ReferencedSeriesSequence"]
            assert series["SeriesInstanceUID"] == "2.25.2"
        # Viewers hide series without a number, or below those of the images.
        assert int(tags["SeriesNumber"]) == {"CR": 1, "SEG": 101, "SR": 102}[tags["Modality"]]


def test_a_study_in_and_its_results_back(tmp_path: Path) -> None:
    require("storescu", "echoscu")
    files = images(tmp_path / "images")
    with orthanc(tmp_path / "orthanc") as archive:
        send(files, archive.dicom_port, called="ARCHIVE")
        configuration = settings(
            tmp_path, sources={"port": PORT}, rules=rule(), destinations={"archive": to(archive)}
        )
        with opened(configuration) as (state, _), running(state) as gateway:
            run("echoscu", "-aet", "ARCHIVE", "-aec", "LEXISEG", "127.0.0.1", gateway.ports["port"])
            stranger = run(
                "echoscu",
                "-aet",
                "STRANGER",
                "-aec",
                "LEXISEG",
                "127.0.0.1",
                gateway.ports["port"],
                check=False,
            )
            assert stranger.returncode != 0
            send(files, gateway.ports["port"])
            wait_until(lambda: state.queue.counts() == {"done": 2})
            check_study(archive, 2)
            # The archive sends all that it has, the results too, as archives with a rule for new objects do.
            back = tmp_path / "back"
            back.mkdir()
            for id in archive.get("/instances"):
                content = requests.get(
                    f"http://127.0.0.1:{archive.http_port}/instances/{id}/file", timeout=30
                )
                (back / f"{id}.dcm").write_bytes(content.content)
            send(sorted(back.iterdir()), gateway.ports["port"])
            wait_until(lambda: state.queue.open_images() == 0)
            assert state.queue.counts() == {"done": 2, "left_out": 4}
            check_study(archive, 2)


def test_sending_again_makes_no_duplicate(tmp_path: Path) -> None:
    files = images(tmp_path / "images", 1)
    with orthanc(tmp_path / "orthanc") as archive:
        send(files, archive.dicom_port, called="ARCHIVE")
        configuration = settings(
            tmp_path, sources={"port": PORT}, rules=rule(), destinations={"archive": to(archive)}
        )
        for _ in range(2):
            with opened(configuration) as (state, _), running(state) as gateway:
                send(files, gateway.ports["port"])
                wait_until(lambda state=state: state.queue.counts() == {"done": 1})  # type: ignore[misc]
            # As if the whole state of the gateway was lost.
            shutil.rmtree(tmp_path / "state")
        check_study(archive, 1)


def test_an_archive_that_refuses_label_maps_is_said(tmp_path: Path) -> None:
    files = images(tmp_path / "images", 1)
    with orthanc(tmp_path / "orthanc") as archive:
        send(files, archive.dicom_port, called="ARCHIVE")
        configuration = settings(
            tmp_path,
            sources={"port": PORT},
            rules=rule(write=["labelmap", "sr"]),
            destinations={"archive": to(archive)},
        )
        with opened(configuration) as (state, _), running(state) as gateway:
            send(files, gateway.ports["port"])
            wait_until(lambda: bool(quarantined_objects(tmp_path / "state")))
            (one,) = quarantined_objects(tmp_path / "state")
            assert one.why is not None
            assert (one.why.code, one.why.destination) == ("LEX-DATA-1243", "archive")
        # Nor is the report sent, which refers to it.
        assert archive.modalities() == ["CR"]


def test_dicomweb_in_and_out(tmp_path: Path) -> None:
    files = images(tmp_path / "images")
    with orthanc(tmp_path / "orthanc") as archive:
        if "dicom-web" not in archive.get("/plugins"):
            pytest.skip("the plugin for DICOMweb is not installed (apt-get install orthanc-dicomweb)")
        for file in files:
            archive.put(file.read_bytes())
        source = {
            "kind": "dicomweb", "url": archive.dicomweb, "modality": ["CR"], "days": 100_000, "every_s": 0.3,
        }  # fmt: skip
        configuration = settings(
            tmp_path,
            sources={"web": source},
            rules=rule(),
            destinations={"archive": {"kind": "dicomweb", "url": archive.dicomweb}},
        )
        with opened(configuration) as (state, _), running(state):
            wait_until(lambda: state.queue.counts() == {"done": 2})
            check_study(archive, 2)
            # A new image in the archive is found at the next question.
            archive.put(image_bytes(3))
            wait_until(lambda: state.queue.counts() == {"done": 3})
        check_study(archive, 3)
        with opened(configuration) as (state, events), running(state):
            wait_until(lambda: any(event["event"] == "started" for event in events()))
            assert state.queue.counts() == {"done": 3}


def test_tls_with_dcmtk_and_orthanc(tmp_path: Path) -> None:
    ours, theirs = make_certificate(tmp_path, "gateway"), make_certificate(tmp_path, "archive")
    files = images(tmp_path / "images", 1)
    encrypted = {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(theirs.certificate),
        "DicomTlsPrivateKey": str(theirs.key),
        "DicomTlsTrustedCertificates": str(ours.certificate),
    }
    ours_tls = {"certificate": ours.certificate, "key": ours.key, "authorities": theirs.certificate}
    with orthanc(tmp_path / "orthanc", **encrypted) as archive:
        archive.put(files[0].read_bytes())
        configuration = settings(
            tmp_path,
            sources={"port": {**PORT, "tls": ours_tls}},
            rules=rule(),
            destinations={"archive": to(archive, tls=ours_tls)},
        )
        with opened(configuration) as (state, _), running(state) as gateway:
            tls = ("+tls", str(theirs.key), str(theirs.certificate), "+cf", str(ours.certificate))
            send(files, gateway.ports["port"], *tls)
            wait_until(lambda: state.queue.counts() == {"done": 1})
        check_study(archive, 1)


def test_an_archive_that_comes_back_gets_everything(tmp_path: Path) -> None:
    files = images(tmp_path / "images")
    with orthanc(tmp_path / "orthanc") as archive:
        send(files, archive.dicom_port, called="ARCHIVE")
        port = archive.dicom_port
    configuration = settings(
        tmp_path, sources={"port": PORT}, rules=rule(), destinations={"archive": to(archive)}
    )
    with opened(configuration) as (state, _), running(state) as gateway:
        send(files, gateway.ports["port"])
        wait_until(lambda: state.queue.counts() == {"predicted": 2})
        with orthanc(tmp_path / "orthanc", DicomPort=port) as archive:
            wait_until(lambda: state.queue.counts() == {"done": 2})
            check_study(archive, 2)
