from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from importlib.metadata import EntryPoint

import pytest

from lexiseg.errors import UsageError, WeightsError
from lexiseg.models.normalisation import IMAGENET
from lexiseg.models.spec import NetworkSpec
from lexiseg.systems import registry
from lexiseg.systems.registry import build_network, get, names, presets, register, systems
from registry_copy import copy_registry
from toy_system import TOY


def test_paper_preset_needs_text_and_one_class() -> None:
    with pytest.raises(UsageError, match="cannot be trained without text"):
        build_network(NetworkSpec(preset="paper"), None)
    bank: object = object()
    with pytest.raises(UsageError, match="segments one class"):
        build_network(NetworkSpec(preset="paper", out_channels=3), bank)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [32, 60, 100, 0, -64])
def test_image_sizes_that_do_not_fit_are_refused(size: int) -> None:
    with pytest.raises(UsageError, match=f"multiple of 32, at least 64; got {size}"):
        get("stpnet", "compact").image_sizes.check(size)


def test_image_sizes_that_fit() -> None:
    for name in ("stpnet", "cotexnet"):
        get(name, "compact").image_sizes.check(64)
        get(name, "compact").image_sizes.check(352)
    get("stpnet", "paper").image_sizes.check(224)
    with pytest.raises(UsageError, match="takes 224 px only, not 256"):
        get("stpnet", "paper").image_sizes.check(256)


def test_the_published_cotexnet_takes_any_size_and_needs_its_clipseg() -> None:
    spec, system = NetworkSpec(model="cotexnet", preset="paper"), get("cotexnet", "paper")
    system.image_sizes.check(100)
    with pytest.raises(UsageError, match="at least 64; got 50"):
        system.image_sizes.check(50)
    with pytest.raises(WeightsError, match=r"`clipseg` in run\.json"):
        build_network(spec, None)
    assert not system.names_words
    assert get("cotexnet", "compact").names_words


def test_normalisation_is_the_encoders_or_imagenets() -> None:
    published, compact = get("stpnet", "paper"), get("stpnet", "compact")
    assert published.builders.normalisation(NetworkSpec(preset="paper")) == IMAGENET
    assert compact.builders.normalisation(NetworkSpec()).mean == (0.5, 0.5, 0.5)


def test_every_system_says_what_it_is() -> None:
    found = systems()
    assert [(system.name, system.preset) for system in found] == [
        ("stpnet", "compact"),
        ("stpnet", "paper"),
        ("cotexnet", "compact"),
        ("cotexnet", "paper"),
    ]
    for system in found:
        assert get(system.name, system.preset) is system
        assert system.title
        assert system.summary
        assert system.citation.endswith(".")
        assert all(limit.endswith(".") for limit in system.limits)
        fields = system.configuration.model_fields
        assert (fields["model"].default, fields["preset"].default) == (system.name, system.preset)
        assert (system.builders.trace_prompts is not None) == system.names_words
    assert names(without_text=True) == ("stpnet", "cotexnet")


def test_unknown_systems_are_refused_with_those_that_exist() -> None:
    with pytest.raises(UsageError, match=r"(?s)expected one of stpnet, cotexnet; got 'unet'.*LEX-USE-501"):
        get("unet")
    with pytest.raises(UsageError, match=r"(?s)expected one of compact, paper; got 'huge'.*LEX-USE-502"):
        get("stpnet", "huge")


def point(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """Let a package bring a system by this entry point."""
    copy_registry(monkeypatch)
    points = [EntryPoint(name="toy", value=value, group=registry.ENTRY_POINTS)]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)


def test_an_entry_point_brings_a_system(monkeypatch: pytest.MonkeyPatch) -> None:
    point(monkeypatch, "toy_system:TOY")
    assert get("toy") is TOY
    assert names() == ("stpnet", "cotexnet", "toy")
    assert presets("toy") == ("small",)


def test_a_registered_system_replaces_another(monkeypatch: pytest.MonkeyPatch) -> None:
    copy_registry(monkeypatch)
    changed = replace(get("stpnet", "compact"), title="Another")
    register(changed)
    assert get("stpnet", "compact") is changed
    assert [system.name for system in systems()] == ["stpnet", "stpnet", "cotexnet", "cotexnet"]


def test_entry_points_that_bring_no_system_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        point(patch, "no_such_module:TOY")
        with pytest.raises(UsageError, match=r"(?s)'toy' of another package cannot be loaded.*LEX-USE-503"):
            systems()
    with monkeypatch.context() as patch:
        point(patch, "toy_system:BUILDERS")
        with pytest.raises(UsageError, match=r"(?s)must name a System or a sequence.*LEX-USE-504"):
            systems()


def test_the_registry_imports_no_torch() -> None:
    code = (
        "import sys; from lexiseg.systems.registry import systems; systems(); "
        "assert not {'torch', 'transformers', 'timm'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_settings_are_written_only_where_there_are_some() -> None:
    assert "settings" not in NetworkSpec().model_dump(mode="json")
    spec = NetworkSpec(settings={"channels": 4})
    assert NetworkSpec.model_validate(spec.model_dump(mode="json")) == spec
