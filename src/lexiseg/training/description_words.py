"""Words of a description file: does it describe this data set, and what does it say of each image."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from lexiseg.data.readers import read_mask, read_pair
from lexiseg.data.sample import DatasetIndex, Sample
from lexiseg.describing.description_file import DescriptionFile, DescriptionLine, read_descriptions
from lexiseg.describing.vocabulary_choice import with_keyword_of
from lexiseg.errors import DataError, RunError
from lexiseg.printable import command_word, counted
from lexiseg.runs.manifest import DescriptionsRecord
from lexiseg.runs.run import Run
from lexiseg.words.description import UNKNOWN, Indices, Side
from lexiseg.words.flips import to_side
from lexiseg.words.measure import measure_indices
from lexiseg.words.vocabulary import Vocabulary, load_vocabulary, shipped_vocabularies

_NAMED = 5


def vocabulary_of_file(file: DescriptionFile, index: DatasetIndex, wanted: str | None) -> Vocabulary:
    """Return the vocabulary of a description file, with the data set's keyword.

    Args:
        file: The file; its lines name their vocabulary.
        index: The data set.
        wanted: Name or file the user asks for; None takes the one the lines name.

    Raises:
        DataError: The lines name a vocabulary that is neither shipped nor the data set's.
    """
    vocabulary = None
    if wanted is not None:
        vocabulary = load_vocabulary(wanted)
    elif file.vocabulary in shipped_vocabularies():
        vocabulary = load_vocabulary(file.vocabulary)
    elif index.vocabulary is not None:
        vocabulary = load_vocabulary(index.vocabulary)
    if vocabulary is None or (wanted is None and vocabulary.name != file.vocabulary):
        raise DataError(
            f"The lines of {file.path} are in the vocabulary '{file.vocabulary}', which is neither shipped "
            f"({', '.join(shipped_vocabularies())}) nor the data set's. Give its file with --vocabulary.",
            code="LEX-DATA-119",
        )
    return with_keyword_of(vocabulary, index)


def check_described(file: DescriptionFile, index: DatasetIndex, vocabulary: Vocabulary) -> None:
    """Refuse a file that does not fit the data set or the vocabulary.

    Raises:
        DataError: A training or validation image is not described (the message says how many match), or a
            line names a class, factor or phrase that does not exist, or a mask holds a class that none of its
            image's lines speaks of.
    """
    needed = [sample.id for sample in (*index.split("train"), *index.split("val"))]
    described = {line.id for line in file.lines}
    missing = [name for name in needed if name not in described]
    if missing:
        others = described - {sample.id for sample in index.samples}
        raise DataError(
            f"{file.path} describes {len(needed) - len(missing)} of the {len(needed)} training and "
            f"validation images of {index.root}; not {some(missing)}. Not in the data set: {len(others)} of "
            f"its {counted(len(described), 'image')}{f' ({some(sorted(others))})' if others else ''}. "
            f"Describe all: lexiseg data describe {command_word(index.root)} --out FILE"
            f"{_from_reports(index, missing)}",
            code="LEX-DATA-120",
        )
    for where, line in file.located():
        if line.class_name is not None and line.class_name not in index.class_names[1:]:
            raise DataError(
                f"{where}: {index.root} has no class '{line.class_name}', only "
                f"{', '.join(index.class_names[1:])}.",
                code="LEX-DATA-121",
            )
        try:
            line.indices(vocabulary)
        except ValueError as error:
            raise DataError(
                f"{where}: {error}. Correct the line, or name another --vocabulary.", code="LEX-DATA-122"
            ) from error
    _check_classes(file, index)
    _check_not_measured(file, index)


def _from_reports(index: DatasetIndex, missing: Sequence[str]) -> str:
    """Return what to add to the advice where images without mask are not described."""
    without = {sample.id for sample in index.samples if sample.mask is None}
    if without.isdisjoint(missing):
        return ""
    return (
        ". Images without a mask can only be described from a sheet (--source reports); or leave them out of "
        "the training: --unmasked leave_out"
    )


def _check_classes(file: DescriptionFile, index: DatasetIndex) -> None:
    """Refuse a file without a line for a class that is in the mask: its words would pass for all of them.

    Only masks of images with fewer lines than classes are read; of the others every class has its line.
    """
    told: dict[str, set[str | None]] = {}
    for line in file.lines:
        told.setdefault(line.id, set()).add(line.class_name)
    doubtful = [
        (sample, sample.mask)
        for sample in (*index.split("train"), *index.split("val"))
        if sample.mask is not None
        and None not in told[sample.id]  # which speaks of the whole image
        and len(told[sample.id]) < index.num_classes - 1
    ]

    def untold(sample: Sample, mask: Path) -> list[str]:
        present = [index.class_names[label] for label in np.unique(read_mask(mask, index.coding)) if label]
        return [f"'{name}' of {sample.id}" for name in present if name not in told[sample.id]]

    with ThreadPoolExecutor() as pool:
        found = [names for names in pool.map(lambda pair: untold(*pair), doubtful) if names]
    if found:
        raise DataError(
            f"{file.path} describes only some of the classes in the masks of {len(found)} training and "
            f"validation images; no line describes {some([name for names in found for name in names])}. Add "
            f"the lines, or describe the data set again: "
            f"lexiseg data describe {command_word(index.root)} --out FILE",
            code="LEX-DATA-123",
        )


def _check_not_measured(file: DescriptionFile, index: DatasetIndex) -> None:
    """Refuse words that were measured on masks which this training must not know."""
    without = {sample.id for sample in index.split("train") if sample.mask is None}
    measured = [
        line.id
        for line in file.lines
        if line.id in without
        and (
            line.provenance.source == "concepts"
            or (line.provenance.source == "lmm" and line.provenance.fell_back is not None)
            or (line.check is not None and line.check.corrected)
        )
    ]
    if measured:
        raise DataError(
            f"{file.path} holds words that were measured on the masks of "
            f"{counted(len(measured), 'training image')} without a mask in this training ({some(measured)}): "
            "they would reveal the hidden masks. Describe these images from reports, or leave them out: "
            "--unmasked leave_out",
            code="LEX-DATA-124",
        )


def described_words(
    file: DescriptionFile, index: DatasetIndex, samples: Sequence[Sample], vocabulary: Vocabulary, side: Side
) -> list[Indices]:
    """Return the words of each sample.

    The words of an image with one class are those of its line. Where several classes are in an image, the
    words of the parts are not those of the whole (one region each are two): factors that can be measured are
    measured on all classes together, and the others are known where all lines agree.

    Args:
        file: A file that `check_described` took.
        index: The data set.
        samples: The samples.
        vocabulary: Its vocabulary, or one with some of its factors.
        side: Side convention of the words.
    """
    lines: dict[str, list[DescriptionLine]] = {}
    for line in file.lines:
        lines.setdefault(line.id, []).append(line)

    def words(sample: Sample) -> Indices:
        told = [(line.class_name, _known(line, vocabulary, side)) for line in lines[sample.id]]
        if len(told) == 1:
            return told[0][1]
        if sample.mask is None:  # nothing tells which classes are there, or how their words go together
            return _of_the_whole(_agreed([indices for _, indices in told]), vocabulary)
        image, labels = read_pair(sample, index.coding)
        present = {index.class_names[label] for label in np.unique(labels)}
        rows = [indices for name, indices in told if name in present] or [told[0][1]]
        if len(rows) == 1:
            return rows[0]
        measured = measure_indices(labels, vocabulary, image=image, side=side)
        return tuple(a if m == UNKNOWN else m for a, m in zip(_agreed(rows), measured, strict=True))

    with ThreadPoolExecutor() as pool:
        return list(pool.map(words, samples))


def recorded(file: DescriptionFile) -> DescriptionsRecord:
    """Return what a run keeps of a description file: absolute path, hash and number of lines."""
    return DescriptionsRecord(file=str(file.path.absolute()), sha256=file.sha256, lines=len(file.lines))


def recorded_file(run: Run) -> DescriptionFile | None:
    """Return the description file a run was started with, unchanged; None if it was started without.

    Raises:
        DataError: The file is missing.
        RunError: Its content has changed.
    """
    record = run.manifest.data.descriptions
    if record is None:
        return None
    file = read_descriptions(record.file)
    if file.sha256 != record.sha256:
        raise RunError(
            f"{file.path} has changed since the run in {run.path} was started with it (SHA-256 "
            f"{file.sha256[:12]}... instead of {record.sha256[:12]}...). Restore it, or start a new run.",
            code="LEX-RUN-012",
        )
    return file


def _agreed(rows: Sequence[Indices]) -> Indices:
    """Return per factor what all rows say, unknown where they differ."""
    return tuple(row[0] if len(set(row)) == 1 else UNKNOWN for row in zip(*rows, strict=True))


def _of_the_whole(indices: Indices, vocabulary: Vocabulary) -> Indices:
    """Leave out what parts may agree on and the whole may not: one region each are two."""
    return tuple(
        UNKNOWN if factor.measure and factor.measure.combines_classes else index
        for factor, index in zip(vocabulary.factors, indices, strict=True)
    )


def _known(line: DescriptionLine, vocabulary: Vocabulary, side: Side) -> Indices:
    """Return what a line says in the factors of the vocabulary, in the side convention `side`."""
    factors = {name: phrase for name, phrase in line.factors.items() if name in vocabulary.names}
    indices = line.model_copy(update={"factors": factors}).indices(vocabulary)
    return to_side(vocabulary, indices, given=line.side, wanted=side)


def some(names: Sequence[str]) -> str:
    """Return the first names, with dots if there are more."""
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
