"""What is fuzzed: whole inputs of every kind, which of their files are changed, and what reads them."""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
import yaml
from dicom_inputs import INSTALLED, dicom_seeds, read_dicom
from hypothesis import strategies as st
from mutations import BYTES, JSON, TEXT, Change
from PIL import Image

Files = Mapping[str, bytes]


@dataclass(frozen=True, kw_only=True)
class Target:
    """One kind of input.

    Attributes:
        seeds: Whole inputs, each a mapping of paths to contents.
        changed: Which files of an input are changed, and with which changes.
        read: Reads an input from its folder; may raise a `LexisegError`.
        imports: Modules that a process imports once, before it reads.
    """

    seeds: Callable[[], list[Files]]
    changed: Callable[[str], st.SearchStrategy[Change] | None]
    read: Callable[[Path], None]
    imports: tuple[str, ...] = ()


def _saved(pixels: np.ndarray, name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format=name, **options)
    return buffer.getvalue()


def _tiff(pixels: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **options)
    return buffer.getvalue()


def _image_seeds() -> list[Files]:
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (24, 20), dtype=np.uint8)
    colour = rng.integers(0, 256, (24, 20, 3), dtype=np.uint8)
    deep = rng.integers(0, 65536, (24, 20), dtype=np.uint16)
    palette = Image.fromarray(colour).convert("P")
    buffer = io.BytesIO()
    palette.save(buffer, format="PNG")
    return [
        {"a.png": _saved(grey, "PNG")},
        {"a.png": _saved(colour, "PNG")},
        {"a.png": _saved(deep, "PNG")},
        {"a.png": buffer.getvalue()},
        {"a.jpg": _saved(colour, "JPEG")},
        {"a.jpg": _saved(grey, "JPEG", progressive=True)},
        {"a.webp": _saved(colour, "WEBP")},
        {"a.webp": _saved(colour, "WEBP", lossless=True)},
        {"a.bmp": _saved(colour, "BMP")},
        {"a.gif": _saved(grey, "GIF")},
        {"a.tif": _tiff(grey)},
        {"a.tif": _tiff(deep, tile=(16, 16))},
        {"a.tif": _tiff(colour, compression="zlib")},
        {"a.tif": _tiff(deep.astype(np.float32), bigtiff=True)},
        {"a.tif": _saved(colour, "TIFF", compression="tiff_lzw")},
        {"a.tif": _saved(grey, "TIFF", compression="packbits")},
    ]


def _read_images(folder: Path) -> None:
    from lexiseg.data.content import read_content
    from lexiseg.data.decode import decode_mask
    from lexiseg.data.readers import image_size, read_image
    from lexiseg.errors import LexisegError

    (path,) = folder.iterdir()
    try:
        image_size(path)
        decode_mask(read_content(path), path)
    except LexisegError:
        pass
    pixels = read_image(path)
    assert pixels.ndim == 3
    assert pixels.dtype == np.uint8


def _folder_seed() -> Files:
    rng = np.random.default_rng(1)
    files: dict[str, bytes] = {}
    rows = ["image,description"]
    for number in range(4):
        mask = np.zeros((24, 24), np.uint8)
        mask[4 + number : 12, 6:16] = 255
        files[f"images/p{number}.png"] = _saved(rng.integers(0, 256, (24, 24), dtype=np.uint8), "PNG")
        files[f"masks/p{number}.png"] = _saved(mask, "PNG")
        rows.append(f"p{number}.png,No lesion in left lung and lower right lung")
    files["reports.csv"] = "\n".join(rows).encode()
    files["splits.json"] = json.dumps({"train": ["p0", "p1"], "val": ["p2"], "test": ["p3"]}).encode()
    files["cases.csv"] = b"image,patient,row_mm,column_mm\np0,a,1,1\np1,b,0.5,0.5\n"
    files["dataset.yaml"] = b"name: folder\nvocabulary: chest\nside: image\nspacing_mm: 0.7\n"
    return files


def _read_folder(folder: Path) -> None:
    from lexiseg.data.check.dataset_check import check_dataset
    from lexiseg.data.layouts.open_dataset import open_dataset
    from lexiseg.data.readers import read_pair

    check_dataset(folder)
    index = open_dataset(folder)
    for sample in index.samples:
        if sample.mask is not None:
            read_pair(sample, index.coding)


def _sheet_seeds() -> list[Files]:
    table = pd.DataFrame(
        {
            "Image": [f"mask_{number}.png" for number in range(6)],
            "Description": [f"Unilateral, {number} infected areas, upper left lung." for number in range(6)],
        }
    )
    buffer = io.BytesIO()
    table.to_excel(buffer, index=False)
    quoted = table.to_csv(index=False, quoting=1).encode()
    return [
        {"a.xlsx": buffer.getvalue()},
        {"a.csv": table.to_csv(index=False).encode()},
        {"a.csv": b"\xef\xbb\xbf" + quoted},
        {"a.csv": table.to_csv(index=False, sep="\t").encode()},
        {"a.csv": table.to_csv(index=False, sep=";").encode()},
    ]


def _unpacked(files: Files) -> list[Files]:
    """Return each sheet of a workbook as files of their own, so that changes reach its XML."""
    with zipfile.ZipFile(io.BytesIO(files["a.xlsx"])) as book:
        return [{f"xlsx/{name}": book.read(name) for name in book.namelist()}]


def _read_sheets(folder: Path) -> None:
    from lexiseg.data.layouts.sheets import read_sheet
    from lexiseg.words.reading.reports import parse_sheet
    from lexiseg.words.vocabulary import load_vocabulary

    if (folder / "xlsx").is_dir():
        with zipfile.ZipFile(folder / "a.xlsx", "w", zipfile.ZIP_DEFLATED) as book:
            for file in sorted((folder / "xlsx").rglob("*")):
                if file.is_file():
                    book.write(file, file.relative_to(folder / "xlsx").as_posix())
    (path,) = (path for path in folder.iterdir() if path.is_file())
    sheet = read_sheet(path)
    parse_sheet(dict(list(sheet.rows.items())[:20]), load_vocabulary("chest"))


def _yaml_seeds() -> list[Files]:
    from importlib import resources

    vocabularies = resources.files("lexiseg.words") / "vocabularies"
    dataset = {
        "name": "n", "vocabulary": "chest", "side": "patient", "classes": {0: "background", 255: "lesion"},
        "spacing_mm": [0.5, 0.5], "keyword": {"lesion": "area"}, "patient": r"^(\w+)_",
    }  # fmt: skip
    config = {
        "model": "stpnet", "preset": "compact", "seed": 1, "epochs": 3, "image_size": 96,
        "augment": {"affine": 0.5}, "source_weights": {"a": 2.0}, "encoder": "lcnet_050", "width": 32,
    }  # fmt: skip
    return [
        {"dataset.yaml": yaml.safe_dump(dataset).encode()},
        {"config.yaml": yaml.safe_dump(config).encode()},
        {"vocabulary.yaml": (vocabularies / "polyp.yaml").read_bytes()},
        {"vocabulary.yaml": (vocabularies / "chest.yaml").read_bytes()},
        {"arms.yaml": b"arms:\n  more:\n    title: More\n    words: own\n    changes: {text: concepts}\n"},
    ]


def _read_yaml(folder: Path) -> None:
    from lexiseg.data.dataset_yaml import read_dataset_yaml
    from lexiseg.data.file_names import patients
    from lexiseg.studies.arms import read_arms
    from lexiseg.training.config import make_config
    from lexiseg.words.reading.reports import parse_report
    from lexiseg.words.vocabulary import load_vocabulary

    (path,) = folder.iterdir()
    if path.name == "dataset.yaml":
        stated = read_dataset_yaml(folder)
        patients(["case_1", "a" * 60 + "!"], stated.patient)
    elif path.name == "config.yaml":
        make_config({}, path)
    elif path.name == "arms.yaml":
        read_arms(path)
    else:
        vocabulary = load_vocabulary(path)
        vocabulary.sentence_for([0] * len(vocabulary.factors))
        parse_report("Two large red polyps in the upper left lung, no lesion.", vocabulary)


@cache
def _run_seed() -> Files:
    """Return a run with random weights, as small as a network gets."""
    import torch

    from lexiseg.models.network_weights import save_weights
    from lexiseg.models.spec import NetworkSpec
    from lexiseg.models.text_bank import TextBank
    from lexiseg.runs.manifest import Manifest
    from lexiseg.runs.run import Run
    from lexiseg.systems.registry import build_network
    from lexiseg.words.vocabulary import load_vocabulary

    vocabulary = load_vocabulary("polyp")
    torch.manual_seed(0)
    bank = TextBank(
        encoder="noise",
        phrases={factor.name: factor.phrases for factor in vocabulary.factors},
        embeddings={f.name: torch.randn(len(f.phrases), 1, 2, 8) for f in vocabulary.factors},
    )
    spec = NetworkSpec(encoder="lcnet_035", width=8)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_weights(build_network(spec, bank), folder / "weights.safetensors")
        bank.save(folder / "bank.safetensors")
        manifest = Manifest(
            lexiseg_version="0", created="2026-11-22T00:00:00+00:00", network=spec, image_size=64,
            mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25), class_names=("background", "lesion"),
            text="concepts", side="image", vocabulary=vocabulary,
        )  # fmt: skip
        Run.create(folder, manifest)
        (folder / "splits.json").write_text(json.dumps({"train": ["a", "b"], "val": ["c"], "test": ["d"]}))
        (folder / "history.csv").write_text("step,train/total,val/dice\n10,1.5,0.4\n20,1.2,0.5\n")
        (folder / "config.yaml").write_text("model: stpnet\npreset: compact\nseed: 1\nepochs: 2\n")
        import hashlib

        digest = hashlib.sha256((folder / "weights.safetensors").read_bytes()).hexdigest()
        rule = {
            "signals": {"overlap": {"mean": 0.5, "spread": 0.1, "weight": 1.0}}, "bias": 0.1, "below": 0.5,
            "flagged": 0.1, "dice_flagged": 0.3, "dice_rest": 0.8,
        }  # fmt: skip
        plain = {
            "temperature": 1.2, "ece_before": 0.1, "ece_after": 0.05, "nll_before": 0.3, "nll_after": 0.2,
            "pixels": 100, "review": rule, "lexiseg_version": "0", "created": "now",
            "data": {"name": "n", "split": "val", "samples": 3, "ids_sha256": "0"},
        }  # fmt: skip
        about = {"format_version": 1, "weights_sha256": digest, "plain": plain, "flip_average": None}
        (folder / "calibration.json").write_text(json.dumps(about))
        return {path.name: path.read_bytes() for path in folder.iterdir()}


def _read_run(folder: Path) -> None:
    from lexiseg.inference.predictor import Predictor
    from lexiseg.inference.reliability.calibration import load_calibration
    from lexiseg.runs.run import Run
    from lexiseg.training.config import make_config

    run = Run.open(folder)
    _ = run.splits, run.history
    make_config({}, folder / "config.yaml", ignore_foreign=True)
    load_calibration(run, flip_average=False)
    if run.manifest.image_size > 256:
        return  # a network may see large images; they take what they take
    prediction = Predictor(run).predict(np.full((40, 48, 3), 90, np.uint8))
    assert prediction.mask.shape == (40, 48)
    assert np.isfinite(prediction.probability).all()
    assert prediction.expected_dice is None or 0 <= prediction.expected_dice <= 1


def _archive_seeds() -> list[Files]:
    zipped, tarred, packed = io.BytesIO(), io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/b.txt", "b" * 500)
        archive.writestr("c.txt", "c")
    for buffer, mode in ((tarred, "w"), (packed, "w:gz")):
        with tarfile.open(fileobj=buffer, mode=mode) as tar:
            for name in ("a/b.txt", "c.txt"):
                member = tarfile.TarInfo(name)
                member.size = 300
                tar.addfile(member, io.BytesIO(b"x" * 300))
            link = tarfile.TarInfo("d")
            link.type, link.linkname = tarfile.REGTYPE, "/etc/passwd"
            tar.addfile(link)
    outer = io.BytesIO()
    with zipfile.ZipFile(outer, "w") as archive:
        archive.writestr("inner.zip", zipped.getvalue())
    return [
        {"a.zip": zipped.getvalue()},
        {"a.tar": tarred.getvalue()},
        {"a.tar.gz": packed.getvalue()},
        {"a.zip": outer.getvalue()},
    ]


def _read_archive(folder: Path) -> None:
    from lexiseg.data.archives import extract

    (path,) = folder.iterdir()
    try:
        extract(path, folder / "out" / "inner")
    finally:
        outside = [p.name for p in folder.iterdir() if p.name not in (path.name, "out")]
        assert not outside, f"written outside the folder: {outside}"
        assert not any(p.is_symlink() for p in folder.rglob("*")), "a link was written"


def _record_seeds() -> list[Files]:
    line = {
        "schema_version": 1, "image": "a.png", "mask": "masks/a.png", "side": "image", "agreement": 0.5,
    }  # fmt: skip
    words = {
        "id": "a", "class": None, "vocabulary": "polyp", "side": "image", "source": "concepts",
        "factors": {"number": "one"}, "sentence": "One polyp.",
    }  # fmt: skip
    cases = "id,image,patient,source,dice,truth_share,lesions,tercile\na,a.png,p,s,0.5,0.1,1,small\n"
    return [
        {"predictions.jsonl": json.dumps(line).encode() + b"\n"},
        {"words.jsonl": json.dumps(words).encode() + b"\n"},
        {"cases.csv": cases.encode()},
        {"metrics.json": json.dumps({"n": 3, "dice": {"mean": 0.5, "ci95": [0.4, 0.6]}}).encode()},
        {"audit.json": json.dumps({"schema_version": 1, "arms": []}).encode()},
    ]


def _read_records(folder: Path) -> None:
    from lexiseg.describing.description_file import read_descriptions
    from lexiseg.evaluation.scores.case_table import read_cases
    from lexiseg.evaluation.scores.metrics_file import Metrics
    from lexiseg.inference.formats.earlier_outputs import EarlierOutputs
    from lexiseg.json_records import read_record
    from lexiseg.studies.audit_file import AuditResult

    (path,) = folder.iterdir()
    match path.name:
        case "predictions.jsonl":
            (folder / "masks").mkdir()
            (folder / "masks" / "a.png").write_bytes(b"")
            EarlierOutputs().holds(folder / "masks" / "a.png")
        case "words.jsonl":
            read_descriptions(path)
        case "cases.csv":
            read_cases(path)
        case "metrics.json":
            read_record(path, Metrics, remedy="Evaluate again.")
        case _:
            read_record(path, AuditResult, remedy="Run the audit again.")


def _by_ending(name: str) -> st.SearchStrategy[Change] | None:
    if name.endswith((".json", ".jsonl")):
        return JSON
    if name.endswith((".csv", ".yaml", ".xml", ".rels")):
        return TEXT
    return BYTES


TARGETS = {
    "images": Target(
        seeds=_image_seeds, changed=_by_ending, read=_read_images, imports=("lexiseg.data.readers",)
    ),
    "masks": Target(
        seeds=lambda: [_folder_seed()],
        changed=_by_ending,
        read=_read_folder,
        imports=("lexiseg.data.check.dataset_check",),
    ),
    "sheets": Target(
        seeds=lambda: [*_sheet_seeds(), *_unpacked(_sheet_seeds()[0])],
        changed=_by_ending,
        read=_read_sheets,
        imports=("lexiseg.data.layouts.sheets", "lexiseg.words.reading.reports"),
    ),
    "yaml": Target(
        seeds=_yaml_seeds,
        changed=_by_ending,
        read=_read_yaml,
        imports=("lexiseg.training.config", "lexiseg.studies.arms"),
    ),
    "runs": Target(
        seeds=lambda: [_run_seed()],
        changed=_by_ending,
        read=_read_run,
        imports=("lexiseg.inference.predictor",),
    ),
    "archives": Target(
        seeds=_archive_seeds,
        changed=_by_ending,
        read=_read_archive,
        imports=("lexiseg.data.archives",),
    ),
    "records": Target(
        seeds=_record_seeds,
        changed=_by_ending,
        read=_read_records,
        imports=("lexiseg.evaluation.scores.case_table", "lexiseg.studies.audit_file"),
    ),
}
if INSTALLED:
    TARGETS["dicom"] = Target(
        seeds=dicom_seeds,
        changed=_by_ending,
        read=read_dicom,
        imports=("lexiseg.data.readers", "lexiseg.clinic.structured_report", "lexiseg.clinic.verification"),
    )
