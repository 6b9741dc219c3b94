"""Options, interface and usage count of a multimodal model."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

from lexiseg.console import duration_text
from lexiseg.describing.multimodal.prompt import Question
from lexiseg.errors import UsageError
from lexiseg.printable import counted
from lexiseg.web_address import holds_credentials, is_readable_on_the_way, without_password


@dataclass(frozen=True, kw_only=True)
class LmmOptions:
    """The multimodal model that describes the regions, and limits for asking it.

    Attributes:
        model: Name of the model on the server; without a server, a `transformers` image-text-to-text model
            by hub name or folder.
        base_url: Address of an OpenAI-compatible server, such as "http://localhost:8000/v1"; None loads the
            model locally.
        tries: Largest number of replies for one region, at least 1; after them its words are measured.
        concurrency: Number of simultaneous questions, at least 1; a local model gets one at a time.
        timeout_s: Seconds after which a question without answer is abandoned, above 0.
        price: Price of a million input tokens and of a million output tokens, in any currency.
        unencrypted: Whether the key may be sent to another machine without encryption, where others can read
            it.

    Raises:
        UsageError: A value is not possible.
    """

    model: str
    base_url: str | None = None
    tries: int = 3
    concurrency: int = 4
    timeout_s: float = 120.0
    price: tuple[float, float] | None = None
    unencrypted: bool = False

    def __post_init__(self) -> None:
        if not self.model:
            raise UsageError("A multimodal model needs a name; give --model.", code="LEX-USE-055")
        if self.tries < 1 or self.concurrency < 1 or not self.timeout_s > 0:
            raise UsageError(
                f"Expected at least 1 try, at least 1 question at a time and a timeout above 0 s; got "
                f"{self.tries}, {self.concurrency} and {self.timeout_s}.",
                code="LEX-USE-056",
            )
        if self.price is not None and min(self.price) < 0:
            raise UsageError(
                f"Expected prices per million tokens of at least 0; got {self.price}.", code="LEX-USE-057"
            )
        if self.base_url is not None:
            _check_url(self.base_url)

    @property
    def destination(self) -> str:
        """Where the regions are sent, as a sentence."""
        if self.base_url is None:
            return f"The regions of interest are shown to {self.model} on this machine; none leaves it."
        plain = is_readable_on_the_way(self.base_url)
        return (
            f"Sent to {self.base_url}, and nowhere else: of each image only the region of interest (the rest "
            f"black, without its name), and the question{', NOT encrypted (http)' if plain else ''}."
        )


#: Largest answer of a server in bytes. A description takes about a thousandth.
MAX_ANSWER_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer of a model.

    Attributes:
        text: Its text.
        tokens: Input and output tokens, as far as known.
    """

    text: str
    tokens: tuple[int, int] = (0, 0)


class NoAnswerError(Exception):
    """A question got no answer; the message says why."""


class VisionModel(Protocol):
    """A model that answers questions about pictures."""

    async def answer(self, question: Question, picture: bytes, refused: tuple[str, str] | None) -> Answer:
        """Answer a question.

        Args:
            question: The question.
            picture: The region of interest as a PNG file.
            refused: The previous answer, if there was one, and why it could not be used.

        Raises:
            NoAnswerError: There is no answer to this question; the next one may get one.
            LexisegError: No question will get an answer.
        """

    async def close(self) -> None:
        """Close connections."""


@dataclass(kw_only=True)
class UsageCount:
    """Descriptions, replies and tokens so far.

    Attributes:
        total: Number of descriptions to write.
        done: Descriptions done.
        resumed: Replies found in the journal.
        asked: Regions asked about in this session.
        tokens_in: Input tokens, including those in the journal.
        tokens_out: Output tokens, including those in the journal.
        fell_back: Descriptions that were measured because the model gave no usable answer.
        price: Price of a million input tokens and of a million output tokens.
    """

    total: int
    done: int = 0
    resumed: int = 0
    asked: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    fell_back: int = 0
    price: tuple[float, float] | None = None
    _started: float = field(default_factory=time.monotonic)

    def count(self, tokens: tuple[int, int]) -> None:
        """Add the tokens of a reply."""
        self.tokens_in += tokens[0]
        self.tokens_out += tokens[1]

    @property
    def cost(self) -> float | None:
        """Cost so far, in the currency of the price; None without a price."""
        if self.price is None:
            return None
        return (self.tokens_in * self.price[0] + self.tokens_out * self.price[1]) / 1e6

    @property
    def seconds_left(self) -> float | None:
        """Estimated time left; None before the first answer."""
        if self.asked == 0:
            return None
        return (time.monotonic() - self._started) / self.asked * (self.total - self.done)

    def sentence(self) -> str:
        """Return the progress as a sentence part."""
        parts = [f"{self.done} of {self.total} described"]
        if self.fell_back:
            parts.append(f"{self.fell_back} measured instead")
        if self.tokens_in + self.tokens_out:
            parts.append(f"{counted(self.tokens_in + self.tokens_out, 'token')}")
        if self.cost is not None:
            parts.append(f"cost {self.cost:.4g}")
        if self.seconds_left is not None and self.done < self.total:
            parts.append(f"{duration_text(self.seconds_left)} left")
        return ", ".join(parts)


def _check_url(base_url: str) -> None:
    try:
        url = urlsplit(base_url)
        valid = url.scheme in ("http", "https") and bool(url.hostname) and (url.port or 1) > 0
    except ValueError:
        valid = False
    if not valid or holds_credentials(base_url) or url.query or url.fragment:
        raise UsageError(
            f"--base-url must be the plain address of a server, such as http://localhost:8000/v1, without "
            f"key or query; got '{without_password(base_url)}'.",
            code="LEX-USE-058",
        )
