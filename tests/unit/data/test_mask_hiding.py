from __future__ import annotations

from pathlib import Path

import pytest
from data_files import save_image, save_mask
from hypothesis import given
from hypothesis import strategies as st

from lexiseg.data import open_dataset
from lexiseg.data.mask_hiding import hide_masks, hide_masks_except
from lexiseg.data.sample import Sample, Split
from lexiseg.errors import DataError


def sample(name: str, *, split: Split = "train", patient: str | None = None, mask: bool = True) -> Sample:
    return Sample(
        id=name,
        image=Path(f"{name}.png"),
        mask=Path(f"m_{name}.png") if mask else None,
        split=split,
        patient=patient,
    )


def shown(samples: tuple[Sample, ...]) -> set[str]:
    return {s.id for s in samples if s.split == "train" and s.mask is not None}


@given(number=st.integers(1, 60), share=st.floats(0.01, 1), seed=st.integers(0, 5))
def test_the_share_is_kept_whatever_the_order(number: int, share: float, seed: int) -> None:
    samples = [sample(f"s{i}") for i in range(number)]
    found = hide_masks(samples, share=share, seed=seed)
    assert [s.id for s in found] == [s.id for s in samples]
    assert len(shown(found)) == max(1, round(share * number))
    again = hide_masks(samples[::-1], share=share, seed=seed)
    assert shown(again) == shown(found)


def test_a_smaller_share_is_part_of_a_larger_one_and_seeds_differ() -> None:
    samples = [sample(f"s{i}") for i in range(200)]
    few, many = (shown(hide_masks(samples, share=share, seed=0)) for share in (0.05, 0.25))
    assert (len(few), len(many)) == (10, 50)
    assert few < many
    assert shown(hide_masks(samples, share=0.05, seed=1)) != few


def test_patients_stay_together() -> None:
    samples = [sample(f"s{i}", patient=f"p{i // 4}") for i in range(40)]
    kept = shown(hide_masks(samples, share=0.2, seed=3))
    assert len(kept) == 8
    patients = {int(name[1:]) // 4 for name in kept}
    assert kept == {f"s{i}" for i in range(40) if i // 4 in patients}


def test_validation_and_test_keep_theirs_and_missing_masks_stay_missing() -> None:
    samples = [sample("v", split="val"), sample("t", split="test"), sample("none", mask=False), sample("a")]
    found = {s.id: s.mask for s in hide_masks(samples, share=0.01, seed=0)}
    assert found == {"v": Path("m_v.png"), "t": Path("m_t.png"), "none": None, "a": Path("m_a.png")}


def test_a_hidden_mask_is_not_even_opened(tmp_path: Path) -> None:
    """The coding of masks is found from masks, but not from hidden ones."""
    for split in ("train", "val"):
        for i in range(10):
            save_image(tmp_path / "images" / split / f"{split}{i}.png", i)
            save_mask(tmp_path / "masks" / split / f"{split}{i}.png")
    kept = shown(hide_masks([sample(f"train{i}") for i in range(10)], share=0.2, seed=0))
    for path in (tmp_path / "masks" / "train").iterdir():
        if path.stem not in kept:
            path.write_bytes(b"no picture")
    with pytest.raises(DataError):
        open_dataset(tmp_path)
    named = open_dataset(tmp_path, coded_by=lambda samples: hide_masks_except(samples, kept))
    assert all(s.mask is not None for s in named.samples)
    assert named.num_classes == 2
    index = open_dataset(tmp_path, masks=0.2)
    assert {s.id for s in index.split("train") if s.mask is not None} == kept
    assert all(s.mask is not None for s in index.split("val"))
    assert index.num_classes == 2
