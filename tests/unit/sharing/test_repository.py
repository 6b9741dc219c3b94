"""Addresses of repositories; what is sent and fetched is in tests/integration/test_sharing.py."""

import pytest

from lexiseg.sharing.repository import Address
from refusals import refuses


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("hf://jane/chest", Address("jane/chest")),
        ("hf://jane/chest@v1", Address("jane/chest", "v1")),
        ("hf://a.b/c-d_e@refs/pr/3", Address("a.b/c-d_e", "refs/pr/3")),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert Address.parse(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    ["jane/chest", "hf://chest", "hf://jane/chest/x", "https://huggingface.co/jane/chest", "hf://a/b@", ""],
)
def test_other_addresses_are_refused(text: str) -> None:
    with refuses("LEX-USE-1050", "hf://OWNER/NAME"):
        Address.parse(text)
