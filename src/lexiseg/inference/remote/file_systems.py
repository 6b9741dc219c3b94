"""File systems of other computers, which fsspec reads and writes: their URLs and their errors."""

from __future__ import annotations

import errno
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from lexiseg.data.archives import is_archive
from lexiseg.data.decode import IMAGE_SUFFIXES
from lexiseg.errors import DataError, LexisegError, UsageError
from lexiseg.extras import install_hint
from lexiseg.library_logs import hide_queries
from lexiseg.web_address import address_of, holds_credentials, kind_with_password, without_password

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_ADDRESS_BEGINS = re.compile(r"::(?=[A-Za-z][A-Za-z0-9+.-]*://)")
_WEB = re.compile(r"https?://", re.IGNORECASE)
_WEB_KINDS = {"http", "https"}
# What follows "?" in an address of the web that stands in a message.
_QUERY = re.compile(r"(https?://[^\s'\"?]*)\?[^\s'\"]*", re.IGNORECASE)

# Parameters of addresses that are keys or belong to one, in small letters: those of AWS, Google and Azure,
# and usual ones of other servers.
_KEY_PREFIXES = ("x-amz-", "x-goog-")
_SIGNATURES = {"sig", "signature"}
_KEYS = _SIGNATURES | {
    *("expires", "key-pair-id", "awsaccesskeyid", "googleaccessid", "access_token", "api_key"),
}
# They are short words that can mean anything; beside a signature they belong to it.
_SIGNED = {
    *("se", "sp", "sv", "sr", "st", "ss", "srt", "spr", "sip", "sdd", "saoid", "suoid", "scid"),
    *("skoid", "sktid", "skt", "ske", "sks", "skv", "policy"),
}
# They can also be the key of an object or of a shared image; not so where the path tells the image.
_AMBIGUOUS_KEYS = {"key", "token"}

#: Errors of credentials, by the names of their classes: their packages need not be installed.
_NO_CREDENTIALS = {
    "NoCredentialsError",
    "PartialCredentialsError",
    "CredentialRetrievalError",
    "TokenRetrievalError",
    "DefaultCredentialsError",
    "RefreshError",
}
_REFUSED = {401, 403}
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}


def is_url(path: str) -> bool:
    """Return whether a text is a URL, such as "s3://bucket/a.png"."""
    return _URL.match(path) is not None


def is_web_address(path: str) -> bool:
    """Return whether a text is an address of the web, such as "https://host/a.png"."""
    return _WEB.match(path) is not None


def shown_url(url: str) -> str:
    """Return a path or URL as results and messages show it, without a password.

    An address of the web is shown without what follows "?", which can hold a key. Digits stand for the
    parameters that can tell one image from another; keys and signatures are left out of them, so that a new
    key does not make it another image.
    """
    if not is_web_address(url):
        return without_password(url)
    scheme, host, path, _, _ = urlsplit(without_password(url))
    shown = urlunsplit((scheme, host, path, "", ""))
    digits = _digits(url)
    return f"{shown}?({digits})" if digits else shown


def web_file_name(url: str) -> str:
    """Return the name of the file at an address of the web; it differs where `shown_url` does."""
    path, digits = PurePosixPath(urlsplit(url).path), _digits(url)
    return f"{path.stem}-{digits}{path.suffix}" if digits else path.name


def _digits(url: str) -> str:
    """Return digits for the parameters that tell images at one path apart; empty where there are none."""
    parts = urlsplit(url)
    pairs = [(_name_of(pair), pair) for pair in parts.query.split("&") if pair]
    left_out = set(_KEYS)
    if _SIGNATURES.intersection(name for name, _ in pairs):
        left_out |= _SIGNED
    path = PurePosixPath(parts.path)
    if path.suffix.lower() in IMAGE_SUFFIXES or is_archive(Path(path.name)):
        left_out |= _AMBIGUOUS_KEYS
    telling = [pair for name, pair in pairs if name not in left_out and not name.startswith(_KEY_PREFIXES)]
    return hashlib.sha256("&".join(telling).encode()).hexdigest()[:10] if telling else ""


def _name_of(pair: str) -> str:
    """Return the name of a parameter, such as "token" of "Token=1"."""
    return unquote(pair.partition("=")[0]).lower()


def server_of(url: str) -> str:
    """Return what grants or refuses access to a URL: its protocol with the bucket or host."""
    last = url.rpartition("::")[2]  # fsspec reads "zip://a.png::s3://bucket/a.zip" from the bucket
    scheme, _, path = (last if is_url(last) else url).partition("://")
    return f"{scheme.lower()}://{path.partition('/')[0]}"


def file_system(url: str) -> tuple[AbstractFileSystem, str]:
    """Return the file system of a URL, and the path in it.

    Raises:
        UsageError: The kind of URL is unknown, its package is not installed, there are no credentials, or an
            address of the web holds a password.
    """
    refuse_password(url)
    hide_queries()
    scheme = url.partition("://")[0]
    try:
        import fsspec.core

        with remote_errors(url):
            system, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise UsageError(
            f"{shown_url(url)} needs packages that are not installed ({error}). {install_hint('cloud')}",
            code="LEX-USE-1282",
        ) from error
    except ValueError as error:
        raise UsageError(
            f"{shown_url(url)} cannot be used: {error}. Expected a path, or a URL such as s3://, gs:// or "
            f"https://; '{scheme}' is none that is known here.",
            code="LEX-USE-1283",
        ) from error
    return system, str(path)


def refuse_password(url: str) -> None:
    """Refuse an address of the web that holds a user or password, and one of another server with a password.

    Raises:
        UsageError: It does.
    """
    kind = kind_with_password(url)
    # fsspec also reads "zip://a.png::https://host/a.zip"; "::" in a host is a part of its number.
    parts = _ADDRESS_BEGINS.split(url)
    if kind in _WEB_KINDS or any(is_web_address(part) and holds_credentials(part) for part in parts):
        raise UsageError(
            f"{address_of(url)} holds a user or password, which would be written into results. "
            "Download the images first, or use addresses with a key after the `?`, which results leave out.",
            code="LEX-USE-1476",
        )
    if kind is not None:
        raise UsageError(
            f"{address_of(url)} holds a password, which would be written into results and messages. Leave it "
            f"out, and put it into the variable FSSPEC_{kind.upper()}_PASSWORD, or use a key.",
            code="LEX-USE-2032",
        )


@contextmanager
def remote_errors(url: str) -> Iterator[None]:
    """Turn errors of reading or writing a URL into errors meant for the user.

    Raises:
        UsageError: Credentials are missing or not accepted.
        DataError: It does not exist, the network or the server failed, or a web server refuses it.
    """
    try:
        yield
    except (LexisegError, ImportError, ValueError):
        raise
    except Exception as error:  # each file system of fsspec has errors of its own
        if isinstance(error, OSError) and error.errno in _DISK_FULL:
            raise  # it says nothing about the URL
        shown, said = shown_url(url), short_reason(error)
        if _lacks_credentials(error) and is_web_address(url):
            raise DataError(  # the keys of other addresses may be accepted
                f"The server refuses {shown} ({said}). If the address has a key after the `?`, ask "
                "for a new one: keys expire.",
                code="LEX-DATA-1477",
            ) from error
        if _lacks_credentials(error):
            raise UsageError(
                f"No access to {shown}: credentials are missing or not accepted ({said}). For "
                "s3://, run `aws configure` or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; for gs://, "
                "run `gcloud auth application-default login`.",
                code="LEX-USE-1284",
            ) from error
        if isinstance(error, FileNotFoundError):
            raise DataError(f"{shown} does not exist.", code="LEX-DATA-1288") from error
        raise DataError(
            f"{shown} cannot be reached ({said}). Check the address and the network; finished work "
            "is kept, so run the command again then.",
            code="LEX-DATA-1289",
        ) from error


def _lacks_credentials(error: BaseException) -> bool:
    """Return whether an error, or one that caused it, is about credentials."""
    return any(
        isinstance(each, PermissionError)
        or type(each).__name__ in _NO_CREDENTIALS
        or (getattr(each, "status", None) or getattr(each, "code", None)) in _REFUSED
        for each in _chain(error)
    )


def is_refusal(error: BaseException) -> bool:
    """Return whether an error of `remote_errors` says that a server refuses a URL to the credentials in use.

    The server may refuse this URL alone: S3 also answers so for an object that is gone, where the right to
    list the bucket is missing.
    """
    chain = list(_chain(error))
    without_any = any(type(each).__name__ in _NO_CREDENTIALS for each in chain)
    return isinstance(error, UsageError) and error.code == "LEX-USE-1284" and not without_any


def _chain(error: BaseException) -> Iterator[Any]:
    """Yield an error and those that caused it."""
    seen: Any = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def short_reason(error: BaseException) -> str:
    """Return the first 200 characters of an error's first line, without what follows "?" in web addresses."""
    said = str(error).strip().splitlines()
    return _QUERY.sub(r"\1", said[0] if said else type(error).__name__)[:200]
