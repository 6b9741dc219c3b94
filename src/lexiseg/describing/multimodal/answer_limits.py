"""The HTTP transport of a model's server: answers of limited size, never compressed."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2

from lexiseg.describing.multimodal.model import MAX_ANSWER_BYTES


class LimitedTransport(httpx2.AsyncBaseTransport):
    """Sends requests, and refuses answers that are compressed or larger than `MAX_ANSWER_BYTES`.

    No answer is asked for in compressed form, so a compressed one is not unpacked: a few kilobytes of it may
    stand for gigabytes. Proxies of the environment are not used.

    Raises:
        httpx2.RemoteProtocolError: An answer is refused.
    """

    def __init__(self) -> None:
        self._inner = httpx2.AsyncHTTPTransport(trust_env=False)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request; see `httpx2.AsyncBaseTransport`."""
        request.headers["accept-encoding"] = "identity"
        response = await self._inner.handle_async_request(request)
        stated = response.headers.get("content-length", "")
        problem = ""
        if response.headers.get("content-encoding", "identity").strip().lower() != "identity":
            problem = "it sent a compressed answer, which was not asked for"
        elif stated.isascii() and stated.isdigit() and (len(stated) > 12 or int(stated) > MAX_ANSWER_BYTES):
            problem = _too_large()
        if problem:
            await response.aclose()
            raise httpx2.RemoteProtocolError(problem, request=request)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _LimitedStream(response.stream, request)
        return response

    async def aclose(self) -> None:
        """Close all connections."""
        await self._inner.aclose()


class _LimitedStream(httpx2.AsyncByteStream):
    """Counts the bytes of an answer."""

    def __init__(self, stream: httpx2.AsyncByteStream, request: httpx2.Request) -> None:
        self._stream = stream
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        done = 0
        async for piece in self._stream:
            done += len(piece)
            if done > MAX_ANSWER_BYTES:
                raise httpx2.RemoteProtocolError(_too_large(), request=self._request)
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


def _too_large() -> str:
    return f"its answer is larger than {MAX_ANSWER_BYTES} bytes"
