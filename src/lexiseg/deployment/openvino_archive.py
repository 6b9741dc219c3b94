"""The archive for OpenVINO: its two model files and the record of the run in one file."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path

import onnx
import openvino

from lexiseg.engines.model_file import (
    ARCHIVE_RECORD,
    ARCHIVE_WEIGHTS,
    ARCHIVE_XML,
    ModelRecord,
    archive_comment,
    with_hash,
)
from lexiseg.runs.run import Run

# The date of every file of the archive: the same model makes the same archive.
_DATE = (1980, 1, 1, 0, 0, 0)


def write_openvino_archive(model: onnx.ModelProto, record: ModelRecord, run: Run, path: Path) -> None:
    """Write the archive of an ONNX model.

    Args:
        model: The model, with all its weights inside.
        record: What the archive says about itself.
        run: The run; the archive holds nothing of it.
        path: The file.
    """
    path.write_bytes(with_hash(_archive(model, record)))


def _archive(model: onnx.ModelProto, record: ModelRecord) -> bytes:
    """Return the archive without its hash."""
    converted = openvino.Core().read_model(model.SerializeToString())
    with tempfile.TemporaryDirectory() as folder:
        xml = Path(folder) / ARCHIVE_XML
        openvino.save_model(converted, xml, compress_to_fp16=record.weights == "fp16")
        parts = {
            ARCHIVE_RECORD: record.model_dump_json().encode("utf-8"),
            ARCHIVE_XML: xml.read_bytes(),
            ARCHIVE_WEIGHTS: xml.with_suffix(".bin").read_bytes(),
        }
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for name, part in parts.items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), part)
        archive.comment = archive_comment()
    return content.getvalue()
