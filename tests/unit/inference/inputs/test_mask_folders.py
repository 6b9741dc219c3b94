"""Masks of a data set are not predicted with its images, wherever the data set is, and are named."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

import lexiseg
from lexiseg.cli.app import app
from lexiseg.clinic.view import AS_STORED
from lexiseg.errors import DataError
from lexiseg.inference.inputs.target_search import FoundImages, find_images
from lexiseg.inference.volumes.targets import find_volumes
from lexiseg.inference.volumes.volume_inputs import all_volumes
from refusals import refuses
from threshold_predictor import write_image

#: Where the phantom of so many classes has the images of its test split, and their masks.
LAYOUTS = {1: ("Test_Folder/img", "Test_Folder/labelcol"), 2: ("images", "masks")}


@pytest.fixture(params=sorted(LAYOUTS))
def data(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path, Path]:
    """Return a data set, and its folders of images and of masks."""
    place = tmp_path / "data"
    lexiseg.write_phantom(place, num_train=2, num_val=1, num_test=1, size=64, classes=request.param)
    images, masks = LAYOUTS[request.param]
    return place, place / images, place / masks


def detached_volume(path: Path) -> None:
    """Write a volume whose voxels lie in a file beside its header."""
    path.parent.mkdir(parents=True)
    path.with_suffix(".raw").write_bytes(bytes(48))
    path.with_suffix(".mhd").write_text(
        "ObjectType = Image\nNDims = 3\nDimSize = 4 4 3\nElementType = MET_UCHAR\n"
        f"ElementDataFile = {path.name}.raw\n"
    )


def count(found: FoundImages) -> int:
    return sum(files.count for files in found.unread.masks.values())


def test_the_images_of_a_data_set_are_predicted_alone(data: tuple[Path, Path, Path]) -> None:
    place, images, masks = data
    # Layouts read such folders in any letter case.
    for folder in (images, masks):
        folder.rename(folder.with_name("renamed")).rename(folder.with_name(folder.name.upper()))
    expected = {sample.image.resolve() for sample in lexiseg.open_dataset(place).samples}
    for pattern in (place, place / "**" / "*.png"):
        found = find_images([pattern])
        assert {target.image.resolve() for target in found.targets} == expected
        assert count(found) == 4
    url = find_images([place.as_uri()])
    assert (len(url.targets), count(url)) == (4, 4)
    assert {target.label for target in url.targets} == {file.as_uri() for file in expected}


def test_masks_that_are_named_are_predicted(data: tuple[Path, Path, Path]) -> None:
    _, _, masks = data
    mask = next(file for file in sorted(masks.rglob("*.png")))
    for pattern in (masks, mask, masks / "**" / "*.png"):
        found = find_images([pattern])
        assert mask in [target.image for target in found.targets]
        assert count(found) == 0


def test_masks_in_an_archive_are_not_predicted_whatever_their_order(tmp_path: Path) -> None:
    for name in ("d/Masks/train/a.png", "d/images/train/a.png", "d/other/masks/a.png"):
        write_image(tmp_path / name)
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name in ("d/Masks", "d/images", "d/other"):
            tar.add(tmp_path / name, name)
    found = find_images([tmp_path / "x.tar"])
    assert [str(target.name) for target in found.targets] == ["x/d/images/train/a", "x/d/other/masks/a"]
    assert [(files.count, files.example.name) for files in found.unread.masks.values()] == [(1, "a.png")]


def test_label_volumes_of_a_data_set_are_no_volumes_to_predict(tmp_path: Path) -> None:
    for name in (
        "imagesTr/a_0000.nii.gz",
        "labelsTr/a.nii.gz",
        "imagesTs/b_0000.nii.gz",
        "labelsTs/b.nii.gz",
    ):
        file = tmp_path / "d" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
    for pattern in (tmp_path / "d", tmp_path / "d" / "*" / "*.nii.gz"):
        volumes = find_volumes([pattern])
        names = [target.path.name for target in volumes.targets]
        assert names == ["a_0000.nii.gz", "b_0000.nii.gz"]
        found = find_images([pattern], of_volumes=volumes.files)
        assert (len(found.targets), count(found)) == (0, 2)
    assert len(find_volumes([tmp_path / "d" / "labelsTr"]).targets) == 1


def test_data_files_of_label_volumes_are_not_named_as_files_of_another_ending(tmp_path: Path) -> None:
    for name in ("imagesTr/a", "labelsTr/a"):
        detached_volume(tmp_path / name)
    volumes = find_volumes([tmp_path])
    found = find_images([tmp_path], of_volumes=volumes.files)
    assert ([target.path.name for target in volumes.targets], count(found)) == (["a.mhd"], 2)
    assert found.unread.skipped == {}


def test_functions_of_volumes_say_that_label_volumes_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("imagesTr/a", "labelsTr/b"):
        detached_volume(tmp_path / name)
    targets = all_volumes([tmp_path], tmp_path / "out", AS_STORED)
    assert [target.path.name for target in targets] == ["a.mhd"]
    assert f"holds the masks of a data set: {tmp_path / 'labelsTr' / 'b.mhd'}. To predict" in caplog.text
    with refuses("LEX-DATA-1906", "the masks of a data set: give their own folder"):
        all_volumes([tmp_path / "lab*" / "*.mhd"], tmp_path / "out", AS_STORED)


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    place = tmp_path / "data"
    write_image(place / "images" / "a.png")
    write_image(place / "masks" / "a.png")
    done = CliRunner().invoke(app, ["predict", "covid-xray", str(place), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "1 of 1 image segmented" in done.output
    assert "1 file is not read because a folder beside that of the images holds the masks" in done.output
    assert f"{place / 'masks' / 'a.png'}. To predict such a file, give its folder" in done.output
    packed = shutil.make_archive(str(tmp_path / "x"), "zip", place)
    done = CliRunner().invoke(app, ["predict", "covid-xray", packed, "--out", str(tmp_path / "zip")])
    assert f"{packed}/masks/a.png. To predict such a file" in done.output
    (place / "images" / "a.png").unlink()
    with pytest.raises(DataError, match=r"No image found .* Masks of a data set .*1 \.png \(a\.png\)"):
        find_images([place])
