"""Addresses of the web: whether what is sent to one can be read on the way."""

from __future__ import annotations

import pytest

from lexiseg.web_address import holds_credentials, is_loopback, is_readable_on_the_way


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
    ],
)
def test_credentials_in_an_address_are_found(url: str, holds: bool) -> None:
    assert holds_credentials(url) is holds


def test_names_of_this_machine() -> None:
    assert [is_loopback(host) for host in ("localhost", "::1", "0.0.0.0", "gateway")] == [
        True, True, False, False,
    ]  # fmt: skip
