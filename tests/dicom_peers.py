"""DICOM ports of gateways for tests, and peers that send to them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from gateway_setup import image_bytes
from lexiseg.gateway.configuration import DicomSource
from lexiseg.gateway.sources.dicom_receiver import DicomReceiver
from lexiseg.gateway.sources.intake import Intake
from lexiseg.gateway.state import GatewayState

COMPUTED_RADIOGRAPHY = "1.2.840.10008.5.1.4.1.1.1"


@contextmanager
def receiver(state: GatewayState, **values: Any) -> Iterator[DicomReceiver]:
    source = DicomSource.model_validate({"kind": "dicom", "port": 0, "allow": ["PACS"], **values})
    found = DicomReceiver(state, "port", source, Intake(state))
    try:
        yield found
    finally:
        found.close()


def connected(port: int, *, calling: str = "PACS", called: str = "LEXISEG", **values: Any) -> Association:
    entity = AE(ae_title=calling)
    entity.add_requested_context(Verification)
    entity.add_requested_context(COMPUTED_RADIOGRAPHY, ExplicitVRLittleEndian)
    return entity.associate("127.0.0.1", port, ae_title=called, **values)


def image(number: int = 1, **values: Any) -> Dataset:
    return dcmread(io.BytesIO(image_bytes(number, **values)))
