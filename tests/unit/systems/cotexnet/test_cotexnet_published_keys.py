from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from cotexnet_nets import build
from torch import Tensor

from lexiseg.errors import WeightsError
from lexiseg.systems.cotexnet.paper_network import CoTexNet
from lexiseg.systems.cotexnet.published_keys import (
    load_published,
    published_names,
    roi_tower_names,
    split_keys,
)
from published_checkpoints import published_cotexnet
from refusals import refuses

_CLIPSEG = "clipsegp.clipseg"


@pytest.fixture
def checkpoint(net: CoTexNet) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in published_cotexnet(net).items()}


@pytest.mark.parametrize(
    ("num_classes", "finer", "output"),
    [
        (2, True, "transposed_convolution.4"),
        (2, False, "transposed_convolution"),
        (3, True, "output_convolution"),
        (3, False, "output_convolution"),
    ],
)
def test_a_checkpoint_comes_back_as_it_was(
    config: dict[str, Any], num_classes: int, finer: bool, output: str
) -> None:
    config["use_complex_transposed_convolution"] = finer
    net = build(config, num_classes)
    published = published_cotexnet(net)
    assert f"{_CLIPSEG}.decoder.{output}.weight" in published
    loaded = load_published(published, config, num_classes)
    assert not loaded.training
    own = loaded.state_dict()
    assert own.keys() == net.state_dict().keys()
    assert all(torch.equal(value, own[key]) for key, value in net.state_dict().items())


def test_names_are_one_to_one_and_published(net: CoTexNet) -> None:
    names = published_names(net)
    assert names.keys() == net.state_dict().keys()
    assert len(set(names.values())) == len(names)
    assert names["pseudo_word.3.bias"] == "im2text.mapping_module.3.bias"
    assert names["image_projection.2.weight"] == f"{_CLIPSEG}.img_projection.layers.1.0.weight"
    assert names["image_projection.4.bias"] == f"{_CLIPSEG}.img_projection.fc_out.bias"
    assert names["noise_share"] == f"{_CLIPSEG}.weight_alpha"
    assert names["decoder.upsample.2.bias"] == f"{_CLIPSEG}.decoder.transposed_convolution.2.bias"
    copies = roi_tower_names(net)
    assert (
        copies["im2text.vision_model.pre_layrnorm.bias"] == f"{_CLIPSEG}.clip.vision_model.pre_layrnorm.bias"
    )
    assert len(copies) == sum(name.startswith("vision_model.") for name in names)


def test_unused_keys_are_dropped_by_name_with_a_count(
    checkpoint: dict[str, Tensor], config: dict[str, Any], net: CoTexNet, caplog: pytest.LogCaptureFixture
) -> None:
    dead = (
        f"{_CLIPSEG}.clip.logit_scale",
        f"{_CLIPSEG}.clip.visual_projection.weight",
        "im2text.vision_model.embeddings.position_ids",
        "img_projection.layers.0.0.weight",
    )
    assert split_keys([*dead, *checkpoint], net).unused == dead
    with caplog.at_level(logging.INFO):
        load_published(checkpoint | dict.fromkeys(dead, torch.zeros(1)), config, 2)
    assert f"Dropped 4 keys that are never used: {', '.join(dead)}" in caplog.text


def test_no_key_is_two_things(checkpoint: dict[str, Tensor], net: CoTexNet) -> None:
    split = split_keys(checkpoint, net)
    assert len(split.used) + len(split.copies) == len(checkpoint)
    assert split.unused == split.unknown == ()


@pytest.mark.parametrize(
    "key",
    [f"{_CLIPSEG}.var", "im2text.vision_model.embeddings.class_embedding", "im2text.mapping_module.0.bias"],
)
def test_a_missing_key_is_refused_by_name(
    checkpoint: dict[str, Tensor], config: dict[str, Any], key: str
) -> None:
    del checkpoint[key]
    with pytest.raises(WeightsError, match=rf"2 classes is incomplete: 1 missing key: {key}\."):
        load_published(checkpoint, config, 2)


@pytest.mark.parametrize("key", [f"{_CLIPSEG}.mean", "im2text.vision_model.pre_layrnorm.bias"])
def test_a_misshapen_key_is_refused_by_name(
    checkpoint: dict[str, Tensor], config: dict[str, Any], key: str
) -> None:
    checkpoint[key] = torch.zeros(7)
    with pytest.raises(WeightsError, match=rf"1 misshapen key: {key} \(expected \(\d+,\), found \(7,\)\)"):
        load_published(checkpoint, config, 2)


@pytest.mark.parametrize(
    "key", ["optimizer", "img_projection.layers.2.0.weight", f"{_CLIPSEG}.clip.text_model"]
)
def test_an_unknown_key_is_refused_by_name(
    checkpoint: dict[str, Tensor], config: dict[str, Any], key: str
) -> None:
    checkpoint[key] = torch.zeros(1)
    with pytest.raises(WeightsError, match=rf"1 unknown key: {key}\. Expected .* under the key 'model'"):
        load_published(checkpoint, config, 2)


def test_a_checkpoint_of_another_number_of_classes_is_refused(
    checkpoint: dict[str, Tensor], config: dict[str, Any]
) -> None:
    with refuses("LEX-WEIGHTS-028", "with 3 classes"):
        load_published(checkpoint, config, 3)
    several = published_cotexnet(build(config, 4))
    with refuses("LEX-WEIGHTS-030", "output_convolution.weight"):
        load_published(several, config, 3)


def test_a_region_tower_of_its_own_is_refused(checkpoint: dict[str, Tensor], config: dict[str, Any]) -> None:
    checkpoint["im2text.vision_model.embeddings.class_embedding"] += 1e-3
    with refuses("LEX-WEIGHTS-034", "key: im2text.vision_model.emb"):
        load_published(checkpoint, config, 2)


def test_the_prefix_of_data_parallel_is_stripped(
    checkpoint: dict[str, Tensor], config: dict[str, Any]
) -> None:
    load_published({f"module.{key}": value for key, value in checkpoint.items()}, config, 2)


def test_the_configuration_may_be_a_file(
    checkpoint: dict[str, Tensor], config: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    load_published(checkpoint, path, 2)
    load_published(checkpoint, str(path), 2)


def test_a_configuration_that_cannot_be_read_is_refused(config: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    with refuses("LEX-WEIGHTS-031", "configuration '"):
        load_published({}, path, 2)
    path.write_text("{")
    with refuses("LEX-WEIGHTS-031", "configuration '"):
        load_published({}, path, 2)
    path.write_text("[]")
    with refuses("LEX-WEIGHTS-032", "config.json'"):
        load_published({}, path, 2)
    del config["vision_config"]
    with refuses("LEX-WEIGHTS-032", "text_config and vision_config,"):
        load_published({}, config, 2)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"projection_dim": "wide"}, "LEX-WEIGHTS-775"),
        ({"text_config": {"hidden_size": 7}}, "LEX-WEIGHTS-033"),
        ({"vision_config": 3}, "LEX-WEIGHTS-775"),
    ],
)
def test_a_configuration_that_is_not_valid_is_refused(
    config: dict[str, Any], change: dict[str, Any], code: str
) -> None:
    with refuses(code, "CLIPSeg configuration is"):
        load_published({}, config | change, 2)


def test_fewer_than_two_classes_are_refused(config: dict[str, Any]) -> None:
    with refuses("LEX-USE-031", "at least 2 classes"):
        load_published({}, config, 1)


def test_the_package_itself_does_not_import_transformers() -> None:
    code = "import sys, lexiseg.systems.cotexnet; assert 'transformers' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
