"""An answer that is true of all images of `discs`, and false ones."""

from __future__ import annotations

import json
from typing import Any

#: True of every image of `discs`.
TRUE = {"number": 1, "location": "center", "shape": "round", "size": "small", "color": "red"}


def answer(**changes: Any) -> str:
    return json.dumps({**TRUE, **changes})
