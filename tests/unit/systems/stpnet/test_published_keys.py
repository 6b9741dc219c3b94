from __future__ import annotations

import logging

import pytest
import torch
from torch import Tensor

from lexiseg.errors import WeightsError
from lexiseg.models.published_checkpoint import without_prefix
from lexiseg.systems.stpnet.paper_network import StpNet
from lexiseg.systems.stpnet.published_keys import load_published, published_names, split_keys
from published_checkpoints import published_stpnet
from refusals import refuses


@pytest.fixture
def checkpoint(meta_net: StpNet) -> dict[str, Tensor]:
    return published_stpnet(meta_net)


def _load(checkpoint: dict[str, Tensor], banks: dict[str, Tensor]) -> StpNet:
    with torch.device("meta"):
        return load_published(checkpoint, banks)


def test_names_are_one_to_one_and_published(meta_net: StpNet) -> None:
    names = published_names(meta_net)
    assert names.keys() == meta_net.state_dict().keys()
    assert len(set(names.values())) == len(names) == 1132
    assert names["stem.conv.weight"] == "inc.conv.weight"
    assert names["image_encoder.layer3.22.bn3.running_var"] == "imgencoder.resnet.layer3.22.bn3.running_var"
    assert names["token_encoders.0.positions"] == "downVit.embeddings.position_embeddings"
    assert names["token_decoders.2.narrow.norm.bias"] == "upVit2.CTBN2.norm.bias"
    assert names["heads.3.output.weight"] == "img_linear4.mlp.layers.3.weight"


def test_a_whole_checkpoint_loads_in_eval_mode(
    checkpoint: dict[str, Tensor], published_banks: dict[str, Tensor]
) -> None:
    net = _load(checkpoint, published_banks)
    assert not net.training
    assert net.factor_names == ("laterality", "count", "left", "right")


def test_unused_keys_are_dropped_by_name_with_a_count(
    checkpoint: dict[str, Tensor],
    published_banks: dict[str, Tensor],
    meta_net: StpNet,
    caplog: pytest.LogCaptureFixture,
) -> None:
    dead = ("upVit.head.weight", "imgencoder.resnet.fc.bias", "img_linear3.mlp.bns.3.weight")
    checkpoint |= {key: torch.zeros(1) for key in dead}
    split = split_keys(checkpoint, meta_net)
    assert split.unused == dead
    assert len(split.used) == 1132
    assert not split.unknown
    with caplog.at_level(logging.INFO):
        _load(checkpoint, published_banks)
    assert f"Dropped 3 keys that are never used: {', '.join(dead)}" in caplog.text


@pytest.mark.parametrize(
    "key", ["img_linear3.mlp.bns.2.weight", "upVit2.CTBN2.norm.bias", "van_cls2.proj_1.bias"]
)
def test_no_used_key_counts_as_unused(meta_net: StpNet, key: str) -> None:
    assert split_keys([key], meta_net).used == (key,)


def test_no_key_is_both(meta_net: StpNet) -> None:
    assert split_keys(published_names(meta_net).values(), meta_net).unused == ()


def test_a_missing_key_is_refused_by_name(
    checkpoint: dict[str, Tensor], published_banks: dict[str, Tensor]
) -> None:
    del checkpoint["fusion_cnn1.2.weight"]
    with refuses("LEX-WEIGHTS-039", "key: fusion_cnn1.2.weight."):
        _load(checkpoint, published_banks)


def test_many_missing_keys_are_counted_and_ten_named(published_banks: dict[str, Tensor]) -> None:
    with pytest.raises(WeightsError, match=r"\d{3} missing keys: (\S+, ){9}\S+, and \d{3} more\."):
        _load({}, published_banks)


def test_a_misshapen_key_is_refused_by_name(
    checkpoint: dict[str, Tensor], published_banks: dict[str, Tensor]
) -> None:
    checkpoint["outc.weight"] = torch.zeros(2, 64, 1, 1)
    expected = r"1 misshapen key: outc\.weight \(expected \(1, 64, 1, 1\), found \(2, 64, 1, 1\)\)"
    with pytest.raises(WeightsError, match=expected):
        _load(checkpoint, published_banks)


def test_an_unknown_key_is_refused_by_name(
    checkpoint: dict[str, Tensor], published_banks: dict[str, Tensor]
) -> None:
    checkpoint["down5.nConvs.0.conv.weight"] = torch.zeros(1)
    with refuses("LEX-WEIGHTS-038", "down5.nConvs.0.conv.weight"):
        _load(checkpoint, published_banks)


def test_step_counters_may_be_missing(
    checkpoint: dict[str, Tensor], published_banks: dict[str, Tensor]
) -> None:
    kept = {key: value for key, value in checkpoint.items() if not key.endswith("num_batches_tracked")}
    assert len(kept) < len(checkpoint)
    _load(kept, published_banks)


def test_the_prefix_of_data_parallel_is_stripped(
    checkpoint: dict[str, Tensor], published_banks: dict[str, Tensor]
) -> None:
    _load({f"module.{key}": value for key, value in checkpoint.items()}, published_banks)
    mixed = {"module.a": torch.zeros(1), "b": torch.zeros(1)}
    assert without_prefix(mixed).keys() == mixed.keys()


def test_a_missing_bank_is_refused_by_name(
    checkpoint: dict[str, Tensor], published_banks: dict[str, Tensor]
) -> None:
    del published_banks["num_emb"]
    with refuses("LEX-WEIGHTS-041", "missing; found: Unilateral_emb"):
        _load(checkpoint, published_banks)


def test_an_unknown_bank_is_refused_by_name(
    checkpoint: dict[str, Tensor], published_banks: dict[str, Tensor]
) -> None:
    published_banks["shape_emb"] = published_banks["num_emb"]
    with refuses("LEX-WEIGHTS-042", "found also shape_emb"):
        _load(checkpoint, published_banks)


def test_banks_with_other_phrases_than_the_checkpoint_are_refused(
    checkpoint: dict[str, Tensor], published_banks: dict[str, Tensor]
) -> None:
    published_banks["left_loc_emb"] = torch.zeros(7, 1, 30, 768, device="meta")
    with refuses("LEX-WEIGHTS-040", "number of phrases in the banks"):
        _load(checkpoint, published_banks)
