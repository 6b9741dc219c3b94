"""What a check of the installation calls broken, and what it recommends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

import lexiseg
from lexiseg.cli.app import app
from lexiseg.extras import install_command
from lexiseg.installation import machine, packages, self_test
from lexiseg.installation.machine import device_findings, devices, folder_findings, folders
from lexiseg.installation.packages import by_extra, extra_states, package_findings, requirements
from lexiseg.installation.report import DeviceState, EngineTest, Finding, FolderState, InstallationReport
from lexiseg.installation.self_test import engine_findings, engine_tests

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
    values = {"name": "torch", "description": "torch 2", "seconds": 1.0, "dice": 1.0, "words_equal": True}
    return EngineTest.model_validate({**values, "error": None, **changes})


def test_engines_that_differ_or_fail() -> None:
    first = engine(name="onnx", dice=None, words_equal=None)
    assert engine_findings((first, engine())) == []
    broken = {"description": None, "dice": None, "words_equal": None, "error": "ImportError: no libfoo"}
    found = engine_findings((first, engine(dice=0.9), engine(words_equal=False), engine(**broken)))
    assert [finding.kind for finding in found] == ["problem"] * 3
    assert "Dice of the masks 0.9000, equal words" in found[0].text
    assert "other words" in found[1].text
    assert found[2].text == "The engine torch cannot predict: ImportError: no libfoo"
    assert "--force-reinstall torch" in found[2].remedy
    assert engine_findings(())[0].kind == "problem"


def test_the_self_test_finds_equal_masks_and_survives_a_broken_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(self_test, "is_installed", lambda package: package != "torch")
    first, second = engine_tests()
    assert (first.name, first.dice, first.error) == ("onnx", None, None)
    assert (second.name, second.words_equal, second.error) == ("openvino", True, None)
    assert second.dice is not None
    assert second.dice > 0.999
    predictor = self_test.Predictor

    def broken(run: str, options: lexiseg.PredictionOptions) -> lexiseg.Predictor:
        if options.engine == "onnx":
            raise ImportError("no libfoo")
        return predictor(run, options)

    monkeypatch.setattr(self_test, "Predictor", broken)
    first, second = engine_tests()
    assert (first.description, first.error) == (None, "ImportError: no libfoo")
    assert (second.description is None, second.dice) == (False, None)


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
        engines=(engine(name="onnx", dice=None, words_equal=None), engine()),
        findings=findings,
    )


def test_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    note = Finding(kind="note", text="A note.", remedy="Read it.")
    problem = Finding(kind="problem", text="It is broken.", remedy="Mend it.")
    monkeypatch.setattr("lexiseg.installation.check.check_installation", lambda: report(note))
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "Lexiseg 0.2.0, Python 3.11.7, Linux",
        "Packages: numpy 2.0",
        "Device cpu: x86_64",
        "Device cuda:0: H200, 140.0 GB",
        "Processor cores: 4; threads of an engine: 2",
        "Current folder: /x, 9.0 GB free",
        "Self-test of torch 2: 1.0 s",
        "Self-test of torch 2: 1.0 s, Dice of the masks 1.0000, equal words",
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
