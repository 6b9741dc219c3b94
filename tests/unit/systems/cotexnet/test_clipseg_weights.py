from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from cotexnet_nets import Lesson
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPSegConfig, CLIPSegForImageSegmentation

from lexiseg.errors import WeightsError
from lexiseg.systems.cotexnet import clipseg_weights as pretrained_module
from lexiseg.systems.cotexnet.clipseg_weights import load_clipseg
from refusals import refuses

# What the published config.json holds besides, in part.
_LEGACY = {
    "architectures": ["CLIPSegForImageSegmentation"],
    "torch_dtype": "float32",
    "text_config_dict": None,
}


@pytest.fixture
def clipseg(config: dict[str, Any]) -> CLIPSegForImageSegmentation:
    torch.manual_seed(0)
    return CLIPSegForImageSegmentation(CLIPSegConfig.from_dict(config)).eval()


@pytest.fixture
def folder(clipseg: CLIPSegForImageSegmentation, config: dict[str, Any], tmp_path: Path) -> Path:
    config["text_config"] |= {"bad_words_ids": None, "num_beams": 1, "torch_dtype": None}
    (tmp_path / "config.json").write_text(json.dumps(config | _LEGACY))
    _save(clipseg.state_dict(), tmp_path)
    return tmp_path


def _save(state: dict[str, Tensor], folder: Path) -> None:
    save_file({key: value.contiguous() for key, value in state.items()}, folder / "model.safetensors")


def test_a_condition_gives_the_mask_clipseg_gives(
    folder: Path, clipseg: CLIPSegForImageSegmentation, lesson: Lesson
) -> None:
    net = load_clipseg(folder, num_classes=2).eval()
    with torch.inference_mode():
        output = net(lesson.image)
        condition = output.image_embedding * net.condition_scale + net.condition_shift
        expected = clipseg(pixel_values=lesson.image, conditional_embeddings=condition).logits
        torch.testing.assert_close(output.logits[:, 0], expected)
        text = clipseg.clip.get_text_features(lesson.input_ids, lesson.attention_mask).pooler_output
        torch.testing.assert_close(net.embed_text(*lesson[2:]), torch.sigmoid(text))


def test_several_classes_get_a_new_last_layer(folder: Path, clipseg: CLIPSegForImageSegmentation) -> None:
    net = load_clipseg(str(folder), num_classes=3)
    assert net.training
    assert net.decoder.output.weight.shape == (4, 3, 4, 4)
    assert net.decoder.output.bias is not None
    assert not net.decoder.output.bias.any()
    assert torch.equal(net.decoder.upsample[2].weight, clipseg.decoder.transposed_convolution[2].weight)


def test_position_indices_of_older_files_are_taken(
    folder: Path, clipseg: CLIPSegForImageSegmentation
) -> None:
    old = {"clip.vision_model.embeddings.position_ids": torch.arange(5)[None]}
    _save(clipseg.state_dict() | old, folder)
    load_clipseg(folder, num_classes=2)


@pytest.mark.parametrize("num_classes", [2, 3])
def test_weights_that_do_not_fit_are_refused_by_name(
    folder: Path, clipseg: CLIPSegForImageSegmentation, num_classes: int
) -> None:
    state = clipseg.state_dict()
    _save(state | {"clip.vision_model.encoder.layers.3.mlp.fc1.bias": torch.zeros(20)}, folder)
    with refuses("LEX-WEIGHTS-025", "1 unknown key:"):
        load_clipseg(folder, num_classes=num_classes)
    _save(state | {"decoder.film_mul.bias": torch.zeros(9)}, folder)
    with refuses("LEX-WEIGHTS-030", "key: decoder.film_mul.bias"):
        load_clipseg(folder, num_classes=num_classes)
    del state["clip.text_projection.weight"]
    _save(state, folder)
    with refuses("LEX-WEIGHTS-029", "CLIPSeg of '"):
        load_clipseg(folder, num_classes=num_classes)


def test_files_that_are_missing_or_broken_are_refused_by_name(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"nothing")
    with refuses("LEX-WEIGHTS-024", "weights '"):
        load_clipseg(folder, num_classes=2)
    (folder / "model.safetensors").unlink()
    with refuses("LEX-WEIGHTS-026", "no 'model.safetensors' in '"):
        load_clipseg(folder, num_classes=2)


def test_a_hub_that_cannot_be_reached_says_which_file_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(repository: str, name: str) -> Path:
        raise WeightsError(f"'{name}' of '{repository}' is not there.")

    monkeypatch.setattr(pretrained_module, "hub_file", unreachable)
    with refuses("LEX-WEIGHTS-027", "'config.json' of 'CIDAS/"):
        load_clipseg(num_classes=2)


def test_the_hub_is_not_asked_for_a_folder_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrained_module, "hub_file", lambda *_: pytest.fail("the hub was asked"))
    with refuses("LEX-WEIGHTS-1828", "There is no folder '"):
        load_clipseg(tmp_path / "clipseg", num_classes=2)
