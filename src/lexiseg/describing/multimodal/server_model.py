"""A multimodal model behind an OpenAI-compatible server (vLLM, Ollama, llama.cpp, OpenAI itself)."""

from __future__ import annotations

import asyncio
import base64
import math
import os
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import ModuleType
from typing import Any

from pydantic import BaseModel, Field, ValidationError, ValidatorFunctionWrapHandler, field_validator

from lexiseg._version import __version__
from lexiseg.describing.multimodal.key_redaction import KeyRedaction
from lexiseg.describing.multimodal.model import MAX_ANSWER_BYTES, Answer, LmmOptions, NoAnswerError
from lexiseg.describing.multimodal.prompt import Question, complaint
from lexiseg.errors import PartialFailureError, UsageError
from lexiseg.extras import install_hint
from lexiseg.printable import printable
from lexiseg.structured_text import parse_json
from lexiseg.web_address import is_readable_on_the_way

#: Environment variable with the server's key. Not OPENAI_API_KEY, which is for another address.
KEY_VARIABLE = "LEXISEG_LMM_KEY"

#: Largest number of tokens of one answer; a JSON object with a few keys needs about a tenth.
MAX_TOKENS = 512

#: Attempts per question.
#:
#: The client's own retries are not used: they do not share a rate limit between questions, retry no answer
#: that is not a chat completion, and have no timeout for a whole answer.
ATTEMPTS = 5

#: First wait after a failure; each further wait is twice as long.
FIRST_WAIT_S = 1.0

#: Longest total wait for one question that a server may ask for.
LONGEST_WAIT_S = 600.0

_MAX_DOUBLINGS = 5
_MESSAGE = 300
_LONGEST_SAID = 10_000
_MOST_TOKENS = 10**9

#: Headers that are sent; the client's other headers, about this machine or from the environment, are removed.
_HEADERS = {
    "host", "content-type", "content-length", "accept", "accept-encoding", "connection", "user-agent",
    "authorization", "x-stainless-raw-response",
}  # fmt: skip

#: Ways to request the format of an answer, the strictest first.
_FORMATS = ("json_schema", "json_object", "text")


class _Message(BaseModel):
    content: str


class _Choice(BaseModel):
    message: _Message


class _Usage(BaseModel):
    prompt_tokens: int = Field(default=0, ge=0, le=_MOST_TOKENS)
    completion_tokens: int = Field(default=0, ge=0, le=_MOST_TOKENS)


class _Completion(BaseModel):
    choices: list[_Choice]
    usage: _Usage = _Usage()

    @field_validator("usage", mode="wrap")
    @classmethod
    def _possible_or_none(cls, value: object, read: ValidatorFunctionWrapHandler) -> _Usage:
        """Take impossible numbers of tokens as not known: the answer itself may be good."""
        try:
            usage: _Usage = read(value)
        except ValidationError:
            return _Usage()
        return usage


class ServerModel:
    """Asks a server; optional parameters that the server does not support are detected and omitted.

    Redirects are not followed and proxies are not used, so pictures are sent only to the given address. The
    key comes from the environment variable `LEXISEG_LMM_KEY`; without it, no key is sent.

    Args:
        options: Address, model and limits.

    Raises:
        UsageError: The client library is not installed, the key has impossible characters, or others could
            read it on its way.
    """

    def __init__(self, options: LmmOptions) -> None:
        assert options.base_url is not None
        self._openai = _openai()
        # Imported here, as the library comes with the client.
        from lexiseg.describing.multimodal.answer_limits import LimitedTransport

        self._options = options
        self._key = _key_of_environment()
        if self._key and not options.unencrypted and is_readable_on_the_way(options.base_url):
            raise UsageError(
                f"{options.base_url} is another machine and not encrypted: others on the way could read and "
                f"use the key in {KEY_VARIABLE}. Use an address that begins with https://. Where the server "
                f"needs no key, unset {KEY_VARIABLE}; where nobody else uses the network, add --unencrypted.",
                code="LEX-USE-1800",
            )
        self._without_key = KeyRedaction(self._key)
        self._client = self._openai.AsyncOpenAI(
            api_key=self._key or "none",
            base_url=options.base_url,
            max_retries=0,
            timeout=options.timeout_s,
            http_client=self._openai.DefaultAsyncHttpxClient(
                trust_env=False,
                follow_redirects=False,
                timeout=options.timeout_s,
                transport=LimitedTransport(),
                event_hooks={"request": [self._scrub]},
            ),
        )
        self._format = _FORMATS[0]
        self._dropped: set[str] = set()
        self._not_before = 0.0

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def answer(self, question: Question, picture: bytes, refused: tuple[str, str] | None) -> Answer:
        """Ask the server with a limited number of attempts and within a time limit; see `VisionModel.answer`.

        Raises:
            NoAnswerError: There was no answer in 5 attempts or in time, or the server refused this question.
            UsageError: Key, address or model are wrong, or the connection is not secure.
            PartialFailureError: The server asks for a pause of more than 10 minutes.
        """
        limit = ATTEMPTS * self._options.timeout_s + LONGEST_WAIT_S
        try:
            async with asyncio.timeout(limit):
                return await self._attempts(question, picture, refused)
        except TimeoutError as error:
            raise NoAnswerError(
                f"{self._options.base_url} gave no answer to one question within {limit:.0f} s"
            ) from error

    async def _attempts(self, question: Question, picture: bytes, refused: tuple[str, str] | None) -> Answer:
        waited, rests, failures, reason = 0.0, 0, 0, ""
        while failures < ATTEMPTS:
            await asyncio.sleep(max(0.0, self._not_before - time.monotonic()))
            used = (self._format, frozenset(self._dropped))
            try:
                # The client's timeout is per packet: it does not stop a server that sends a byte per second.
                async with asyncio.timeout(self._options.timeout_s):
                    return await self._ask(question, picture, refused)
            except (TimeoutError, self._openai.APITimeoutError):
                reason = f"no answer within {self._options.timeout_s:g} s"
            except self._openai.APIStatusError as error:
                reason = self._explain(error)
                if self._simplify(error, used):
                    continue
                if error.status_code == 429:
                    asked_for = _retry_after(error.response.headers.get("retry-after"))
                    wait = max(asked_for, FIRST_WAIT_S * 2 ** min(rests, _MAX_DOUBLINGS))
                    rests += 1
                    waited += wait
                    if waited > LONGEST_WAIT_S:
                        raise PartialFailureError(
                            f"{reason} The server asks for a pause of {wait:.0f} s. All replies are stored; "
                            f"run the same command again later to resume.",
                            code="LEX-PART-003",
                        ) from error
                    self._not_before = time.monotonic() + wait
                    continue
                if error.status_code < 500 and error.status_code not in (408, 409, 425):
                    raise NoAnswerError(reason) from error
            except self._openai.APIError as error:
                self._refuse_insecure(error)
                reason = f"the connection to {self._options.base_url} failed ({self._said(_cause(error))})"
            except ValueError:  # not JSON, or JSON of another structure
                reason = f"{self._options.base_url} sent an answer that is not a chat completion"
            failures += 1
            if failures < ATTEMPTS:
                await asyncio.sleep(FIRST_WAIT_S * 2 ** (failures - 1))
        raise NoAnswerError(reason)

    async def _ask(self, question: Question, picture: bytes, refused: tuple[str, str] | None) -> Answer:
        """Send one request."""
        raw = await self._client.chat.completions.with_raw_response.create(
            model=self._options.model, messages=_messages(question, picture, refused), **self._shape(question)
        )
        content = parse_json(raw.content, most=MAX_ANSWER_BYTES)
        completion = _Completion.model_validate(content)
        if not completion.choices:
            raise ValueError("no choice")
        usage = completion.usage
        return Answer(
            text=self._without_key(completion.choices[0].message.content),
            tokens=(usage.prompt_tokens, usage.completion_tokens),
        )

    def _shape(self, question: Question) -> dict[str, Any]:
        """Return the optional parameters, without those that the server refused."""
        length = "max_completion_tokens" if "max_tokens" in self._dropped else "max_tokens"
        parameters: dict[str, Any] = {length: MAX_TOKENS}
        if "temperature" not in self._dropped:
            parameters["temperature"] = 0
        if self._format == "json_schema":
            schema = {"name": "description", "strict": True, "schema": question.schema.json_schema()}
            parameters["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif self._format == "json_object":
            parameters["response_format"] = {"type": "json_object"}
        return parameters

    def _simplify(self, error: Any, used: tuple[str, frozenset[str]]) -> bool:
        """Omit a parameter that the server refuses; return False if there is none left to omit."""
        if used != (self._format, frozenset(self._dropped)):
            return error.status_code in (400, 422, 501)  # detected by another question meanwhile
        message = str(error).lower()
        for name in ("max_tokens", "temperature"):
            if name in message and name not in self._dropped and 400 <= error.status_code < 500:
                self._dropped.add(name)
                return True
        named = "response_format" in message or "json_schema" in message
        if self._format == _FORMATS[-1] or not (error.status_code in (400, 422, 501) or named):
            return False
        self._format = _FORMATS[_FORMATS.index(self._format) + 1]
        return True

    def _explain(self, error: Any) -> str:
        """Return the reason of a status; raise at once if every question would fail."""
        status, url = error.status_code, self._options.base_url
        if 300 <= status < 400:
            target = self._said(error.response.headers.get("location", "nowhere"))
            raise UsageError(
                f"{url} redirects to {target}, which is not followed: pictures are sent only to the given "
                f"address. If you trust the new address, give it with --base-url.",
                code="LEX-USE-059",
            )
        said = self._said(str(error))
        if status in (401, 403):
            raise UsageError(
                f"{url} refuses the key ({said}). Set the environment variable {KEY_VARIABLE} to the right "
                f"key.",
                code="LEX-USE-060",
            )
        if status == 404:
            raise UsageError(
                f"{url} does not know this address, or the model '{self._options.model}' ({said}). Most "
                f"servers need a --base-url that ends in /v1.",
                code="LEX-USE-061",
            )
        return f"{url} refuses: {said}."

    def _refuse_insecure(self, error: Exception) -> None:
        """Raise at once if the server's certificate is not accepted, or it does not support TLS."""
        url = self._options.base_url
        for beneath in _causes(error):
            if isinstance(beneath, ssl.SSLCertVerificationError):
                raise UsageError(
                    f"The certificate of {url} is not accepted ({self._said(beneath.verify_message)}), so "
                    f"nothing was sent. Give the name it was made for with --base-url, or let an authority "
                    f"sign it that this machine trusts.",
                    code="LEX-USE-062",
                ) from error
            # A connection that was only cut raises one of these three, and is worth another try.
            cut = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
            if isinstance(beneath, ssl.SSLError) and not isinstance(beneath, cut):
                raise UsageError(
                    f"There is no secure connection with {url} ({self._said(_cause(error))}). If the server "
                    f"does not encrypt, its --base-url begins with http://.",
                    code="LEX-USE-063",
                ) from error

    def _said(self, text: str) -> str:
        """Return what a server said for a message: short, without the key, and without hidden characters."""
        return printable(" ".join(self._without_key(text[:_LONGEST_SAID]).split()))[:_MESSAGE]

    async def _scrub(self, request: Any) -> None:
        """Remove all headers of a request that are not in `_HEADERS`, and the key if there is none."""
        for name in list(request.headers):
            if name.lower() not in _HEADERS:
                del request.headers[name]
        request.headers["user-agent"] = f"lexiseg/{__version__}"
        if not self._key:
            del request.headers["authorization"]


def _openai() -> ModuleType:
    try:
        import openai
    except ImportError as error:
        raise UsageError(
            f"Asking a server needs the package 'openai', which is not installed. {install_hint('lmm')}",
            code="LEX-USE-064",
        ) from error
    return openai


def _key_of_environment() -> str:
    """Return the key; empty if none is set."""
    key = os.environ.get(KEY_VARIABLE, "")
    # Refused here because the client would print the key in its error message.
    if not all("!" <= character <= "~" for character in key):
        raise UsageError(
            f"The environment variable {KEY_VARIABLE} holds a space, a line break or a character that is not "
            f"ASCII, so it is not a key. Set it again without such "
            f"characters.",
            code="LEX-USE-065",
        )
    return key


def _messages(question: Question, picture: bytes, refused: tuple[str, str] | None) -> list[dict[str, Any]]:
    url = f"data:image/png;base64,{base64.b64encode(picture).decode('ascii')}"
    messages: list[dict[str, Any]] = [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": question.text},
                {"type": "image_url", "image_url": {"url": url}},
            ],
        }
    ]
    if refused is not None:
        messages.append({"role": "assistant", "content": refused[0]})
        messages.append({"role": "user", "content": complaint(refused[1])})
    return messages


def _retry_after(header: str | None) -> float:
    """Return the seconds in a Retry-After header, a number or a date; 0 if there is none or it is invalid."""
    if header is None:
        return 0.0
    try:
        seconds = float(header)
    except ValueError:  # not a number: perhaps a date
        try:
            until = parsedate_to_datetime(header)
            seconds = (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError, OverflowError):  # not a date, or a year out of range
            return 0.0
    return seconds if math.isfinite(seconds) and seconds > 0 else 0.0


def _causes(error: Exception) -> Iterator[BaseException]:
    """Yield the chain of causes of an error."""
    beneath = error.__cause__ or error.__context__
    while beneath is not None:
        yield beneath
        beneath = beneath.__cause__ or beneath.__context__


def _cause(error: Exception) -> str:
    """Return the cause of a client's error, whose own message is only "Connection error."."""
    beneath = error.__cause__ or error
    return str(beneath).strip() or type(beneath).__name__
