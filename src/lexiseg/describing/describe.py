"""Writing the description file of a data set, from masks, report sheets or a multimodal model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import get_args

from rich.console import Console

from lexiseg.console import PrintableConsole, print_note
from lexiseg.data.layouts.open_dataset import open_dataset
from lexiseg.data.layouts.scan import some
from lexiseg.data.sample import SPLITS, DatasetIndex, Sample, Split
from lexiseg.describing.description_file import (
    DescriptionLine,
    DescriptionSource,
    ModelProvenance,
    refuse_existing,
    write_descriptions,
)
from lexiseg.describing.description_rows import Row, describe_measured, describe_reports
from lexiseg.describing.multimodal.description import describe_with_model
from lexiseg.describing.multimodal.model import LmmOptions, UsageCount
from lexiseg.describing.regions_of_interest import roi_folder
from lexiseg.describing.vocabulary_choice import (
    find_vocabulary,
    keyword_notes,
    keyword_of_class,
    with_keyword,
)
from lexiseg.errors import DataError, PartialFailureError, UsageError
from lexiseg.files import refuse_blocked
from lexiseg.printable import brief, counted
from lexiseg.renamed_arguments import renamed
from lexiseg.words.description import DESCRIPTIONS_SUFFIX
from lexiseg.words.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True)
class DescriptionResult:
    """A description file that was written.

    Attributes:
        path: The file.
        lines: Its lines.
        left_out: Ids of images of the described splits without a line, because they have no mask.
        tally: Tokens and cost; None without a model.
    """

    path: Path
    lines: tuple[DescriptionLine, ...]
    left_out: tuple[str, ...] = ()
    tally: UsageCount | None = None

    def __repr__(self) -> str:
        return brief(self, str(self.path), counted(len(self.lines), "description"))

    @property
    def fell_back(self) -> tuple[DescriptionLine, ...]:
        """Lines that are measured because the model gave no usable answer."""
        return tuple(line for line in self.lines if _fell_back(line))

    @property
    def corrected(self) -> tuple[DescriptionLine, ...]:
        """Lines in which a value was corrected by the mask."""
        return tuple(line for line in self.lines if line.check is not None and line.check.corrected)

    def raise_for_failures(self) -> None:
        """Raise a `PartialFailureError` if words fell back to measured ones."""
        if self.fell_back:
            first = self.fell_back[0]
            assert isinstance(first.provenance, ModelProvenance)
            raise PartialFailureError(
                f"Measured instead: {len(self.fell_back)} of {counted(len(self.lines), 'description')}, "
                f"because the model gave no usable answer; each is marked in {self.path} (fell_back). The "
                f"first is '{first.id}': {first.provenance.fell_back}",
                code="LEX-PART-001",
            )


@renamed(on_progress="progress")
def describe(
    data: str | Path,
    out: str | Path,
    *,
    source: DescriptionSource = "concepts",
    splits: Sequence[Split] = SPLITS,
    vocabulary: str | None = None,
    rois: str | Path | None = None,
    lmm: LmmOptions | None = None,
    progress: Callable[[UsageCount], None] | None = None,
    console: Console | None = None,
) -> DescriptionResult:
    """Describe every image and class of a data set in a file for training (`text=FILE`).

    Images without a mask are described with the source "reports" only, without a check. The other sources
    need the mask and leave these images out.

    Args:
        data: The data set's folder, in any known layout.
        out: The file to write, ending in .jsonl: one JSON line per image and class. With "lmm", replies are
            stored beside it (`out` + ".journal") until it is complete, so that an interrupted run can resume.
        source: "concepts" measures mask and pixels, "reports" reads the sheet, "lmm" asks a model.
        splits: The splits to describe.
        vocabulary: Name or file of the vocabulary; None: the data set's, or the one that reads its sheet.
        rois: Folder for the regions of interest (image where the mask is set, zero elsewhere) as PNG files;
            None writes none.
        lmm: The model; required with "lmm" and refused otherwise, so that no image is sent by mistake.
        progress: Called after each description.
        console: Output for notes, such as which data leave the machine; None prints nothing.

    Returns:
        The lines, with tokens and cost.

    Raises:
        DataError: The data set cannot be used, has no reports, no image with the mask that is needed, or
            several classes without names; or `rois` holds files that Lexiseg did not write.
        UsageError: An option is not possible, `out` exists or is being written by another process, or `rois`
            is a file, a folder of the data set's images, or in use by another process.
        WeightsError: A local model cannot be loaded.
        PartialFailureError: The server stopped answering; the same call resumes later.
        DiskError: There is no space or no permission.

    Examples:
        >>> describe("data/polyps", "polyps.jsonl").lines[0].sentence  # doctest: +SKIP
    """
    console = console or PrintableConsole(quiet=True)
    out = Path(out)
    _check_options(source, out, lmm)
    index = open_dataset(data, allow_missing_masks=True)
    chosen, notes = find_vocabulary(index, text=source, wanted=vocabulary, encoder=None)
    keyword_note = () if source == "reports" else keyword_notes(chosen, index)
    for note in (*index.assumptions, *notes, *keyword_note):
        print_note(console, note)
    samples, left_out = _describable(index, splits, source, partial(print_note, console))
    folder = None if rois is None else Path(rois)
    if folder is not None:
        _check_rois(folder, index)
    rows = _rows(index, samples, chosen, source)
    tally = UsageCount(total=len(rows), price=None if lmm is None else lmm.price)

    def done(line: DescriptionLine) -> DescriptionLine:
        tally.done += 1
        tally.fell_back += _fell_back(line)
        if progress is not None:
            progress(tally)
        return line

    with roi_folder(folder, [row.roi_name for row in rows if row.sample.mask is not None]) as regions:
        if lmm is not None:
            console.print(lmm.destination, markup=False, highlight=False)
            lines = describe_with_model(
                rows, out, lmm, rois=regions, tally=tally, done=done, say=partial(print_note, console)
            )
        else:
            if source == "concepts":
                lines = describe_measured(rows, rois=regions, done=done)
            else:
                lines = describe_reports(rows, index, rois=regions, done=done)
            write_descriptions(out, lines)
    return DescriptionResult(
        path=out, lines=tuple(lines), left_out=left_out, tally=tally if lmm is not None else None
    )


def _describable(
    index: DatasetIndex, splits: Sequence[Split], source: DescriptionSource, say: Callable[[str], None]
) -> tuple[list[Sample], tuple[str, ...]]:
    """Return the samples that can be described and the ids of the others; print why a mask is needed.

    Raises:
        DataError: There is none.
    """
    samples = [sample for split in splits for sample in index.split(split)]
    if not samples:
        raise DataError(
            f"{index.root} has no images in the split {' or '.join(splits)}.", code="LEX-DATA-102"
        )
    without = tuple(sample.id for sample in samples if sample.mask is None)
    if not without:
        return samples, ()
    found = f"No mask for {len(without)} of {counted(len(samples), 'image')} ({some(without)})"
    if source == "reports":
        say(f"{found}: their reports are not checked.")
        return samples, ()
    why = (
        "words are measured on the mask"
        if source == "concepts"
        else "a model is shown the part under the mask"
    )
    if len(without) == len(samples):
        raise DataError(
            f"{found}, so none can be described: {why}. Add masks, choose another split (--split), or use "
            f"--source reports, which needs no masks.",
            code="LEX-DATA-103",
        )
    say(f"{found}: left out, as {why}.")
    return [sample for sample in samples if sample.mask is not None], without


def _fell_back(line: DescriptionLine) -> bool:
    return isinstance(line.provenance, ModelProvenance) and line.provenance.fell_back is not None


def _check_options(source: DescriptionSource, out: Path, lmm: LmmOptions | None) -> None:
    if source not in get_args(DescriptionSource):
        raise UsageError(
            f"No source '{source}': expected {', '.join(get_args(DescriptionSource))}.", code="LEX-USE-048"
        )
    if (source == "lmm") != (lmm is not None):
        raise UsageError(
            "The source lmm needs a model (--model; --base-url for a server)."
            if lmm is None
            else f"The options of a model need the source lmm; got '{source}'.",
            code="LEX-USE-049",
        )
    if out.suffix != DESCRIPTIONS_SUFFIX:
        raise UsageError(
            f"Descriptions are written to a file ending in {DESCRIPTIONS_SUFFIX}; got {out}.",
            code="LEX-USE-050",
        )
    refuse_existing(out)
    refuse_blocked(out.parent)


def _check_rois(rois: Path, index: DatasetIndex) -> None:
    """Refuse a folder of the data set, in which regions could replace images of the same name."""
    refuse_blocked(rois)
    files = (path for sample in index.samples for path in (sample.image, sample.mask) if path is not None)
    if rois.resolve() in {folder.resolve() for folder in {path.parent for path in files}}:
        raise UsageError(
            f"{rois} holds images or masks of the data set, which the regions of interest could replace. "
            f"Choose another folder (--rois).",
            code="LEX-USE-051",
        )


def _rows(
    index: DatasetIndex, samples: Sequence[Sample], vocabulary: Vocabulary, source: DescriptionSource
) -> list[Row]:
    """Return what to describe: every image and class, or whole images for reports."""
    several = index.num_classes > 2
    if source == "reports":
        name = None if several else index.class_names[1]
        return [
            Row(sample=sample, coding=index.coding, label=None, class_name=name, vocabulary=vocabulary)
            for sample in samples
        ]
    labels = range(1, index.num_classes)
    unnamed = [label for label in labels if index.class_names[label] == f"class {label}"]
    if several and unnamed:
        raise DataError(
            f"The masks of {index.root} hold {counted(len(labels), 'class', 'classes')}, and no name is "
            f"given for label {', '.join(map(str, unnamed))}. Name them in dataset.yaml, for example "
            f"`classes: {{0: background, 1: kidney, 2: tumor}}`.",
            code="LEX-DATA-104",
        )
    by_label = {
        label: with_keyword(vocabulary, keyword_of_class(index, label)) if several else vocabulary
        for label in labels
    }
    return [
        Row(
            sample=sample,
            coding=index.coding,
            label=label if several else None,
            class_name=index.class_names[label],
            vocabulary=by_label[label],
        )
        for sample in samples
        for label in labels
    ]
