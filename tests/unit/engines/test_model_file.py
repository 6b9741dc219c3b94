"""Model files: the seal, the record, and what is refused."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from lexiseg.deployment.onnx_model import add_metadata
from lexiseg.engines.model_file import (
    ARCHIVE_RECORD,
    ModelFile,
    ModelRecord,
    archive_comment,
    with_hash,
)
from lexiseg.structured_text import MAX_JSON_BYTES
from lexiseg.words.vocabulary import load_vocabulary
from refusals import refuses

_RECORD: dict[str, Any] = {
    "lexiseg_version": "0.1.0",
    "created": "2026-11-29T00:00:00+00:00",
    "run": "chest",
    "system": ("stpnet", "compact"),
    "weights_sha256": "0" * 64,
    "weights": "fp32",
    "image_size": 64,
    "mean": (0.5, 0.5, 0.5),
    "std": (0.25, 0.25, 0.25),
    "class_names": ("background", "lesion"),
    "side": "image",
    "vocabulary": load_vocabulary("chest"),
    "calibration": '{"weights_sha256": "lexiseg.sha256"}',
}


def onnx_content(**changes: Any) -> bytes:
    shape = ["batch", 1]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("image", "logits")]
    node = helper.make_node("Identity", ["image"], ["logits"])
    model = helper.make_model(helper.make_graph([node], "network", values[:1], values[1:]))
    add_metadata(model, ModelRecord(**_RECORD).model_copy(update=changes))
    return with_hash(model.SerializeToString())


def archive_content() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(ARCHIVE_RECORD, ModelRecord(**_RECORD).model_dump_json())
        archive.comment = archive_comment()
    return with_hash(content.getvalue())


def saved(folder: Path, content: bytes) -> Path:
    file = folder / "model"
    file.write_bytes(content)
    return file


@pytest.mark.parametrize("content", [onnx_content(), archive_content()], ids=["onnx", "archive"])
class TestBothContainers:
    def test_the_record_comes_back(self, tmp_path: Path, content: bytes) -> None:
        assert ModelFile.open(saved(tmp_path, content)).record == ModelRecord(**_RECORD)

    @pytest.mark.parametrize("place", [10, 200, -200])
    def test_one_changed_byte_is_seen(self, tmp_path: Path, content: bytes, place: int) -> None:
        edited = bytearray(content)
        edited[place] ^= 1
        with refuses("LEX-WEIGHTS-864", "changed", "lexiseg export"):
            ModelFile.open(saved(tmp_path, bytes(edited)))

    def test_an_added_byte_is_seen(self, tmp_path: Path, content: bytes) -> None:
        with refuses("LEX-WEIGHTS-864", "changed"):
            ModelFile.open(saved(tmp_path, content + b"\0"))

    def test_a_truncated_file_is_refused(self, tmp_path: Path, content: bytes) -> None:
        for length in (0, 7, len(content) // 2, len(content) - 100):
            with refuses("LEX-WEIGHTS-863", "its end is missing"):
                ModelFile.open(saved(tmp_path, content[:length]))


def test_a_model_of_onnx_keeps_its_checker(tmp_path: Path) -> None:
    onnx.checker.check_model(onnx.load_from_string(onnx_content()), full_check=True)


def test_another_format_is_refused(tmp_path: Path) -> None:
    with refuses("LEX-WEIGHTS-866", "another version of Lexiseg"):
        ModelFile.open(saved(tmp_path, onnx_content(format_version=2)))


def sealed_archive(name: str, text: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, text)
        archive.comment = archive_comment()
    return with_hash(content.getvalue())


@pytest.mark.parametrize(
    "content",
    [
        sealed_archive(ARCHIVE_RECORD, b"[" * 100_000),
        sealed_archive(ARCHIVE_RECORD, b'{"image_size": ' + b"9" * 5000 + b"}"),
        sealed_archive(ARCHIVE_RECORD, b" " * (MAX_JSON_BYTES + 1)),
        sealed_archive("other", b"{}"),
        with_hash(b"PK" + archive_comment()),
        with_hash(archive_comment()),
        with_hash(archive_comment() + b"lexiseg.record\x12" + b"\xff" * 20),
        with_hash(archive_comment() + b"lexiseg.record\x12"),
    ],
    ids=["depth", "digits", "bytes", "no record", "no archive", "no entry", "no length", "no end"],
)
def test_a_sealed_file_with_a_hostile_record_is_refused(tmp_path: Path, content: bytes) -> None:
    with refuses("LEX-WEIGHTS-866", "lexiseg export"):
        ModelFile.open(saved(tmp_path, content))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with refuses("LEX-WEIGHTS-862", "cannot be read"):
        ModelFile.open(tmp_path / "model.onnx")
