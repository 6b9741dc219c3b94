"""Connections to DICOMweb services."""

from __future__ import annotations

from pathlib import Path

import requests
from dicomweb_client.web import DICOMwebClient

from lexiseg.clinic.dicomweb_client import dicomweb_client
from lexiseg.errors import UsageError
from lexiseg.gateway.configuration import WebAccess
from lexiseg.open_files import open_errors
from lexiseg.web_address import holds_credentials, is_readable_on_the_way


def web_client(access: WebAccess, *, largest_mb: float | None = None) -> DICOMwebClient:
    """Return a client of a DICOMweb service; it does not try again by itself, as the queue does.

    Args:
        access: How the service is reached.
        largest_mb: Largest answer in MB; None is no limit.

    Raises:
        UsageError: A file that the configuration names cannot be read, or holds no credentials; or
            credentials would be sent without encryption, or stand in the address.
    """
    _check_credentials(access)
    session = requests.Session()
    if access.tls is not None:
        if access.tls.authorities is not None:
            session.verify = str(access.tls.authorities)
        if access.tls.certificate is not None:
            key = access.tls.key or access.tls.certificate
            session.cert = (str(access.tls.certificate), str(key))
    if access.user_file is not None:
        name, colon, password = _secret(access.user_file).partition(":")
        if not colon:
            raise UsageError(
                f"{access.user_file} must hold `name:password` in one line.", code="LEX-USE-1242"
            )
        session.auth = (name, password)
    return dicomweb_client(
        access.url,
        timeout_s=access.timeout_s,
        token="" if access.token_file is None else _secret(access.token_file),
        session=session,
        largest_mb=largest_mb,
    )


def _check_credentials(access: WebAccess) -> None:
    """Refuse credentials that others could read.

    Raises:
        UsageError: They would be sent without encryption, or stand in the address.
    """
    if holds_credentials(access.url):
        # The message does not hold the address: it would show the password.
        raise UsageError(
            "An address of a DICOMweb service holds a user or a password, which would be shown in logs. Put "
            "`name:password` into a file, and name it as `user_file`.",
            code="LEX-USE-1671",
        )
    has_secret = access.token_file is not None or access.user_file is not None
    if has_secret and not access.unencrypted and is_readable_on_the_way(access.url):
        named = "token_file" if access.token_file is not None else "user_file"
        raise UsageError(
            f"{access.url} is another machine and not encrypted: others on the way could read and use what "
            f"`{named}` holds. Use an address that begins with https://, or set `unencrypted: true` if "
            "nobody else uses the network.",
            code="LEX-USE-1672",
        )


def _secret(file: Path) -> str:
    try:
        with open_errors(file):
            return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}.", code="LEX-USE-1243") from error
