"""The published CoTexNet, number for number, against the outputs of the published code."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from lexiseg.systems.cotexnet.paper_network import CoTexNet, CoTexNetTrainingOutput
from lexiseg.systems.cotexnet.paper_objective import PaperCoTexNetObjective
from lexiseg.systems.cotexnet.published_keys import load_published, split_keys
from published_checkpoints import published_cotexnet
from script_module import load_script

_DECODER = "clipsegp.clipseg.decoder"
_ROI_TOWER, _TOWER = "im2text.vision_model", "clipsegp.clipseg.clip.vision_model"
# What the published module is constructed with; the last one is CLIP's.
_CONSTRUCTED = {"weight_alpha": 0.2, "var": 1.0, "mean": -0.002, "logit_scale": 2.6592}


class Case(NamedTuple):
    net: CoTexNet
    checkpoint: dict[str, Tensor]
    image: Tensor
    roi: Tensor
    expected: dict[str, Tensor]

    @property
    def text(self) -> tuple[Tensor, Tensor]:
        return self.expected["input_ids"], self.expected["attention_mask"]


@pytest.fixture(scope="module")
def fill(shared_dir: Path) -> ModuleType:
    return load_script(shared_dir / "reference" / "fill.py")


def _checkpoint(reference: Path, fill: ModuleType, *, num_classes: int) -> dict[str, Tensor]:
    entries = json.loads((reference / "cotexnet_keys.json").read_text())
    shapes = {entry["name"]: tuple(entry["shape"]) for entry in entries}
    assert len(shapes) == 228
    if num_classes > 2:
        for part in ("weight", "bias"):
            del shapes[f"{_DECODER}.transposed_convolution.4.{part}"]
        shapes[f"{_DECODER}.output_convolution.weight"] = (32, num_classes, 4, 4)
        shapes[f"{_DECODER}.output_convolution.bias"] = (num_classes,)
    state = {}
    for name, shape in shapes.items():
        constructed = _CONSTRUCTED.get(name.rpartition(".")[2])
        if constructed is None:
            state[name] = torch.from_numpy(fill.value_for(name.replace(_ROI_TOWER, _TOWER), shape))
        else:
            state[name] = torch.full(shape, constructed)
    return state


@pytest.fixture(
    scope="module",
    params=[("binary", "cotexnet.visible", 2), ("multiclass", "cotexnet.visible.multi", 4)],
    ids=["binary", "multiclass"],
)
def case(request: pytest.FixtureRequest, shared_dir: Path, fill: ModuleType) -> Case:
    name, tag, num_classes = request.param
    reference = shared_dir / "reference"
    checkpoint = _checkpoint(reference, fill, num_classes=num_classes)
    net = load_published(checkpoint, reference / "cotexnet_config.json", num_classes)
    image = torch.from_numpy(fill.normal(f"{tag}.x", (2, 3, 64, 64)))
    mask = torch.from_numpy(fill.normal(f"{tag}.mask", (2, 1, 64, 64))) > 0
    expected = load_file(reference / f"cotexnet_{name}.safetensors")
    return Case(net, checkpoint, image, image * mask, expected)


def test_outputs_match_the_published_code(case: Case) -> None:
    with torch.inference_mode():
        seen = case.net(case.image)
        taught = case.net.teach(case.image, case.roi, *case.text)
        sentence = case.net.embed_text(*case.text)
    found = {
        "infer_probability": seen.probability,
        "infer_image_embedding": seen.image_embedding,
        "train_probability": taught.probability,
        "train_image_embedding": taught.image_embedding,
        "train_text_embedding": taught.text_embedding,
        "text_embedding_without_roi": sentence,
        "distillation": taught.distillation[None],
    }
    assert found.keys() | {"input_ids", "attention_mask"} == case.expected.keys()
    for name, value in found.items():
        torch.testing.assert_close(
            value, case.expected[name], atol=1e-5, rtol=0, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_every_key_is_used_or_known_to_be_unused_and_written_back(case: Case) -> None:
    split = split_keys(case.checkpoint, case.net)
    assert split.unused == (
        "clipsegp.clipseg.clip.logit_scale",
        "clipsegp.clipseg.clip.visual_projection.weight",
    )
    assert (len(split.used), len(split.copies), len(split.unknown)) == (171, 55, 0)
    written = published_cotexnet(case.net)
    assert written.keys() == {*split.used, *split.copies}
    assert all(torch.equal(value, case.checkpoint[name]) for name, value in written.items())


@pytest.mark.parametrize(("num_classes", "channels"), [(2, 1), (3, 3)])
def test_reference_compat_is_what_monai_makes_of_probabilities(num_classes: int, channels: int) -> None:
    from monai.losses import DiceCELoss
    from monai.networks import one_hot

    logits = torch.randn(2, channels, 5, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(40).view(2, 1, 5, 4) % num_classes
    truth = labels.float() if channels == 1 else one_hot(labels, channels)
    output = CoTexNetTrainingOutput(
        logits=logits,
        image_embedding=torch.zeros(2, 3),
        text_embedding=torch.zeros(2, 3),
        distillation=torch.tensor(0.5),
    )
    parts = PaperCoTexNetObjective(reference_compat=True)(output, labels)
    torch.testing.assert_close(parts["total"], DiceCELoss()(torch.sigmoid(logits), truth) + 5)
