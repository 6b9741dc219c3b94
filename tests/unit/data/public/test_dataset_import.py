"""Every public data set, from a miniature of its published layout to the layout of the house."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import originals
from lexiseg.data import open_dataset
from lexiseg.data.check.dataset_check import check_dataset
from lexiseg.data.public.dataset_import import ImportResult, import_dataset
from lexiseg.data.readers import read_image
from lexiseg.data.sample import Sample


@dataclass(frozen=True)
class Done:
    """A miniature that was imported; tests only read it."""

    original: Path
    result: ImportResult

    @property
    def out(self) -> Path:
        return self.result.folder

    @property
    def samples(self) -> dict[str, Sample]:
        return {sample.id: sample for sample in open_dataset(self.out).samples}

    @property
    def cases(self) -> dict[str, dict[str, str]]:
        with (self.out / "cases.csv").open() as file:
            return {row["image"]: row for row in csv.DictReader(file)}

    def image(self, name: str) -> np.ndarray:
        return np.asarray(Image.open(self.out / "images" / f"{name}.png"))

    def mask(self, name: str) -> np.ndarray:
        return np.asarray(Image.open(self.out / "masks" / f"{name}.png"))

    def areas(self, name: str) -> dict[int, int]:
        values, counts = np.unique(self.mask(name), return_counts=True)
        return {int(v): int(n) for v, n in zip(values, counts, strict=True) if v}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Done]:
    """Return what imports the miniature of a data set, once for all tests."""
    made: dict[str, Done] = {}

    def run(name: str) -> Done:
        if name not in made:
            folder = tmp_path_factory.mktemp("imports")
            originals.MAKERS[name](folder / "original")
            made[name] = Done(folder / "original", import_dataset(name, folder / "original", folder / "out"))
        return made[name]

    return run


@pytest.mark.parametrize("name", originals.MAKERS)
def test_what_is_imported_opens_and_passes_the_check(name: str, done: Callable[[str], Done]) -> None:
    found = done(name)
    report = check_dataset(found.out)
    assert not report.has_errors, [f for f in report.findings if f.severity == "error"]
    index = open_dataset(found.out)
    assert index.name == found.result.entry.title
    assert index.class_names == ("background", *(named.name for named in found.result.entry.classes))
    assert {split: len(index.split(split)) for split in found.result.counts} == found.result.counts
    assert all(found.result.counts.values())
    patients = {s.patient: {t.split for t in index.samples if t.patient == s.patient} for s in index.samples}
    assert all(len(splits) == 1 for patient, splits in patients.items() if patient is not None)
    record = json.loads((found.out / "import.json").read_text())
    assert record["licence"] == found.result.entry.licence
    assert record["said"] == list(found.result.notes)


def test_kvasir_masks_are_cut_and_images_kept_byte_for_byte(done: Callable[[str], Done]) -> None:
    found = done("kvasir-seg")
    copied = (found.out / "images/cju0.jpg").read_bytes()
    assert copied == (found.original / "Kvasir-SEG/images/cju0.jpg").read_bytes()
    mask = found.mask("cju0")
    # JPEG blurs the edge of the block by at most a pixel; its inside and the far outside are certain.
    assert set(np.unique(mask)) == {0, 255}
    assert (mask[3:7, 5:13] == 255).all()
    assert not mask[10:].any()
    index = open_dataset(found.out)
    assert (index.vocabulary, index.side, index.keyword) == ("polyp", "image", "polyp area")


def test_bkai_colours_become_classes(done: Callable[[str], Done]) -> None:
    found = done("bkai")
    mask = found.mask("00ab")
    assert (mask[3:9, 1:7] == 1).all()
    assert (mask[13:19, 18:30] == 2).all()
    assert set(found.areas("00ab")) == {1, 2}
    assert 55 <= found.areas("00ab")[1] <= 75
    assert 115 <= found.areas("00ab")[2] <= 145
    index = open_dataset(found.out)
    assert index.class_names[1:] == ("neoplastic polyp", "non-neoplastic polyp")
    assert index.keyword == {
        "neoplastic polyp": "neoplastic polyp area",
        "non-neoplastic polyp": "non-neoplastic polyp area",
    }


def test_clinicdb_keeps_sequences_together(done: Callable[[str], Done]) -> None:
    found = done("cvc-clinicdb")
    assert found.areas("3") == {255: 60}
    samples = found.samples
    assert samples["3"].patient == samples["4"].patient == "sequence 2"
    assert samples["3"].image.suffix == ".tif"


def test_busi_joins_masks_and_keeps_normal_images(done: Callable[[str], Done]) -> None:
    found = done("busi")
    assert found.areas("benign (1)") == {255: 60 + 60 - 15 + 4}
    assert found.areas("malignant (1)") == {255: 60}
    assert found.areas("normal (1)") == {}
    assert sum(found.result.counts.values()) == 4


def test_ddti_fills_polygons_and_leaves_out_images_without(done: Callable[[str], Done]) -> None:
    found = done("ddti")
    assert np.array_equal(found.mask("7_1"), originals.block())
    assert found.areas("7_2") == {255: 69}
    assert not (found.out / "images/9_3.jpg").exists()
    assert any("9_3.jpg" in sentence for sentence in found.result.notes)
    assert found.cases["8_1"]["patient"] == "case 8"


def test_mosmed_knows_studies_and_sentences(done: Callable[[str], Done]) -> None:
    found = done("mosmeddata+")
    samples = found.samples
    assert {s.patient for s in samples.values()} == {*originals.MOSMED, "Morozov_study_0256"}
    assert all((s.report or "").startswith("Bilateral") for s in samples.values())
    assert found.areas("Jun_coronacases_case1_0") == {255: 60 + 48}
    assert found.result.entry.side is None
    assert open_dataset(found.out).side is None


def test_qata_keeps_its_test_and_takes_val_by_subject(done: Callable[[str], Done]) -> None:
    found = done("qata-cov19")
    samples = found.samples.values()
    assert {s.patient for s in samples if s.split == "test"} == {"S00006", "S00007"}
    assert found.result.counts["test"] == 3
    assert sum(found.result.counts.values()) == 9
    assert all(
        s.report == "Unilateral pulmonary infection, one infected area, upper left lung." for s in samples
    )
    assert any("Train_ID.xlsx" in sentence for sentence in found.result.notes)


def test_lvit_layout_with_a_subject_in_train_and_val(done: Callable[[str], Done]) -> None:
    found = done("COVID-Xray")
    samples = found.samples.values()
    assert {s.patient for s in samples if s.split == "test"} == {"s00005", "s00006"}
    assert len({s.split for s in samples if s.patient == "s00001"}) == 1
    assert any("train and val share 1 patient;" in sentence for sentence in found.result.notes)
    assert all(s.report for s in samples)


def test_dfu_tests_on_validation_and_ignores_neighbours(done: Callable[[str], Done]) -> None:
    found = done("dfu")
    assert found.result.counts == {"train": 5, "val": 1, "test": 2}
    assert {s.id for s in open_dataset(found.out).split("test")} == {"0006", "0007"}
    assert found.areas("0006") == {255: 60}


def test_isic_keeps_the_published_split(done: Callable[[str], Done]) -> None:
    found = done("isic2018")
    assert found.result.counts == {"train": 3, "val": 2, "test": 2}
    assert found.areas("ISIC_0000004") == {255: 60}


def test_glas_counts_every_gland_and_knows_patients(done: Callable[[str], Done]) -> None:
    found = done("glas")
    assert found.areas("train_1") == {255: 64}
    assert found.result.counts == {"train": 3, "val": 1, "test": 2}
    samples = found.samples
    assert samples["train_10"].patient == "patient 2"
    assert samples["testB_1"].spacing_mm == (0.00062005, 0.00062005)


def test_camus_has_its_split_labels_and_spacing(done: Callable[[str], Done]) -> None:
    found = done("camus")
    assert found.result.counts == {"train": 6, "val": 2, "test": 2}
    assert found.areas("patient0002_4CH_ES") == {1: 60, 2: 40, 3: 10}
    # Nothing is turned: the file's fastest index runs along the rows of the picture.
    mask = found.mask("patient0002_4CH_ES")
    assert mask.shape == originals.SHAPE
    assert (mask[2:8, 4:14] == 1).all()
    assert np.array_equal(found.image("patient0002_4CH_ES"), originals.noise(21, colour=False))
    samples = found.samples
    assert samples["patient0002_4CH_ES"].spacing_mm == pytest.approx((0.15, 0.32))
    assert samples["patient0003_2CH_ED"].spacing_mm == pytest.approx((0.15, 0.33))
    assert samples["patient0003_2CH_ED"].patient == "patient0003"


def test_acdc_slices_keep_16_bits_phase_and_spacing(done: Callable[[str], Done]) -> None:
    found = done("acdc")
    assert found.result.counts["test"] == 2 * 2 * 3
    assert sum(found.result.counts.values()) == 6 * 2 * 3
    pixels = found.image("patient002_frame12_z02")
    assert pixels.dtype == np.uint16
    assert pixels.shape == originals.SHAPE
    assert pixels[0, 5] == 1500
    assert found.areas("patient002_frame12_z01") == {1: 60, 2: 40}
    assert found.areas("patient002_frame12_z02") == {3: 10}
    assert found.areas("patient002_frame12_z00") == {}
    row = found.cases["patient002_frame12_z02"]
    assert row["original"] == "ACDC/database/training/patient002/patient002_frame12.nii.gz ES slice 2"
    assert (float(row["row_mm"]), float(row["column_mm"])) == pytest.approx((1.25, 1.502))
    assert found.result.notes == ("Val was split off train by patient with seed 0: 6 val.",)


def test_chaos_mr_series_share_labels_and_patients(done: Callable[[str], Done]) -> None:
    found = done("chaos")
    assert found.result.entry.name == "chaos-mr"
    assert sum(found.result.counts.values()) == 3 * 3 * 2
    for series in ("t1in", "t1out", "t2"):
        assert found.areas(f"mr13_{series}_001") == {1: 60, 2: 40, 3: 10, 4: 4}
    pixels = found.image("mr13_t1out_001")
    assert pixels.dtype == np.uint16
    assert pixels[0, 0] == 10  # the second slice is number 10, though "10" sorts before "2"
    samples = found.samples
    assert samples["mr13_t2_000"].spacing_mm == pytest.approx((1.9, 1.53))
    assert samples["mr2_t2_000"].spacing_mm == pytest.approx((1.9, 1.42))
    assert len({s.split for s in samples.values() if s.patient == "mr13"}) == 1


def test_chaos_ct_keeps_the_stated_window(done: Callable[[str], Done]) -> None:
    found = done("chaos-ct")
    pixels = found.image("ct2_001")
    assert pixels.dtype == np.uint8
    # -1000, -160, 240 and 900 HU, then 1 HU, in a window from -160 to 240: 161 * 255 / 400 = 102.6.
    assert pixels[0, :4].tolist() == [0, 0, 255, 255]
    assert pixels[1, 0] == 103
    assert found.areas("ct2_001") == {255: 70}
    assert any("from -160 to 240 HU" in sentence for sentence in found.result.notes)
    # A unit keeps its grey when the picture is read: nothing is stretched anew, slice by slice.
    assert np.array_equal(read_image(found.out / "images/ct2_001.png")[..., 0], pixels)
