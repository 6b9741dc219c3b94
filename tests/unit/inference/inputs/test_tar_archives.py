"""Images in tar archives are read, and outputs are written to tar archives."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lexiseg.inference.batches.batch import predict_to_files
from lexiseg.inference.inputs.tar_archives import archive_images
from lexiseg.inference.inputs.target_search import find_images
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.writers.tar import into_archives
from refusals import refuses
from threshold_predictor import Thresholds, write_image

NAMES = ("a", "exam/b.c", "exam/odd", "z")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for number, name in enumerate(NAMES):
        write_image(tmp_path / "in" / f"{name}.png", (20, 30 + number))
    return tmp_path / "in"


@pytest.fixture
def archive(images: Path, tmp_path: Path) -> Path:
    """Return an archive as WebDataset writes it, with members that are no images."""
    path = tmp_path / "shard-7.tar"
    with tarfile.open(path, "w") as tar:
        for name in NAMES:
            tar.add(images / f"{name}.png", f"{name}.png")
            add(tar, f"{name}.json", b"{}")
        add(tar, "a.mask.png", b"an output of Lexiseg")
        add(tar, ".hidden.png", b"hidden")
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    return path


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def predict(patterns: list[Any], out: Path, **options: Any) -> Any:
    targets = find_images(patterns, out=out).targets
    return predict_to_files(options.pop("predictor", Thresholds()), targets, out, **options)


def masks(out: Path) -> dict[str, bytes]:
    return {p.relative_to(out / "masks").as_posix(): p.read_bytes() for p in (out / "masks").rglob("*.png")}


def test_members_give_the_masks_of_their_files(archive: Path, images: Path, tmp_path: Path) -> None:
    predict([images], tmp_path / "files")
    summary = predict([archive], tmp_path / "out")
    expected = {f"shard-7/{name}": mask for name, mask in masks(tmp_path / "files").items()}
    assert masks(tmp_path / "out") == expected
    lines = [json.loads(line) for line in summary.results.open()]
    assert [line["image"] for line in lines] == [f"{archive}::{name}.png" for name in NAMES]
    assert lines[1]["name"] == "shard-7/exam/b.c"
    left = [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".partial")]
    assert left == []


def test_the_last_member_of_a_name_counts(archive: Path, images: Path, tmp_path: Path) -> None:
    """As `tar` unpacks it."""
    write_image(tmp_path / "new.png", (50, 60))
    with tarfile.open(archive, "a") as tar:
        tar.add(tmp_path / "new.png", "a.png")
        tar.add(tmp_path / "new.png", "./exam/odd.png")
        tar.add(images / "z.png", "exam/odd.png")
    found = find_images([archive, tmp_path / "*.tar"])
    assert found.unread.replaced == {str(archive): 3}
    summary = predict_to_files(Thresholds(), found.targets, tmp_path / "out")  # type: ignore[arg-type]
    lines = {line["name"]: line for line in map(json.loads, summary.results.open())}
    assert list(lines) == ["shard-7/exam/b.c", "shard-7/z", "shard-7/a", "shard-7/exam/odd"]
    assert [line["size"] for line in lines.values()] == [[20, 31], [20, 33], [50, 60], [20, 33]]
    assert find_images([images]).unread.replaced == {}
    assert "3 images are not read because" in " ".join(found.unread.notes())


def test_members_that_are_not_read_are_counted(archive: Path) -> None:
    with tarfile.open(archive, "a") as tar:
        for name in ("v.nii.gz", "exam/IM0000", "c.heic", "x/y.zip"):
            add(tar, name, b"?")
    found = find_images([archive])
    assert len(found.targets) == len(NAMES)
    assert {ending: (files.count, files.example.name) for ending, files in found.unread.skipped.items()} == {
        ".json": (4, "a.json"),
        ".heic": (1, "c.heic"),
    }
    assert {kind: files.example.name for kind, files in found.unread.elsewhere.items()} == {
        "linked": "link.png",
        ".nii.gz": "v.nii.gz",
        "": "IM0000",
        ".zip": "y.zip",
    }
    said = " ".join(found.unread.notes())
    assert "5 files are not read because of the ending: 1 .heic (c.heic), 4 .json (a.json)" in said
    assert "4 files are not read at a URL or in a .tar archive: 1 without ending (IM0000), " in said


def test_members_with_names_of_outputs_are_earlier_outputs(images: Path, tmp_path: Path) -> None:
    names = ("a.mask.png", "exam/b.mask.png", "a.probability.tif", "a.nifti.nii.gz", "a.card.html")
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name in names:
            add(tar, name, b"an output of Lexiseg")
    with refuses(
        "LEX-DATA-099", "earlier prediction wrote", "2 .mask.png (a.mask.png)", "unpack it, and give"
    ):
        find_images([tmp_path / "x.tar"])
    with tarfile.open(tmp_path / "x.tar", "a") as tar:
        tar.add(images / "a.png", "a.png")
        add(tar, "a.seg.nii.gz", b"a volume of others")
    found = find_images([tmp_path / "x.tar"])
    assert [target.name.as_posix() for target in found.targets] == ["x/a"]
    assert {ending: files.count for ending, files in found.unread.written.items()} == {
        ".mask.png": 2,
        ".probability.tif": 1,
        ".nifti.nii.gz": 1,
        ".card.html": 1,
    }
    assert found.unread.skipped == {}
    assert [files.example.name for files in found.unread.elsewhere.values()] == ["a.seg.nii.gz"]
    said = " ".join(found.unread.notes())
    assert "5 files are not read in a .tar archive because an earlier prediction wrote them: " in said
    assert "2 .mask.png (a.mask.png)" in said


def test_hard_links_are_the_images_they_lead_to(images: Path, tmp_path: Path) -> None:
    archive = tmp_path / "x.tar"

    def link(tar: tarfile.TarFile, name: str, target: str) -> None:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = tarfile.LNKTYPE, target
        tar.addfile(member)

    with tarfile.open(archive, "w") as tar:
        tar.add(images / "a.png", "./a.png")
        add(tar, "b.txt", b"no image")
        link(tar, "first.png", "a.png")
        link(tar, "of-link.png", "./first.png")
        link(tar, "exam/data.dat", "a.png")
        link(tar, "of-data.png", "exam/data.dat")
        link(tar, "lost.png", "nowhere.png")
        link(tar, "later.png", "a.png")
        link(tar, ".hidden.png", "a.png")
        tar.add(images / "z.png", "later.png")
        tar.add(images / "z.png", "a.png")
        link(tar, "second.png", "a.png")
    found = find_images([archive])
    summary = predict_to_files(Thresholds(), found.targets, tmp_path / "out")  # type: ignore[arg-type]
    lines = {line["name"]: line["size"] for line in map(json.loads, summary.results.open())}
    first, second = [20, 30], [20, 33]
    assert lines == {
        "x/a": second,
        "x/later": second,
        "x/first": first,
        "x/of-link": first,
        "x/of-data": first,
        "x/second": second,
    }
    assert found.unread.elsewhere["linked"].example.name == "lost.png"
    assert {ending: files.count for ending, files in found.unread.skipped.items()} == {".txt": 1, ".dat": 1}


def test_nothing_to_read_is_said_with_what_is_there(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        add(tar, "v.nii.gz", b"?")
        add(tar, "b.heic", b"?")
    with refuses("LEX-DATA-099", "1 .heic (b.heic), 1 .nii.gz (v.nii.gz)", "unpack them"):
        find_images([tmp_path / "x.tar"])


def test_archives_of_a_pattern(archive: Path, tmp_path: Path) -> None:
    other = tmp_path / "shard-8.tar"
    other.write_bytes(archive.read_bytes())
    targets = find_images([tmp_path / "*.tar"]).targets
    assert [target.name.as_posix() for target in targets] == [
        f"shard-{number}/{name}" for number in (7, 8) for name in NAMES
    ]


def test_a_member_that_is_no_image_is_named(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        add(tar, "a.png", b"no image")
    summary = predict([tmp_path / "x.tar"], tmp_path / "out")
    ((path, reason),) = summary.failed
    assert str(path) == f"{tmp_path / 'x.tar'}::a.png"
    assert f"{tmp_path / 'x.tar'}::a.png" in reason
    assert ".partial" not in reason


@pytest.mark.parametrize("name", ["../a.png", "/a.png", "b/../../a.png", "c:\\a.png"])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        add(tar, name, b"x")
    with refuses("LEX-DATA-1292", "leads out"):
        find_images([tmp_path / "x.tar"])


def test_archives_that_are_cut_compressed_or_none(archive: Path, tmp_path: Path) -> None:
    content = archive.read_bytes()
    archive.write_bytes(content[:700])
    with refuses("LEX-DATA-1291", "shard-7.tar"):
        find_images([archive])
    archive.write_bytes(b"no archive")
    with refuses("LEX-DATA-1291"):
        find_images([archive])
    with tarfile.open(archive, "w:gz") as tar:
        add(tar, "a.png", b"x")
    with refuses("LEX-DATA-1291", "not compressed"):
        find_images([archive])


def test_an_archive_that_is_cut_later(archive: Path, tmp_path: Path) -> None:
    *_, last = archive_images(str(archive))
    archive.write_bytes(archive.read_bytes()[: last.offset + 3])
    with refuses("LEX-DATA-1287", "z.png"):
        last.copy_to(tmp_path / "z.png")
    archive.unlink()
    with refuses("LEX-DATA-1290", "shard-7.tar"):
        last.copy_to(tmp_path / "z.png")


class OneByOne(Thresholds):
    options = PredictionOptions(batch_size=1)


def interrupted(images: Path, out: Path, *, after: int, per_archive: int = 1) -> None:
    """Predict images one by one into archives, until some are done."""
    seen: list[str] = []

    def stop(image: str, result: object) -> None:
        seen.append(image)
        if len(seen) == after:
            raise KeyboardInterrupt

    writers = into_archives(("mask",), per_archive)
    with pytest.raises(KeyboardInterrupt):
        predict([images], out, formats=writers, on_result=stop, predictor=OneByOne())


def held(results: Path) -> dict[str, str]:
    """Return the number of the archive of each image, which holds the image as its line says."""
    found: dict[str, str] = {}
    for line in map(json.loads, results.open()):
        with tarfile.open(results.parent / line["archive"]) as tar:
            folder, _, last = line["name"].rpartition("/")
            key = f"{folder}/{last}".strip("/").replace(".", "%2E")
            record = tar.extractfile(f"{key}.json")
            assert record is not None
            assert json.loads(record.read()) == line
        found[key] = Path(line["archive"]).stem
    return found


class TestWritten:
    def test_members(self, images: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        (images / "exam" / "broken.png").write_bytes(b"no image")
        summary = predict([images], out, formats=into_archives(("mask", "overlay", "records"), 2))
        assert (summary.done, len(summary.failed)) == (4, 1)
        assert sorted(path.name for path in (out / "archives").iterdir()) == ["000000.tar", "000001.tar"]
        assert not (out / "masks").exists()
        predict([images], tmp_path / "files", formats=("mask", "overlay"))
        with tarfile.open(out / "archives" / "000000.tar") as tar:
            assert tar.getnames() == [
                *("a.mask.png", "a.overlay.png", "a.json"),
                *("exam/b%2Ec.mask.png", "exam/b%2Ec.overlay.png", "exam/b%2Ec.json"),
            ]
            member = tar.extractfile("exam/b%2Ec.mask.png")
            assert member is not None
            assert member.read() == (tmp_path / "files" / "masks" / "exam" / "b.c.png").read_bytes()
            record = tar.extractfile("a.json")
            assert record is not None
            line = json.loads(record.read())
        lines = [json.loads(text) for text in summary.results.open()]
        assert line == lines[0]
        assert [entry.get("archive") for entry in lines] == [
            *("archives/000000.tar", "archives/000000.tar", None),
            *("archives/000001.tar", "archives/000001.tar"),
        ]

    @pytest.mark.parametrize("after", [1, 2, 3])
    def test_an_interrupted_batch_ends_with_the_same_archives(
        self, images: Path, tmp_path: Path, after: int
    ) -> None:
        def content(out: Path) -> dict[str, bytes]:
            return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()}

        whole, out = tmp_path / "whole", tmp_path / "out"
        predict([images], whole, formats=into_archives(("mask",), 2))
        interrupted(images, out, after=after, per_archive=2)
        summary = predict([images], out, formats=into_archives(("mask",), 2))
        assert summary.resumed in (0, 2, 4)
        assert content(out) == content(whole)

    def test_an_archive_that_was_moved_away_costs_no_other_one(self, images: Path, tmp_path: Path) -> None:
        """Its number is free again, and those after it are not."""
        out, archives = tmp_path / "out", tmp_path / "out" / "archives"
        for number in range(20):
            write_image(images / f"m{number:02}.png")
        interrupted(images, out, after=10)
        (archives / "000001.tar").rename(tmp_path / "moved.tar")
        kept = {path.name: path.read_bytes() for path in archives.iterdir()}
        assert len(kept) >= 9
        summary = predict([images], out, formats=into_archives(("mask",), 1))
        assert (summary.done, summary.resumed) == (24, len(kept))
        assert kept.items() <= {path.name: path.read_bytes() for path in archives.iterdir()}.items()
        assert held(summary.results)["exam/b%2Ec"] == "000001"
        assert sorted(held(summary.results).values()) == [f"{number:06}" for number in range(24)]

    def test_the_number_of_a_removed_archive_is_no_proof(self, images: Path, tmp_path: Path) -> None:
        """The next batch gives it to another archive, before it comes to the image of that line."""
        out = tmp_path / "out"
        for number in range(36):
            write_image(images / f"m{number:02}.png")
        interrupted(images, out, after=24, per_archive=10)
        lines = (out / "predictions.jsonl.partial").read_text().splitlines()
        unfinished = json.loads(lines[23])
        assert unfinished["archive"] == "archives/000002.tar"
        assert not (out / unfinished["archive"]).exists()
        for line in lines[:20]:
            write_image(Path(json.loads(line)["image"]), (25, 25))
        writers = into_archives(("mask",), 10)
        summary = predict([images], out, formats=writers, predictor=OneByOne())
        assert (summary.done, summary.resumed) == (40, 0)
        assert held(summary.results)[unfinished["name"]] == "000004"

    def test_archives_of_an_earlier_batch_do_not_stay(self, images: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        predict([images], out, formats=into_archives(("mask",), 1))
        assert len(list((out / "archives").iterdir())) == 4
        predict([images / "a.png"], out)
        assert list((out / "archives").iterdir()) == []
        (out / "archives" / "000000.tar").write_bytes(b"mine")
        with refuses("LEX-DATA-740", "000000.tar"):
            predict([images / "a.png"], out, formats=into_archives(("mask",), 1))
        assert (out / "archives" / "000000.tar").read_bytes() == b"mine"

    def test_formats_without_files_are_refused(self) -> None:
        with refuses("LEX-USE-1285", "records"):
            into_archives(("records",), 5)

    def test_lexiseg_reads_what_it_wrote(self, images: Path, tmp_path: Path) -> None:
        predict([images], tmp_path / "out", formats=into_archives(("mask",), 9))
        with refuses("LEX-DATA-099"):
            find_images([tmp_path / "out" / "archives" / "000000.tar"])
        assert np.asarray(Image.open(images / "a.png")).any()
