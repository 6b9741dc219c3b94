"""The self-test: each installed engine predicts a drawn image, whose right mask and words are stored."""

from __future__ import annotations

import time

from lexiseg.engines import registry
from lexiseg.extras import is_installed
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.predictor import Predictor
from lexiseg.installation.expectation import expectation
from lexiseg.installation.report import EngineTest, Finding
from lexiseg.mask_overlap import region_dice

#: Least Dice of a mask with the stored one. Engines and processors differ in the last digits of a score.
_LEAST_DICE = 0.999


def engine_tests() -> tuple[EngineTest, ...]:
    """Let each installed engine predict a drawn chest image with a model that comes with Lexiseg."""
    kinds = registry.base_installation_first()
    return tuple(_test_engine(kind.name) for kind in kinds if is_installed(kind.package))


def engine_findings(tests: tuple[EngineTest, ...]) -> list[Finding]:
    """Return engines that cannot predict, or predict something else."""
    findings = []
    for test in tests:
        package = registry.get(test.name).package
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
                remedy=f"pip install {registry.base_installation_first()[0].package}",
            )
        )
    return findings


def _test_engine(name: str) -> EngineTest:
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
