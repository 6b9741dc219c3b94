"""Protection against pages of other sites: headers of answers, and checks of the sender of requests."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lexiseg.errors import RequestError

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "font-src 'self'",
        "manifest-src 'self'",
        "worker-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_ONE_YEAR = "max-age=31536000"


def check_sender(method: str, headers: Headers, *, names: frozenset[str] | None) -> None:
    """Refuse a request that a page of another site sends through the browser of a user.

    Args:
        method: The method of the request.
        headers: Its headers.
        names: Names under which the server is called; None where they are not known, as behind a proxy. A
            page could otherwise give its own name the address of this machine, and read the answers.

    Raises:
        RequestError: It is such a request.
    """
    host = headers.get("host", "")
    if names is not None and _host_name(f"//{host}") not in names:
        raise RequestError(
            f"The request names another host; expected one of {', '.join(sorted(names))}. Use one of them in "
            "the address. For another name, the server needs --token-file or --behind-proxy.",
            status=421,
            code="LEX-REQ-1110",
        )
    site = headers.get("sec-fetch-site")
    origin = headers.get("origin")
    other_site = site not in (None, "same-origin", "none")
    other_origin = site is None and origin is not None and _address(origin) != host
    follows_link = method == "GET" and headers.get("sec-fetch-mode") == "navigate"
    if (other_site and not follows_link) or other_origin:
        raise RequestError(
            "The request comes from a page of another site, which this server does not answer. Use the page "
            "of the server itself, or a program.",
            status=403,
            code="LEX-REQ-1111",
        )


class SecurityHeaders:
    """Adds headers to every answer that limit what a browser does with it.

    Args:
        app: The application.
        tls: Whether the server speaks TLS; browsers then keep to it.
    """

    def __init__(self, app: ASGIApp, *, tls: bool) -> None:
        self._app, self._tls = app, tls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if self._tls:
                    headers.setdefault("Strict-Transport-Security", _ONE_YEAR)
                # Results of images are not kept by caches; the files of the page may be.
                if scope["path"].startswith("/v1/"):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, add if scope["type"] == "http" else send)


def _address(origin: str) -> str | None:
    """Return host and port of an origin; None for a text that is none."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _host_name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
