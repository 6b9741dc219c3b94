"""Addresses of the web: whether what is sent to one can be read on the way."""

from __future__ import annotations

import pytest

from lexiseg.web_address import (
    address_of,
    holds_credentials,
    is_loopback,
    is_readable_on_the_way,
    kind_with_password,
    without_password,
)


@pytest.mark.parametrize(
    ("url", "readable"),
    [
        ("https://archive.example/dicom-web", False),
        ("HTTPS://archive.example", False),
        ("http://127.0.0.1:8042/dicom-web", False),
        ("http://127.8.0.1", False),
        ("http://LOCALHOST:8000", False),
        ("http://[::1]:8000", False),
        ("http://archive.example", True),
        ("http://10.0.0.5:8042", True),
        ("http://localhost.archive.example", True),
        ("http://127.0.0.1.archive.example", True),
        ("http://localhost@archive.example", True),
        ("http://[fe80::1]/", True),
        ("http://[broken", True),
        ("http://", True),
    ],
)
def test_http_to_another_machine_can_be_read(url: str, readable: bool) -> None:
    assert is_readable_on_the_way(url) is readable


@pytest.mark.parametrize(
    ("url", "holds"),
    [
        ("https://me:secret@archive.example", True),  # pragma: allowlist secret
        ("https://me@archive.example", True),
        ("https://archive.example/a@b?c=d@e", False),
        ("http://[broken@", False),
        ("https://me:sec/ret@archive.example/x", True),  # pragma: allowlist secret
        ("https://archive.example:8443/a@b", False),
    ],
)
def test_credentials_in_an_address_are_found(url: str, holds: bool) -> None:
    assert holds_credentials(url) is holds


@pytest.mark.parametrize(
    ("url", "kind", "shown", "named"),
    [
        (
            "ftp://me:secret@host/x",  # pragma: allowlist secret
            "ftp",
            "ftp://me:***@host/x",
            "The address of host",
        ),
        ("ftp://me:sec/ret@host/x", "ftp", "ftp://me:***@host/x", "An address"),
        ("SFTP://me:sec?r#et@host/x", "sftp", "SFTP://me:***@host/x", "An address"),
        # The host would be "ec", a part of the password.
        ("http://me:s@ec/ret@host:80/x", "http", "http://me:***@host:80/x", "An address"),
        ("ftp://me:sec::ret@host/x", "ftp", "ftp://me:***@host/x", "The address of host"),
        ("zip://a::sftp://me:sec/ret@host/x", "sftp", "zip://a::sftp://me:***@host/x", "An address"),
        ("sftp://me:s/ret@host/x::zip://a@b", "sftp", "sftp://me:***@host/x::zip://a@b", "An address"),
    ],
)
def test_passwords_are_found_whatever_they_hold(url: str, kind: str, shown: str, named: str) -> None:
    assert kind_with_password(url) == kind
    assert address_of(url) == named
    assert without_password(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        "sftp://me@host:22/a@b",
        "sftp://host:22/a:b@c",
        "https://[::1]:8443/a@b?c=d:e@f",
        "https://host/a:b@c",
        "s3://bucket/a:b@c",
        "github://org:repo@main/a",  # pragma: allowlist secret
        "/home/a:b@c",
    ],
)
def test_addresses_without_a_password_stay_as_they_are(url: str) -> None:
    assert kind_with_password(url) is None
    assert without_password(url) == url


def test_names_of_this_machine() -> None:
    assert [is_loopback(host) for host in ("localhost", "::1", "0.0.0.0", "gateway")] == [
        True, True, False, False,
    ]  # fmt: skip
