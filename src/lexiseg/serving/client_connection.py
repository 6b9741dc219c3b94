"""The connection of a client to a server: requests, answers as records, and what the server refuses."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2
from pydantic import ValidationError

from lexiseg.errors import RequestError, UsageError
from lexiseg.json_records import Record
from lexiseg.open_files import open_errors
from lexiseg.printable import printable
from lexiseg.serving.records.common import RefusalRecord
from lexiseg.structured_text import UnusableTextError, parse_json
from lexiseg.web_address import holds_credentials, is_readable_on_the_way

AnyRecord = TypeVar("AnyRecord", bound=Record)

_ADDRESS = re.compile(r"https?://[^/\s]", re.IGNORECASE)
# What a header may hold (RFC 6750).
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")

_WHO = "It does not let you in: put its user and password into the address, or let it pass tokens on."
_BUSY = "It takes no more requests at the moment: send the request again later."
_AWAY = "The server behind it is away or busy: send the request again later, and check that the server runs."
# What to do where something before the server refuses a request, by its status.
_REMEDIES = {
    401: _WHO,
    403: _WHO,
    407: _WHO,
    413: "It takes no request of this size: send less at a time, or have its limit raised.",
    429: _BUSY,
    502: _AWAY,
    503: _AWAY,
    504: _AWAY,
}


class Connection:
    """The connection to one server.

    Args:
        url: Address of the server.
        token: A token of the server, where it asks for one.
        timeout: Seconds to wait for an answer.
        unencrypted: Whether the token may be sent to another machine without encryption.
        certificate_authority: File (PEM) with certificates of the authorities that the certificate of the
            server must come from; None takes those of the system.

    Raises:
        UsageError: The address is not one of http or https, the token holds characters that no token has, it
            would be sent without encryption, or not at all, or the certificates cannot be read.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None,
        timeout: float,
        unencrypted: bool,
        certificate_authority: str | Path | None,
    ) -> None:
        address = _address(url)
        if token is not None and not _TOKEN.fullmatch(token):
            # The message does not hold it: messages are kept in logs.
            raise UsageError(
                "The token holds characters that no token has, such as a space or the end of a line. Pass it "
                "as `lexiseg token new` printed it.",
                code="LEX-USE-1116",
            )
        if not unencrypted and (token or holds_credentials(url)) and is_readable_on_the_way(url):
            raise UsageError(
                "The token would be sent to another machine without encryption, and others on the way could "
                "read and use it. Use an address that begins with https:// (`lexiseg serve "
                "--tls-certificate`), or state unencrypted=True if nobody else uses the network.",
                code="LEX-USE-1670",
            )
        if token is not None and holds_credentials(url):
            raise UsageError(
                "The address holds a user or a password, and there is a token too; a request has room for "
                "one of them. Leave one out.",
                code="LEX-USE-1790",
            )
        # Messages are kept in logs, so they do not hold the password of an address.
        self._shown = str(address.copy_with(username=None, password=None))
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        # The address is stated, so no proxy of the environment is asked.
        self._http = httpx2.Client(
            base_url=address,
            headers=headers,
            timeout=timeout,
            trust_env=False,
            verify=True if certificate_authority is None else _context(Path(certificate_authority)),
        )

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def ask(self, kind: type[AnyRecord], method: str, route: str, **content: Any) -> AnyRecord:
        """Send a request and return its answer.

        Args:
            kind: The record that the answer holds.
            method: Such as "GET".
            route: Such as "/v1/models".
            content: The body, as httpx2 takes it.

        Raises:
            RequestError: The server refuses, does not answer, or answers something else.
        """
        try:
            answer = self._http.request(method, route, **content)
        except httpx2.HTTPError as error:
            raise self.no_answer(error) from error
        if not answer.is_success:
            raise self._refusal(answer)
        return self.record(kind, answer.content, answer.status_code)

    @contextmanager
    def streamed(self, route: str, *, silence: float) -> Iterator[httpx2.Response]:
        """Yield an answer whose body is not read yet.

        Args:
            route: What is asked for.
            silence: Seconds without a byte after which reading ends with an error.

        Raises:
            RequestError: The server refuses.
            httpx2.HTTPError: The connection fails, or ends before the body does.
        """
        with self._http.stream("GET", route, timeout=silence) as answer:
            if not answer.is_success:
                answer.read()
                raise self._refusal(answer)
            yield answer

    def record(self, kind: type[AnyRecord], content: bytes | str, status: int) -> AnyRecord:
        """Return what an answer, or a part of it, holds.

        Raises:
            RequestError: It is no such record.
        """
        try:
            return kind.model_validate(parse_json(content))
        except (ValidationError, UnusableTextError) as error:
            raise RequestError(
                f"{self._shown} does not answer as a server of this version of Lexiseg does (status "
                f"{status}). Check the address, and use the version of the server.",
                status=status,
                code="LEX-REQ-1142",
            ) from error

    def no_answer(self, error: httpx2.HTTPError) -> RequestError:
        """Return the error for a server that does not answer."""
        remedy = "Check its address, and that it runs."
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            remedy = (
                "If it is the right server, name a file with the authority of its certificate: "
                "certificate_authority=FILE."
            )
        return RequestError(
            f"The server at {self._shown} does not answer ({type(error).__name__}: {error}). {remedy}",
            status=503,
            code="LEX-REQ-1141",
        )

    def _refusal(self, answer: httpx2.Response) -> RequestError:
        status, waits = answer.status_code, answer.headers.get("Retry-After", "")
        retry_after = int(waits) if waits.isdecimal() else None
        try:
            refused = RefusalRecord.model_validate(parse_json(answer.content)).error
        except (ValidationError, UnusableTextError):
            return RequestError(
                f"{self._shown} refuses the request with the status {status}, and not as a server of Lexiseg "
                f"does: a proxy before the server, or another program, answers. {_remedy(answer)}",
                status=status,
                retry_after=retry_after,
                code="LEX-REQ-2080",
            )
        return RequestError(
            f"The server refuses the request: {refused.message} [{refused.code}]",
            status=status,
            retry_after=retry_after,
            code="LEX-REQ-1143",
        )


def _remedy(answer: httpx2.Response) -> str:
    """Return what to do where something before the server refuses a request."""
    leads_to = answer.headers.get("Location", "")
    if leads_to:
        return f"It leads to {printable(leads_to)[:200]}: give the address of the server there."
    return _REMEDIES.get(answer.status_code, "Check the address.")


def _address(url: str) -> httpx2.URL:
    """Return the address of a server.

    Raises:
        UsageError: It is not one of http or https.
    """
    _, at, host = url.rpartition("@")
    # What comes before "@" may be a password.
    shown = f"...@{host}" if at else url
    refused = UsageError(
        f"Expected the address of a server, such as http://127.0.0.1:8000, got {shown!r}.",
        code="LEX-USE-1115",
    )
    if not _ADDRESS.match(url):
        raise refused
    try:
        # The first one refuses brackets and ports that the second one takes.
        port, address = urlsplit(url).port, httpx2.URL(url)
    except (httpx2.InvalidURL, ValueError):
        raise refused from None
    if port == 0:
        raise refused
    return address


def _context(authorities: Path) -> ssl.SSLContext:
    """Return what checks that the certificate of a server comes from some authorities.

    Raises:
        UsageError: The file cannot be read, or holds no certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        with open_errors(authorities):
            context.load_verify_locations(authorities)
    except OSError as error:
        raise UsageError(
            f"{authorities} cannot be used as certificates of authorities ({error}). Give a PEM file.",
            code="LEX-USE-1791",
        ) from error
    return context
