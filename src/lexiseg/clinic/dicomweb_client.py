"""Clients of DICOMweb services (PS3.18), for images that are read and for results that are sent."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit
from xml.etree.ElementTree import ParseError

import requests
from dicomweb_client.web import DICOMwebClient
from requests.adapters import HTTPAdapter

from lexiseg.errors import DataError
from lexiseg.library_logs import hide_queries
from lexiseg.web_address import is_loopback

# They write addresses, which name patients in searches, headers with tokens, UIDs and texts of the service.
for _name in ("dicomweb_client", "retrying"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)
hide_queries()

#: Tags of answers to a search.
STUDY_UID, SERIES_UID, IMAGE_UID, MODALITY = "0020000D", "0020000E", "00080018", "00080060"

#: What is raised where the answer of a service is no DICOMweb.
BROKEN_ANSWER = (
    AttributeError,
    IndexError,
    KeyError,
    ParseError,
    RecursionError,
    TypeError,
    ValueError,
)


class WebPageError(ValueError):
    """A web page, such as that of a login, came in place of an answer of the service."""


#: Any transfer syntax: images are fetched as they are stored.
AS_STORED = (("application/dicom", "*"),)


def dicomweb_client(
    service: str,
    *,
    timeout_s: float,
    token: str = "",
    session: requests.Session | None = None,
    largest_mb: float | None = None,
) -> DICOMwebClient:
    """Return a client of a service; it does not try again by itself.

    A service on this machine is reached without the proxy of the environment, so that images stay on the
    machine. A web page in place of an answer, such as that of a login, is refused with a `WebPageError`: it
    could be taken for success.

    Args:
        service: Base address, such as `https://archive.example/dicom-web`.
        timeout_s: Longest wait for an answer in seconds.
        token: Bearer token; empty sends none.
        session: Certificates and credentials; by default those of the system, and none.
        largest_mb: Largest answer in MB; a larger one is refused while it arrives, with a `DataError`. None
            is no limit.
    """
    session = session or requests.Session()
    session.hooks["response"].append(_refuse_page)
    if largest_mb is not None:
        session.hooks["response"].append(_limited(largest_mb))
    address = urlsplit(service)
    if is_loopback(address.hostname or ""):
        session.mount(f"{address.scheme}://{address.netloc}/".lower(), _DirectAdapter())
    headers = {"Authorization": f"Bearer {token}"} if token else None
    client = DICOMwebClient(service, session=session, headers=headers, timeout=timeout_s)
    client.set_http_retry_params(retry=False)
    return client


def _refuse_page(response: requests.Response, **options: Any) -> None:
    """Refuse a web page as the answer of a service; a hook of a session.

    Raises:
        WebPageError: It is one.
    """
    # Some services call answers without content, such as to a search that finds nothing, HTML.
    is_empty = response.status_code == HTTPStatus.NO_CONTENT or response.headers.get("Content-Length") == "0"
    if (
        response.ok
        and "html" in response.headers.get("Content-Type", "").lower()
        and not response.is_redirect
        and not is_empty
    ):
        raise WebPageError("a web page came in place of an answer")


class _DirectAdapter(HTTPAdapter):
    """Sends requests without a proxy."""

    def send(self, *arguments: Any, **options: Any) -> requests.Response:
        """Send a request; see `HTTPAdapter.send`."""
        return super().send(*arguments, **{**options, "proxies": None})


def _limited(largest_mb: float) -> Callable[..., None]:
    """Return a hook that limits the answers of a session; it is called before their content is read."""

    def limit(response: requests.Response, **options: Any) -> None:
        read_pieces = response.raw.stream

        def stream(*arguments: Any, **settings: Any) -> Iterator[bytes]:
            size = 0
            for piece in read_pieces(*arguments, **settings):
                size += len(piece)
                if size > largest_mb * 1e6:
                    response.close()
                    raise DataError(
                        f"A DICOMweb service sends more than {largest_mb:g} MB at once, the limit of one "
                        "answer. The rest is not read.",
                        code="LEX-DATA-1403",
                    )
                yield piece

        response.raw.stream = stream

    return limit
