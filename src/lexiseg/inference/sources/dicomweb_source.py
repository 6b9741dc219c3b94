"""Images of a DICOMweb service (QIDO-RS and WADO-RS, PS3.18), copied to a private folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from dicomweb_client.web import DICOMwebClient
from pydicom.dataset import Dataset

from lexiseg.clinic.dataset import BROKEN
from lexiseg.clinic.dicomweb_client import AS_STORED, MODALITY, SERIES_UID, STUDY_UID, dicomweb_client
from lexiseg.errors import DataError, UsageError
from lexiseg.files import disk_errors, make_folder
from lexiseg.web_address import address_of, holds_credentials, is_readable_on_the_way

#: The variable of the environment that holds a bearer token.
TOKEN_VARIABLE = "LEXISEG_DICOMWEB_TOKEN"

#: Studies of a search, images, and bytes that are copied at most.
MOST_STUDIES = 100
MOST_IMAGES = 20_000
MOST_BYTES = 8 << 30

_TIMEOUT_S = 60.0
#: Modalities of objects without an image.
_NO_IMAGES = frozenset(
    {"SR", "PR", "KO", "SEG", "DOC", "RTSTRUCT", "RTPLAN", "RTDOSE", "REG", "AU", "ECG", "PLAN"}
)
# What follows "?" in an address can name a patient, such as O'Brien, or hold a key. In messages of requests,
# it has no blanks.
_QUERY = re.compile(r"\?\S*")
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_FORM = "such as https://HOST/dicom-web/studies/UID, .../studies/UID/series/UID or .../studies?PatientID=NAME"


@dataclass(frozen=True, kw_only=True)
class DicomwebAddress:
    """What an address asks for.

    Attributes:
        service: Address of the service.
        study: UID of the study; None for a search.
        series: UID of the series; None for all.
        instance: UID of the image; None for all.
        search: What studies are searched by, such as {"PatientID": "7"}.
    """

    service: str
    study: str | None = None
    series: str | None = None
    instance: str | None = None
    search: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> DicomwebAddress:
        """Read an address.

        Raises:
            UsageError: It names no studies, holds a password, or asks for everything.
        """
        parts = urlsplit(text)
        if holds_credentials(text):
            raise UsageError(
                f"{address_of(text)} holds a user or password, which would be written into results. "
                f"Put a token into the variable {TOKEN_VARIABLE}.",
                code="LEX-USE-1182",
            )
        service, studies, rest = parts.path.rpartition("/studies")
        names = [name for name in rest.split("/") if name]
        search = tuple(parse_qsl(parts.query))
        known = names[1::2] == ["series", "instances"][: len(names[1::2])] and len(names) in (0, 1, 3, 5)
        uids = names[::2]
        if (
            not studies
            or not known
            or not all(_UID.fullmatch(uid) for uid in uids)
            or bool(search) == bool(uids)
        ):
            raise UsageError(
                f"{without_query(text)} is no address of DICOMweb images: expected one {_FORM}.",
                code="LEX-USE-1183",
            )
        study, series, instance = (*uids, None, None, None)[:3]
        return cls(
            service=f"{parts.scheme}://{parts.netloc}{service}",
            study=study,
            series=series,
            instance=instance,
            search=search,
        )


def without_query(address: str) -> str:
    """Return an address without what follows "?", which can name a patient, or hold a key."""
    return address.partition("?")[0]


def copy_images(text: str, folder: Path) -> int:
    """Copy the images that an address names to `FOLDER/UID/series/UID/instances/UID.dcm`.

    Args:
        text: The address of a study, series or image, or a search of studies.
        folder: The folder.

    Returns:
        Number of images.

    Raises:
        UsageError: It is no address of DICOMweb images, or a token would be sent without encryption.
        DataError: The service cannot be reached, refuses, holds no such images, or too many.
        DiskError: There is no space.
    """
    address, shown = DicomwebAddress.parse(text), without_query(text)
    client = _client(address)
    count = size = 0
    try:
        for dataset in _datasets(client, address):
            path = _place(folder, dataset)
            with disk_errors(path):
                make_folder(path.parent)
                dataset.save_as(path, enforce_file_format=True)
                size += path.stat().st_size
            count += 1
            if count > MOST_IMAGES or size > MOST_BYTES:
                raise DataError(
                    f"{shown} holds more than {MOST_IMAGES:,} images or {MOST_BYTES >> 30} GiB. Name a "
                    "series.",
                    code="LEX-DATA-1213",
                )
    except (requests.RequestException, *BROKEN) as error:
        raise DataError(
            f"The images of {shown} cannot be fetched: {_reason(error)}. Check the address, the network and "
            f"the token in {TOKEN_VARIABLE}.",
            code="LEX-DATA-1214",
        ) from error
    if not count:
        raise DataError(f"{shown} holds no images. Check the UIDs and the search.", code="LEX-DATA-1215")
    return count


def _client(address: DicomwebAddress) -> DICOMwebClient:
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if token and is_readable_on_the_way(address.service):
        raise UsageError(
            f"{address.service} is not encrypted, and the token in {TOKEN_VARIABLE} would be readable on the "
            "way. Use an address that begins with https://.",
            code="LEX-USE-1184",
        )
    return dicomweb_client(address.service, timeout_s=_TIMEOUT_S, token=token)


def _datasets(client: DICOMwebClient, address: DicomwebAddress) -> Iterator[Dataset]:
    """Yield the images one after the other."""
    if address.study is not None and address.series is not None:
        if address.instance is not None:
            yield client.retrieve_instance(
                address.study, address.series, address.instance, media_types=AS_STORED
            )
        else:
            yield from client.iter_series(address.study, address.series, media_types=AS_STORED)
        return
    studies = [address.study] if address.study is not None else _found_studies(client, address)
    for study in studies:
        for answer in client.search_for_series(study, get_remaining=True):
            if _value(answer, MODALITY) not in _NO_IMAGES:
                yield from client.iter_series(study, str(_value(answer, SERIES_UID)), media_types=AS_STORED)


def _found_studies(client: DICOMwebClient, address: DicomwebAddress) -> list[str]:
    answers = client.search_for_studies(search_filters=dict(address.search), limit=MOST_STUDIES + 1)
    if len(answers) > MOST_STUDIES:
        raise DataError(
            f"{address.service} holds more than {MOST_STUDIES} studies that fit the search. Search for "
            "fewer.",
            code="LEX-DATA-1216",
        )
    return [str(_value(answer, STUDY_UID)) for answer in answers]


def _value(answer: dict[str, Any], tag: str) -> Any:
    values = answer.get(tag, {}).get("Value") or [None]
    return values[0]


def _place(folder: Path, dataset: Dataset) -> Path:
    uids = [
        str(dataset.get(name, "")) for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    ]
    if not all(_UID.fullmatch(uid) for uid in uids):
        raise ValueError("an image without valid UIDs came")
    study, series, image = uids
    return folder / study / "series" / series / "instances" / f"{image}.dcm"


def _reason(error: BaseException) -> str:
    response = getattr(error, "response", None)
    if response is not None:
        return f"the service answers {response.status_code} {response.reason}"
    said = (str(error).splitlines() or [""])[0].rstrip(".")
    return _QUERY.sub("", said) or type(error).__name__
