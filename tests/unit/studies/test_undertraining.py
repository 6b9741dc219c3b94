"""Arms that have not learned enough are never judged."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lexiseg.data import open_dataset
from lexiseg.files import write_json
from lexiseg.studies.arm_summary import ArmResults
from lexiseg.studies.audit_file import AuditResult
from lexiseg.studies.undertraining import best_constant_dice, last_rise, undertrained


def test_best_constant_mask_by_hand(tmp_path: Path) -> None:
    # Two masks of 8 x 16 of 16 x 16 pixels, upper and left half, which share a quarter; the third is empty.
    upper, left, none = (np.zeros((16, 16), np.uint8) for _ in range(3))
    upper[:8], left[:, :8] = 255, 255
    for name, mask in {"a": upper, "b": left, "c": none}.items():
        for folder, pixels in (("images", np.arange(256, dtype=np.uint8).reshape(16, 16)), ("masks", mask)):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / folder / f"{name}.png")
    write_json(tmp_path / "splits.json", {"train": [], "val": [], "test": ["a", "b", "c"]})
    # Any of both halves (3/4 of the pixels): 2 * 0.5 / (0.5 + 0.75) = 0.8 twice, 0 for the empty mask.
    assert best_constant_dice(open_dataset(tmp_path), "test") == pytest.approx(1.6 / 3)


@pytest.mark.parametrize(
    ("curve", "rise"),
    [
        ([0.1, 0.5, 0.6, 0.65], 0.05),
        ([0.1, 0.6, 0.5, 0.6], 0.0),
        ([0.1, 0.5, 0.9], None),  # three validations say nothing of the end
    ],
)
def test_last_rise(tmp_path: Path, curve: list[float], rise: float | None) -> None:
    rows = [f"{10 * (number + 1)},{dice}" for number, dice in enumerate(curve)]
    (tmp_path / "history.csv").write_text("\n".join(["step,val/dice", *rows]) + "\n")
    assert last_rise(tmp_path / "history.csv") == (None if rise is None else pytest.approx(rise))
    assert last_rise(tmp_path / "none.csv") is None


def test_reasons() -> None:
    assert undertrained(0.6, 0.5, [None, 0.01]) is None
    assert "at least 4 validations" in (undertrained(0.6, 0.5, [None, None]) or "")
    assert undertrained(0.5, 0.5, []) == (
        "Dice 0.500, no better than 0.500 of the best mask that is the same for all images"
    )
    assert undertrained(0.6, 0.5, [0.0, 0.03]) == (
        "its validation Dice still rose by 0.015 in the last quarter of the training"
    )


def test_an_audit_of_arms_that_have_not_learned_is_not_decided(
    three_cases: list[ArmResults], compared: Callable[[list[ArmResults]], AuditResult]
) -> None:
    """The arm whose words are shuffled scores 0, which without a look at constant masks would be harm."""
    found = compared(three_cases)
    kinds = {(c.arm, c.against): c.verdict for c in found.comparisons if c.group == "all"}
    assert kinds["reports", "shuffled"] == "undertrained"
    assert "undertrained" not in {kinds["reports", "none"]}
    assert "harm" not in kinds.values()
    (verdict,) = found.verdicts
    assert "Undertrained:" in verdict.words
    assert "Train longer, and audit again." in verdict.words
    assert found.comparisons[0].over == "images"
    assert "over images and seeds" in found.rule
    assert "patients" not in found.rule + "".join(c.words for c in found.comparisons)
    assert found.cases.few_cases is not None
