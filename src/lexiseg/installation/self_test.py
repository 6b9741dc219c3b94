"""The self-test: each installed engine predicts a drawn image, and the masks are compared."""

from __future__ import annotations

import time
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from lexiseg.data.phantom import make_phantom
from lexiseg.extras import is_installed
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.result import Prediction
from lexiseg.inference.review import region_overlap
from lexiseg.installation.report import EngineTest, Finding
from lexiseg.runs.shipped import model_names

_Name = Literal["onnx", "torch", "openvino"]

#: Packages of the engines.
_PACKAGES: dict[_Name, str] = {"onnx": "onnxruntime", "torch": "torch", "openvino": "openvino"}

#: Least Dice of two masks of the same network.
_LEAST_DICE = 0.999

_IMAGE_SIZE = 224


def engine_tests() -> tuple[EngineTest, ...]:
    """Let each installed engine predict a drawn chest image with the first model that comes with Lexiseg."""
    (case,) = make_phantom({"train": 1}, size=_IMAGE_SIZE, seed=0)
    image = np.repeat(case.image[..., None], 3, axis=2)
    tests: list[EngineTest] = []
    reference: Prediction | None = None
    for name in get_args(_Name):
        if is_installed(_PACKAGES[name]):
            test, prediction = _test_engine(name, image, reference)
            tests.append(test)
            reference = prediction if reference is None else reference
    return tuple(tests)


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
                    text=f"The engine {test.name} gives another result than the first engine: Dice of the "
                    f"masks {test.dice:.4f}, {'equal' if test.words_equal else 'other'} words.",
                    remedy=f"Update it (pip install --upgrade {package}), or use another one with --engine.",
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


def _test_engine(
    name: _Name, image: npt.NDArray[np.uint8], reference: Prediction | None
) -> tuple[EngineTest, Prediction | None]:
    """Return the test of one engine, and its prediction."""
    started = time.monotonic()
    try:
        predictor = Predictor(model_names()[0], PredictionOptions(engine=name))
        found = predictor.predict(image)
    # A broken package can raise anything; the check says what, and goes on with the next engine.
    except Exception as error:
        seconds, text = round(time.monotonic() - started, 2), f"{type(error).__name__}: {error}"
        failed = EngineTest(
            name=name, description=None, seconds=seconds, dice=None, words_equal=None, error=text
        )
        return failed, None
    return (
        EngineTest(
            name=name,
            description=str(predictor.engine.description),
            seconds=round(time.monotonic() - started, 2),
            dice=region_overlap(found.mask > 0, reference.mask > 0) if reference is not None else None,
            words_equal=_phrases(found) == _phrases(reference) if reference is not None else None,
            error=None,
        ),
        found,
    )


def _phrases(prediction: Prediction) -> tuple[str, ...]:
    return tuple(word.phrase for word in prediction.words)
