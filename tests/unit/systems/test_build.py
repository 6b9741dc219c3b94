from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from lexiseg.errors import UsageError, WeightsError
from lexiseg.models.spec import NetworkSpec
from lexiseg.systems.build import (
    IMAGENET,
    build_network,
    check_encoder_takes,
    check_image_size,
    count_parameters,
    load_weights,
    normalisation,
    save_weights,
)


def test_paper_preset_needs_text_and_one_class() -> None:
    with pytest.raises(UsageError, match="no form without text"):
        build_network(NetworkSpec(preset="paper"), None, pretrained=False)
    bank: object = object()
    with pytest.raises(UsageError, match="segments one class"):
        build_network(NetworkSpec(preset="paper", out_channels=3), bank, pretrained=False)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [32, 60, 100, 0, -64])
def test_image_sizes_that_do_not_fit_are_refused(size: int) -> None:
    with pytest.raises(UsageError, match=f"multiple of 32, at least 64; got {size}"):
        check_image_size(NetworkSpec(), size)


def test_image_sizes_that_fit() -> None:
    check_image_size(NetworkSpec(), 64)
    check_image_size(NetworkSpec(), 352)
    check_image_size(NetworkSpec(preset="paper"), 224)
    with pytest.raises(UsageError, match="takes 224 px only, not 256"):
        check_image_size(NetworkSpec(preset="paper"), 256)


def test_the_published_cotexnet_takes_any_size_and_needs_its_clipseg() -> None:
    spec = NetworkSpec(model="cotexnet", preset="paper")
    check_image_size(spec, 100)
    with pytest.raises(UsageError, match="at least 64; got 50"):
        check_image_size(spec, 50)
    with pytest.raises(WeightsError, match=r"`clipseg` in run\.json"):
        build_network(spec, None, pretrained=False)
    assert not spec.names_words
    assert NetworkSpec(model="cotexnet").names_words


def test_weights_leave_out_what_only_teaches(tmp_path: Path) -> None:
    class Taught(nn.Module):
        teaching_parts = ("teacher.", "noise")

        def __init__(self) -> None:
            super().__init__()
            self.body, self.teacher = nn.Linear(1, 1), nn.Linear(1, 1)
            self.noise = nn.Parameter(torch.zeros(1))

    save_weights(Taught(), tmp_path / "w.safetensors")
    assert load_file(tmp_path / "w.safetensors").keys() == {"body.weight", "body.bias"}


def test_normalisation_is_the_encoders_or_imagenets() -> None:
    assert normalisation(NetworkSpec(preset="paper")) == IMAGENET
    assert normalisation(NetworkSpec()).mean == (0.5, 0.5, 0.5)


def test_weights_come_back_as_they_were(tmp_path: Path) -> None:
    torch.manual_seed(0)
    saved = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)
    save_weights(saved, tmp_path / "w.safetensors")
    loaded = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    load_weights(loaded, tmp_path / "w.safetensors")
    assert all(
        torch.equal(a, b)
        for a, b in zip(saved.state_dict().values(), loaded.state_dict().values(), strict=True)
    )


def test_weights_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    network = nn.Conv2d(3, 4, 3)
    with pytest.raises(WeightsError, match=r"no weights at .*has not finished its first validation"):
        load_weights(network, tmp_path / "w.safetensors")
    (tmp_path / "w.safetensors").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="cannot be read"):
        load_weights(network, tmp_path / "w.safetensors")
    save_weights(nn.Conv2d(3, 5, 3), tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match="do not fit the network of the run"):
        load_weights(network, tmp_path / "w.safetensors")


def test_parameters_are_counted() -> None:
    assert count_parameters(nn.Conv2d(3, 4, 3)) == 4 * 3 * 9 + 4


def test_an_encoder_of_one_size_is_refused_for_others() -> None:
    class OneSize(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            assert image.shape[-1] == 224, "Input size must be 224"
            return image

    encoder = OneSize()
    check_encoder_takes(encoder, name="swin_some", sizes={224})
    assert encoder.training
    with pytest.raises(
        UsageError,
        match=r"'swin_some' cannot take images of 160 px: Input size must be 224\. .*`small_first: 0`",
    ):
        check_encoder_takes(encoder, name="swin_some", sizes={160, 224})
