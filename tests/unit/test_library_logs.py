"""Logs of libraries show no queries of addresses."""

from __future__ import annotations

import logging

import pytest

from dicomweb_server import dicomweb_service
from lexiseg.clinic.dicomweb_client import dicomweb_client
from lexiseg.library_logs import hide_queries


@pytest.mark.parametrize(
    ("name", "message", "values", "shown"),
    [
        (
            "urllib3.connection",
            "Failed to parse headers (url=%s): %s",
            ("http://host:80/studies?PatientID=7&a=b", "[]"),
            "Failed to parse headers (url=http://host:80/studies?... []",
        ),
        (
            "urllib3.connectionpool",
            '%s://%s:%s "%s %s %s" %s %s',
            ("https", "host", 443, "GET", "/a.png?X-Amz-Signature=7", "HTTP/1.1", 200, 4),
            'https://host:443 "GET /a.png?... HTTP/1.1" 200 4',
        ),
        (
            "urllib3.poolmanager",
            "Redirecting %s -> %s",
            ("https://host/a?key=7", "https://host/b?key=8"),
            "Redirecting https://host/a?... -> https://host/b?...",
        ),
        ("fsspec.http", "https://host/a.png?sig=7", (), "https://host/a.png?..."),
        (
            "urllib3.connectionpool",
            "Resetting dropped connection: %s",
            ("host",),
            "Resetting dropped connection: host",
        ),
    ],
)
def test_queries_are_left_out(
    name: str, message: str, values: tuple[object, ...], shown: str, caplog: pytest.LogCaptureFixture
) -> None:
    hide_queries()
    with caplog.at_level(logging.DEBUG, logger=name):
        logging.getLogger(name).debug(message, *values)
    assert [record.getMessage() for record in caplog.records] == [shown]


def test_a_search_in_a_service_names_no_patient_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), dicomweb_service([]) as service:
        client = dicomweb_client(service.address, timeout_s=10)
        client.search_for_studies(search_filters={"PatientID": "secret"})
    assert "/studies" in caplog.text
    assert "secret" not in caplog.text
