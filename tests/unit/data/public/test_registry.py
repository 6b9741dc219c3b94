"""The registry: complete, consistent, and found by the names people use."""

from __future__ import annotations

from typing import get_args

import pytest
from pydantic import ValidationError

import originals
from lexiseg.data.public import dataset_import
from lexiseg.data.public.registry import Entry, Importer, find_entry, load_registry
from lexiseg.words.vocabulary import load_vocabulary
from refusals import refuses

THIRTEEN = {
    "Kvasir-SEG": "kvasir-seg",
    "BKAI": "bkai",
    "CVC-ClinicDB": "cvc-clinicdb",
    "BUSI": "busi",
    "DDTI": "ddti",
    "MosMedData+": "mosmeddata+",
    "QaTa-COV19": "qata-cov19",
    "DFU": "dfu",
    "ISIC 2018": "isic2018",
    "GLaS": "glas",
    "CAMUS": "camus",
    "ACDC": "acdc",
    "CHAOS": "chaos-mr",
}


def test_all_thirteen_and_the_ct_part_of_chaos() -> None:
    assert set(load_registry()) == {*THIRTEEN.values(), "chaos-ct"}
    assert {find_entry(name).name for name in originals.MAKERS} == set(load_registry())


@pytest.mark.parametrize(("name", "entry"), THIRTEEN.items())
def test_names_of_the_papers(name: str, entry: str) -> None:
    assert find_entry(name).name == entry


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("COVID-Xray", "qata-cov19"),
        ("covid_ct", "mosmeddata+"),
        ("kvasir", "kvasir-seg"),
        ("QaTa COV19 v2", "qata-cov19"),
        ("MosMed", "mosmeddata+"),
        ("clinicdb", "cvc-clinicdb"),
        ("FUSeg", "dfu"),
        ("neopolyp", "bkai"),
        ("chaos-mri", "chaos-mr"),
    ],
)
def test_other_names(name: str, entry: str) -> None:
    assert find_entry(name).name == entry


def test_unknown_name_lists_all_and_offers_the_nearest() -> None:
    with refuses("LEX-USE-012", "'camuss'; there are:"):
        find_entry("camuss")


@pytest.mark.parametrize("entry", load_registry().values(), ids=lambda entry: entry.name)
def test_an_entry_can_be_used(entry: Entry) -> None:
    assert entry.importer in dataset_import._READERS
    if entry.vocabulary is not None:
        load_vocabulary(entry.vocabulary)
    assert entry.home.startswith("https://")
    # A checksum that nobody knows is among what is not confirmed.
    if any(file.sha256 is None for file in entry.downloads):
        assert "SHA-256" in " ".join((*entry.confirmed, *entry.unconfirmed))
    # What is known of the licence is said, and what is not known is among what is not confirmed.
    assert not entry.licence.startswith("see home page")
    is_known = "not stated" not in entry.licence and "according to" not in entry.licence
    assert is_known or "licence" in " ".join((*entry.confirmed, *entry.unconfirmed))


def test_every_importer_is_used() -> None:
    assert {entry.importer for entry in load_registry().values()} == set(get_args(Importer))
    assert set(dataset_import._READERS) == set(get_args(Importer))


def changed(**fields: object) -> dict[str, object]:
    return {**find_entry("chaos-ct").model_dump(), **fields}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"licens": "MIT"}, "Extra inputs"),
        ({"downloads": [{"name": "a.zip", "url": "http://x.org/a.zip"}]}, "url"),
        ({"downloads": [{"name": "../a.zip", "url": "https://x.org/a.zip"}]}, "name"),
        ({"downloads": [{"name": "a.zip", "url": "https://x.org/a.zip", "sha256": "12"}]}, "sha256"),
        ({"window_hu": [240, -160]}, "expected rising numbers"),
        ({"patient": "(a)(b)"}, "one group"),
        ({"classes": [{"name": "a", "keyword": "a", "original": ["red"]}]}, "expected a colour"),
        ({"classes": [{"name": "a", "keyword": "a", "original": [1]}] * 2}, "same name"),
    ],
)
def test_wrong_entries_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Entry.model_validate(changed(**fields))
