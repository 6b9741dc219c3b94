"""Archives, DICOMDIR and DICOMweb as sources: copied to a private folder, named by their source, removed."""

from __future__ import annotations

import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.fileset import FileSet
from typer.testing import CliRunner

from dicom_files import dicom_file, ramp
from dicomweb_server import dicomweb_service
from lexiseg.cli.app import app
from lexiseg.inference.inputs.target_search import find_images
from lexiseg.inference.sources import dicomweb_source
from lexiseg.inference.sources.dicomweb_source import DicomwebAddress
from lexiseg.inference.sources.local_sources import local_sources
from lexiseg.inference.volumes.targets import find_volumes
from refusals import refuses
from threshold_predictor import write_image
from volume_files import body, ct_series, nifti


def zipped(path: Path, files: dict[str, Path]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, file in files.items():
            archive.write(file, name)
    return path


def test_an_archive_is_unpacked_and_removed(tmp_path: Path) -> None:
    files = ct_series(tmp_path / "ct")
    picture = dicom_file(tmp_path / "cr.dcm", ramp(), number=50, SeriesInstanceUID="2.25.50")
    study = zipped(tmp_path / "study.zip", {f"ct/{f.name}": f for f in files} | {"x/cr.dcm": picture})
    with local_sources([study, "other/*.png"]) as sources:
        folder, other = sources.patterns
        assert other == "other/*.png"
        assert os.stat(Path(folder).parents[1]).st_mode & 0o077 == 0
        volumes = find_volumes([folder], labels=sources.labels)
        (volume,) = volumes.targets
        assert volume.label == f"{study}/ct"
        assert volume.named(f"{volume.path}: missing") == f"{study}/ct: missing"
        (image,) = find_images([folder], of_volumes=volumes.files, labels=sources.labels).targets
        assert (image.label, image.name) == (f"{study}/x/cr.dcm", Path("x/cr"))
    assert not Path(folder).exists()


def test_a_tar_archive_without_plain_images_is_unpacked(tmp_path: Path) -> None:
    """One with plain images is read where it is: it may hold a million."""
    files = ct_series(tmp_path / "ct")
    volume, picture = tmp_path / "v.nii.gz", write_image(tmp_path / "p.png")
    nifti(volume, body(), np.eye(4))
    study = zipped(tmp_path / "study.zip", {"v.nii.gz": volume})

    def packed(name: str, members: dict[str, Path]) -> Path:
        with tarfile.open(tmp_path / name, "w") as tar:
            for member, file in members.items():
                tar.add(file, member)
        return tmp_path / name

    series = {f"ct/IM{number:04}": file for number, file in enumerate(files)}
    for name, members, label in (
        ("ct.tar", series, "/ct"),
        ("volume.tar", {"README": picture, "v.nii.gz": volume}, "/v.nii.gz"),
        ("inner.tar", {"study.zip": study}, "/study/v.nii.gz"),
    ):
        archive = packed(name, members)
        with local_sources([archive]) as sources:
            (found,) = find_volumes(sources.patterns, labels=sources.labels).targets
            assert found.label == f"{archive}{label}"
    for name, members in (
        ("plain.tar", {"v.nii.gz": volume, "p.png": picture}),
        ("slices.tar", {f"{number}.dcm": file for number, file in enumerate(files)}),
        ("masks.tar", {"p.mask.png": picture, "v.nii.gz": volume}),
        ("results.tar", {"a.nifti.nii.gz": volume, "a.json": picture}),
        ("text.tar", {"README": picture, "DICOMDIR": files[0], ".v.nii.gz": volume}),
    ):
        archive = packed(name, members)
        with local_sources([archive]) as sources:
            assert sources.patterns == (archive,)


def test_outputs_in_a_tar_archive_are_no_volumes(tmp_path: Path) -> None:
    nifti(tmp_path / "v.nii.gz", body(), np.eye(4))
    write_image(tmp_path / "p.png")
    with tarfile.open(tmp_path / "inner.tar", "w") as tar:
        tar.add(tmp_path / "p.png", "p.png")
        tar.add(tmp_path / "p.png", "p.mask.png")
    archive = tmp_path / "x.tar"
    with tarfile.open(archive, "w") as tar:
        for name in ("v.nii.gz", "a.nifti.nii.gz", "exam/b.nifti.nii.gz"):
            tar.add(tmp_path / "v.nii.gz", name)
        tar.add(tmp_path / "inner.tar", "inner.tar")
    with local_sources([archive]) as sources:
        volumes = find_volumes(sources.patterns, labels=sources.labels)
        assert [target.name.as_posix() for target in volumes.targets] == ["v"]
        found = find_images(sources.patterns, of_volumes=volumes.files, labels=sources.labels)
        assert [target.name.as_posix() for target in found.targets] == ["inner/p"]
        counts = {ending: files.count for ending, files in found.unread.written.items()}
        assert counts == {".nifti.nii.gz": 2, ".mask.png": 1}
    # In other archives and folders, the name alone says nothing.
    study = zipped(tmp_path / "study.zip", {"a.nifti.nii.gz": tmp_path / "v.nii.gz"})
    with local_sources([study]) as sources:
        assert len(find_volumes(sources.patterns, labels=sources.labels).targets) == 1


def test_files_and_folders_need_no_folder_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed process could not remove it."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with local_sources([tmp_path, "images/*.png", "https://example.org/a.png"]) as found:
        assert found.patterns == (tmp_path, "images/*.png", "https://example.org/a.png")
        assert list((tmp_path / "temporary").iterdir()) == []


def test_members_that_later_ones_replace_are_said(tmp_path: Path) -> None:
    for place, size in (("1", (20, 30)), ("2", (40, 50))):
        write_image(tmp_path / place / "a.png", size)
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as archive:
        for place in ("1", "2"):
            archive.add(tmp_path / place / "a.png", "a.png")
    with local_sources([tmp_path / "x.tar.gz"]) as sources:
        (folder,) = sources.patterns
        assert (Path(folder) / "a.png").read_bytes() == (tmp_path / "2" / "a.png").read_bytes()
        (note,) = sources.notes
    assert note.startswith(f"1 file is not read because {tmp_path / 'x.tar.gz'} holds a later one")


def test_a_dangerous_archive_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "bad.zip", {"../../cr.dcm": dicom_file(tmp_path / "cr.dcm", ramp())})
    with refuses("LEX-DATA-056", "bad.zip", "outside"), local_sources([path]):
        pass


def disc(folder: Path, files: list[Path]) -> Path:
    found = FileSet()
    for file in files:
        found.add(file)
    found.write(folder)
    return folder / "DICOMDIR"


def test_the_index_of_a_disc_stands_for_its_folder(tmp_path: Path) -> None:
    files = [dicom_file(tmp_path / f"{n}.dcm", ramp(), number=n) for n in (1, 2)]
    index = disc(tmp_path / "disc", files)
    with local_sources([index]) as sources:
        assert sources.notes == ()
        assert len(find_images(sources.patterns).targets) == 2
    next(path for path in (tmp_path / "disc").rglob("*") if path.is_file() and path != index).unlink()
    with local_sources([index]) as sources:
        assert "names 1 file that is not there" in sources.notes[0]
        assert len(find_images(sources.patterns).targets) == 1


def test_an_index_that_leads_out_of_its_folder_is_refused(tmp_path: Path) -> None:
    index = disc(tmp_path / "disc", [dicom_file(tmp_path / "a.dcm", ramp())])
    dataset = pydicom.dcmread(index)
    for record in dataset.DirectoryRecordSequence:
        if "ReferencedFileID" in record:
            record.ReferencedFileID = ["..", "A"]
    dataset.save_as(index)
    with refuses("LEX-DATA-1212", "'../A'"), local_sources([index]):
        pass
    dicom_file(index, ramp())
    with refuses("LEX-DATA-1211", "DICOMDIR"), local_sources([index]):
        pass
    index.write_bytes(b"no DICOM")
    with refuses("LEX-DATA-1211"), local_sources([index]):
        pass


def test_addresses() -> None:
    base = "https://pacs.example/dicom-web"
    assert DicomwebAddress.parse(f"{base}/studies/1.2") == DicomwebAddress(service=base, study="1.2")
    assert DicomwebAddress.parse(f"{base}/studies/1.2/series/3/instances/4.5") == DicomwebAddress(
        service=base, study="1.2", series="3", instance="4.5"
    )
    assert DicomwebAddress.parse(f"{base}/studies?PatientID=7&StudyDate=20260101").search == (
        ("PatientID", "7"),
        ("StudyDate", "20260101"),
    )
    for wrong in (
        base,
        f"{base}/studies",
        f"{base}/studies/x",
        f"{base}/studies/1/instances/2",
        f"{base}/series/1",
    ):
        with refuses("LEX-USE-1183", wrong, "studies/UID"):
            DicomwebAddress.parse(wrong)
    with refuses("LEX-USE-1182", "pacs.example", "LEXISEG_DICOMWEB_TOKEN") as caught:
        DicomwebAddress.parse("https://user:secret@pacs.example/studies/1")  # pragma: allowlist secret
    assert "secret" not in str(caught.value)


def test_addresses_and_tokens_of_a_service_stay_out_of_logs_and_messages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("LEXISEG_DICOMWEB_TOKEN", "abc-token")
    files = [dicom_file(tmp_path / "cr.dcm", ramp(), number=50, PatientID="known-patient")]
    with dicomweb_service(files) as service:
        studies = f"{service.address}/studies"
        with caplog.at_level("DEBUG"), local_sources([f"{studies}?PatientID=known-patient"]):
            pass
        with refuses("LEX-DATA-1215") as unknown, local_sources([f"{studies}?PatientID=other-patient"]):
            pass
    said = [record for record in caplog.records if record.name.startswith(("dicomweb_client", "retrying"))]
    assert said == []
    assert "abc-token" not in caplog.text
    with refuses("LEX-DATA-1214", studies) as gone, local_sources([f"{studies}?PatientID=other-patient"]):
        pass
    with refuses("LEX-USE-1183") as wrong, local_sources([f"{studies}/1.2?key=other-patient"]):
        pass
    assert not any("other-patient" in str(error.value) for error in (unknown, gone, wrong))


@pytest.mark.parametrize("name", ["O'Brien", "Smith John", '(Smith) "J"', "Smith/studies/John"])
def test_no_part_of_a_name_is_in_messages(name: str) -> None:
    with dicomweb_service([]) as stopped:
        service = stopped.address
    with refuses("LEX-DATA-1214") as gone, local_sources([f"{service}/studies?PatientName={name}"]):
        pass
    with refuses("LEX-USE-1183") as wrong, local_sources([f"{service}/studies/1.2?PatientName={name}"]):
        pass
    for error in (gone, wrong):
        assert not any(part in str(error.value) for part in ("Brien", "Smith", "John", 'J"'))


def test_images_of_a_service_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = ct_series(tmp_path / "ct", PatientID="7")
    files.append(dicom_file(tmp_path / "cr.dcm", ramp(), number=50, SeriesInstanceUID="2.25.50"))
    files.append(
        dicom_file(tmp_path / "sr.dcm", ramp(), number=51, SeriesInstanceUID="2.25.51", Modality="SR")
    )
    monkeypatch.setenv("LEXISEG_DICOMWEB_TOKEN", "abc")
    with dicomweb_service(files) as service:
        studies = f"{service.address}/studies"
        with local_sources([f"{studies}/2.25.1", f"{studies}?PatientID=7"]) as sources:
            assert set(service.tokens) == {"Bearer abc"}
            first, second = (Path(pattern) for pattern in sources.patterns)
            copied = sorted(path for path in first.rglob("*") if path.is_file())
            assert len(copied) == 9  # the report is no image
            assert len([path for path in second.rglob("*") if path.is_file()]) == 9
            kept = pydicom.dcmread(next(path for path in copied if path.name == "2.25.100050.dcm"))
            assert (kept.pixel_array == ramp()).all()
            volumes = find_volumes([first], labels=sources.labels)
            assert volumes.targets[0].label == f"{studies}/2.25.1/series/2.25.2/instances"
            (image,) = find_images([first], of_volumes=volumes.files, labels=sources.labels).targets
            assert image.label == f"{studies}/2.25.1/series/2.25.50/instances/2.25.100050.dcm"
        assert not first.exists()
        with local_sources([f"{studies}/2.25.1/series/2.25.50/instances/2.25.100050"]) as sources:
            assert len([path for path in Path(sources.patterns[0]).rglob("*") if path.is_file()]) == 1
        with refuses("LEX-DATA-1214", "404", "2.25.9"), local_sources([f"{studies}/2.25.9/series/1"]):
            pass
        with refuses("LEX-DATA-1215", "no images"), local_sources([f"{studies}/2.25.9"]):
            pass
        monkeypatch.setattr(dicomweb_source, "MOST_IMAGES", 3)
        with refuses("LEX-DATA-1213", "more than 3 images"), local_sources([f"{studies}/2.25.1"]):
            pass
    with refuses("LEX-DATA-1214", "fetched"), local_sources([f"{studies}/2.25.1/series/1"]):
        pass  # the service is gone
    with (
        refuses("LEX-USE-1184", "not encrypted"),
        local_sources(["http://pacs.example/studies/1.2/series/3"]),
    ):
        pass


def test_errors_about_an_archive_name_it(tmp_path: Path) -> None:
    (tmp_path / "a.heic").write_bytes(b"?")
    archive = zipped(tmp_path / "x.zip", {"a.heic": tmp_path / "a.heic"})
    done = CliRunner().invoke(app, ["predict", "covid-xray", str(archive), "--out", str(tmp_path / "out")])
    assert f"No image found at {archive}." in str(done.exception)
