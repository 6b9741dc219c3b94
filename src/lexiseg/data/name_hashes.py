"""Hashes of names: orders that are the same on every machine, and whether two lists hold the same names.

Splits, folds and hidden masks are chosen in such an order, so a change here changes the results of seeds.
Names may hold bytes that are not UTF-8.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def order_key(name: str, *scope: object) -> bytes:
    """Return the key by which names are ordered: a SHA-256, so that the order looks random.

    Args:
        name: The name of an image, a patient or an output.
        *scope: What the order belongs to, such as a seed and the name of a choice: orders of different scopes
            are independent.
    """
    return hashlib.sha256(_stored(":".join([*map(str, scope), name]))).digest()


def names_sha256(names: Iterable[str]) -> str:
    """Return one SHA-256 of names in their order, in hexadecimal digits."""
    return hashlib.sha256(_stored("\n".join(names))).hexdigest()


def _stored(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
