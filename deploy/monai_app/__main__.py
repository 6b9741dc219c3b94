"""A MONAI Deploy application: DICOM images in, segmentations and structured reports out.

    python deploy/monai_app -i images -o results
    python deploy/monai_app -i images -o results -m runs/chest

It segments with the run folder that `-m` names, else with the model covid-xray that comes with Lexiseg.
Each image is segmented alone, also the slices of a series.
Research use only. Not for diagnosis.
"""

from __future__ import annotations

import sys
from pathlib import Path

from monai.deploy.conditions import CountCondition
from monai.deploy.core import Application, ExecutionContext, Fragment, InputContext, Operator, OutputContext

import lexiseg

#: The model that comes with Lexiseg.
_SHIPPED = "covid-xray"


class SegmentationOperator(Operator):
    """Segments the DICOM images of a folder, and writes a segmentation and a structured report of each.

    Args:
        fragment: The application.
        *args: Conditions.
        images: Folder of the images, with its subfolders.
        results: Folder for the results: `seg/`, `sr/` and `predictions.jsonl`.
        run: Run folder, or a model that comes with Lexiseg.
        name: Name of the operator.
    """

    def __init__(
        self, fragment: Fragment, *args: object, images: Path, results: Path, run: str | Path, name: str
    ) -> None:
        self.images, self.results, self.run = images, results, run
        self.failure: str | None = None
        super().__init__(fragment, *args, name=name)

    def compute(self, op_input: InputContext, op_output: OutputContext, context: ExecutionContext) -> None:
        """Segment the images; `failure` says why there is no result, if there is none."""
        try:
            self._segment()
        except lexiseg.LexisegError as error:
            self.failure = str(error)

    def _segment(self) -> None:
        predictor = lexiseg.load(self.run)
        targets = lexiseg.find_targets([self.images], out=self.results)
        done = lexiseg.predict_to_files(predictor, targets, self.results, formats=["seg", "sr"])
        for image, reason in done.failed:
            print(f"Skipped: {image}: {reason}")
        for image, form, reason in done.refused:
            print(f"The {form} of {image} is not written: {reason}")
        print(f"{done.done} of {len(targets)} images segmented, {done.flagged} flagged for review.")
        if not done.done:
            self.failure = "No image could be segmented; the reasons are named above."


class LexisegApplication(Application):
    """Segments DICOM images with a run of Lexiseg."""

    def compose(self) -> None:
        """Add the one operator, which runs once."""
        context = Application.init_app_context(self.argv)
        folder = Path(context.model_path)
        run = folder if folder.is_dir() and any(folder.iterdir()) else _SHIPPED
        images, results = Path(context.input_path), Path(context.output_path)
        once = CountCondition(self, 1)
        self.segmentation = SegmentationOperator(
            self, once, images=images, results=results, run=run, name="segmentation"
        )
        self.add_operator(self.segmentation)


if __name__ == "__main__":
    application = LexisegApplication()
    application.run()
    sys.exit(application.segmentation.failure)
