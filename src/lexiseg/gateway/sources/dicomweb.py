"""A DICOMweb service as source: it is asked for new images (QIDO-RS), which are fetched (WADO-RS)."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from http import HTTPStatus
from typing import Any

import requests

from lexiseg.clinic.dataset import BROKEN
from lexiseg.clinic.dicomweb_client import (
    AS_STORED,
    BROKEN_ANSWER,
    IMAGE_UID,
    SERIES_UID,
    STUDY_UID,
    WebPageError,
)
from lexiseg.errors import DataError, LexisegError
from lexiseg.gateway.configuration import DicomwebSource
from lexiseg.gateway.connections.web_session import web_client
from lexiseg.gateway.sources.intake import NO_ROOM, Intake
from lexiseg.gateway.sources.unreadable import UnreadableSourceError
from lexiseg.gateway.state import GatewayState

_PAGE = 200
# After so many different images that cannot be fetched, and none between them that can, an earlier image
# shows whether this is a fault of the service.
_MOST_REFUSED = 3
# An image that was not given so many times, by a service that gives an earlier one or had none to give, is
# put aside: it is asked for again, and says nothing of the service.
_MOST_TRIES = 20
# They say something of the service or of its user, and nothing of the image.
_OF_SERVICE = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
# An answer holds one image and a few lines around it.
_AROUND_MB = 1.0


@dataclass(frozen=True, kw_only=True)
class _Found:
    """UIDs of an image that the service has."""

    study: str
    series: str
    image: str


class DicomwebReader:
    """Fetches the images that a DICOMweb service has and that did not come before.

    Args:
        state: The shared parts of the gateway.
        name: Name of the source.
        settings: The service, and which images are asked for.
        intake: Takes its images.

    Raises:
        UsageError: A file that the configuration names cannot be read.
    """

    def __init__(self, state: GatewayState, name: str, settings: DicomwebSource, intake: Intake) -> None:
        self._state, self._name, self._settings, self._intake = state, name, settings, intake
        largest = state.configuration.limits.largest_image_mb
        self._client = web_client(settings, largest_mb=largest + _AROUND_MB)
        self._too_large: set[str] = set()
        # Images that could not be fetched, each with the number of tries that say something of it; each is
        # asked for again in each pass, after all others.
        self._refused: dict[str, int] = {}
        # Those since the last image that could be fetched, without those that are put aside.
        self._refused_in_a_row: set[str] = set()
        # Answers to searches that do not name their image as a whole, each as JSON.
        self._incomplete: set[str] = set()
        # An image that was fetched, and one that is listed and came before.
        self._fetched: _Found | None = None
        self._came_before: _Found | None = None

    @property
    def not_fetched(self) -> int:
        """How many images the service lists and does not give, or does not name as a whole."""
        return len(self._refused) + len(self._incomplete)

    def step(self) -> bool:
        """Ask for new images and fetch them; return False, so that the next question waits.

        Raises:
            UnreadableSourceError: The service cannot be asked, or it gave none of the last images and no
                earlier one.
        """
        try:
            gives_images = self._fetch_new()
        except (requests.RequestException, DataError, *BROKEN_ANSWER) as error:
            # Also an answer that is no DICOMweb.
            raise UnreadableSourceError(type(error).__name__) from error
        if not gives_images:
            raise UnreadableSourceError(
                f"{len(self._refused_in_a_row)} images in a row could not be fetched, and no earlier one"
            )
        return False

    def _fetch_new(self) -> bool:
        """Fetch the new images; return False where the service seems to give none."""
        known = len(self._refused_in_a_row)
        for found in self._others_first(self._new_images()):
            if self._state.full() is not None or not self._fetch(found):
                break
            many = len(self._refused_in_a_row) >= max(_MOST_REFUSED, known + 1)
            if many and not self._gives_earlier_image():
                return False  # the next pass asks for these images last
        return len(self._refused_in_a_row) < _MOST_REFUSED or self._gives_earlier_image()

    def _gives_earlier_image(self) -> bool:
        """Return whether the service still gives an image that came before: then others are at fault."""
        for found in (self._fetched, self._came_before):
            if found is not None:
                try:
                    self._content(found)
                except (requests.RequestException, DataError, *BROKEN):
                    continue
                self._refused_in_a_row.clear()
                return True
        return False

    def _others_first(self, images: Iterable[_Found]) -> Iterator[_Found]:
        """Yield the images, at the end those that could not be fetched before: they hold up no others."""
        again, listed = [], set()
        for found in images:
            listed.add(found.image)
            if found.image in self._refused:
                again.append(found)
            else:
                yield found
        # The service does not have the others any more, or they are too old to be asked for.
        self._refused = {image: tries for image, tries in self._refused.items() if image in listed}
        self._refused_in_a_row &= listed
        # One without an answer ends the pass, so that the others come first the next time.
        yield from sorted(again, key=lambda found: self._refused.get(found.image, 0))

    def _new_images(self) -> Iterator[_Found]:
        """Yield the images that the service has and that did not come before.

        Raises:
            UnreadableSourceError: The service answers, and no answer names an image.
        """
        today = date.today()
        first = today - timedelta(days=self._settings.days)
        incomplete: set[str] = set()
        names_images = False
        for modality in self._settings.modality:
            filters = {"Modality": modality, "StudyDate": f"{first:%Y%m%d}-{today:%Y%m%d}"}
            for found in self._listed(filters):
                if not isinstance(found, _Found):
                    incomplete.add(found)
                    self._note_incomplete(found)
                    continue
                names_images = True
                if found.image in self._too_large:
                    continue
                if self._intake.is_known(found.image):
                    self._came_before = found
                else:
                    yield found
        self._incomplete &= incomplete  # the service has mended the others
        if incomplete and not names_images:
            raise UnreadableSourceError("no answer names study, series and image")

    def _listed(self, filters: dict[str, str]) -> Iterator[_Found | str]:
        """Yield the images that a search finds, and answers that do not name theirs, as JSON.

        A service may return fewer than it is asked for, so a short page is not the last one. One that knows
        no offset returns the first page again.
        """
        listed: set[str] = set()
        offset = 0
        while page := self._page(filters, offset):
            before = len(listed)
            for answer in page:
                one = _uids(answer) or json.dumps(answer, sort_keys=True)
                key = one.image if isinstance(one, _Found) else one
                if key not in listed:
                    listed.add(key)
                    yield one
            if len(listed) == before:
                return
            offset += len(page)

    def _page(self, filters: dict[str, str], offset: int) -> list[Any]:
        """Return the answers to a search from an offset on; none where nothing is left.

        Raises:
            ValueError: The service does not answer with a list.
        """
        try:
            page = self._client.search_for_instances(search_filters=filters, limit=_PAGE, offset=offset)
        except requests.HTTPError as error:
            # At the beginning, it is an address that the service does not know.
            status = None if error.response is None else error.response.status_code
            if offset == 0 or status != HTTPStatus.NOT_FOUND:
                raise
            return []
        if not isinstance(page, list):
            raise ValueError("The service does not answer with a list.")
        return page

    def _note_incomplete(self, answer: str) -> None:
        """Note an answer that does not name its image as a whole, so it cannot be fetched."""
        if answer not in self._incomplete:
            self._incomplete.add(answer)
            self._state.log.write(
                "not_fetched", level="warning", source=self._name, error="incomplete answer to the search"
            )

    def _fetch(self, found: _Found) -> bool:
        """Fetch one image; return whether the next one can be fetched now."""
        try:
            content = self._content(found)
        except DataError as error:
            return self._leave_out(found, error)
        except (requests.RequestException, *BROKEN) as error:
            self._note_refused(found, error)
            # Without an answer, each further image could take the longest wait; the next pass begins with the
            # others, and its question shows whether the service is there.
            return not isinstance(error, (requests.ConnectionError, requests.Timeout))
        self._refused.pop(found.image, None)
        self._refused_in_a_row.clear()
        self._fetched = found
        try:
            self._intake.take(content, source=self._name, sop_uid=found.image)
        except DataError as error:
            return self._leave_out(found, error)
        except NO_ROOM as error:
            code = error.code if isinstance(error, LexisegError) else None
            self._state.log.write(
                "put_off", level="warning", source=self._name, code=code, error=type(error).__name__
            )
            return False
        return True

    def _note_refused(self, found: _Found, error: Exception) -> None:
        """Note an image that could not be fetched; what the service has of it may be mended there."""
        response = error.response if isinstance(error, requests.HTTPError) else None
        is_new = found.image not in self._refused
        before = self._refused.get(found.image, 0)
        tries = before if _is_of_service(error) else before + 1
        is_put_aside = tries == _MOST_TRIES > before
        if is_put_aside and not self._may_give_others():
            is_put_aside, tries = False, before
        self._refused[found.image] = tries
        if is_new:
            self._refused_in_a_row.add(found.image)
        elif is_put_aside:
            self._refused_in_a_row.discard(found.image)
        else:
            return  # the log says it already
        self._state.log.write(
            "put_aside" if is_put_aside else "not_fetched",
            level="warning",
            source=self._name,
            study=self._state.key.hashed(found.study) or None,
            error=type(error).__name__ if response is None else f"HTTP {response.status_code}",
        )

    def _may_give_others(self) -> bool:
        """Return whether the service gives an earlier image, or none came that it can be asked for."""
        return (self._fetched is None and self._came_before is None) or self._gives_earlier_image()

    def _content(self, found: _Found) -> bytes:
        dataset = self._client.retrieve_instance(
            found.study, found.series, found.image, media_types=AS_STORED
        )
        buffer = io.BytesIO()
        dataset.save_as(buffer, enforce_file_format=True)
        return buffer.getvalue()

    def _leave_out(self, found: _Found, error: DataError) -> bool:
        """Note an image above the limit of size; it is not fetched again before the next start."""
        self._too_large.add(found.image)
        self._state.log.write("too_large", level="warning", source=self._name, code=error.code)
        return True


def _is_of_service(error: Exception) -> bool:
    """Return whether an error says something of the service or of its user, and nothing of the image."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return error.response.status_code in _OF_SERVICE
    return isinstance(error, WebPageError)  # of a login


def _uids(answer: Any) -> _Found | None:
    """Return the UIDs of an answer to a search; None where one is missing."""
    try:
        uids = [answer[tag]["Value"][0] for tag in (STUDY_UID, SERIES_UID, IMAGE_UID)]
    except (KeyError, IndexError, TypeError):
        return None
    if not all(isinstance(uid, str) and uid for uid in uids):
        return None
    study, series, image = uids
    return _Found(study=study, series=series, image=image)
