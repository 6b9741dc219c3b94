"""Names of devices and of types of numbers in options: other programs have other names for them."""

from __future__ import annotations

#: What is meant by a name that Lexiseg does not use.
_MEANT = {
    "float32": "fp32",
    "float": "fp32",
    "single": "fp32",
    "32": "fp32",
    "32-true": "fp32",
    "float16": "fp16",
    "half": "fp16",
    "bfloat16": "bf16",
    "bf16-mixed": "bf16",
    "gpu": "cuda",
    "nvidia": "cuda",
}


def advice(name: str) -> str:
    """Return the sentence " Write NAME." for the name of another program; empty for other texts."""
    meant = _MEANT.get(name.strip().lower())
    return "" if meant is None else f" Write {meant}."
