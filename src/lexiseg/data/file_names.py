"""Patient ids and image sources, read from file names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import regex

from lexiseg.errors import DataError

#: Known patterns of file names, each with the patient id as its first group.
PATIENT_PATTERNS = (
    # BIMCV-style radiographs, as in COVID-Xray: subject, exam, repetition. "cxr_s12-e34-r1" -> "s12".
    re.compile(r"(?:^|[_-])(s\d+)-e\d+(?:-r\d+)?$"),
)

_NAMING_A_PATIENT = "patient|subject|subj|sub|pat|pid|person|proband|volunteer"

#: A word for a patient with a number, and something after it that tells images of the patient apart, as in
#: "patient001_slice2", in lower case. The id is everything up to the number: a hospital in front is a part of
#: it. The first such word counts: a patient can have several cases.
_PATIENT_WORD = re.compile(
    rf"^((?:.*?[_\-. ])??(?P<word>{_NAMING_A_PATIENT}|case)[_\-. ]?[0-9]+)(?:[_\-. ]|(?=[a-z]))."
)
_LATER_WORD = re.compile(rf"[_\-. ](?:{_NAMING_A_PATIENT})[_\-. ]?[0-9]")

#: The letter alone, as in "P12_3": it counts only if all names look like this.
_PATIENT_LETTER = re.compile(r"^(p[0-9]+)[_\-. ].")

#: A name that ends with a number, as in "A17_003" or "A17_slice3", else with another part, as in "A17_PA";
#: its beginning holds a digit too, so that the name of a collection ("img_003") is none.
_ENDINGS = (
    re.compile(r"^(.*[0-9].*?)[_\-. ](?:[A-Za-z]+[_\-. ]?)?[0-9]+$"),
    re.compile(r"^(.*[0-9].*)[_\-. ][^_\-. ]+$"),
)

_LONGEST_MATCH_S = 1.0

#: Separators in names, and the number of beginnings from which a shorter beginning is preferred.
_BREAK = re.compile(r"[_\-. ]")
_MANY_GROUPS = 6
#: Where each image has a longer beginning of its own, a beginning with more images on average is a place.
_MOST_PER_GROUP = 10

_MAX_SOURCES = 8
_MIN_COVER = 0.95
_PREFIX = re.compile(r"^([A-Za-z]+)[_-]")


def patients(stems: Sequence[str], pattern: str | None) -> tuple[list[str | None], str | None]:
    """Find the patient id of each image in its file name.

    Args:
        stems: File names without extension.
        pattern: Regular expression of `dataset.yaml`, whose first group is the id; None tries the known forms
            of names.

    Returns:
        An id or None per name, and a note on what was assumed, if anything.

    Raises:
        DataError: `pattern` matches no name, or takes too long on one.
    """
    if pattern is None:
        return _patients_of_known_forms(stems)
    ids = _stated_patients(stems, pattern)
    known = sum(patient is not None for patient in ids)
    if stems and not known:
        raise DataError(
            f"dataset.yaml, patient: {pattern!r} matches no image name, such as {stems[0]!r}.",
            code="LEX-DATA-052",
        )
    if known == len(ids):
        return ids, None
    note = f"The patient pattern of dataset.yaml matches {known} of {len(ids)} image names."
    return ids, note


def _patients_of_known_forms(stems: Sequence[str]) -> tuple[list[str | None], str | None]:
    """Find patient ids in names of a known form; unknown where the form is not certain."""
    ids = [_first_group(PATIENT_PATTERNS, stem) for stem in stems]
    if not any(ids):
        ids = [_patient_of_word(stem.lower()) for stem in stems]
        if not any(ids):
            ids = [_first_group((_PATIENT_LETTER,), stem.lower()) for stem in stems]
            ids = ids if all(ids) else [None] * len(ids)
        # One image per id may be a plain numbering of the images.
        if len({patient.lower() for patient in ids if patient}) == sum(
            patient is not None for patient in ids
        ):
            return [None] * len(stems), None
    known = sum(patient is not None for patient in ids)
    example = next(stem for stem, patient in zip(stems, ids, strict=True) if patient)
    return ids, f"Patient ids are read from file names such as {example} ({known} of {len(ids)} images)."


def _patient_of_word(stem: str) -> str | None:
    """Return the name up to its first word for a patient with a number; None for none, or an unclear one."""
    match = _PATIENT_WORD.search(stem)
    if match is None:
        return None
    # In "case1_patient3_x", patient3 may have other cases too.
    is_unclear = match["word"] == "case" and _LATER_WORD.search(stem, match.end(1)) is not None
    return None if is_unclear else match.group(1)


def shared_beginnings(stems: Sequence[str]) -> list[str | None]:
    """Return the beginning that each image's name shares with others; such images may be of one patient.

    Each name must have a part that tells images apart ("A17_003", "A17_slice4", "A17_1_PA") behind a
    beginning with a digit, and no beginning may hold more than half of the images. Else nothing is known.

    Args:
        stems: File names without extension.

    Returns:
        The beginning per name; None for each name if the names do not have this form, or share no beginning.
    """
    starts = [_first_group(_ENDINGS, stem) for stem in stems]
    if not stems or None in starts:
        return [None] * len(stems)
    is_shared = _groups(starts) > 0
    fewest = _MANY_GROUPS if is_shared else max(_MANY_GROUPS, len(stems) / _MOST_PER_GROUP)
    # "study3_series1_im7": the first part that makes many groups keeps most images together.
    for depth in range(1, 1 + min(len(_BREAK.findall(stem)) for stem in stems)):
        shorter = [_beginning(stem, depth) for stem in stems]
        if all(any(map(str.isdigit, start)) for start in shorter) and _groups(shorter) >= fewest:
            return list(shorter)
    return starts if is_shared else [None] * len(stems)


def beginning_pattern(stems: Sequence[str], starts: Sequence[str | None]) -> str | None:
    """Return a regular expression whose first group is the beginning of each name; None if there is none.

    Args:
        stems: File names without extension.
        starts: The beginning of each, from `shared_beginnings`.
    """
    breaks = {len(_BREAK.findall(start)) for start in starts if start is not None}
    more = f"(?:[_. -][^_. -]*){{{max(breaks)}}}" if any(breaks) else ""
    for pattern in (f"^([^_. -]*{more})[_. -]", "^(.+)[_. -][^_. -]*$"):
        found = [_first_group((re.compile(pattern),), stem) for stem in stems]
        if found == list(starts):
            return pattern
    return None


def _stated_patients(stems: Sequence[str], pattern: str) -> list[str | None]:
    """Return the first group of a pattern of `dataset.yaml` per name; None where it does not match."""
    # The module `re` has no time limit, and an expression such as "(a+)+$" takes hours on some names.
    compiled = regex.compile(pattern)
    ids: list[str | None] = []
    for stem in stems:
        try:
            match = compiled.search(stem, timeout=_LONGEST_MATCH_S)
        except TimeoutError as error:
            raise DataError(
                f"dataset.yaml, patient: {pattern!r} takes more than {_LONGEST_MATCH_S:g} s on the image "
                f"name {stem!r}. Write a simpler expression, without a repetition inside a repetition.",
                code="LEX-DATA-776",
            ) from error
        ids.append(match.group(1) if match else None)
    return ids


def _groups(starts: Sequence[str | None]) -> int:
    """Return the number of beginnings; 0 if one is missing, none is shared, or one holds most images."""
    counts = Counter(starts)
    if None in counts or len(counts) == len(starts) or max(counts.values(), default=0) > len(starts) / 2:
        return 0
    return len(counts)


def _beginning(stem: str, depth: int) -> str:
    """Return a name up to its separator of that number, counted from 1."""
    return stem[: [match.start() for match in _BREAK.finditer(stem)][depth - 1]]


def sources(stems: Sequence[str]) -> list[str | None]:
    """Return the source of each image: the word before the first "_" or "-", if few words cover the data."""
    prefixes = [match.group(1).lower() if (match := _PREFIX.match(stem)) else None for stem in stems]
    counts = Counter(prefix for prefix in prefixes if prefix is not None)
    if not counts or len(counts) > _MAX_SOURCES or sum(counts.values()) < _MIN_COVER * len(stems):
        return [None] * len(stems)
    return list(prefixes)


def _first_group(patterns: Sequence[re.Pattern[str]], stem: str) -> str | None:
    for pattern in patterns:
        if match := pattern.search(stem):
            return match.group(1)
    return None
