"""The key of a server is removed from everything that the server says."""

from __future__ import annotations

import base64
import json
import re
from urllib.parse import quote, quote_plus

#: What stands in the place of the key.
REDACTED = "(the key)"

# Fewer characters of a base64 text also occur by chance.
_LEAST_BASE64 = 8


class KeyRedaction:
    """Removes a key in the forms in which a server may repeat it.

    The forms are the key itself in capital or small letters, in a URL, in JSON, in hexadecimal digits and in
    base64, at any place of a longer base64 text.

    Args:
        key: The key; empty: nothing is removed.
    """

    def __init__(self, key: str) -> None:
        forms = {key, quote(key, safe=""), quote_plus(key), json.dumps(key)[1:-1], key.encode().hex()}
        forms |= _base64_forms(key.encode())
        ordered = sorted(filter(None, forms), key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(re.escape, ordered)), re.IGNORECASE) if key else None

    def __call__(self, text: str) -> str:
        """Return a text without the key."""
        return text if self._pattern is None else self._pattern.sub(REDACTED, text)


def _base64_forms(key: bytes) -> set[str]:
    """Return the part of a longer base64 text that the key alone decides, for each alignment."""
    forms = set()
    for before in range(3):
        text = base64.b64encode(bytes(before) + key).decode("ascii")
        # The first characters mix with what stands before the key, the last ones with what follows it.
        own = text[-(-before * 8 // 6) : len(bytes(before) + key) * 8 // 6]
        if len(own) >= _LEAST_BASE64:
            forms |= {own, own.replace("+", "-").replace("/", "_")}
    return forms
