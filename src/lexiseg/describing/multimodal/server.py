"""A multimodal model behind an OpenAI-compatible server (vLLM, Ollama, llama.cpp, OpenAI itself)."""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import ModuleType
from typing import Any

from pydantic import BaseModel

from lexiseg._version import __version__
from lexiseg.describing.multimodal.model import Answer, LmmOptions, NoAnswerError
from lexiseg.describing.multimodal.prompt import Question, complaint
from lexiseg.errors import PartialFailureError, UsageError

#: Environment variable that holds the server's key. Not OPENAI_API_KEY: that one is for another address.
KEY_VARIABLE = "LEXISEG_LMM_KEY"

#: Tokens of one answer; a JSON object of a handful of keys needs a tenth.
MAX_TOKENS = 512

#: Attempts to get any answer to one question.
ATTEMPTS = 5

#: First wait after a failure; each next one is twice as long.
FIRST_WAIT_S = 1.0

#: A server that wants one question to wait longer than this in all is not worth waiting for.
LONGEST_WAIT_S = 600.0

_MAX_DOUBLINGS = 5
_MESSAGE = 300

#: All else that the client would add, from the environment or about this machine, is left out.
_HEADERS = {
    "host", "content-type", "content-length", "accept", "accept-encoding", "connection", "user-agent",
    "authorization", "x-stainless-raw-response",
}  # fmt: skip

#: How the shape of an answer is asked for, the strictest first.
_FORMATS = ("json_schema", "json_object", "text")


class _Message(BaseModel):
    content: str


class _Choice(BaseModel):
    message: _Message


class _Usage(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Completion(BaseModel):
    choices: list[_Choice]
    usage: _Usage | None = None


class ServerModel:
    """Asks a server; what it does not know of the protocol is found out and left away.

    Redirects are not followed and proxies not used, so that pictures go to the address given and nowhere
    else. The key comes from the environment variable `LEXISEG_LMM_KEY` alone; without it, none is sent.

    Args:
        options: Address, model and patience.

    Raises:
        UsageError: The client library is not installed, or the key can stand in no request.
    """

    def __init__(self, options: LmmOptions) -> None:
        assert options.base_url is not None
        self._openai = _openai()
        self._options = options
        self._key = _key_of_environment()
        self._client = self._openai.AsyncOpenAI(
            api_key=self._key or "none",
            base_url=options.base_url,
            max_retries=0,
            timeout=options.timeout_s,
            http_client=self._openai.DefaultAsyncHttpxClient(
                trust_env=False,
                follow_redirects=False,
                timeout=options.timeout_s,
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
        """Ask the server, again and again within bounds; see `VisionModel.answer`.

        Raises:
            NoAnswerError: There was no answer in 5 attempts, or the server refused this question.
            UsageError: Key, address or model are wrong, or there is no secure connection with the address.
            PartialFailureError: The server wants to be left alone for more than 10 minutes.
        """
        waited, rests, failures, reason = 0.0, 0, 0, ""
        while failures < ATTEMPTS:
            await asyncio.sleep(max(0.0, self._not_before - time.monotonic()))
            used = (self._format, frozenset(self._dropped))
            try:
                # The client's own timeout is per packet: a server that sends a byte a second never ends.
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
                            f"{reason} It wants {wait:.0f} s of rest. What was answered is kept; run the "
                            f"same command again later to go on.",
                            code="LEX-PART-003",
                        ) from error
                    self._not_before = time.monotonic() + wait
                    continue
                if error.status_code < 500 and error.status_code not in (408, 409, 425):
                    raise NoAnswerError(reason) from error
            except self._openai.APIError as error:
                self._refuse_insecure(error)
                reason = f"the connection to {self._options.base_url} failed ({_cause(error)})"
            except ValueError:  # no JSON, or JSON of another shape
                reason = f"{self._options.base_url} answered with something that is no chat completion"
            failures += 1
            if failures < ATTEMPTS:
                await asyncio.sleep(FIRST_WAIT_S * 2 ** (failures - 1))
        raise NoAnswerError(reason)

    async def _ask(self, question: Question, picture: bytes, refused: tuple[str, str] | None) -> Answer:
        """Send one request."""
        raw = await self._client.chat.completions.with_raw_response.create(
            model=self._options.model, messages=_messages(question, picture, refused), **self._shape(question)
        )
        completion = _Completion.model_validate_json(raw.text)
        if not completion.choices:
            raise ValueError("no choice")
        usage = completion.usage or _Usage()
        return Answer(
            text=completion.choices[0].message.content, tokens=(usage.prompt_tokens, usage.completion_tokens)
        )

    def _shape(self, question: Question) -> dict[str, Any]:
        """Return the optional parameters that the server is not known to refuse."""
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
        """Leave away what the server seems not to know; False if there is nothing to try."""
        if used != (self._format, frozenset(self._dropped)):
            return error.status_code in (400, 422, 501)  # another question has just found it out
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
        """Say what a status means; what no question can get past is raised at once."""
        status, url = error.status_code, self._options.base_url
        if 300 <= status < 400:
            target = self._without_key(error.response.headers.get("location", "nowhere"))
            raise UsageError(
                f"{url} redirects to {target}, which is not followed: pictures go only to the address given. "
                f"If you trust it, give its address with --base-url.",
                code="LEX-USE-059",
            )
        said = " ".join(self._without_key(str(error)).split())[:_MESSAGE]
        if status in (401, 403):
            raise UsageError(
                f"{url} refuses the key ({said}). Set the environment variable {KEY_VARIABLE} to the right "
                f"one.",
                code="LEX-USE-060",
            )
        if status == 404:
            raise UsageError(
                f"{url} does not know this address, or the model '{self._options.model}' ({said}). Most "
                f"servers want a --base-url that ends in /v1.",
                code="LEX-USE-061",
            )
        return f"{url} refuses: {said}."

    def _refuse_insecure(self, error: Exception) -> None:
        """Raise at once if the server's certificate is not accepted, or it speaks no TLS."""
        url = self._options.base_url
        for beneath in _beneath(error):
            if isinstance(beneath, ssl.SSLCertVerificationError):
                raise UsageError(
                    f"The certificate of {url} is not accepted ({beneath.verify_message}), so nothing was "
                    f"sent. Give the name it was made for with --base-url, or let an authority sign it that "
                    f"this machine trusts.",
                    code="LEX-USE-062",
                ) from error
            # A connection that was only cut raises one of these three, and is worth another try.
            cut = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
            if isinstance(beneath, ssl.SSLError) and not isinstance(beneath, cut):
                raise UsageError(
                    f"There is no secure connection with {url} ({_cause(error)}). If the server does not "
                    f"encrypt, its --base-url begins with http://.",
                    code="LEX-USE-063",
                ) from error

    def _without_key(self, text: str) -> str:
        """Return what a server said without the key, which it may have repeated: it goes into files."""
        return text.replace(self._key, "(the key)") if self._key else text

    async def _scrub(self, request: Any) -> None:
        """Leave no header in a request that was not asked for."""
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
            "Asking a server needs the openai client, which is not installed: pip install 'lexiseg[lmm]'.",
            code="LEX-USE-064",
        ) from error
    return openai


def _key_of_environment() -> str:
    """Return the key; empty if none is set."""
    key = os.environ.get(KEY_VARIABLE, "")
    # Refused here, as the client would put it into the message that it cannot be sent.
    if not all("!" <= character <= "~" for character in key):
        raise UsageError(
            f"The environment variable {KEY_VARIABLE} holds a space, a line break or a character that is not "
            f"ASCII, so it is no key. Set it anew, without them.",
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
    """Return the seconds a Retry-After header asks for, as a number or a date; 0 without a readable one."""
    if header is None:
        return 0.0
    try:
        return max(0.0, float(header))
    except ValueError:
        pass  # not a number: a date, or nothing
    try:
        until = parsedate_to_datetime(header)
    except (ValueError, OverflowError):  # no date, or one of a year without end
        return 0.0
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _beneath(error: Exception) -> Iterator[BaseException]:
    """Yield what an error was raised from, and so on down."""
    beneath = error.__cause__ or error.__context__
    while beneath is not None:
        yield beneath
        beneath = beneath.__cause__ or beneath.__context__


def _cause(error: Exception) -> str:
    """Return what lies beneath a client's error, which itself says no more than "Connection error."."""
    beneath = error.__cause__ or error
    return " ".join(str(beneath).split())[:_MESSAGE] or type(beneath).__name__
