"""Addresses of the web: whether what is sent to one can be read on the way, and whether they hold secrets."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

#: Names of this machine in URLs.
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


#: Kinds of addresses that can name a user and a password before the host, and what follows them.
_WITH_LOGIN = re.compile(
    r"\b(?P<kind>https?|ftps?|sftp|ssh|smb|webdav)://(?P<rest>.*?)(?=::[a-z][a-z0-9+.-]*://|$)",
    re.IGNORECASE | re.DOTALL,
)
_END_OF_HOST = re.compile(r"[/?#]")
_HOST_AND_PORT = re.compile(r"(\[[^\]]*\]|[^:]*)(:[0-9]{0,5})?")


def is_loopback(host: str) -> bool:
    """Return whether an address to listen on, or a host, is reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in LOOPBACK_NAMES


def is_readable_on_the_way(url: str) -> bool:
    """Return whether others can read what is sent to an address: no encryption, and not this machine.

    Args:
        url: Such as "https://archive.example/dicom-web".
    """
    try:
        parts = urlsplit(url)
        return parts.scheme.lower() != "https" and not is_loopback(parts.hostname or "")
    except ValueError:  # no address of a host
        return True


def holds_credentials(url: str) -> bool:
    """Return whether an address holds a user or a password, before an @.

    Args:
        url: The address.
    """
    try:
        return kind_with_password(url) is not None or "@" in urlsplit(url).netloc
    except ValueError:  # no address of a host
        return False


def kind_with_password(url: str) -> str | None:
    """Return the kind of an address that holds a password, such as "ftp"; None for others.

    A password may hold characters that end the host, such as "/" in "ftp://user:pa/ss@host/x". What follows
    the first colon is then no port, and an @ follows.

    Args:
        url: The address; fsspec also knows several in one text, such as "zip://a.png::ftp://host/a.zip".
    """
    for found in _WITH_LOGIN.finditer(url):
        if _password(found["rest"]) is not None:
            return found["kind"].lower()
    return None


def without_password(url: str) -> str:
    """Return an address with "***" in place of what may be its password; see `kind_with_password`."""

    def hidden(found: re.Match[str]) -> str:
        rest, place = found["rest"], _password(found["rest"])
        shown = rest if place is None else f"{rest[: place.start]}***{rest[place.stop :]}"
        return f"{found['kind']}://{shown}"

    return _WITH_LOGIN.sub(hidden, url)


def address_of(url: str) -> str:
    """Return words for an address that holds a user or a password, such as "The address of host".

    The host is not named where it could be a part of the password.
    """
    authority = _END_OF_HOST.split(url.rpartition("://")[2], maxsplit=1)[0]
    user, at, host = authority.rpartition("@")
    is_clear = at and url.count("@") == 1 and not _END_OF_HOST.search(user)
    return f"The address of {host}" if is_clear else "An address"


def _password(rest: str) -> slice | None:
    """Return where the password stands in an address after its "://"; None where it holds none."""
    host = _END_OF_HOST.split(rest, maxsplit=1)[0]
    user, at, _ = host.rpartition("@")
    holds = ":" in user if at else "@" in rest and not _HOST_AND_PORT.fullmatch(host)
    # The last @ may stand in the path; what comes before it may be the password too.
    return slice(host.index(":") + 1, rest.rindex("@")) if holds else None
