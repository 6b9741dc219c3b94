"""The options of `lexiseg.train`, as types that editors complete and checkers check."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

from lexiseg.systems.configuration import (
    AugmentConfig,
    CurveLogger,
    FitChoice,
    Precision,
    Selection,
    Unmasked,
)
from lexiseg.systems.cotexnet.configuration import Teach


class TrainOptions(TypedDict, total=False):
    """All fields of the configurations of the systems that come with Lexiseg.

    The configuration classes describe each field and say which systems have it. None counts as not given.
    """

    model: str | None
    preset: str | None
    start_from: str | Path | None
    text: str | Path | None
    vocabulary: str | None
    text_encoder: str | None
    image_size: int | None
    fit: FitChoice | None
    epochs: int | None
    max_minutes: float | None
    steps: int | None
    batch_size: int | None
    learning_rate: float | None
    source_weights: dict[str, float] | None
    balance_words: float | None
    masks: float | None
    unmasked: Unmasked | None
    shuffle_words: bool | None
    allow_leak: bool | None
    augment: AugmentConfig | dict[str, Any] | None
    patience: int | None
    selection: Selection | None
    val_cases: int | None
    seed: int | None
    precision: Precision | None
    workers: int | None
    cache: bool | None
    accelerator: str | None
    devices: int | None
    accumulate: int | None
    logger: CurveLogger | None
    ema_decay: float | None
    unmasked_share: float | None
    teacher_steps: int | None
    word_map: bool | None
    pseudo_weight: float | None
    encoder: str | None
    encoder_weights: str | None
    width: int | None
    weight_decay: float | None
    retrieval_weight: float | None
    small_first: float | None
    main_size: int | None
    full_last: float | None
    freeze_early: bool | None
    teachers: Sequence[str | Path] | None
    teacher_share: float | None
    teach: Teach | None
    distillation_weight: float | None
    reference_compat: bool | None
