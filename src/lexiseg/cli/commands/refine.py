"""The command `lexiseg refine`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lexiseg.cli.options.common import (
    RUN_HELP,
    Device,
    Engine,
    FlipAverage,
    Frame,
    Precision,
    Shared,
    SpacingMm,
    Window,
)
from lexiseg.cli.options.volumes import SPACING_UNUSED, Axis
from lexiseg.cli.terminal.messages import say, warn
from lexiseg.cli.terminal.output_mode import show_result
from lexiseg.cli.terminal.side_lines import side_line, unknown_side_line, whose_side
from lexiseg.clinic.view import parse_view
from lexiseg.printable import counted

if TYPE_CHECKING:
    from lexiseg.refinement.refine import Refinement
    from lexiseg.words.vocabulary import Vocabulary


def refine(
    run: Annotated[Path, typer.Argument(metavar="RUN", help=RUN_HELP)],
    image: Annotated[
        Path, typer.Argument(metavar="IMAGE", help="The image file; of a volume file also --slice.")
    ],
    said: Annotated[
        list[str],
        typer.Option(
            "--say",
            help="What is right, as free text ('no lesion on the right; lower left only') or as "
            "'factor: phrase' ('left: lower left lung'). Left and right are those of the run: for covid-xray "
            "those of the image. Repeat it for several statements.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the masks and the record.")] = Path(
        "refined"
    ),
    spacing_mm: SpacingMm = None,
    window: Window = None,
    frame: Frame = None,
    slice_number: Annotated[
        int | None,
        typer.Option(
            "--slice",
            metavar="NUMBER",
            help="Volume files: the slice to correct, counted from 1 as in volumes.jsonl of predict.",
        ),
    ] = None,
    axis: Axis = "auto",
    device: Device = "cpu",
    engine: Engine = "auto",
    precision: Precision = "fp32",
    flip_average: FlipAverage = False,
    shared: Shared = False,
) -> None:
    """Correct a mask by words: say what is right, and the mask follows. Nothing is trained."""
    view = parse_view(window, frame)

    from lexiseg import load
    from lexiseg.refinement.write import refine_to_files

    predictor = load(
        run,
        device=device,
        engine=engine,
        precision=precision,
        flip_average=flip_average,
        spacing_mm=spacing_mm,
        view=view,
    )
    if spacing_mm is not None and slice_number is not None:
        warn(SPACING_UNUSED)
    files = refine_to_files(predictor, image, out, say=said, slice_number=slice_number, axis=axis)
    show_result(files.about(predictor.run.name))
    # Without a vocabulary, the refinement is refused.
    vocabulary = predictor.run.spoken_vocabulary
    assert vocabulary is not None
    _say_refinement(files.refinement, vocabulary)
    say(f"Results: {files.record}")


def _say_refinement(done: Refinement, vocabulary: Vocabulary) -> None:
    """Say whose left is meant, what was read, what changed, and what a person should look at."""
    found = done.prediction
    for assumption in () if found.facts is None else found.facts.assumptions:
        warn(assumption)
    if found.shown_side == "unknown" and found.side_known:
        warn(unknown_side_line(found.side))
    else:
        is_dicom = found.facts is not None
        say(side_line(found.words_side, dicom=is_dicom, others=not is_dicom))
    for problem in done.statement.problems:
        warn(f"Note: {problem}.")
    for word in done.words:
        if word.said_by != "model":
            who = "said by you" if word.said_by == "person" else "follows from what you said"
            side = whose_side(word.title, word.phrase, vocabulary, found.side)
            say(f"{word.title}{side}: '{word.phrase}' ({who}; the model: '{word.retrieved}')")
    before, after = sum(found.area_px.values()), sum(done.area_px.values())
    say(
        f"The mask has {counted(after, 'pixel')}, {before:,} before; the Dice of the two masks is "
        f"{done.overlap:.2f}."
    )
    if done.expected_dice is not None and found.expected_dice is not None:
        say(f"Expected Dice: {done.expected_dice:.2f}, {found.expected_dice:.2f} before.")
    for reason in done.reasons:
        warn(f"Look again: {reason}." if done.flagged else f"Note: {reason}.")
