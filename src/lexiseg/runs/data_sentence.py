"""What a run was trained on, in words, for its model card."""

from __future__ import annotations

from lexiseg.runs.manifest import DataRecord


def data_sentence(data: DataRecord) -> str:
    """Say what a run was trained on; leaks and shuffled words have a warning of their own."""
    counts = [
        f"{data.samples[split]:,} {name}"
        for split, name in (("train", "training"), ("val", "validation"), ("test", "test"))
        if split in data.samples
    ]
    parts = [data.name or "a data set without a name"]
    if counts:
        parts[0] += f", {' and '.join(counts)} images"
    if data.layout is not None:
        parts.append(f"layout '{data.layout}'")
    if data.masks is not None:
        masks = data.masks
        parts.append(
            f"of the training images {masks.with_mask:,} have a mask, {masks.without_mask:,} without one "
            f"take part ({masks.unmasked}), {masks.left_out:,} are left out"
        )
    if data.descriptions is not None:
        parts.append("words from a description file")
    return "; ".join(parts)
