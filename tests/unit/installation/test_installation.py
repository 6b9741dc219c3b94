"""What a check of the installation calls broken, and what it recommends."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import lexiseg
from lexiseg.cli.app import app
from lexiseg.extras import install_command
from lexiseg.installation import machine, packages, self_test
from lexiseg.installation.expectation import expectation
from lexiseg.installation.machine import device_findings, devices, folder_findings, folders
from lexiseg.installation.packages import by_extra, extra_states, package_findings, requirements
from lexiseg.installation.report import DeviceState, EngineTest, Finding, FolderState, InstallationReport
from lexiseg.installation.self_test import engine_findings, engine_tests
from lexiseg.runs.shipped import model_names

STATED = (
    "numpy<3,>=1.26",
    "colorama; sys_platform == 'no-such-system'",
    "torch<3,>=2.6; extra == 'train'",
    "timm>=1.0.9 ; extra == 'train'",
    'openvino>=2024.6; extra == "openvino"',
    "pytest; extra == 'dev'",
)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Versions that the check finds."""
    versions: dict[str, str] = {}
    monkeypatch.setattr(packages, "version_of", versions.get)
    return versions


def names(needed: Mapping[str, object]) -> dict[str, list[str]]:
    return {extra: [package.name for package in found] for extra, found in needed.items()}  # type: ignore[attr-defined]


def test_requirements_by_extra() -> None:
    assert names(by_extra(STATED)) == {"": ["numpy"], "train": ["torch", "timm"], "openvino": ["openvino"]}
    assert by_extra(()) == {}
    # Of this installation.
    assert "numpy" in names(by_extra(requirements()))[""]


def test_nothing_is_wrong_without_an_extra(installed: dict[str, str]) -> None:
    installed |= {"numpy": "2.0.1"}
    assert package_findings(by_extra(STATED)) == []
    states = {state.name: state for state in extra_states(by_extra(STATED))}
    assert states["train"].installed == {}
    assert states["train"].missing == ("torch", "timm")


def test_an_extra_that_includes_another_one_needs_its_packages(installed: dict[str, str]) -> None:
    stated = (
        "pydicom>=3; extra == 'dicom'",
        "lexiseg[dicom]; extra == 'gateway'",
        "pynetdicom>=3; extra == 'gateway'",
    )
    needed = by_extra(stated)
    assert names(needed) == {"dicom": ["pydicom"], "gateway": ["pydicom", "pynetdicom"]}
    # Lexiseg itself is installed wherever this runs, and is no part of the extra.
    installed |= {"lexiseg": "0.1.0"}
    assert package_findings(needed) == []
    # The extra dicom is complete; that gateway shares its package does not make a half of gateway.
    installed |= {"pydicom": "3.0.1"}
    assert package_findings(needed) == []
    del installed["pydicom"]
    installed |= {"pynetdicom": "3.0.1"}
    (found,) = package_findings(needed)
    assert found.text == "The extra gateway is installed in part: pydicom missing."


def test_missing_old_and_partial(installed: dict[str, str]) -> None:
    installed |= {"torch": "2.5.1"}
    found = package_findings(by_extra(STATED))
    assert [(finding.kind, finding.text) for finding in found] == [
        ("problem", "The package numpy is not installed."),
        ("problem", "torch 2.5.1 is installed; Lexiseg needs <3,>=2.6."),
        ("note", "The extra train is installed in part: timm missing."),
    ]
    assert [finding.remedy for finding in found] == [
        "pip install 'numpy<3,>=1.26'",
        "pip install 'torch<3,>=2.6'",
        f"If you need it: {install_command('train')}",
    ]


def test_builds_before_a_release_and_for_a_gpu_are_accepted(installed: dict[str, str]) -> None:
    installed |= {"numpy": "2.5.0rc1", "torch": "2.9.0+cu130", "timm": "1.0.9", "openvino": "2026.1"}
    assert package_findings(by_extra(STATED)) == []


def test_folders_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "none" / "hf"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    cache = folders()[-1]
    assert (cache.path, cache.exists, cache.writable) == (str(tmp_path / "none" / "hf" / "hub"), False, True)
    assert cache.free_gb > 0
    full = FolderState(purpose="Temporary files", path="/t", exists=True, writable=True, free_gb=0.2)
    closed = full.model_copy(update={"writable": False})
    other = closed.model_copy(update={"purpose": "Current folder"})
    found = folder_findings((full, closed, other, cache))
    assert [(finding.kind, finding.text) for finding in found] == [
        ("note", "Temporary files: the disk of /t has 0.2 GB left."),
        ("problem", "Temporary files: no file can be written in /t."),
        ("note", "Current folder: no file can be written in /t."),
    ]


def test_a_gpu_that_torch_does_not_find(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = DeviceState(name="cpu", title="x86_64")
    assert devices()[0].name == "cpu"
    monkeypatch.setattr(machine.shutil, "which", lambda name: f"/usr/bin/{name}")
    (note,) = device_findings((cpu,))
    assert note.kind == "note"
    assert "torch finds no GPU" in note.text
    assert device_findings((cpu, DeviceState(name="cuda:0", title="H200", memory_gb=140.0))) == []
    monkeypatch.setattr(machine.shutil, "which", lambda name: None)
    assert device_findings((cpu,)) == []


def engine(**changes: object) -> EngineTest:
    values = {"name": "torch", "description": "torch 2", "load_seconds": 1.0, "image_seconds": 0.0251}
    return EngineTest.model_validate({**values, "dice": 1.0, "words_equal": True, "error": None, **changes})


def test_engines_that_differ_or_fail() -> None:
    first = engine(name="onnx", dice=0.9991)
    assert engine_findings((first, engine())) == []
    nothing = dict.fromkeys(("description", "image_seconds", "dice", "words_equal"))
    broken = engine(**nothing, error="ImportError: no libfoo")
    found = engine_findings((first, engine(dice=0.9), engine(words_equal=False), broken))
    assert [finding.kind for finding in found] == ["problem"] * 3
    assert "Dice of the masks 0.9000, equal words" in found[0].text
    assert "other words" in found[1].text
    assert found[2].text == "The engine torch cannot predict: ImportError: no libfoo"
    assert "--force-reinstall torch" in found[2].remedy
    assert engine_findings(())[0].kind == "problem"


def test_the_self_test_gives_the_stored_result_and_survives_a_broken_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(self_test, "is_installed", lambda package: package != "torch")
    tests = engine_tests()
    assert [test.name for test in tests] == ["onnx", "openvino"]
    for test in tests:
        assert (test.words_equal, test.error) == (True, None)
        assert test.dice is not None
        assert test.dice > 0.999
        assert test.image_seconds is not None
        assert 0 < test.image_seconds < 10
    predictor = self_test.Predictor

    def broken(run: str, options: lexiseg.PredictionOptions) -> lexiseg.Predictor:
        if options.engine == "onnx":
            raise ImportError("no libfoo")
        return predictor(run, options)

    monkeypatch.setattr(self_test, "Predictor", broken)
    first, second = engine_tests()
    assert (first.description, first.dice, first.error) == (None, None, "ImportError: no libfoo")
    assert second.words_equal


def test_a_changed_result_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_test, "is_installed", lambda package: package == "onnxruntime")
    stored = expectation()
    # As if the engine had moved the mask by 2 pixels, or retrieved another word.
    moved = replace(stored, mask=np.roll(stored.mask, 2, axis=1))
    words = stored.words.model_copy(update={"phrases": ("other", *stored.words.phrases[1:])})
    for changed, said in (
        (moved, "equal words"),
        (replace(stored, words=words), "Dice of the masks 1.0000, other words"),
    ):
        monkeypatch.setattr(self_test, "expectation", lambda changed=changed: changed)
        (found,) = engine_findings(engine_tests())
        assert (found.kind, said in found.text) == ("problem", True), found.text


def test_the_stored_result_is_that_of_a_drawn_chest_with_lesions() -> None:
    stored = expectation()
    assert stored.words.model in model_names()
    assert stored.image.shape == (224, 224, 3)
    assert 0.05 < stored.mask.mean() < 0.2
    assert len(stored.words.phrases) == 4
    assert "bilateral pulmonary infection" in stored.words.phrases


def test_a_damaged_file_of_the_expectation_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(self_test, "is_installed", lambda package: package == "onnxruntime")
    monkeypatch.setattr("lexiseg.installation.expectation.FOLDER", tmp_path)
    (found,) = engine_findings(engine_tests())
    assert "FileNotFoundError" in found.text
    assert "image.png" in found.text


def test_a_broken_torch_does_not_end_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "is_installed", lambda package: True)
    # What `import torch` meets where its library is damaged.
    monkeypatch.setitem(sys.modules, "torch", None)
    assert [device.name for device in devices()] == ["cpu"]


def report(*findings: Finding) -> InstallationReport:
    return InstallationReport(
        lexiseg="0.2.0",
        python="3.11.7",
        platform="Linux",
        packages={"numpy": "2.0"},
        extras=(),
        devices=(
            DeviceState(name="cpu", title="x86_64"),
            DeviceState(name="cuda:0", title="H200", memory_gb=140),
        ),
        cores=4,
        threads=2,
        folders=(FolderState(purpose="Current folder", path="/x", exists=True, writable=True, free_gb=9.0),),
        engines=(engine(name="onnx", description="onnx 1", dice=0.9994), engine()),
        findings=findings,
    )


def test_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    note = Finding(kind="note", text="A note.", remedy="Read it.")
    problem = Finding(kind="problem", text="It is broken.", remedy="Mend it.")
    monkeypatch.setattr("lexiseg.installation.check.check_installation", lambda: report(note))
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 0
    times = "25 ms per image, ready after 1.0 s"
    assert done.stdout.splitlines() == [
        "Lexiseg 0.2.0, Python 3.11.7, Linux",
        "Packages: numpy 2.0",
        "Device cpu: x86_64",
        "Device cuda:0: H200, 140.0 GB",
        "Processor cores: 4; threads of an engine: 2",
        "Current folder: /x, 9.0 GB free",
        f"Self-test of onnx 1: {times}; Dice with the stored mask 0.9994, equal words",
        f"Self-test of torch 2: {times}; Dice with the stored mask 1.0000, equal words",
        "Nothing is broken.",
    ]
    assert done.stderr == "Note: A note. Read it.\n"
    monkeypatch.setattr("lexiseg.installation.check.check_installation", lambda: report(problem, note))
    done = CliRunner().invoke(app, ["doctor", "--json"])
    assert done.exit_code == 1
    assert [finding["kind"] for finding in json.loads(done.stdout)["findings"]] == ["problem", "note"]
    assert "Problem: It is broken. Mend it.\n" in done.stderr
    assert "Nothing is broken" not in done.stderr
    assert CliRunner().invoke(app, ["doctor", "-q"]).output == (
        "Problem: It is broken. Mend it.\nNote: A note. Read it.\n"
    )
