"""Files of a mask that a person corrected by words: DICOM objects, and what `lexiseg refine` writes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lexiseg.data.decoded_image import DecodedImage
from lexiseg.data.portable_names import stored_name
from lexiseg.errors import DataError
from lexiseg.extras import without_commands
from lexiseg.files import disk_errors, fitting_name, private_opener
from lexiseg.inference.formats.registry import FORMATS, file_place
from lexiseg.inference.inputs.image_inputs import Pixels
from lexiseg.inference.inputs.target import Target
from lexiseg.inference.inputs.target_names import output_name
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.records.not_written import NotWritten
from lexiseg.inference.writers.base import Batch, PredictedImage
from lexiseg.inference.writers.loading import make_writers
from lexiseg.outputs.output_folder import owned_folder
from lexiseg.refinement.corrected_prediction import corrected_prediction
from lexiseg.refinement.refine import Refinement
from lexiseg.refinement.volume_slice import RefinedImage
from lexiseg.refinement.write import write_refinement
from lexiseg.serving.isolated_decoding import UploadedImage

#: The DICOM objects that say that a person changed the words.
CORRECTED_FORMATS = tuple(known.name for known in FORMATS if known.says_correction)

#: Bytes of a file name that suffixes of outputs, and numbers of equal names, need.
OUTPUT_ROOM = 24


def check_corrected(formats: Sequence[str]) -> None:
    """Refuse formats that do not say that a person changed the words.

    Raises:
        DataError: There is such a one.
    """
    others = [name for name in formats if name not in CORRECTED_FORMATS]
    if others:
        raise DataError(
            f"A corrected mask is not written as {', '.join(map(repr, others))[:200]}: expected some of "
            f"{', '.join(CORRECTED_FORMATS)}.",
            code="LEX-DATA-1458",
        )


def served_name(name: str) -> str:
    """Return the name of the outputs of an image, without ending, as the disk of the server can store it.

    Args:
        name: What the image is called.
    """
    return output_name(stored_name(PurePosixPath(name).name), room=OUTPUT_ROOM)


def write_corrected(
    predictor: Predictor,
    refinement: Refinement,
    *,
    image: Path,
    name: str,
    who: str,
    formats: Sequence[str],
    out: Path,
) -> dict[str, NotWritten]:
    """Write DICOM objects of a corrected mask, each in the folder of its format.

    Args:
        predictor: The predictor.
        refinement: The refinement.
        image: The image file.
        name: What it is called.
        who: Name of the token of the person; empty where that is not known.
        formats: Some of `CORRECTED_FORMATS`.
        out: A folder of this server.

    Returns:
        Why an object is not written, by format.

    Raises:
        DiskError: There is no space or no permission.
    """
    target = Target(image=image, name=Path(served_name(name)), source=name)
    writers = make_writers(tuple(formats))
    with owned_folder(out) as folder:
        batch = Batch(folder=folder, predictor=predictor, formats=tuple(formats))
        corrected = PredictedImage(
            target=target,
            prediction=corrected_prediction(refinement, who=who),
            view=predictor.options.view,
        )
        for writer in writers:
            writer.write(corrected, batch)
    return {name: why.said(without_commands) for name, why in corrected.not_written.items()}


def write_masks(
    predictor: Predictor, refinement: Refinement, *, name: str, pixels: Pixels, out: Path
) -> None:
    """Write what `lexiseg refine` writes: both masks, their outlines on the image, and a record.

    Args:
        predictor: The predictor.
        refinement: The refinement.
        name: What the image is called.
        pixels: The image, `(H, W, 3)` uint8, on the grid of the mask.
        out: A folder of this server.

    Raises:
        DiskError: There is no space or no permission.
    """
    with owned_folder(out) as folder:
        image = DecodedImage(pixels=pixels, facts=None)
        source = RefinedImage(path=Path(name), name=served_name(name), decoded=image)
        write_refinement(folder, refinement, predictor=predictor, source=source)


@dataclass(frozen=True, kw_only=True)
class CorrectedObjects:
    """DICOM objects of a corrected mask.

    Attributes:
        files: Name and content of each file, by format.
        refused: Why an object is not written, by format.
    """

    files: dict[str, tuple[str, bytes]]
    refused: dict[str, NotWritten]


def corrected_objects(
    predictor: Predictor,
    refinement: Refinement,
    *,
    upload: UploadedImage,
    who: str,
    formats: Sequence[str],
    folder: Path,
) -> CorrectedObjects:
    """Return DICOM objects of a corrected mask; they are checked as files, in a folder that is then removed.

    Args:
        predictor: The predictor.
        refinement: The refinement.
        upload: The image.
        who: Name of the token of the person; empty where that is not known.
        formats: Some of `CORRECTED_FORMATS`.
        folder: A private folder of this server.

    Raises:
        DiskError: There is no space or no permission.
    """
    # A folder of its own: the image may have any name.
    image, out = folder / "image" / fitting_name(upload.name), folder / "out"
    try:
        with disk_errors(image):
            image.parent.mkdir(mode=0o700)
            with open(image, "xb", opener=private_opener) as file:
                file.write(upload.content)
        refused = write_corrected(
            predictor, refinement, image=image, name=upload.name, who=who, formats=formats, out=out
        )
        files = {kind: (file.name, file.read_bytes()) for kind in formats for file in _files(kind, out)}
        # Checks of the objects name the file that they read back.
        refused = {
            kind: why.said(lambda text: text.replace(f"{out}{os.sep}", "")) for kind, why in refused.items()
        }
        return CorrectedObjects(files=files, refused=refused)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _files(name: str, out: Path) -> list[Path]:
    """Return the files of a format in an output folder."""
    _, folder, suffix = file_place(name)
    return sorted((out / folder).glob(f"*{suffix}"))
