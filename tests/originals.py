"""Miniatures of public data sets, as they are published; every case has a block of known place and size."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

#: Rows and columns of the pictures; not square, so that a swap shows.
SHAPE = (24, 32)

Array = npt.NDArray[np.generic]


def noise(seed: int, *, colour: bool = True, shape: tuple[int, int] = SHAPE) -> Array:
    """Return a picture that looks like no other."""
    size = (*shape, 3) if colour else shape
    return np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)


def block(value: int = 255, *, rows: slice = slice(2, 8), columns: slice = slice(4, 14)) -> Array:
    """Return a mask with one block: 6 rows, 10 columns, 60 pixels, unless told otherwise."""
    mask = np.zeros(SHAPE, np.uint8)
    mask[rows, columns] = value
    return mask


def save(path: Path, pixels: Array, **options: object) -> None:
    """Write a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def kvasir(root: Path) -> None:
    for seed in range(4):
        save(root / f"Kvasir-SEG/images/cju{seed}.jpg", noise(seed))
        save(root / f"Kvasir-SEG/masks/cju{seed}.jpg", np.repeat(block()[..., None], 3, axis=2), quality=90)
    (root / "Kvasir-SEG/kavsir_bboxes.json").write_text("{}")


def bkai(root: Path) -> None:
    for seed in range(4):
        save(root / f"train/train/{seed:02d}ab.jpeg", noise(seed))
        mask = np.zeros((*SHAPE, 3), np.uint8)
        mask[2:10, 0:8, 0] = 255  # neoplastic: red, 64 pixels
        mask[12:20, 16:32, 1] = 255  # non-neoplastic: green, 128 pixels
        # Published as JPEG, whose blocks of colour bleed; without subsampling these 8 x 8 blocks stay apart.
        save(root / f"train_gt/train_gt/{seed:02d}ab.jpeg", mask, quality=90, subsampling=0)
    save(root / "test/test/zz.jpeg", noise(99))


def clinicdb(root: Path) -> None:
    for number in range(1, 7):
        save(root / f"CVC-ClinicDB/Original/{number}.tif", noise(number))
        save(root / f"CVC-ClinicDB/Ground Truth/{number}.tif", block())
    rows = [{"frame_id": n, "sequence_id": (n + 1) // 2, "frame_number": n} for n in range(1, 7)]
    pd.DataFrame(rows).to_csv(root / "metadata.csv", index=False)


def busi(root: Path) -> None:
    base = root / "Dataset_BUSI_with_GT"
    for seed, (kind, number) in enumerate([("benign", 1), ("benign", 2), ("malignant", 1), ("normal", 1)]):
        save(base / kind / f"{kind} ({number}).png", noise(seed, colour=False))
        save(base / kind / f"{kind} ({number})_mask.png", block(0 if kind == "normal" else 255))
    # The second mask overlaps the first by 3 rows and 5 columns: 60 + 60 - 15 pixels.
    save(base / "benign/benign (1)_mask_1.png", block(rows=slice(5, 11), columns=slice(9, 19)))
    save(base / "benign/benign (1)_mask_2.png", block(rows=slice(20, 22), columns=slice(0, 2)))


def ddti(root: Path) -> None:
    for case in (7, 8, 9):
        marks = []
        for number in (1, 2):
            save(root / f"thyroid/{case}_{number}.jpg", noise(10 * case + number))
            corners = [(4, 2), (13, 2), (13, 7), (4, 7)]
            shapes = [{"points": [{"x": x, "y": y} for x, y in corners], "regionType": "freehand"}]
            if number == 2:  # a second nodule, 3 x 3
                more = [(20, 10), (22, 10), (22, 12), (20, 12)]
                shapes.append({"points": [{"x": x, "y": y} for x, y in more]})
            marks.append(f"<mark><image>{number}</image><svg>{json.dumps(shapes)}</svg></mark>")
        xml = f"<case><number>{case}</number><tirads>4a</tirads>{''.join(marks)}</case>"
        (root / f"thyroid/{case}.xml").write_text(xml)
    save(root / "thyroid/9_3.jpg", noise(93))
    text = (root / "thyroid/9.xml").read_text()
    empty = "<mark><image>3</image><svg></svg></mark></case>"
    (root / "thyroid/9.xml").write_text(text.replace("</case>", empty))


def ddti_masks(root: Path) -> None:
    for number in range(1, 5):
        save(root / f"DDTI/1_or_data/image/{number}.PNG", noise(number))
        save(root / f"DDTI/1_or_data/mask/{number}.PNG", block(1))


#: Studies of MosMedData+: three slices each.
MOSMED = ("Morozov_study_0255", "Jun_coronacases_case1", "Jun_radiopaedia_10_85902_3_case12")


def mosmed(root: Path) -> None:
    texts: dict[str, list[tuple[str, str]]] = {"Train": [], "Val": [], "Test": []}
    for seed, study in enumerate((*MOSMED, "Morozov_study_0256")):
        for number, split in enumerate(texts):
            name = f"{study}_{number}.png"
            save(root / f"frames/{name}", noise(10 * seed + number, colour=False))
            save(root / f"masks/{name}", _two_sided())
            sentence = (
                "Bilateral pulmonary infection, two infected areas, upper left lung and upper right lung."
            )
            texts[split].append((name, sentence))
    for split, rows in texts.items():
        table = pd.DataFrame(rows, columns=["Image", "text"])
        table.to_excel(root / f"{split}_text_MosMedData+.xlsx", index=False)


def _two_sided() -> Array:
    return np.maximum(block(), block(columns=slice(20, 28)))


def qata(root: Path) -> None:
    base = root / "QaTa-COV19" / "QaTa-COV19-v2"
    texts: dict[str, list[tuple[str, str]]] = {"Train": [], "Test": []}
    subjects = {"Train": [1, 1, 2, 3, 4, 5], "Test": [6, 6, 7]}
    for split, numbers in subjects.items():
        for exam, subject in enumerate(numbers):
            name = f"sub-S{subject:05d}_ses-E{exam}_run-1_bp-chest_vp-ap_dx.png"
            save(base / f"{split} Set/Images/{name}", noise(100 * subject + exam, colour=False))
            save(base / f"{split} Set/Ground-truths/mask_{name}", block())
            sentence = "Unilateral pulmonary infection, one infected area, upper left lung."
            texts[split].append((f"mask_{name}", sentence))
    for split, rows in texts.items():
        table = pd.DataFrame(rows, columns=["Image", "Description"])
        table.to_excel(root / f"{split}_text_for_Covid19.xlsx", index=False)
    pd.DataFrame({"Image": [name for name, _ in texts["Train"]]}).to_excel(
        root / "Train_ID.xlsx", index=False
    )


def lvit(root: Path) -> None:
    """QaTa-COV19 as LViT and STPNet lay it out; subject 1 is in train and val."""
    seed = 0
    for split, subjects in {"Train": [1, 2, 3, 4], "Val": [1], "Test": [5, 6]}.items():
        rows = []
        for subject in subjects:
            seed += 1
            name = f"cxr_s{subject:05d}-e{seed}-r1.png"
            save(root / f"{split}_Folder/img/{name}", noise(seed, colour=False))
            save(root / f"{split}_Folder/labelcol/mask_{name}", block())
            rows.append(
                (f"mask_{name}", "Unilateral pulmonary infection, one infected area, upper left lung.")
            )
        table = pd.DataFrame(rows, columns=["Image", "Description"])
        table.to_excel(root / f"{split}_Folder/{split}_text.xlsx", index=False)


def dfu(root: Path) -> None:
    base = root / "wound-segmentation-42a/data/Foot Ulcer Segmentation Challenge"
    for split, numbers in {"train": range(6), "validation": range(6, 8)}.items():
        for number in numbers:
            save(base / f"{split}/images/{number:04d}.png", noise(number))
            save(base / f"{split}/labels/{number:04d}.png", block())
    save(base / "test/images/0100.png", noise(100))
    # The repository holds other sets too.
    save(root / "wound-segmentation-42a/data/wound_dataset/train/images/x.png", noise(50))


def isic(root: Path) -> None:
    number = 0
    for split, count in {"Training": 3, "Validation": 2, "Test": 2}.items():
        for _ in range(count):
            number += 1
            save(root / f"ISIC2018_Task1-2_{split}_Input/ISIC_{number:07d}.jpg", noise(number))
            mask = root / f"ISIC2018_Task1_{split}_GroundTruth/ISIC_{number:07d}_segmentation.png"
            save(mask, block())
        (root / f"ISIC2018_Task1-2_{split}_Input/LICENSE.txt").write_text("see home page")


def glas(root: Path) -> None:
    base = root / "Warwick_QU_Dataset"
    rows = []
    cases = ["train_1", "train_2", "train_10", "train_11", "testA_1", "testB_1"]
    for seed, name in enumerate(cases):
        save(base / f"{name}.bmp", noise(seed))
        mask = block(1)  # one grey value per gland: 60 pixels and 4
        mask[20:22, 20:22] = 17
        save(base / f"{name}_anno.bmp", mask)
        rows.append((name, f" {seed}", " benign"))
    pd.DataFrame(rows, columns=["name", " patient ID", " grade (GlaS)"]).to_csv(
        base / "Grade.csv", index=False
    )


def nifti(path: Path, values: Array, zooms: tuple[float, ...]) -> None:
    """Write a NIfTI file; `values` are indexed as the file is: column, row, slice."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(values, np.diag([*zooms[:3], *[1.0] * (4 - len(zooms[:3]))]))
    image.header.set_xyzt_units("mm")
    image.header.set_zooms(zooms)
    nib.save(image, path)


def camus(root: Path, *, lists: bool = True) -> None:
    for patient in range(1, 6):
        folder = root / f"database_nifti/patient{patient:04d}"
        for number, frame in enumerate(("2CH_ED", "4CH_ES")):
            stem = f"patient{patient:04d}_{frame}"
            pixels = noise(10 * patient + number, colour=False)
            labels = block(1)
            labels[10:14, 4:14] = 2  # 40 pixels
            labels[16:18, 4:9] = 3  # 10 pixels
            nifti(folder / f"{stem}.nii.gz", pixels.T, (0.3 + patient / 100, 0.15, 1.0)[:2])
            nifti(folder / f"{stem}_gt.nii.gz", labels.T, (0.3 + patient / 100, 0.15, 1.0)[:2])
        nifti(
            folder / f"patient{patient:04d}_2CH_half_sequence.nii.gz",
            np.zeros((4, 4, 3), np.uint8),
            (1, 1, 1),
        )
        (folder / "Info_2CH.cfg").write_text("ED: 1\nES: 18\n")
    if lists:
        for title, numbers in {"training": (1, 2, 3), "validation": (4,), "testing": (5,)}.items():
            path = root / f"database_split/subgroup_{title}.txt"
            path.parent.mkdir(exist_ok=True)
            path.write_text("\n".join(f"patient{number:04d}" for number in numbers) + "\n")


def acdc(root: Path) -> None:
    for folder, patients in {"training": (1, 2, 3, 4), "testing": (101, 102)}.items():
        for patient in patients:
            base = root / f"ACDC/database/{folder}/patient{patient:03d}"
            for frame in (1, 12):
                stem = f"patient{patient:03d}_frame{frame:02d}"
                rng = np.random.default_rng(1000 * patient + frame)
                pixels = rng.integers(0, 1200, (*SHAPE, 3)).astype(np.int16)
                pixels[0, 5, 2] = 1500  # row 0, column 5, slice 2
                labels = np.zeros((*SHAPE, 3), np.uint8)
                labels[..., 1] = block(1)
                labels[10:14, 4:14, 1] = 2
                labels[16:18, 4:9, 2] = 3
                step = 1.5 + patient / 1000
                nifti(base / f"{stem}.nii.gz", pixels.transpose(1, 0, 2), (step, 1.25, 10.0))
                nifti(base / f"{stem}_gt.nii.gz", labels.transpose(1, 0, 2), (step, 1.25, 10.0))
            (base / "Info.cfg").write_text("ED: 1\nES: 12\nGroup: DCM\nNbFrame: 30\n")
            nifti(base / f"patient{patient:03d}_4d.nii.gz", np.zeros((4, 4, 2, 3), np.int16), (1, 1, 1, 1))
    (root / "ACDC/database/MANDATORY_CITATION.md").write_text("cite")


def dicom(path: Path, values: Array, *, ct: bool, spacing: tuple[float, float]) -> None:
    """Write a DICOM slice; CT numbers are stored with slope 1 and intercept -1024."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = Dataset()
    file.SOPClassUID = CTImageStorage if ct else MRImageStorage
    file.SOPInstanceUID = generate_uid()
    file.Modality = "CT" if ct else "MR"
    file.Rows, file.Columns = values.shape
    file.PixelSpacing = [f"{step:g}" for step in spacing]
    file.SamplesPerPixel = 1
    file.PhotometricInterpretation = "MONOCHROME2"
    file.BitsAllocated = file.BitsStored = 16
    file.HighBit = 15
    file.PixelRepresentation = 1 if ct else 0
    if ct:
        file.RescaleSlope, file.RescaleIntercept = "1", "-1024"
    stored = values + 1024 if ct else values
    file.PixelData = stored.astype("<i2" if ct else "<u2").tobytes()
    file.file_meta = FileMetaDataset()
    file.file_meta.MediaStorageSOPClassUID = file.SOPClassUID
    file.file_meta.MediaStorageSOPInstanceUID = file.SOPInstanceUID
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.save_as(path, enforce_file_format=True)


def chaos(root: Path) -> None:
    """Write MR and CT of three patients each, two slices a series."""
    for patient in (1, 2, 13):
        mr = root / f"Train_Sets/MR/{patient}"
        for number in (2, 10):  # in the order of numbers, not of letters
            rng = np.random.default_rng(100 * patient + number)
            stem = f"IMG-0004-{number}"
            for series in ("T1DUAL/DICOM_anon/InPhase", "T1DUAL/DICOM_anon/OutPhase", "T2SPIR/DICOM_anon"):
                # Out-of-phase files have names of their own, the others those of their labels.
                name = f"IMG-0099-{number}" if "Out" in series else stem
                values = rng.integers(300, 1800, SHAPE)
                values[0, 0] = number
                dicom(mr / series / f"{name}.dcm", values, ct=False, spacing=(1.9, 1.4 + patient / 100))
            labels = block(63)
            labels[10:14, 4:14], labels[16:18, 4:9], labels[20:22, 0:2] = 126, 189, 252
            for series in ("T1DUAL", "T2SPIR"):
                save(mr / series / f"Ground/{stem}.png", labels)
        ct = root / f"Train_Sets/CT/{patient}"
        for number in range(2):
            values = np.random.default_rng(7000 * patient + number).integers(-100, 200, SHAPE)
            values[0, :4] = (-1000, -160, 240, 900)
            values[1, 0] = number
            dicom(ct / f"DICOM_anon/i{number:04d},0000b.dcm", values, ct=True, spacing=(0.7, 0.8))
            save(ct / f"Ground/liver_GT_{number:03d}.png", block(rows=slice(2, 8 + number)))


#: What makes each miniature, by the name on the command line; COVID-Xray is QaTa-COV19 in LViT's layout.
MAKERS: dict[str, Callable[[Path], None]] = {
    "kvasir-seg": kvasir,
    "bkai": bkai,
    "cvc-clinicdb": clinicdb,
    "busi": busi,
    "ddti": ddti,
    "mosmeddata+": mosmed,
    "qata-cov19": qata,
    "dfu": dfu,
    "isic2018": isic,
    "glas": glas,
    "camus": camus,
    "acdc": acdc,
    "chaos": chaos,
    "chaos-ct": chaos,
    "COVID-Xray": lvit,
}
