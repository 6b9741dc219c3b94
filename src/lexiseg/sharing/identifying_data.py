"""The check for identifying data of what is shared of a run: names of images, paths, and the model card.

No image is shared with a run, so paths and names are looked at as those of a data set are
(`lexiseg.data.identifying_data`). The check warns and removes nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from lexiseg.clinic.identifying_data import path_signs
from lexiseg.data.identifying_data import IdentifyingReport, IdentifyingSign
from lexiseg.errors import DataError
from lexiseg.inference.reliability.calibration import CALIBRATION_FILE
from lexiseg.runs.manifest import CARD_FILE, MANIFEST_FILE, Manifest
from lexiseg.runs.run import Run
from lexiseg.runs.splits import MASKS_FILE, SPLITS_FILE, read_with_mask
from lexiseg.sharing.contents import BUNDLE_FILE, CONFIG_FILE
from lexiseg.sharing.without_names import card_without_names, content_of, names_fields
from lexiseg.words.grammar import SentenceRule

_HOME_FOLDER = re.compile(r"(?:^|[\s/\\='\"`])(?:home|Users)[/\\][^/\\\s]")
#: What a word of a text holds that may be a path, an address or a name of DICOM.
_PATH_LIKE = re.compile(r"[/\\@^]")


def check_run(run: Run, *, image_names: bool, strict: bool = False) -> IdentifyingReport:
    """Look for identifying data in what is shared of a run.

    Looked at are the name of the run; in `run.json` the command, the names of data, checkpoint and teachers,
    and the path of the descriptions; the name of the data in `calibration.json`; paths and addresses in
    `config.yaml` and `model_card.md`; the sentences of the report sheet, where the vocabulary quotes them;
    and, where they are shared, the names of images and the sentences of `run.json` and `calibration.json`
    that hold names.

    Args:
        run: The run.
        image_names: Whether the files with the names of the training images are shared.
        strict: Whether a sign is an error.

    Returns:
        The signs; they name files and places, never values.

    Raises:
        DataError: With `strict`, there is a sign.
        RunError: A file of the run is damaged.
    """
    found: dict[tuple[str, str], list[str]] = {}
    texts = _texts(run, image_names=image_names)
    for file, values in texts.items():
        for detail in sorted({detail for value in values for detail in _signs(value)}):
            found.setdefault(("path", detail), []).append(file)
    names = _image_names(run) if image_names else {}
    for file, images in names.items():
        for detail in _counted([_signs(image) for image in images], "names of images"):
            found[("path", detail)] = [file]
    quoted = _counted([_signs_of_words(text) for text in _report_sentences(run)], "report sentences")
    found.update({("path", detail): [MANIFEST_FILE] for detail in quoted})
    report = IdentifyingReport(
        images=0,
        others=len(texts) + len(names),
        unread={},
        signs=tuple(
            IdentifyingSign(kind=kind, detail=detail, files=tuple(files))
            for (kind, detail), files in sorted(found.items())
        ),
    )
    if strict and report.signs:
        again = "; or train with --text concepts, which quotes no report sentence" if quoted else ""
        raise DataError(
            f"{run.shown} shows signs of identifying data: {'; '.join(report.sentences)}. Leave out the "
            f"names of images, or replace paths and names in a copy of the run{again}; or look at the files, "
            "and share the run without --strict.",
            code="LEX-DATA-1350",
        )
    return report


def _texts(run: Run, *, image_names: bool) -> dict[str, list[str]]:
    """Return what may hold paths or names, by the file that is shared."""
    manifest = run.manifest
    texts = {
        BUNDLE_FILE: [run.path.resolve().name],
        MANIFEST_FILE: [
            manifest.training.command or "",
            manifest.training.converted_from or "",
            manifest.training.text_encoder or "",
            manifest.data.name or "",
            "" if manifest.data.descriptions is None else manifest.data.descriptions.file,
            *_of_earlier_runs(manifest),
        ],
    }
    for name in (MANIFEST_FILE, CALIBRATION_FILE):
        content = content_of(run, name)
        if content:
            texts.setdefault(name, []).extend(_of_calibrations(content))
        if content and image_names:
            sentences = [sentence for _, found in names_fields(content) for sentence in found]
            texts[name] += [word for sentence in sentences for word in _words(sentence)]
    for name in (CONFIG_FILE, CARD_FILE):
        file = run.path / name
        if file.is_file():
            text = file.read_text(encoding="utf-8", errors="replace")
            words = (text if image_names or name != CARD_FILE else card_without_names(text, run)).split()
            # Dates and figures of the training stand there too; addresses of the web are meant to be read.
            texts[name] = [word for word in words if _PATH_LIKE.search(word) and "://" not in word]
    return texts


def _of_earlier_runs(manifest: Manifest) -> list[str]:
    """Return the names that a run states of the runs that taught it, and of the one that it started from."""
    taught, start = manifest.training.distillation, manifest.training.start
    earlier = [*(() if taught is None else taught.teachers), *(() if start is None else (start,))]
    return [name for one in earlier for name in (one.name, one.data)]


def _of_calibrations(content: dict[str, Any]) -> list[str]:
    """Return the names of the data sets in the content of `calibration.json`."""
    found = [content.get(part) for part in ("plain", "flip_average")]
    return [str(one["data"].get("name", "")) for one in found if isinstance(one, dict) and "data" in one]


def _image_names(run: Run) -> dict[str, tuple[str, ...]]:
    """Return the names of images, by file."""
    names = {}
    splits = run.splits
    if splits is not None:
        names[SPLITS_FILE] = (*splits.train, *splits.val, *splits.test)
    if (run.path / MASKS_FILE).is_file():
        names[MASKS_FILE] = read_with_mask(run.path).with_mask
    return names


def _report_sentences(run: Run) -> tuple[str, ...]:
    """Return the sentences of the report sheet that a run holds, as no vocabulary reads them."""
    factors = () if run.vocabulary is None else run.vocabulary.factors
    return tuple(
        sentence
        for factor in factors
        if isinstance(factor.read, SentenceRule)
        for group in factor.read.sentences
        for sentence in group
    )


def _counted(signs: Sequence[set[str]], what: str) -> list[str]:
    """Return each sign with how many of some texts show it."""
    counts = Counter(detail for of_one in signs for detail in of_one)
    return [f"{detail} in {count} of {len(signs)} {what}" for detail, count in sorted(counts.items())]


def _words(sentence: str) -> list[str]:
    """Return the words of a sentence, which has commas of its own."""
    return [word.strip("(),.;:") for word in sentence.split()]


def _signs_of_words(sentence: str) -> set[str]:
    return {detail for word in _words(sentence) for detail in _signs(word)}


def _signs(text: str) -> set[str]:
    found = {sign.detail for sign in path_signs(PurePath(text))}
    if _HOME_FOLDER.search(text):
        found.add("the home folder of a user")
    return found
