"""Options of a training of a few seconds."""

from __future__ import annotations

from typing import Any

TINY: dict[str, Any] = {
    "batch_size": 4,
    "image_size": 64,
    "width": 16,
    "encoder": "lcnet_050",
    "encoder_weights": "none",
    "precision": "fp32",
    "accelerator": "cpu",
    "workers": 0,
    "text": "concepts",
}
