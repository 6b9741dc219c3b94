"""Asking a model about many regions: with limits, feedback on invalid replies, and a journal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from lexiseg.describing.multimodal.journal import Journal, JournalEntry
from lexiseg.describing.multimodal.model import NoAnswerError, UsageCount, VisionModel
from lexiseg.describing.multimodal.prompt import Question
from lexiseg.describing.multimodal.schema import MAX_REPLY, InvalidReplyError, Value
from lexiseg.errors import PartialFailureError
from lexiseg.printable import counted

#: Number of consecutive regions without any answer after which the run is stopped.
GONE_AFTER = 5

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Result of asking about one region.

    Attributes:
        reply: Value per factor; None if no reply could be used.
        replies: Number of replies.
        problem: Why no reply could be used.
    """

    reply: dict[str, Value] | None
    replies: int
    problem: str | None = None


class ReplyCollector:
    """Asks a model until a reply is valid or the limit of replies is reached.

    Args:
        model: The model.
        journal: Stores replies; questions in it are not asked again.
        tries: Largest number of replies per region.
        tally: Counts replies and tokens.
    """

    def __init__(self, model: VisionModel, journal: Journal, *, tries: int, tally: UsageCount) -> None:
        self._model = model
        self._journal = journal
        self._tries = tries
        self._tally = tally
        self._unanswered = 0

    async def ask(self, key: str, question: Question, picture: bytes) -> Outcome:
        """Ask about one region.

        Args:
            key: The journal's key of region and question.
            question: The question.
            picture: The region as a PNG file.

        Raises:
            PartialFailureError: 5 consecutive regions had no answer at all.
        """
        kept = list(self._journal.replies(key))
        known = len(kept)
        for reply in kept:
            self._tally.count(reply.tokens)
        while True:
            problem = None
            for reply in kept[-1:]:
                try:
                    return Outcome(reply=question.schema.parse(reply.reply), replies=len(kept))
                except InvalidReplyError as error:
                    problem = str(error)
            if len(kept) >= self._tries:
                return Outcome(
                    reply=None, replies=len(kept), problem=f"no valid reply in {len(kept)}: {problem}"
                )
            refused = (kept[-1].reply, problem) if kept and problem is not None else None
            try:
                answer = await self._model.answer(question, picture, refused)
            except NoAnswerError as error:
                self._note_unanswered(str(error))
                return Outcome(reply=None, replies=len(kept), problem=str(error))
            self._unanswered = 0
            self._tally.asked += len(kept) == known
            # One character more than the limit, so that a reply that is too long is recognised when read
            # again.
            reply = JournalEntry(key=key, reply=answer.text[: MAX_REPLY + 1], tokens=answer.tokens)
            self._journal.add(reply)
            self._tally.count(reply.tokens)
            kept.append(reply)

    def _note_unanswered(self, reason: str) -> None:
        self._unanswered += 1
        if self._unanswered >= GONE_AFTER:
            raise PartialFailureError(
                f"Stopped because {counted(self._unanswered, 'question')} in a row had no answer: {reason} "
                "All replies are stored; run the same command again to resume.",
                code="LEX-PART-002",
            )


async def for_each(items: Sequence[T], work: Callable[[T], Awaitable[R]], *, concurrency: int) -> list[R]:
    """Return the results of `work` in the order of the items, at most `concurrency` at a time.

    The first error cancels the others and is raised.
    """
    waiting = iter(enumerate(items))
    results: dict[int, R] = {}

    async def worker() -> None:
        for position, item in waiting:
            results[position] = await work(item)

    tasks = [asyncio.create_task(worker()) for _ in range(min(concurrency, len(items)))]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return [results[position] for position in range(len(items))]


def run_to_end(main: Coroutine[None, None, R]) -> R:
    """Run a coroutine to its end, also if an event loop is already running, as in a notebook.

    It runs in a thread of its own, so that an interrupt reaches this thread and never the middle of the event
    loop: the coroutine is cancelled, ends what it does, and the interrupt goes on.
    """
    begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[R] | None]] = Future()

    async def announced() -> R:
        begun.set_result((asyncio.get_running_loop(), asyncio.current_task()))
        return await main

    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(asyncio.run, announced())
        try:
            return result.result()
        except KeyboardInterrupt:
            loop, task = begun.result()
            if task is not None:
                loop.call_soon_threadsafe(task.cancel)
            raise
