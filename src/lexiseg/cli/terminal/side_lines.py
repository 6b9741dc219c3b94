"""What commands say about left and right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lexiseg.words.description import ShownSide, Side
from lexiseg.words.text import split_words

if TYPE_CHECKING:  # it loads numpy, which --help does not need
    from lexiseg.words.vocabulary import Vocabulary


def side_line(side: ShownSide, *, dicom: bool, others: bool, but: str = "") -> str:
    """Return the sentence that says whose left and right the words mean.

    Words are about the image that the network gets: a DICOM image in its usual display, another image as its
    file stores it, whatever its EXIF orientation.

    Args:
        side: Whose left the words mean; "unknown" for sentences of a sheet whose side nothing states.
        dicom: Whether some of the images are DICOM images.
        others: Whether some of the images are no DICOM images.
        but: Which images are excepted, as the end of the sentence.
    """
    if side == "unknown":
        return (
            "The words are sentences of the training reports, as they were written: whose left and right "
            "they mean is not known."
        )
    if side == "patient":
        whose = "the patient's"
    elif dicom and others:
        whose = "those of the image (DICOM: as it is usually displayed; others: as the file stores it)"
    else:
        whose = f"those of the image as {'it is usually displayed' if dicom else 'the file stores it'}"
    return f"Left and right in all words are {whose}{but}."


def unknown_side_line(side: Side) -> str:
    """Return the sentence about words on a DICOM image of which it is not known where the patient's left is.

    Args:
        side: Side convention of the words, which takes the image to be in its usual display.
    """
    whose = (
        "those of the image as it is usually displayed"
        if side == "image"
        else "the patient's if the patient's left is on the right of the image"
    )
    return f"It is not known where the patient's left is. Left and right in all words are {whose}."


def whose_side(title: str, phrase: str, vocabulary: Vocabulary, side: Side) -> str:
    """Return whose left or right a word means, such as " (left of the image)"; "" if it names no side.

    Args:
        title: Title of the factor.
        phrase: The phrase.
        vocabulary: The vocabulary of both.
        side: Side convention of the words.
    """
    if vocabulary.shown_side(side) == "unknown":
        return ""
    sides = {word for pair in vocabulary.opposites.horizontal for word in pair}
    named = [word for word in dict.fromkeys(split_words(f"{title} {phrase}")) if word in sides]
    return f" ({' and '.join(named)} of the {side})" if named else ""
