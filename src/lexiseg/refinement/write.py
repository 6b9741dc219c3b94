"""Write a refinement: both masks, their outlines on the image, and a record."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lexiseg.clinic.volume_geometry import AxisName
from lexiseg.data.readers import save_mask
from lexiseg.errors import UsageError
from lexiseg.files import fitting_name
from lexiseg.inference.explanation.overlay import draw_overlay
from lexiseg.inference.predictor import Predictor, predictor_of
from lexiseg.inference.volumes.prediction import of_volumes
from lexiseg.json_records import read_record, record_text
from lexiseg.outputs.output_folder import OutputFolder, owned_folder
from lexiseg.printable import brief
from lexiseg.refinement.refine import Refinement, refine_decoded, statement_for
from lexiseg.refinement.refinement_file import RefinementRecord
from lexiseg.refinement.statement import Said
from lexiseg.refinement.volume_slice import RefinedImage, refined_image
from lexiseg.runs.run import Run

_RECORD, _MASK, _MODEL_MASK, _OVERLAY = ".json", "_refined.png", "_model.png", "_overlay.png"


@dataclass(frozen=True, kw_only=True)
class RefinedFiles:
    """The files of a refinement.

    Attributes:
        source: The image, or the slice of a volume.
        refinement: The refinement.
        mask: The refined mask, a grey PNG: 0 and 255 for one class, else the label of each pixel.
        model_mask: The mask of the model, likewise.
        overlay: The image with the outline of the refined mask (solid) and that of the model's (dashed).
        record: What was said, by whom each word is, and the figures; see `RefinementRecord`.
    """

    source: RefinedImage
    refinement: Refinement
    mask: Path
    model_mask: Path
    overlay: Path
    record: Path

    def __repr__(self) -> str:
        return brief(self, str(self.record), repr(self.refinement))

    def about(self, run: str) -> RefinementRecord:
        """Return the content of the record.

        Args:
            run: Name of the run.
        """
        return RefinementRecord.of(
            self.refinement,
            self.source,
            run=run,
            mask=self.mask.name,
            model_mask=self.model_mask.name,
        )


def refine_to_files(
    predictor: Predictor | Run | str | Path,
    image: str | Path,
    out: str | Path,
    *,
    say: Said,
    slice_number: int | None = None,
    axis: AxisName = "auto",
) -> RefinedFiles:
    """Refine the prediction of an image, or of a slice of a volume, and write the result into a folder.

    An earlier refinement of the same picture in this folder is replaced. Names that are too long are
    shortened, as those of predictions are.

    Args:
        predictor: A loaded run, or a run folder or the name of a run, which is loaded with the default
            options.
        image: The image file.
        out: The folder; it is made if it is missing.
        say: What is right; see `refine`.
        slice_number: Number of the slice of a volume file, from 1; its masks are those of the slice as it is
            displayed. A volume states the size of its voxels, so the size of a pixel in the options of the
            predictor has no effect on it.
        axis: The slices of a volume file (`lexiseg.clinic.volume_geometry.chosen_axis`).

    Raises:
        DataError: The image cannot be read, or a file has the place of a result and Lexiseg did not write it,
            or it was changed since.
        UsageError: See `refine` and `lexiseg.refinement.volume_slice.refined_image`; another process writes
            into the folder; or the folder holds a refinement of another image of this name.
        RunError: The run cannot be loaded; also a `WeightsError`.
        DiskError: There is no space or no permission.
    """
    image, out, predictor = Path(image), Path(out), predictor_of(predictor)
    statement = statement_for(predictor, say)
    source = refined_image(image, predictor.options.view, number=slice_number, axis=axis)
    if source.slice is not None:
        predictor = of_volumes(predictor)
    record, *others = _paths(out, source)
    with owned_folder(out) as folder:
        folder.refuse_others((record, *others))
        _refuse_other_image(source, record)
        refinement = refine_decoded(predictor, source.decoded, statement)
        return write_refinement(folder, refinement, predictor=predictor, source=source)


def write_refinement(
    folder: OutputFolder, refinement: Refinement, *, predictor: Predictor, source: RefinedImage
) -> RefinedFiles:
    """Write a refinement into a folder that this process owns.

    Args:
        folder: The folder.
        refinement: The refinement.
        predictor: The predictor.
        source: The image.

    Raises:
        DiskError: There is no space or no permission.
    """
    record, mask, model_mask, overlay = _paths(folder.path, source)
    files = RefinedFiles(
        source=source,
        refinement=refinement,
        mask=mask,
        model_mask=model_mask,
        overlay=overlay,
        record=record,
    )
    found, classes = refinement, len(predictor.run.class_names)
    for file, labels in ((files.mask, found.mask), (files.model_mask, found.prediction.mask)):
        with folder.writing(file) as beside:
            save_mask(beside, labels, num_classes=classes)
    with folder.writing(files.overlay) as beside:
        picture = draw_overlay(source.decoded.pixels, found.mask, found.prediction.mask)
        picture.save(beside, format="PNG")
    folder.write_text(files.record, record_text(files.about(predictor.run.name)))
    return files


def _paths(out: Path, source: RefinedImage) -> tuple[Path, Path, Path, Path]:
    """Return where the record, both masks and the overlay of an image go."""
    name = fitting_name(source.name, room=len(_OVERLAY))
    record, mask, model_mask, overlay = (
        out / f"{name}{ending}" for ending in (_RECORD, _MASK, _MODEL_MASK, _OVERLAY)
    )
    return record, mask, model_mask, overlay


def _refuse_other_image(source: RefinedImage, record: Path) -> None:
    """Refuse to replace the refinement of another image of the same name.

    Raises:
        UsageError: There is one.
        DataError: Its record is damaged.
    """
    if not record.exists():
        return
    earlier = read_record(record, RefinementRecord, remedy="Remove it, or choose another --out.")
    # By its content, as a path can be relative to another folder.
    if earlier.pixels_sha256 != source.pixels_sha256:
        raise UsageError(
            f"{record} is the refinement of another image of this name, or of another window: "
            f"{earlier.image}. Choose another --out.",
            code="LEX-USE-308",
        )
