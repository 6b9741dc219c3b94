"""The self-test: each installed engine predicts a drawn image, whose right mask and words are stored."""

from __future__ import annotations

import time
from typing import Literal, get_args

from lexiseg.extras import is_installed
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.predictor import Predictor
from lexiseg.installation.expectation import expectation
from lexiseg.installation.report import EngineTest, Finding
from lexiseg.mask_overlap import region_dice

_Name = Literal["onnx", "torch", "openvino"]

#: Packages of the engines.
_PACKAGES: dict[_Name, str] = {"onnx": "onnxruntime", "torch": "torch", "openvino": "openvino"}

#: Least Dice of a mask with the stored one. Engines and processors differ in the last digits of a score.
_LEAST_DICE = 0.999


def engine_tests() -> tuple[EngineTest, ...]:
    """Let each installed engine predict a drawn chest image with a model that comes with Lexiseg."""
    return tuple(_test_engine(name) for name in get_args(_Name) if is_installed(_PACKAGES[name]))


def engine_findings(tests: tuple[EngineTest, ...]) -> list[Finding]:
    """Return engines that cannot predict, or predict something else."""
    findings = []
    for test in tests:
        package = _PACKAGES[test.name]
        if test.error is not None:
            findings.append(
                Finding(
                    kind="problem",
                    text=f"The engine {test.name} cannot predict: {test.error}",
                    remedy=f"Install its package again: pip install --force-reinstall {package}",
                )
            )
        elif test.dice is not None and (test.dice < _LEAST_DICE or not test.words_equal):
            findings.append(
                Finding(
                    kind="problem",
                    text=f"The engine {test.name} gives another result than the stored one: Dice of the "
                    f"masks {test.dice:.4f}, {'equal' if test.words_equal else 'other'} words.",
                    remedy=f"Update it (pip install --upgrade {package}), or use another one with --engine. "
                    "If all engines differ, install Lexiseg again: its files are damaged.",
                )
            )
    if not tests:
        findings.append(
            Finding(
                kind="problem",
                text="No engine is installed, so nothing can be predicted.",
                remedy="pip install onnxruntime",
            )
        )
    return findings


def _test_engine(name: _Name) -> EngineTest:
    """Return the test of one engine."""
    started = time.monotonic()
    try:
        expected = expectation()
        predictor = Predictor(expected.words.model, PredictionOptions(engine=name))
        # The first prediction prepares the engine; only the second one shows the time of an image.
        predictor.predict(expected.image)
        loaded = time.monotonic()
        found = predictor.predict(expected.image)
        ended = time.monotonic()
    # A broken package or a damaged file can raise anything; the check says what, and tests the next engine.
    except Exception as error:
        return EngineTest(
            name=name,
            description=None,
            load_seconds=round(time.monotonic() - started, 2),
            image_seconds=None,
            dice=None,
            words_equal=None,
            error=f"{type(error).__name__}: {error}",
        )
    return EngineTest(
        name=name,
        description=str(predictor.engine.description),
        load_seconds=round(loaded - started, 2),
        image_seconds=round(ended - loaded, 4),
        dice=region_dice(found.mask > 0, expected.mask),
        words_equal=tuple(word.phrase for word in found.words) == expected.words.phrases,
        error=None,
    )
