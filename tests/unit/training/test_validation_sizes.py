"""Which size groups the validation of a training lacks: those of the images that it scores."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from rich.console import Console

from lexiseg.data import Sample
from lexiseg.training.config import make_config
from lexiseg.training.inputs.data_loaders import validation_loader, validation_positions
from lexiseg.training.inputs.examples import PlainExamples
from lexiseg.training.steps.validation_sizes import lesion_sizes

# Pixels of lesion in images of 100 pixels: two each of small, medium and large lesions.
TRAINING, VALIDATION = (1, 2, 10, 12, 40, 50), (1, 10, 50)


def pixels(areas: tuple[int, ...]) -> Any:
    """Return images of 10 x 10 pixels with lesions of some areas."""
    found = []
    for area in areas:
        labels = np.zeros((10, 10), np.uint8)
        labels.flat[:area] = 1
        found.append((np.full((10, 10, 1), area, np.uint8), labels))
    return found


@pytest.mark.parametrize(("val_cases", "absent"), [(480, 0), (2, 1), (1, 2)])
def test_absent_groups_are_those_of_the_scored_images(val_cases: int, absent: int) -> None:
    mask = Path("mask.png")
    splits = {
        split: [Sample(id=str(area), image=mask, mask=mask, split=split) for area in areas]
        for split, areas in (("train", TRAINING), ("val", VALIDATION))
    }
    index = cast(Any, SimpleNamespace(split=splits.__getitem__))
    config = make_config({"selection": "size_standardised_dice", "val_cases": val_cases})
    validation = PlainExamples(pixels(VALIDATION), None)
    scored, said = validation_positions(validation, config), io.StringIO()
    assert len(scored) == min(val_cases, 3)
    # The loader gives these images, whose grey value is the area of their lesion.
    images = np.concatenate([batch.image.numpy() for batch in validation_loader(validation, config)])
    assert [int(image.mean()) for image in images] == [VALIDATION[k] for k in scored]
    console = Console(file=said, width=500)
    sizes = lesion_sizes(index, config, pixels(TRAINING), pixels(VALIDATION), scored, console)
    assert sizes is not None
    assert sizes.weights == pytest.approx((0, 1 / 3, 1 / 3, 1 / 3))
    groups = [name for k, name in enumerate(("small", "medium", "large")) if k not in scored]
    assert len(groups) == absent
    if groups:
        assert f"is in the size group {' or '.join(groups)}: the other groups weigh more" in said.getvalue()
    else:
        assert "size group" not in said.getvalue()
