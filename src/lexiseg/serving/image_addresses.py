"""Images at addresses: fetched only from hosts that are allowed, and never from this network."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

import httpx2

from lexiseg.errors import RequestError, UsageError
from lexiseg.library_logs import hide_queries
from lexiseg.printable import printable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_PORTS = {"http": 80, "https": 443}
# Addresses that stand for IPv4 addresses of any kind: NAT64, 6to4 and Teredo.
_INTO_IPV4 = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")))
_SECONDS = 20.0
_LONGEST = 2000


@dataclass(frozen=True, kw_only=True)
class AllowedHost:
    """A host from which images are fetched.

    Attributes:
        name: Its name in lower case, such as "images.example.org".
        port: Its port; None for that of http and https.
    """

    name: str
    port: int | None

    @classmethod
    def parse(cls, text: str) -> AllowedHost:
        """Return a host from a text such as "images.example.org" or "images.example.org:8443".

        Raises:
            UsageError: It is no name of a host.
        """
        try:
            parts = urlsplit(f"//{text}")
            name, port = parts.hostname, parts.port
        except ValueError:
            name, port = None, None
        if not name or "@" in text or parts.path or "*" in name:
            raise UsageError(
                f"Expected a host such as images.example.org or images.example.org:8443, got {text!r}.",
                code="LEX-USE-1108",
            )
        return cls(name=name, port=port)


class ImageAddresses:
    """Fetches images from allowed hosts.

    The name of a host is resolved once, every address that it has must be public, and the connection goes to
    one of these addresses: a name that is resolved again could lead into this network. Redirects are not
    followed.

    Args:
        hosts: The allowed hosts.
        is_public: Whether an address is outside of this network.
    """

    def __init__(
        self,
        hosts: Sequence[AllowedHost],
        *,
        is_public: Callable[[Address], bool] = lambda address: is_public(address),
    ) -> None:
        self._hosts = frozenset(hosts)
        self._is_public = is_public
        hide_queries()

    async def fetch(self, url: str, most: int) -> bytes:
        """Return the bytes at an address.

        Args:
            url: The address.
            most: Most bytes.

        Raises:
            RequestError: The address is not allowed or not public, there is nothing there, or it holds more.
        """
        parts = self._allowed(url)
        assert parts.hostname is not None
        port = parts.port or _PORTS[parts.scheme]
        address = await self._resolved(parts.hostname, port)
        host = f"[{address}]" if address.version == 6 else str(address)
        target = parts._replace(netloc=f"{host}:{port}", fragment="").geturl()
        named = parts.hostname if port == _PORTS[parts.scheme] else f"{parts.hostname}:{port}"
        try:
            async with (
                asyncio.timeout(_SECONDS),
                # No proxy and no password file of the environment.
                httpx2.AsyncClient(trust_env=False, follow_redirects=False) as client,
                client.stream(
                    "GET",
                    target,
                    headers={"Host": named, "Accept-Encoding": "identity"},
                    extensions={"sni_hostname": parts.hostname},
                ) as answer,
            ):
                if answer.status_code != 200:
                    raise _nothing_there(f"it answers with status {answer.status_code}")
                return await _limited(answer, most)
        except (httpx2.HTTPError, TimeoutError) as error:
            raise _nothing_there(type(error).__name__) from error

    def _allowed(self, url: str) -> SplitResult:
        """Return the parts of an address with an allowed host."""
        try:
            parts = urlsplit(url)
            name, port = parts.hostname, parts.port
        except ValueError:
            parts, name, port = urlsplit(""), None, None
        fits = parts.scheme in _PORTS and name and not parts.username and len(url) <= _LONGEST
        if not fits or not url.isascii() or not url.isprintable() or " " in url:
            raise RequestError(
                f"Expected an address such as https://images.example.org/1.png, got "
                f"{printable(url)[:120]!r}.",
                status=422,
                code="LEX-REQ-1129",
            )
        default = _PORTS[parts.scheme]
        if not any(host.name == name and (host.port or default) == (port or default) for host in self._hosts):
            raise RequestError(
                f"The server fetches no images from {printable(parts.netloc)[:120]!r}.",
                status=403,
                code="LEX-REQ-1130",
            )
        return parts

    async def _resolved(self, name: str, port: int) -> Address:
        """Return an address of a host, all of whose addresses are public."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(name, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise _nothing_there("its name is not known") from error
        addresses = [ipaddress.ip_address(entry[4][0]) for entry in found]
        if not addresses or not all(map(self._is_public, addresses)):
            raise RequestError(
                f"The host {name!r} is in the network of the server, from which it fetches no images.",
                status=403,
                code="LEX-REQ-1131",
            )
        return addresses[0]


def is_public(address: Address) -> bool:
    """Return whether an address is outside of every private network."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif any(address in network for network in _INTO_IPV4):
            return False
    return address.is_global and not address.is_multicast


async def _limited(answer: httpx2.Response, most: int) -> bytes:
    content = bytearray()
    async for piece in answer.aiter_raw():
        content += piece
        if len(content) > most:
            raise RequestError(
                f"The image at the address is larger than {most:,} bytes, the limit of the server.",
                status=422,
                code="LEX-REQ-1132",
            )
    return bytes(content)


def _nothing_there(why: str) -> RequestError:
    return RequestError(
        f"The image cannot be fetched ({why}). Send its bytes as multipart/form-data.",
        status=422,
        code="LEX-REQ-1133",
    )
