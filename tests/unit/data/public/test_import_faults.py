"""Published folders that are incomplete, broken, or something else; options of an import."""

from __future__ import annotations

import gzip
import shutil
import sys
import weakref
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor, ImageDraw

import originals
from lexiseg.data import open_dataset
from lexiseg.data.check.dataset_check import check_dataset
from lexiseg.data.public.dataset_import import import_dataset
from lexiseg.data.public.importers.masks import nearest_colour
from lexiseg.data.public.importers.source import SourceCase, SourceDataset
from lexiseg.data.public.importers.write import write_dataset
from lexiseg.data.public.registry import find_entry
from lexiseg.errors import DataError
from lexiseg.extras import install_hint
from lexiseg.outputs.folder_lock import FolderLock
from refusals import refuses


def areas(path: Path) -> dict[int, int]:
    values, counts = np.unique(np.asarray(Image.open(path)), return_counts=True)
    return {int(v): int(n) for v, n in zip(values, counts, strict=True) if v}


def test_clinicdb_without_sequences_says_so(tmp_path: Path) -> None:
    originals.clinicdb(tmp_path / "original")
    (tmp_path / "original/metadata.csv").unlink()
    imported = import_dataset("clinicdb", tmp_path / "original", tmp_path / "out")
    assert any("No metadata.csv" in sentence for sentence in imported.notes)


def test_ddti_with_masks_of_ones(tmp_path: Path) -> None:
    originals.ddti_masks(tmp_path / "original")
    import_dataset("ddti", tmp_path / "original", tmp_path / "out")
    assert areas(tmp_path / "out/masks/1.png") == {255: 60}


@pytest.mark.parametrize(
    ("svg", "message"),
    [
        ("{not json", "expected outlines as JSON"),
        ("[{}]", "expected outlines as JSON"),
        ('[{"points": [{"x": 1, "y": Infinity}]}]', "expected outlines as JSON"),
        ('[{"points": [{"x": 1e300, "y": 1}]}]', "an outline has a point outside any picture"),
        ('[{"points": [{"x": NaN, "y": 1}]}]', "expected outlines as JSON"),
    ],
)
def test_ddti_with_broken_outlines(tmp_path: Path, svg: str, message: str) -> None:
    originals.ddti(tmp_path / "original")
    (tmp_path / "original/thyroid/8.xml").write_text(
        f"<case><mark><image>1</image><svg>{svg}</svg></mark></case>"
    )
    with pytest.raises(DataError, match=rf"8\.xml: {message}"):
        import_dataset("ddti", tmp_path / "original", tmp_path / "out")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_ddti_refuses_entities(tmp_path: Path, encoding: str) -> None:
    originals.ddti(tmp_path / "original")
    text = '<!DOCTYPE a [<!ENTITY b "c">]><case>&b;</case>'
    (tmp_path / "original/thyroid/8.xml").write_text(text, encoding=encoding)
    with refuses("LEX-DATA-086", "8.xml cannot be"):
        import_dataset("ddti", tmp_path / "original", tmp_path / "out")


def test_ddti_image_that_is_not_there(tmp_path: Path) -> None:
    originals.ddti(tmp_path / "original")
    xml = tmp_path / "original/thyroid/8.xml"
    xml.write_text(xml.read_text().replace("<image>2</image>", "<image>../../2</image>"))
    imported = import_dataset("ddti", tmp_path / "original", tmp_path / "out")
    assert "1 outlined image does not exist: 8_../../2." in imported.notes
    assert any("8_2.jpg" in sentence for sentence in imported.notes)


def test_masks_of_one_class_that_cannot_be_told(tmp_path: Path) -> None:
    originals.ddti_masks(tmp_path / "original")
    path = tmp_path / "original/DDTI/1_or_data/mask/2.PNG"
    originals.save(path, originals.block(255))  # some write 1, some 255: either way it is the nodule
    import_dataset("ddti", tmp_path / "original", tmp_path / "out")
    assert areas(tmp_path / "out/masks/1.png") == areas(tmp_path / "out/masks/2.png") == {255: 60}
    originals.save(path, originals.block(2))
    with refuses("LEX-DATA-071", "2.PNG holds values"):
        import_dataset("ddti", tmp_path / "original", tmp_path / "again")


def test_masks_written_otherwise_are_not_taken_for_empty_ones(tmp_path: Path) -> None:
    originals.chaos(tmp_path / "original")
    for path in (tmp_path / "original/Train_Sets/MR").rglob("*.png"):  # as some mirrors number the organs
        originals.save(path, np.asarray(Image.open(path)) // 63)
    with refuses("LEX-DATA-090", "for liver, 126"):
        import_dataset("chaos", tmp_path / "original", tmp_path / "out")


def test_a_class_that_no_mask_holds_is_said(tmp_path: Path) -> None:
    originals.chaos(tmp_path / "original")
    for path in (tmp_path / "original/Train_Sets/MR").rglob("*.png"):
        labels = np.asarray(Image.open(path))
        originals.save(path, np.where(labels == 252, 0, labels).astype(np.uint8))
    imported = import_dataset("chaos", tmp_path / "original", tmp_path / "out")
    assert "No mask holds the class spleen." in imported.notes


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("ddti", "thyroid/._8.xml"),
        ("camus", "database_nifti/patient0001/._patient0001_2CH_ED_gt.nii.gz"),
        ("chaos-ct", "Train_Sets/CT/1/DICOM_anon/._i0000,0000b.dcm"),
        ("glas", "Warwick_QU_Dataset/._train_1.bmp"),
    ],
)
def test_what_macos_puts_beside_files_is_passed_over(name: str, path: str, tmp_path: Path) -> None:
    originals.MAKERS[name](tmp_path / "original")
    (tmp_path / "original" / path).write_bytes(b"\0\5\x16\7Mac OS X")
    said = import_dataset(name, tmp_path / "original", tmp_path / "out").notes
    assert not any("._" in sentence for sentence in said)


def test_the_same_patient_in_two_folders_without_a_split(tmp_path: Path) -> None:
    originals.acdc(tmp_path / "original")
    base = tmp_path / "original/ACDC/database"
    shutil.rmtree(base / "testing")
    shutil.copytree(base / "training", base / "copy")
    with refuses("LEX-DATA-091", "called patient001_frame01_z00,"):
        import_dataset("acdc", tmp_path / "original", tmp_path / "out")


def test_test_images_alone_cannot_be_split(tmp_path: Path) -> None:
    originals.acdc(tmp_path / "original")
    shutil.rmtree(tmp_path / "original/ACDC/database/training")
    with refuses("LEX-DATA-084", "split exist; expected"):
        import_dataset("acdc", tmp_path / "original", tmp_path / "out")


def test_sentences_that_fit_no_image_are_said(tmp_path: Path) -> None:
    originals.qata(tmp_path / "original")
    for path in (tmp_path / "original").glob("*.xlsx"):
        path.unlink()
    imported = import_dataset("qata", tmp_path / "original", tmp_path / "out")
    assert "No sheet of sentences was found, so there are no reports." in imported.notes
    (tmp_path / "original/other.csv").write_text("Image,Description\ngone.png,One infected area.\n")
    imported = import_dataset("qata", tmp_path / "original", tmp_path / "again")
    assert any(
        s.endswith("other.csv holds 1 sentence that belongs to no image: gone.png.") for s in imported.notes
    )


def test_lists_that_are_no_text(tmp_path: Path) -> None:
    originals.camus(tmp_path / "original")
    (tmp_path / "original/database_split/subgroup_training.txt").write_bytes(b"patient0001\xff\n")
    with refuses("LEX-DATA-083", "subgroup_training.txt cannot"):
        import_dataset("camus", tmp_path / "original", tmp_path / "out")


def test_pixels_are_not_kept_while_others_are_read(tmp_path: Path) -> None:
    references: list[weakref.ref[np.ndarray]] = []

    def read() -> Iterator[SourceCase]:
        for number in range(8):
            pixels, labels = originals.noise(number, colour=False), originals.block(1)
            references.extend((weakref.ref(pixels), weakref.ref(labels)))
            yield SourceCase(name=str(number), image=pixels, labels=labels, original="", patient=str(number))
            del pixels, labels
            # The caller may still hold the last case, but none before it.
            assert all(reference() is None for reference in references[:-2])

    entry = find_entry("kvasir")
    write_dataset(SourceDataset(cases=read()), entry, tmp_path, seed=0, keep_published=False)
    assert len(references) == 16


def test_isic_without_some_archives_says_which(tmp_path: Path) -> None:
    originals.isic(tmp_path / "original")
    shutil.rmtree(tmp_path / "original/ISIC2018_Task1_Test_GroundTruth")  # pragma: allowlist secret
    for number in range(10, 13):
        originals.save(
            tmp_path / f"original/ISIC2018_Task1-2_Training_Input/ISIC_{number:07d}.jpg",
            originals.noise(number),
        )
    imported = import_dataset("isic", tmp_path / "original", tmp_path / "out")
    assert any("The test images" in sentence and "do not exist" in sentence for sentence in imported.notes)
    assert any("3 images were left out: they have no mask" in sentence for sentence in imported.notes)
    assert imported.counts == {"train": 2, "val": 2, "test": 1}


def test_glas_with_patients_in_train_and_test(tmp_path: Path) -> None:
    originals.glas(tmp_path / "original")
    grades = tmp_path / "original/Warwick_QU_Dataset/Grade.csv"
    grades.write_text(grades.read_text().replace("testA_1, 4", "testA_1, 0"))
    imported = import_dataset("glas", tmp_path / "original", tmp_path / "out")
    assert any("The published split was not used: 1 patient is in" in sentence for sentence in imported.notes)
    samples = {s.id: s for s in open_dataset(tmp_path / "out").samples}
    assert samples["testA_1"].split == samples["train_1"].split
    kept = import_dataset("glas", tmp_path / "original", tmp_path / "kept", published_split=True)
    assert kept.counts["test"] == 2
    assert any("kept as requested" in sentence for sentence in kept.notes)
    assert check_dataset(tmp_path / "kept").of("patient-in-splits") is not None


def test_camus_without_lists(tmp_path: Path) -> None:
    originals.camus(tmp_path / "original", lists=False)
    imported = import_dataset("camus", tmp_path / "original", tmp_path / "out")
    assert any("no published split" in sentence for sentence in imported.notes)
    assert sum(imported.counts.values()) == 10


def test_volumes_of_fractions_are_scaled_and_that_is_noted(tmp_path: Path) -> None:
    originals.acdc(tmp_path / "original")
    path = tmp_path / "original/ACDC/database/training/patient001/patient001_frame01.nii.gz"
    values = np.zeros((originals.SHAPE[1], originals.SHAPE[0], 3), np.float32)
    values[5, 0, 1], values[6, 0, 1] = -0.5, 1.5
    originals.nifti(path, values, (1.5, 1.25, 10.0))
    imported = import_dataset("acdc", tmp_path / "original", tmp_path / "out")
    assert "patient001_frame01.nii.gz: its values -0.5 to 1.5 were scaled to 0 to 65535." in imported.notes
    pixels = np.asarray(Image.open(tmp_path / "out/images/patient001_frame01_z01.png"))
    assert (pixels[0, 5], pixels[0, 6], pixels[0, 7]) == (0, 65535, 16384)


def test_labels_that_stand_for_no_class(tmp_path: Path) -> None:
    originals.acdc(tmp_path / "original")
    path = tmp_path / "original/ACDC/database/training/patient001/patient001_frame01_gt.nii.gz"
    labels = np.full((originals.SHAPE[1], originals.SHAPE[0], 3), 4, np.uint8)
    originals.nifti(path, labels, (1.5, 1.25, 10.0))
    with refuses("LEX-DATA-072", "expected 0, 1, 2, 3"):
        import_dataset("acdc", tmp_path / "original", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_labels_of_another_shape(tmp_path: Path) -> None:
    originals.acdc(tmp_path / "original")
    path = tmp_path / "original/ACDC/database/training/patient001/patient001_frame01_gt.nii.gz"
    originals.nifti(path, np.zeros((4, 4, 3), np.uint8), (1.5, 1.25, 10.0))
    with refuses("LEX-DATA-077", "has (3, 4, 4)"):
        import_dataset("acdc", tmp_path / "original", tmp_path / "out")


@pytest.mark.parametrize("damage", ["cut", "type"])
def test_broken_volume(tmp_path: Path, damage: str) -> None:
    originals.acdc(tmp_path / "original")
    path = tmp_path / "original/ACDC/database/training/patient001/patient001_frame01.nii.gz"
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[70:72] = b"\x0f\x27"  # a type of numbers that NIfTI does not know
    path.write_bytes(path.read_bytes()[:200] if damage == "cut" else gzip.compress(content))
    with refuses("LEX-DATA-074", "patient001_frame01.nii.gz"):
        import_dataset("acdc", tmp_path / "original", tmp_path / "out")


def test_broken_slice(tmp_path: Path) -> None:
    originals.chaos(tmp_path / "original")
    path = tmp_path / "original/Train_Sets/CT/1/DICOM_anon/i0000,0000b.dcm"
    path.write_bytes(path.read_bytes()[:400])
    with refuses("LEX-DATA-067", "i0000,0000b.dcm cannot be"):
        import_dataset("chaos-ct", tmp_path / "original", tmp_path / "out")


def test_chaos_with_a_label_missing(tmp_path: Path) -> None:
    originals.chaos(tmp_path / "original")
    (tmp_path / "original/Train_Sets/CT/2/Ground/liver_GT_001.png").unlink()
    with refuses("LEX-DATA-069", "holds 2 slices, but"):
        import_dataset("chaos-ct", tmp_path / "original", tmp_path / "out")


def test_chaos_label_near_to_no_organ(tmp_path: Path) -> None:
    originals.chaos(tmp_path / "original")
    originals.save(tmp_path / "original/Train_Sets/MR/1/T2SPIR/Ground/IMG-0004-2.png", originals.block(95))
    with refuses("LEX-DATA-072", "IMG-0004-2.png holds the"):
        import_dataset("chaos", tmp_path / "original", tmp_path / "out")


@pytest.mark.parametrize("name", originals.MAKERS)
def test_a_folder_that_is_something_else(name: str, tmp_path: Path) -> None:
    (tmp_path / "other" / "holiday").mkdir(parents=True)
    originals.save(tmp_path / "other/holiday/beach.png", originals.noise(1))
    with refuses("LEX-DATA-082", ". It holds holiday/."):
        import_dataset(name, tmp_path / "other", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "package"), [("acdc", "nibabel"), ("camus", "nibabel"), ("chaos", "pydicom")]
)
def test_a_missing_extra_is_named(
    name: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    originals.MAKERS[name](tmp_path / "original")
    monkeypatch.setitem(sys.modules, package, None)
    with refuses("LEX-USE-011", f"needs the package '{package}'", install_hint("volumes")):
        import_dataset(name, tmp_path / "original", tmp_path / "out")


def test_an_archive_with_archives_inside(tmp_path: Path) -> None:
    originals.bkai(tmp_path / "original")
    with zipfile.ZipFile(tmp_path / "bkai-igh-neopolyp.zip", "w") as outer:
        for part in ("train", "train_gt"):
            inner = tmp_path / f"{part}.zip"
            with zipfile.ZipFile(inner, "w") as archive:
                for path in sorted((tmp_path / "original" / part).rglob("*.jpeg")):
                    archive.write(path, path.relative_to(tmp_path / "original" / part).as_posix())
            outer.write(inner, inner.name)
    # What an import left that was killed while it unpacked.
    killed = tmp_path / ".partial-out-abcd1234"
    (killed / "train").mkdir(parents=True)
    imported = import_dataset("bkai", tmp_path / "bkai-igh-neopolyp.zip", tmp_path / "out")
    assert sum(imported.counts.values()) == 4
    assert not killed.exists()
    assert not list(tmp_path.glob(".*"))


def test_what_a_killed_import_unpacked_is_no_data(tmp_path: Path) -> None:
    originals.kvasir(tmp_path / "original")
    import_dataset("kvasir", tmp_path / "original", tmp_path / "out")
    before = open_dataset(tmp_path / "out")
    for kind in ("images", "masks"):
        shutil.copytree(tmp_path / "out" / kind, tmp_path / "out" / ".partial-new-abcd1234" / kind)
    assert open_dataset(tmp_path / "out") == before
    assert not check_dataset(tmp_path / "out").has_errors


def test_one_import_at_a_time_makes_a_folder(tmp_path: Path) -> None:
    originals.kvasir(tmp_path / "original")
    lock = FolderLock.beside(tmp_path / "out")
    assert lock.take() is None
    with refuses("LEX-USE-746", "makes it now"):
        import_dataset("kvasir", tmp_path / "original", tmp_path / "out")
    lock.release()
    import_dataset("kvasir", tmp_path / "original", tmp_path / "out")


def test_pictures_whose_mask_has_another_size_are_left_out(tmp_path: Path) -> None:
    originals.kvasir(tmp_path / "original")
    originals.save(tmp_path / "original/Kvasir-SEG/masks/cju3.jpg", np.zeros((5, 5), np.uint8))
    imported = import_dataset("kvasir", tmp_path / "original", tmp_path / "out")
    assert "1 image was left out: image and mask differ in size: cju3." in imported.notes
    assert sum(imported.counts.values()) == 3


def test_the_same_file_twice_stays_in_one_split(tmp_path: Path) -> None:
    source = tmp_path / "original"
    originals.isic(source)
    shutil.copyfile(
        source / "ISIC2018_Task1-2_Test_Input/ISIC_0000006.jpg",
        source / "ISIC2018_Task1-2_Training_Input/ISIC_0000001.jpg",
    )
    imported = import_dataset("isic", source, tmp_path / "out")
    assert imported.counts == {"train": 2, "val": 2, "test": 2}
    assert not (tmp_path / "out/masks/ISIC_0000001.png").exists()
    assert not check_dataset(tmp_path / "out").has_errors


def test_out_in_use_and_names_nobody_knows(tmp_path: Path) -> None:
    originals.kvasir(tmp_path / "original")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    with refuses("LEX-USE-010", "not an empty folder"):
        import_dataset("kvasir", tmp_path / "original", tmp_path / "out")
    assert (tmp_path / "out/mine.txt").read_text() == "mine"
    with refuses("LEX-USE-009", ". has no name of its own."):
        import_dataset("kvasir", tmp_path / "original", ".")
    with refuses("LEX-USE-012", "No data set 'kvasirr'"):
        import_dataset("kvasirr", tmp_path / "original", tmp_path / "new")
    with refuses("LEX-DATA-059", "archive of Kvasir-SEG"):
        import_dataset("kvasir", tmp_path / "nowhere", tmp_path / "new")


def test_a_sentence_that_is_no_formula_is_read_as_it_was(tmp_path: Path) -> None:
    originals.qata(tmp_path / "original")
    for path in (tmp_path / "original").glob("*.xlsx"):
        path.unlink()
    image = next((tmp_path / "original").rglob("*.png")).name
    (tmp_path / "original/other.csv").write_text(f'Image,Description\n{image},"=One, infected area."\n')
    import_dataset("qata", tmp_path / "original", tmp_path / "out")
    assert '"\'=One, infected area."' in (tmp_path / "out/reports.csv").read_text("utf-8")
    reports = [sample.report for sample in open_dataset(tmp_path / "out").samples if sample.report]
    assert reports == ["=One, infected area."]


@pytest.mark.parametrize("suffix", [".png", ".jpeg"])
@pytest.mark.parametrize("colour", ["white", "yellow", "#808080", "blue"])
def test_a_colour_of_no_class_is_refused(tmp_path: Path, colour: str, suffix: str) -> None:
    picture = Image.new("RGB", (40, 40))
    picture.paste((255, 0, 0), (2, 2, 20, 20))
    picture.paste(ImageColor.getrgb(colour), (25, 25, 35, 35))
    picture.save(tmp_path / f"a{suffix}", **({"quality": 75} if suffix == ".jpeg" else {}))
    with refuses("LEX-DATA-1893", f"a{suffix}", "#ff0000"):
        nearest_colour(tmp_path / f"a{suffix}", find_entry("bkai"))


@pytest.mark.parametrize("quality", [50, 75, 95])
def test_colours_that_jpeg_changed_are_those_of_classes(tmp_path: Path, quality: int) -> None:
    picture = Image.new("RGB", (64, 64))
    drawing = ImageDraw.Draw(picture)
    drawing.ellipse((3, 3, 40, 40), fill=(255, 0, 0))
    drawing.ellipse((30, 30, 60, 60), fill=(0, 255, 0))
    drawing.ellipse((50, 5, 54, 9), fill=(255, 0, 0))
    picture.save(tmp_path / "a.jpeg", quality=quality, subsampling=2)
    labels = nearest_colour(tmp_path / "a.jpeg", find_entry("bkai"))
    assert (labels[20, 20], labels[50, 50], labels[60, 5]) == (1, 2, 0)
