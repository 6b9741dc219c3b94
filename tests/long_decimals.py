"""A retrieved word whose numbers have no short decimals, so that rounding on the way shows."""

from __future__ import annotations

from lexiseg.inference.result import RetrievedWord

WORD = RetrievedWord(
    factor="number",
    title="Number",
    index=1,
    phrase="two",
    confidence=0.1 + 0.2,  # no short decimal
    runners_up=(("one", 1 / 3),),
    probabilities=(1 / 3, 0.1 + 0.2),
)
