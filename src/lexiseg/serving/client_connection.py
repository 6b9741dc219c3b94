"""The connection of a client to a server: requests, answers as records, and what the server refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx2
from pydantic import ValidationError

from lexiseg.errors import RequestError, UsageError
from lexiseg.json_records import Record
from lexiseg.serving.records.common import RefusalRecord
from lexiseg.structured_text import UnusableTextError, parse_json
from lexiseg.web_address import holds_credentials, is_readable_on_the_way

AnyRecord = TypeVar("AnyRecord", bound=Record)

_ADDRESS = re.compile(r"https?://[^/\s]", re.IGNORECASE)
# What a header may hold (RFC 6750).
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")


class Connection:
    """The connection to one server.

    Args:
        url: Address of the server.
        token: A token of the server, where it asks for one.
        timeout: Seconds to wait for an answer.
        unencrypted: Whether the token may be sent to another machine without encryption.

    Raises:
        UsageError: The address is not one of http or https, the token holds characters that no token has, or
            it would be sent without encryption.
    """

    def __init__(self, url: str, *, token: str | None, timeout: float, unencrypted: bool) -> None:
        if not _ADDRESS.match(url):
            raise UsageError(
                f"Expected the address of a server, such as http://127.0.0.1:8000, got {url!r}.",
                code="LEX-USE-1115",
            )
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
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        # The address is stated, so no proxy of the environment is asked.
        self._http = httpx2.Client(base_url=url, headers=headers, timeout=timeout, trust_env=False)

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
                f"{self._http.base_url} does not answer as a server of this version of Lexiseg does (status "
                f"{status}). Check the address, and use the version of the server.",
                status=status,
                code="LEX-REQ-1142",
            ) from error

    def no_answer(self, error: httpx2.HTTPError) -> RequestError:
        """Return the error for a server that does not answer."""
        return RequestError(
            f"The server at {self._http.base_url} does not answer ({type(error).__name__}: {error}). "
            "Check its address, and that it runs.",
            status=503,
            code="LEX-REQ-1141",
        )

    def _refusal(self, answer: httpx2.Response) -> RequestError:
        status = answer.status_code
        refused = self.record(RefusalRecord, answer.content, status)
        waits = answer.headers.get("Retry-After", "")
        return RequestError(
            f"The server refuses the request: {refused.error.message} [{refused.error.code}]",
            status=status,
            retry_after=int(waits) if waits.isdecimal() else None,
            code="LEX-REQ-1143",
        )
