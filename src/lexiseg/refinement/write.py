"""Write a refinement: both masks, their outlines on the image, and a record."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lexiseg.data.readers import read_image, write_mask
from lexiseg.errors import UsageError
from lexiseg.files import atomic_path
from lexiseg.inference.overlay import draw_overlay
from lexiseg.inference.predictor import Predictor
from lexiseg.json_records import read_record, write_record
from lexiseg.refinement.refine import Refinement, refine
from lexiseg.refinement.refinement_file import RefinementRecord
from lexiseg.refinement.statement import Said


@dataclass(frozen=True, kw_only=True)
class RefinedFiles:
    """The files of a refinement.

    Attributes:
        refinement: The refinement.
        mask: The refined mask, a grey PNG: 0 and 255 for one class, else the label of each pixel.
        model_mask: The mask of the model, likewise.
        overlay: The image with the outline of the refined mask (solid) and that of the model's (dashed).
        record: What was said, by whom each word is, and the figures; see `RefinementRecord`.
    """

    refinement: Refinement
    mask: Path
    model_mask: Path
    overlay: Path
    record: Path


def refine_to_files(predictor: Predictor, image: str | Path, out: str | Path, *, say: Said) -> RefinedFiles:
    """Refine the prediction of an image file, and write the result into a folder.

    An earlier refinement of the same image in this folder is replaced.

    Args:
        predictor: A loaded run.
        image: The image file.
        out: The folder; it is made if it is missing.
        say: What is right; see `refine`.

    Raises:
        DataError: The image cannot be read.
        UsageError: See `refine`; or a file is in the way that is of no earlier refinement of this image.
        DiskError: There is no space or no permission.
    """
    image, out = Path(image), Path(out)
    record, mask, model_mask, overlay = (
        out / f"{image.stem}{ending}" for ending in (".json", "_refined.png", "_model.png", "_overlay.png")
    )
    _refuse_others(image, record, (mask, model_mask, overlay))
    refinement = refine(predictor, image, say=say)
    classes = len(predictor.run.class_names)
    write_mask(mask, refinement.mask, num_classes=classes)
    write_mask(model_mask, refinement.prediction.mask, num_classes=classes)
    picture = draw_overlay(read_image(image), refinement.mask, refinement.prediction.mask)
    with atomic_path(overlay) as beside:
        picture.save(beside)
    about = RefinementRecord.of(
        refinement, image=image, run=predictor.run.path.name, mask=mask.name, model_mask=model_mask.name
    )
    write_record(record, about)
    return RefinedFiles(
        refinement=refinement, mask=mask, model_mask=model_mask, overlay=overlay, record=record
    )


def _refuse_others(image: Path, record: Path, pictures: tuple[Path, ...]) -> None:
    """Refuse to replace files that are of no earlier refinement of this image.

    Raises:
        UsageError: There are such files.
        DataError: The record of an earlier refinement is damaged.
    """
    present = [file for file in (record, *pictures) if file.exists()]
    if not present:
        return
    if record.exists():
        earlier = read_record(
            record, RefinementRecord, remedy="It is no record of a refinement. Choose another --out."
        )
        if Path(earlier.image).absolute() == image.absolute():
            return
    raise UsageError(
        f"{present[0]} is in the way: it was not written by a refinement of {image}. Choose another --out.",
        code="LEX-USE-308",
    )
