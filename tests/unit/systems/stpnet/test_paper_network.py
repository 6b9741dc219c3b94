from __future__ import annotations

import pytest
import torch

from lexiseg.systems.stpnet.paper_network import RETRIEVAL_SCALE, FactorOutput, StpNet, StpNetOutput
from refusals import refuses


def test_every_parameter_and_no_published_dead_weight_is_built(meta_net: StpNet) -> None:
    assert sum(parameter.numel() for parameter in meta_net.parameters()) == 79_932_021


def test_probability_and_retrieval_by_hand() -> None:
    factor = FactorOutput(
        logits=torch.zeros(1, 2),
        text=torch.ones(2, 4),
        similarity=torch.tensor([[1.0, 2.0]]),
        index=torch.tensor([1]),
    )
    output = StpNetOutput(
        logits=torch.zeros(1, 1, 2, 2), image_embedding=torch.zeros(1, 4), factors={"left_lung": factor}
    )
    assert output.probability.unique().item() == 0.5
    torch.testing.assert_close(output.retrieval["left_lung"], factor.similarity * RETRIEVAL_SCALE)


@pytest.mark.parametrize("shape", [(1, 3, 256, 256), (1, 1, 224, 224), (3, 224, 224)])
def test_other_image_sizes_are_refused(meta_net: StpNet, shape: tuple[int, ...]) -> None:
    with refuses("LEX-USE-035", "224 x 224"):
        meta_net(torch.zeros(shape, device="meta"))


def test_a_training_batch_of_one_image_is_refused(meta_net: StpNet) -> None:
    meta_net.train()
    try:
        with refuses("LEX-USE-036", "at least 2 images"):
            meta_net(torch.zeros(1, 3, 224, 224, device="meta"))
    finally:
        meta_net.eval()


@pytest.mark.parametrize(
    "shapes",
    [{}, {"a": (2, 30, 768)}, {"a": (2, 1, 30, 768), "b": (2, 1, 30, 384)}, {"a": (0, 1, 30, 768)}],
)
def test_banks_that_do_not_fit_are_refused(shapes: dict[str, tuple[int, ...]]) -> None:
    with refuses("LEX-WEIGHTS-035", "one text bank of shape"):
        StpNet({name: torch.zeros(shape) for name, shape in shapes.items()})


def test_a_text_width_that_does_not_divide_the_features_is_refused() -> None:
    with refuses("LEX-WEIGHTS-036", "divide 602112; the"):
        StpNet({"a": torch.zeros(2, 1, 30, 100)})


def test_other_factors_widths_and_layers_work() -> None:
    generator = torch.Generator().manual_seed(0)
    banks = {
        "shape": torch.randn(3, 2, 20, 384, generator=generator),
        "size": torch.randn(4, 2, 20, 384, generator=generator),
    }
    net = StpNet(banks).eval()
    with torch.inference_mode():
        output = net(torch.randn(1, 3, 224, 224, generator=generator))
    assert output.probability.shape == output.logits.shape == (1, 1, 224, 224)
    assert output.image_embedding.shape == (1, 384)
    shape, size = output.factors["shape"], output.factors["size"]
    assert size.text.shape == (4, 384)
    assert shape.logits.shape == shape.similarity.shape == (1, 3)
    assert size.index.shape == (1,)
    assert torch.equal(size.index, output.retrieval["size"].argmax(dim=1))
    torch.testing.assert_close(shape.similarity, output.image_embedding @ shape.text.T)
