"""Addresses of the web: whether what is sent to one can be read on the way."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

#: Names of this machine in URLs.
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


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
        return "@" in urlsplit(url).netloc
    except ValueError:  # no address of a host
        return False
