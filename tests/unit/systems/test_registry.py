from __future__ import annotations

import pytest

from lexiseg.errors import UsageError, WeightsError
from lexiseg.models.normalisation import IMAGENET
from lexiseg.models.spec import NetworkSpec
from lexiseg.systems.registry import build_network, get


def test_paper_preset_needs_text_and_one_class() -> None:
    with pytest.raises(UsageError, match="no form without text"):
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
