"""The content of a request that is refused: the answer comes at once, whatever the client still sends."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Message, Receive, Send

# What has arrived already is read before the answer, so that the connection stays usable.
_ARRIVED_SECONDS = 0.05
# A client that is still sending needs some time to see the answer.
_REST_SECONDS = 5.0


class RequestContent:
    """The content of a request, of which a rest may be thrown away.

    Args:
        receive: Gives the next piece.
        headers: Headers of the request.
    """

    def __init__(self, receive: Receive, headers: Headers) -> None:
        self._receive = receive
        self._ended = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
        # Such a client sends nothing before the server asks for it, which reading does.
        self._waits = "expect" in headers

    async def receive(self) -> Message:
        """Return the next piece."""
        self._waits = False
        message = await self._receive()
        self._ended = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def refuse(self, answer: Response, send: Send, *, most: int) -> None:
        """Send an answer, and then throw away what the client still sends.

        If the connection was closed instead, a client that is still sending would see no answer.

        Args:
            answer: The answer.
            send: Sends its parts.
            most: Bytes after which the connection is closed.
        """
        if not self._waits:
            await self._discard(most, _ARRIVED_SECONDS)
        headers = (
            list(answer.raw_headers) if self._ended else [*answer.raw_headers, (b"connection", b"close")]
        )
        await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
        # The length is in the headers, so the client has the whole answer before the last message.
        await send({"type": "http.response.body", "body": answer.body, "more_body": True})
        await self._discard(most, _REST_SECONDS)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _discard(self, most: int, seconds: float) -> None:
        """Read what is left without keeping it, up to a number of bytes and for some seconds."""
        left = most
        try:
            async with asyncio.timeout(seconds):
                while not self._ended and left > 0:
                    left -= len((await self.receive()).get("body", b""))
        except TimeoutError:
            return
