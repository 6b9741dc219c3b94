"""The data files that MetaImage and NRRD headers name: only those in the folder of the header are read."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from lexiseg.data.volumes import data_files
from lexiseg.data.volumes.voxel_file import read_grid, read_stored
from lexiseg.inference.inputs.target_search import find_images
from lexiseg.inference.volumes.targets import find_volumes
from refusals import refuses
from threshold_predictor import write_image

META = b"""ObjectType = Image
NDims = 3
DimSize = 2 3 4
ElementType = MET_UCHAR
TransformMatrix = 1 0 0 0 1 0 0 0 1
"""
NRRD = b"""NRRD0005
type: uint8
dimension: 3
sizes: 2 3 4
encoding: raw
"""
VOXELS = np.arange(24, dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with data files, beside one that must not be read."""
    inner = tmp_path / "in"
    (inner / "data").mkdir(parents=True)
    for place in ("a.raw", "data/a.raw", "a b.raw", "../secret.raw"):
        (inner / place).write_bytes(VOXELS.tobytes())
    for k in range(4):
        (inner / f"s{k:02}.raw").write_bytes(VOXELS[6 * k : 6 * k + 6].tobytes())
    return inner


LISTED = b"LIST\ns00.raw\ns01.raw\ns02.raw\ns03.raw\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.mhd", META + b"ElementDataFile = a.raw\n"),
        ("a.mhd", META + b"ElementDataFile = data/a.raw"),
        ("a.mhd", META + b"Comment = \nModality = MET_MOD_CT\nElementDataFile = a b.raw\r\n"),
        ("a.mhd", META + b"ElementDataFile = s%02d.raw 0 3 1\n"),
        ("a.mhd", META + b"ElementDataFile = " + LISTED),
        ("a.mha", META + b"ElementDataFile = LOCAL\n" + VOXELS.tobytes()),
        ("a.nhdr", NRRD + b"data file: a.raw\n"),
        ("a.nhdr", NRRD + b"datafile: ./data/a.raw\n"),
        ("a.nhdr", NRRD + b"data file: s%02d.raw 0 3 1\n"),
        ("a.nhdr", NRRD + b"data file: " + LISTED),
        ("a.nrrd", NRRD + b"\n" + VOXELS.tobytes()),
    ],
)
def test_data_files_in_the_folder_are_read(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    assert np.array_equal(read_stored(folder / name).values, VOXELS.reshape(2, 3, 4, order="F"))


S = tuple(f"s{k:02}.raw" for k in range(4))


@pytest.mark.parametrize(
    ("name", "field", "read"),
    [
        ("a.mhd", b"ElementDataFile = a b.raw\r\n", ("a b.raw",)),
        ("a.mhd", b"ElementDataFile = scan.img\n", ("scan.img",)),
        ("a.mhd", b"ElementDataFile = s%02d.raw 0 3 1\n", S),
        ("a.mhd", b"ElementDataFile = s%02d.raw 1 3 2\n", (S[1], S[3])),
        ("a.mhd", b"ElementDataFile = " + LISTED, S),
        ("a.mha", b"ElementDataFile = LOCAL\n", ()),
        ("z.nhdr", b"data file: data/a.raw\n", ("data/a.raw",)),
        ("a.nrrd", b"data file: s%02d.raw 3 0 -1\n", S),
        ("a.nhdr", b"data file: " + LISTED, S),
        # What is no data file that is read is no part of the volume.
        ("a.mhd", b"ElementDataFile = ../secret.raw\n", ()),
        ("a.mhd", b"ElementDataFile = photo.png\n", ()),
        ("a.mhd", b"ElementDataFile = s%02d.raw 0 3 0\n", ()),
        ("a.mhd", b"ElementDataFile = s%02d.raw x y z\n", ()),
        ("a.nhdr", b"data file: s%02d.raw --1 3 1\n", ()),
        ("a.nhdr", "data file: s%02d.raw \u00b2 3 1\n".encode(), ()),
        ("a.nhdr", b"data file: s%02d.raw 0 " + b"3" * 5000 + b" 1\n", ()),
        ("a.nii", b"ElementDataFile = a.raw\n", ()),
    ],
)
@pytest.mark.parametrize("pattern", ["in", "in/*", "in/**/*"])
def test_data_files_that_a_header_names_are_read(
    folder: Path, name: str, field: bytes, read: tuple[str, ...], pattern: str
) -> None:
    (folder / "scan.img").write_bytes(VOXELS.tobytes())
    write_image(folder / "photo.png")
    (folder / name).write_bytes((NRRD if name[-4:] in ("nhdr", "nrrd") else META) + field)
    volumes = find_volumes([folder.parent / pattern])
    assert volumes.files == {(folder / each).resolve() for each in (name, *read)}
    found = find_images([folder.parent / pattern], of_volumes=volumes.files)
    assert [target.image.name for target in found.targets] == ["photo.png"]
    others = {"a.raw", "data/a.raw", "a b.raw", "scan.img", *S} - {*read}
    if pattern == "in":
        assert sum(files.count for files in found.unread.skipped.values()) == len(others)


OUTSIDE = [
    b"../secret.raw",
    b"data/../../secret.raw",
    b"/etc/passwd",
    b"C:\\secret.raw",
    b"..\\secret.raw",
    b"",
]


@pytest.mark.parametrize("named", OUTSIDE)
def test_data_files_outside_of_the_folder_are_refused(folder: Path, named: bytes) -> None:
    for name, content in (
        ("a.mhd", META + b"ElementDataFile = " + named + b"\n"),
        ("b.mha", META + b"ElementDataFile = " + named + b"\n" + VOXELS.tobytes()),
        ("c.nhdr", NRRD + b"data file: " + named + b"\n"),
        ("d.nrrd", NRRD + b"DataFile:" + named + b"\n\n" + VOXELS.tobytes()),
    ):
        (folder / name).write_bytes(content)
        with refuses("LEX-DATA-1426", name, "folder of the header"):
            read_grid(folder / name)


@pytest.mark.parametrize("named", [name for name in OUTSIDE if name])
def test_lists_and_patterns_are_checked_name_by_name(folder: Path, named: bytes) -> None:
    listed = b"LIST\ns00.raw\n" + named + b"\ns02.raw\ns03.raw\n"
    (folder / "a.mhd").write_bytes(META + b"ElementDataFile = " + listed)
    (folder / "b.nhdr").write_bytes(NRRD + b"data file: " + listed)
    for name in ("a.mhd", "b.nhdr"):
        with refuses("LEX-DATA-1426", name):
            read_stored(folder / name)
    (folder / "c.mhd").write_bytes(META + b"ElementDataFile = ../s%02d.raw 0 3 1\n")
    with refuses("LEX-DATA-1426", "c.mhd", "s%02d"):
        read_stored(folder / "c.mhd")


@pytest.mark.parametrize("pattern", [b"s%s.raw", b"s%999d.raw", b"%d%d.raw", b"s%.raw", b"%n"])
def test_patterns_hold_one_number(folder: Path, pattern: bytes) -> None:
    (folder / "a.mhd").write_bytes(META + b"ElementDataFile = " + pattern + b" 0 3 1\n")
    (folder / "b.nhdr").write_bytes(NRRD + b"data file: " + pattern + b" 0 3 1\n")
    for name in ("a.mhd", "b.nhdr"):
        with refuses("LEX-DATA-1425", name, "one number"):
            read_stored(folder / name)


@pytest.mark.parametrize(
    "content",
    [
        # The reader takes the next line for the value of a field without one.
        META + b"Comment =\nElementDataFile = LOCAL\nElementDataFile = ../secret.raw\n",
        META + b"Comment\nElementDataFile = LOCAL\nElementDataFile = ../secret.raw\n",
        META + b"Comment = ElementDataFile = LOCAL\nElementDataFile = ../secret.raw\n",
        META + b"ElementDataFile = a.raw\nElementDataFile = ../secret.raw\n",
        META + b"x" * 501 + b"ElementDataFile = ../secret.raw\n",
        META + b"ElementDataFile\0 = a.raw\n",
        META + b"ElementDataFile = a.raw\0/../../secret.raw\n",
        META + b"Comment = x\n" * (1 << 17) + b"ElementDataFile = ../secret.raw\n",
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(folder: Path, content: bytes) -> None:
    (folder / "a.mhd").write_bytes(content)
    with refuses("LEX-DATA-1427", "a.mhd", "clearly"):
        read_stored(folder / "a.mhd")


def test_the_end_of_a_nrrd_header_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The voxels may hold what looks like a field.
    (folder / "a.nrrd").write_bytes(NRRD + b"\r\n\r\n" + b"data file: ../secret.raw"[:24])
    data_files.check_data_files(folder / "a.nrrd", is_nrrd=True)
    (folder / "b.nhdr").write_bytes(NRRD + b"content: x\rdata file: ../secret.raw\n")
    with refuses("LEX-DATA-1426", "b.nhdr"):
        read_stored(folder / "b.nhdr")
    monkeypatch.setattr(data_files, "LARGEST_HEADER", 40)
    with refuses("LEX-DATA-1427", "40 bytes"):
        read_stored(folder / "b.nhdr")


@pytest.mark.parametrize(("first", "found"), [(0, {*S}), (1, {*S[1:]}), (-3, {*S}), (-999_999, set())])
def test_a_pattern_costs_no_more_than_the_files_that_are_there(
    folder: Path, first: int, found: set[str]
) -> None:
    (folder / "a.nhdr").write_bytes(NRRD + f"data file: s%02d.raw {first} 99999999 1\n".encode())
    named = list(data_files.data_files(folder / "a.nhdr"))
    assert len(named) == 1000 + len(found)
    assert {file.name for file in named if file.exists()} == found


def test_a_list_costs_no_more_than_the_files_that_are_there(folder: Path) -> None:
    names = b"\n".join([b"s00.raw"] * 2000 + [b"n%d.raw" % number for number in range(2000)])
    (folder / "a.nhdr").write_bytes(NRRD + b"data file: LIST\n" + names)
    assert len(list(data_files.data_files(folder / "a.nhdr"))) == 1001


@pytest.mark.parametrize("field", [b"s%02d.raw 0 3 1", b"LIST\ns00.raw"])
def test_several_data_files_are_none_where_one_is_asked_for(folder: Path, field: bytes) -> None:
    """A file of that name beside the header changes nothing."""
    (folder / "a.nhdr").write_bytes(NRRD + b"data file: " + field + b"\n")
    (folder / field.split(b"\n")[0].decode()).write_bytes(b"x")
    assert find_volumes([folder]).files > {(folder / "a.nhdr").resolve()}
    assert find_volumes([folder], beside_only=True).files == {(folder / "a.nhdr").resolve()}
    with refuses("LEX-DATA-1456", "a.nhdr"):
        data_files.check_data_files(folder / "a.nhdr", is_nrrd=True, beside_only=True)


@pytest.mark.parametrize("numbers", ["--1 3 1", "\u00b2 3 1", "0 3 x"])
def test_a_header_with_an_odd_number_fails_alone(folder: Path, numbers: str) -> None:
    write_image(folder / "a.png")
    (folder / "bad.nhdr").write_bytes(NRRD + f"data file: s%02d.raw {numbers}\n".encode())
    volumes = find_volumes([folder])
    assert [target.path.name for target in volumes.targets] == ["bad.nhdr"]
    assert len(find_images([folder], of_volumes=volumes.files).targets) == 1
    with refuses("LEX-DATA-1199", "bad.nhdr"):
        read_stored(folder / "bad.nhdr")


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("a.mha", META + b"ElementDataFile = LOCAL\n"),
        ("a.mha", META + b"Comment = " + b"x" * 5000 + b"\nElementDataFile = LOCAL\r\n"),
        ("a.nrrd", NRRD + b"\n"),
        ("a.nrrd", NRRD + b"content: " + b"x" * 5000 + b"\r\n\r\n"),
    ],
)
def test_voxels_in_the_file_are_not_searched_for_names(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, head: bytes
) -> None:
    (folder / name).write_bytes(head + VOXELS.tobytes() + bytes(1 << 20))
    read: list[int] = []

    class Counted(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            content = super().read(-1 if size is None else size)
            read.append(len(content))
            return content

    def counted(path: Path, *_: object, **__: object) -> Counted:
        return Counted(path)

    monkeypatch.setattr(data_files, "open", counted, raising=False)
    assert list(data_files.data_files(folder / name)) == []
    assert sum(read) == 4096 * len(read) == (4096 if len(head) < 4096 else 8192)
