"""Why an image is in quarantine, in words for a person beside an archive."""

from __future__ import annotations

import re
from pathlib import Path

from lexiseg._version import __version__
from lexiseg.clinic.dataset import BROKEN, read_without_large_values
from lexiseg.errors import DataError, LexisegError
from lexiseg.json_records import FileRecord, Record

_OTHER_KIND = (
    "Let the archive send images only: leave this kind of object out of the rule that sends to the gateway. "
    "Then drop it here."
)
_SENT_AGAIN = "Look it up in the archive. If it is displayed there, send it again. Then drop it here."
_NO_IMAGE = "Look it up in the archive. If it should be an image, send it again. Then drop it here."

# What a person beside an archive does. The messages themselves end with advice for who works with files; here
# it takes the place of that sentence.
_ADVICE = {
    "LEX-DATA-941": _OTHER_KIND,
    "LEX-DATA-942": _OTHER_KIND,
    "LEX-DATA-943": _OTHER_KIND,
    "LEX-DATA-944": _OTHER_KIND,
    "LEX-DATA-945": _OTHER_KIND,
    "LEX-DATA-946": _NO_IMAGE,
    "LEX-DATA-947": _NO_IMAGE,
    "LEX-DATA-1813": _OTHER_KIND,
    "LEX-DATA-1232": (
        "Compare both in the archive: it keeps only one of two objects with the same UID. Drop the wrong "
        "one, or correct the UID in the system that made it and send it again."
    ),
    "LEX-DATA-1233": "Find out which program puts such files into the source. Then drop it here.",
    "LEX-DATA-1401": (
        "Send single frames, or segment a frame by hand with `lexiseg predict --frame NUMBER`. Then drop it "
        "here."
    ),
}
# The last sentence of messages about damaged files.
_EXPORTED_AGAIN = ("Export it again.", "Export the file again.")
_OTHER_ADVICE = "Correct the cause, then try it again; or drop it."

# A path ends before a blank or a punctuation mark that a sentence adds.
_REST_OF_PATH = r"(?:[\\/][\w.\-]*\w)+"


class ObjectIdentity(Record):
    """By what an archive finds an object; fields that its file does not state are empty.

    Attributes:
        study_instance_uid: UID of its study.
        sop_instance_uid: UID of the object.
        sop_class: Kind of the object, such as "Computed Radiography Image Storage".
        modality: Its modality.
    """

    study_instance_uid: str = ""
    sop_instance_uid: str = ""
    sop_class: str = ""
    modality: str = ""


class QuarantineRecord(FileRecord):
    """Why an image is in quarantine: a file `quarantine/ID.json` beside the image.

    Attributes:
        schema_version: Version of this schema.
        image: The image file.
        object: By what an archive finds it.
        source: Name of the source that it came from.
        rule: Name of its rule; empty where none was applied.
        destination: Name of the destination that has not got its results; empty where it is not about one.
        code: Stable code of the reason.
        reason: What is wrong.
        advice: What to do.
        lexiseg_version: Version of Lexiseg.
    """

    image: str
    object: ObjectIdentity
    source: str
    rule: str
    destination: str
    code: str
    reason: str
    advice: str
    lexiseg_version: str = __version__


def identity_of(file: Path) -> ObjectIdentity:
    """Return by what an archive finds an object; nothing is known of a file that cannot be read."""
    try:
        with open(file, "rb") as opened:
            dataset = read_without_large_values(opened, file)
        return ObjectIdentity(
            study_instance_uid=str(dataset.get("StudyInstanceUID") or ""),
            sop_instance_uid=str(dataset.get("SOPInstanceUID") or ""),
            sop_class=str(getattr(dataset.get("SOPClassUID"), "name", "")),
            modality=str(dataset.get("Modality") or ""),
        )
    except (DataError, *BROKEN):
        return ObjectIdentity()


def reason_and_advice(error: LexisegError, state: Path) -> tuple[str, str]:
    """Return what is wrong with an object and what to do, without paths inside of the state folder.

    Args:
        error: Why it goes into quarantine.
        state: The state folder; its files move on, so a path says nothing to a person.
    """
    text = re.sub(re.escape(str(state)) + _REST_OF_PATH, "the object", str(error))
    text = text[:1].upper() + text[1:]
    said, point, last = text.rpartition(". ")
    advice = _ADVICE.get(error.code, _SENT_AGAIN if last in _EXPORTED_AGAIN else None)
    if advice is None:
        return text, _OTHER_ADVICE
    return (f"{said}." if point else text), advice
