"""Hints for names in sheets and CSVs that match no image: in what they differ from the names of images."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from lexiseg.data.layouts.pairing import bare_stem

_ZEROS = re.compile(r"(?<![0-9])0+(?=[0-9])")
_ENDING = re.compile(r"(?:\.[A-Za-z0-9]{1,5}){1,2}$")
_BREAKS = re.compile(r"[\s_.-]+")
#: What nnU-Net adds to the names of images, and not to those of labels; a slice adds its number behind it.
_CHANNEL = re.compile(r"_0000(?=(?:_[ijk][0-9]+)?$)")


def _without_zeros(name: str) -> str:
    return _ZEROS.sub("", name)


def _without_ending(name: str) -> str:
    return _ENDING.sub("", name)


def _plain_breaks(name: str) -> str:
    return _BREAKS.sub("_", name.strip())


def _without_channel(name: str) -> str:
    return _CHANNEL.sub("", name)


#: In what names may differ, and how a name looks without this difference.
_DIFFERENCES: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("leading zeros", _without_zeros),
    ("upper and lower case", str.casefold),
    ("the ending", _without_ending),
    ("spaces, dots, '-' and '_'", _plain_breaks),
    ("the channel '_0000'", _without_channel),
)


def name_hint(keys: Iterable[str], stems: Iterable[str]) -> str:
    """Return a sentence on how names differ from the names of images, with a space in front; "" if unknown.

    Args:
        keys: Names that match no image.
        stems: Names of images, without ending.
    """
    known, unknown = list(stems), [key for key in keys if key]
    for what, simplify in _DIFFERENCES:
        by_form = {simplify(stem): stem for stem in known}
        pairs = _only_differing(unknown, by_form, simplify)
        if pairs:
            key, stem = pairs[0]
            return f" Names that differ from an image's only in {what}: {len(pairs)}, such as {key} ({stem})."
    return ""


def lost_zeros(keys: Iterable[str], stems: Iterable[str]) -> list[tuple[str, str]]:
    """Return the names that match an image once leading zeros are ignored, each with that image's name.

    A spreadsheet program that takes a name such as 0012 for a number stores 12.
    """
    by_form = {_without_zeros(stem): stem for stem in stems}
    return _only_differing(keys, by_form, _without_zeros)


def _only_differing(
    keys: Iterable[str], by_form: Mapping[str, str], simplify: Callable[[str], str]
) -> list[tuple[str, str]]:
    """Return the keys whose simplified form is that of an image, with the image's name.

    A key whose name is that of an image as it is differs in something else, such as its folder.
    """
    names = [(key, bare_stem(key)) for key in keys]
    pairs = [(key, name, by_form.get(simplify(name))) for key, name in names]
    return [(key, stem) for key, name, stem in pairs if stem is not None and name != stem]
