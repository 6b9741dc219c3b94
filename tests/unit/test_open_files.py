"""Too many open files: the message says so, and blames no file."""

from __future__ import annotations

import errno
import os
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl  # noqa: F401 (it cannot be loaded where too many files are open)
import pytest
import torch
from safetensors.numpy import save_file

from lexiseg.cli.commands.train import _train
from lexiseg.clinic.detection import is_dicom_file
from lexiseg.data.archives import extract
from lexiseg.data.layouts.csv_table import read_csv_table
from lexiseg.data.layouts.excel_table import read_excel_tables
from lexiseg.data.layouts.known_patients import _header_patients
from lexiseg.data.public.importers.chaos import read_dicom
from lexiseg.data.public.importers.pictures import read_rows
from lexiseg.data.public.importers.source import read_text
from lexiseg.data.splits import write_splits
from lexiseg.data.volumes.itk_file import read_header as read_itk
from lexiseg.data.volumes.nifti_file import read_header as read_nifti
from lexiseg.data.volumes.segmented_images import series_of_segmentation
from lexiseg.describing.description_file import read_descriptions
from lexiseg.describing.multimodal.local_model import LocalModel
from lexiseg.describing.multimodal.model import LmmOptions
from lexiseg.embeddings.text_encoders import load_text_encoder
from lexiseg.engines.model_file import ModelFile
from lexiseg.errors import DiskError, WeightsError
from lexiseg.evaluation import read_cases
from lexiseg.file_hashes import file_sha256
from lexiseg.hub import hub_file
from lexiseg.inference.inputs.folder_walk import files_below
from lexiseg.models.encoder_weights import read_state_dict
from lexiseg.models.network_weights import load_weights, read_weights
from lexiseg.models.text_bank import TextBank
from lexiseg.open_files import too_many_open
from lexiseg.structured_text import read_json
from lexiseg.systems.cotexnet.framed_sentences import load_framed_tokenizer
from lexiseg.training.soft_masks import StoredMasks


@contextmanager
def no_handle_left() -> Iterator[None]:
    """Open files until this process may open no more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as opened:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
        try:
            while True:
                try:
                    opened.enter_context(open(os.devnull))
                except OSError:
                    break
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
@pytest.mark.parametrize(
    "read",
    [
        read_weights,
        read_state_dict,
        TextBank.load,
        StoredMasks.load,
        read_json,
        file_sha256,
        read_csv_table,
        read_rows,
        read_text,
        read_cases,
        read_descriptions,
        ModelFile.open,
        is_dicom_file,
        read_nifti,
        read_itk,
        read_excel_tables,
        lambda file: read_dicom(file, rescaled=False),
        series_of_segmentation,
        lambda file: _header_patients([file.with_name(f"{file.name}.dcm")]),
        lambda file: extract(file, file.with_name("out")),
    ],
)
def test_no_file_is_blamed_for_the_want_of_a_handle(read: Callable[[Path], Any], tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    save_file({"a": np.zeros(3, np.float32)}, file)
    with no_handle_left(), pytest.raises(DiskError, match="too many files are open") as caught:
        read(file)
    assert caught.value.code == "LEX-DISK-740"
    assert str(file) in str(caught.value)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_no_folder_is_blamed_for_the_want_of_a_handle(tmp_path: Path) -> None:
    with no_handle_left():
        with pytest.raises(DiskError, match="too many files are open"):
            list(files_below(str(tmp_path)))
        with pytest.raises(DiskError, match="too many files are open"):
            write_splits(tmp_path, {"a": "train"}, seed=0, how="by image")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
@pytest.mark.parametrize(
    "load",
    [
        lambda folder: load_text_encoder(str(folder)),
        lambda folder: LocalModel(LmmOptions(model=str(folder))),
        lambda folder: load_framed_tokenizer(folder, position=0, max_tokens=77, vocabulary_size=9),
        lambda folder: hub_file("owner/name", str(folder)),
    ],
)
def test_no_model_is_blamed_for_the_want_of_a_handle(load: Callable[[Path], Any], tmp_path: Path) -> None:
    with no_handle_left(), pytest.raises(DiskError, match="too many files are open") as caught:
        load(tmp_path)
    assert caught.value.code == "LEX-DISK-740"
    assert str(tmp_path) in str(caught.value)


def test_errors_of_libraries_are_recognised() -> None:
    said = f"unable to open file <a> in read-only mode: {os.strerror(errno.EMFILE)} (24)"
    assert too_many_open("a", RuntimeError(said)) is not None
    assert too_many_open("a", OSError(errno.ENFILE, os.strerror(errno.ENFILE), "a")) is not None
    assert too_many_open("a", OSError(errno.ENOENT, os.strerror(errno.ENOENT), "a")) is None
    assert too_many_open("a", RuntimeError("size mismatch")) is None


def test_damaged_weights_are_still_blamed(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"x")
    with pytest.raises(WeightsError):
        read_weights(tmp_path / "a.safetensors")
    save_file({"b": np.zeros(3, np.float32)}, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError) as caught:
        load_weights(torch.nn.Linear(2, 2), tmp_path / "a.safetensors")
    assert caught.value.code == "LEX-WEIGHTS-019"


@pytest.mark.parametrize(
    ("code", "expected"), [("LEX-DISK-740", "LEX-DISK-740"), ("LEX-DISK-002", "LEX-DISK-008")]
)
def test_a_training_names_the_way_on_and_the_limit(
    code: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise DiskError("It stops.", code=code)

    monkeypatch.setattr("lexiseg.train", stopped)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(DiskError, match=r"It stops\. The run in .* has started, so add --resume") as caught:
        _train(tmp_path, tmp_path, None, {}, resume=True)
    assert caught.value.code == expected
