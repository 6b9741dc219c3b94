from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from cotexnet_nets import Lesson, build
from torch import Tensor, nn
from transformers import CLIPSegConfig
from transformers.models.clipseg.modeling_clipseg import CLIPSegDecoder

from lexiseg.errors import UsageError
from lexiseg.systems.cotexnet.film_decoder import FilmDecoder
from lexiseg.systems.cotexnet.paper_network import CoTexNet, distillation_loss
from published_checkpoints import published_cotexnet
from refusals import refuses

_FROZEN = ("vision_model.", "text_model.", "text_projection.")


@pytest.mark.parametrize(("num_classes", "channels"), [(2, 1), (3, 3), (4, 4)])
@pytest.mark.parametrize("finer", [True, False])
def test_one_channel_for_two_classes_else_one_per_class(
    config: dict[str, Any], lesson: Lesson, num_classes: int, channels: int, finer: bool
) -> None:
    net = build(config | {"use_complex_transposed_convolution": finer}, num_classes)
    with torch.inference_mode():
        seen, taught = net(lesson.image), net.teach(*lesson)
    for output in (seen, taught):
        assert output.logits.shape == output.probability.shape == (3, channels, 32, 32)
        torch.testing.assert_close(output.probability, torch.sigmoid(output.logits))
        assert output.image_embedding.shape == (3, 12)
    assert taught.text_embedding.shape == (3, 12)
    assert taught.distillation.shape == ()


@pytest.mark.parametrize("size", [(32, 32), (64, 64), (48, 80), (16, 96), (33, 50), (7, 16)])
def test_any_size_works(net: CoTexNet, lesson: Lesson, size: tuple[int, int]) -> None:
    image = torch.randn(3, 3, *size)
    with torch.inference_mode():
        assert net(image).logits.shape == (3, 1, *size)
        assert net.teach(image, image, *lesson[2:]).logits.shape == (3, 1, *size)


def test_a_size_between_patches_is_filled_with_the_mean_colour(net: CoTexNet) -> None:
    image = torch.randn(1, 3, 40, 20)
    filled = torch.zeros(1, 3, 48, 32)
    filled[..., :40, :20] = image
    with torch.inference_mode():
        torch.testing.assert_close(net(image).logits, net(filled).logits[..., :40, :20])


def test_tokens_come_back_to_the_place_of_their_patch(net: CoTexNet) -> None:
    kept: dict[str, Tensor] = {}
    net.decoder.layers[-1].register_forward_hook(lambda _, __, output: kept.update(tokens=output))
    net.decoder.upsample.register_forward_pre_hook(lambda _, inputs: kept.update(grid=inputs[0]))
    with torch.inference_mode():
        net(torch.randn(1, 3, 32, 80))
    assert kept["grid"].shape == (1, 8, 2, 5)
    for row, column in ((0, 0), (0, 4), (1, 0), (1, 3)):
        assert torch.equal(kept["grid"][0, :, row, column], kept["tokens"][0, 1 + 5 * row + column])


def test_the_decoder_is_that_of_clipseg(config: dict[str, Any]) -> None:
    torch.manual_seed(0)
    clipseg = CLIPSegDecoder(CLIPSegConfig.from_dict(config)).eval()
    ours = FilmDecoder(CLIPSegConfig.from_dict(config), 2).eval()
    ours.load_state_dict(
        {
            key.replace("transposed_convolution.4", "output").replace(
                "transposed_convolution", "upsample"
            ): value
            for key, value in clipseg.state_dict().items()
        }
    )
    features, condition = [torch.randn(2, 1 + 9, 24) for _ in range(3)], torch.randn(2, 12)
    with torch.inference_mode():
        expected = clipseg(features, condition).logits[:, None]
        torch.testing.assert_close(ours(features, condition, (3, 3)), expected)


def test_result_depends_neither_on_the_batch_nor_on_the_memory_format(net: CoTexNet, lesson: Lesson) -> None:
    alone = Lesson(*(part[1:2] for part in lesson))
    alone = alone._replace(image=alone.image.contiguous(memory_format=torch.channels_last))
    with torch.inference_mode():
        for all_of_them, one in (
            (net(lesson.image), net(alone.image)),
            (net.teach(*lesson), net.teach(*alone)),
        ):
            for name in ("logits", "image_embedding", "text_embedding"):
                if hasattr(one, name):
                    expected = getattr(all_of_them, name)[1:2]
                    torch.testing.assert_close(getattr(one, name), expected, atol=1e-5, rtol=0)
        each = [net.teach(*(part[row : row + 1] for part in lesson)).distillation for row in range(3)]
        torch.testing.assert_close(net.teach(*lesson).distillation, torch.stack(each).mean())


@pytest.mark.parametrize("num_classes", [2, 3])
def test_gradients_reach_every_trainable_part_and_no_frozen_one(
    config: dict[str, Any], lesson: Lesson, num_classes: int
) -> None:
    net = build(config, num_classes).train()
    output = net.teach(*lesson)
    (output.logits.square().mean() + output.distillation).backward()
    for name, parameter in net.named_parameters():
        assert parameter.requires_grad is not name.startswith(_FROZEN), name
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name
        else:
            assert parameter.grad is None, name


def test_distillation_moves_the_image_embedding_only(net: CoTexNet, lesson: Lesson) -> None:
    net.teach(*lesson).distillation.backward()
    moved = {name.split(".")[0] for name, value in net.named_parameters() if value.grad is not None}
    assert moved == {"image_projection"}


def test_frozen_parts_stay_in_eval_mode(config: dict[str, Any]) -> None:
    fresh = CoTexNet(CLIPSegConfig.from_dict(config), 2)
    for net in (fresh, fresh.eval().train()):
        modes = {name: module.training for name, module in net.named_modules() if name}
        assert modes["decoder"]
        assert modes["pseudo_word"]
        assert not any(mode for name, mode in modes.items() if f"{name}.".startswith(_FROZEN))


def test_the_vision_tower_is_stored_once(net: CoTexNet) -> None:
    keys = net.state_dict().keys()
    assert [key for key in keys if "class_embedding" in key] == ["vision_model.embeddings.class_embedding"]
    assert len(published_cotexnet(net)) > len(keys)


def test_inference_needs_nothing_of_the_text(net: CoTexNet, lesson: Lesson) -> None:
    with torch.inference_mode():
        expected = net(lesson.image).logits
        for part in ("text_model", "text_projection", "pseudo_word"):
            delattr(net, part)
        assert torch.equal(net(lesson.image).logits, expected)


def test_the_image_embedding_has_two_sigmoids(net: CoTexNet, lesson: Lesson) -> None:
    kept: list[Tensor] = []
    net.image_projection.register_forward_hook(lambda _, __, output: kept.append(output))
    with torch.inference_mode():
        embedding = net(lesson.image).image_embedding
    torch.testing.assert_close(embedding, 1 / (1 + torch.exp(-1 / (1 + torch.exp(-kept[0])))))


def test_the_class_token_is_taken_before_the_last_normalisation(net: CoTexNet, lesson: Lesson) -> None:
    with torch.inference_mode():
        before = net.teach(*lesson)
        nn.init.normal_(net.vision_model.post_layernorm.weight)
        after = net.teach(*lesson)
    assert torch.equal(before.logits, after.logits)
    assert torch.equal(before.text_embedding, after.text_embedding)


def test_the_pseudo_word_replaces_word_and_position_at_5(net: CoTexNet, lesson: Lesson) -> None:
    read: list[Tensor] = []
    net.text_model.encoder.register_forward_pre_hook(
        lambda _, __, kwargs: read.append(kwargs["inputs_embeds"]), with_kwargs=True
    )
    words: list[Tensor] = []
    net.pseudo_word.register_forward_hook(lambda _, __, output: words.append(output))
    with torch.inference_mode():
        net.embed_text(*lesson[2:])
        net.embed_text(*lesson[2:], lesson.roi)
    plain, replaced = read
    assert torch.equal(replaced[:, 5], words[0])
    others = [position for position in range(12) if position != 5]
    assert torch.equal(replaced[:, others], plain[:, others])


def test_the_text_embedding_hears_the_region_and_all_words_but_the_replaced(
    net: CoTexNet, lesson: Lesson
) -> None:
    def embed(position: int | None = None, roi: Tensor | None = lesson.roi) -> Tensor:
        ids = lesson.input_ids.clone()
        if position is not None:
            ids[:, position] = (ids[:, position] + 1) % 48
        return net.embed_text(ids, lesson.attention_mask, roi)

    with torch.inference_mode():
        assert torch.equal(embed(), embed(5))
        for other in (embed(4), embed(6), embed(roi=lesson.image), embed(roi=None)):
            assert (embed() - other).abs().max() > 1e-3


def test_nothing_of_a_region_stays_behind(net: CoTexNet, lesson: Lesson) -> None:
    with torch.inference_mode():
        before = net.embed_text(*lesson[2:])
        net.embed_text(*lesson[2:], lesson.roi)
        with pytest.raises(IndexError):
            net.embed_text(lesson.input_ids + 50, lesson.attention_mask, lesson.roi)
        assert torch.equal(net.embed_text(*lesson[2:]), before)


def test_the_noise_share_goes_from_text_to_image(net: CoTexNet, lesson: Lesson) -> None:
    conditions: list[Tensor] = []
    net.decoder.register_forward_pre_hook(lambda _, inputs: conditions.append(inputs[1]))
    with torch.inference_mode():
        net.condition_scale.fill_(3.0)
        net.condition_shift.fill_(0.5)
        taught = net.teach(*lesson)
        seen = net(lesson.image)
        text, image = taught.text_embedding, taught.image_embedding
        torch.testing.assert_close(conditions[0], 3 * (0.8 * text + 0.2 * image) + 0.5)
        torch.testing.assert_close(conditions[1], 3 * image + 0.5)
        assert (taught.logits - seen.logits).abs().max() > 1e-3
        net.noise_share.fill_(1.0)
        assert torch.equal(net.teach(*lesson).logits, seen.logits)


def test_learned_scalars_start_as_published(config: dict[str, Any]) -> None:
    net = CoTexNet(CLIPSegConfig.from_dict(config), 2)
    found = [net.noise_share.item(), net.condition_scale.item(), net.condition_shift.item()]
    assert found == pytest.approx([0.2, 1.0, -0.002])


def test_mixed_precision_keeps_the_embeddings_exact_enough(net: CoTexNet, lesson: Lesson) -> None:
    expected = net.teach(*lesson)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = net.teach(*lesson)
        (found.logits.float().mean() + found.distillation).backward()
    for name in ("image_embedding", "text_embedding", "distillation"):
        value = getattr(found, name)
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, getattr(expected, name), atol=0.05, rtol=0)
    assert net.pseudo_word[0].weight.grad is not None


def test_the_network_is_built_in_full_precision(config: dict[str, Any]) -> None:
    for part in (config, config["text_config"], config["vision_config"]):
        part["torch_dtype"] = "float16"
    net = CoTexNet(CLIPSegConfig.from_dict(config), 2)
    assert {parameter.dtype for parameter in net.parameters()} == {torch.float32}


def test_distillation_is_the_kl_of_softmaxes_from_text_to_image_per_image() -> None:
    image = torch.tensor([[math.log(3.0), 0.0], [0.0, 0.0]], requires_grad=True)  # 3/4, 1/4; 1/2, 1/2
    text = torch.tensor([[0.0, 0.0], [0.0, math.log(4.0)]], requires_grad=True)  # 1/2, 1/2; 1/5, 4/5
    first = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
    second = 0.2 * math.log(0.2 / 0.5) + 0.8 * math.log(0.8 / 0.5)
    loss = distillation_loss(image, text)
    assert loss.item() == pytest.approx((first + second) / 2, rel=1e-5)
    loss.backward()
    assert text.grad is None
    assert image.grad is not None


def test_how_little_the_published_distillation_tells() -> None:
    """The figures of docs/cotexnet.md."""
    text = (torch.arange(512) % 2).float()[None]
    low, high = 0.5, 1 / (1 + math.exp(-1))  # two sigmoids
    best, constant = low + (high - low) * text, torch.full_like(text, low)
    losses = [distillation_loss(image, text).item() for image in (best, constant, low + high - best)]
    assert losses == pytest.approx([0.06, 0.11, 0.17], abs=0.005)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 1, 32, 32), (1, 3, 0, 32)])
def test_what_is_no_image_is_refused(net: CoTexNet, lesson: Lesson, shape: tuple[int, ...]) -> None:
    image = torch.zeros(shape)
    with refuses("LEX-USE-030", "3, height, width),"):
        net(image)
    with refuses("LEX-USE-030", "3, height, width),"):
        net.teach(image, image, *lesson[2:])


def test_a_lesson_whose_parts_do_not_fit_is_refused(net: CoTexNet, lesson: Lesson) -> None:
    image, roi, ids, attention = lesson
    with refuses("LEX-USE-025", "region of interest"):
        net.teach(image, roi[..., :16], ids, attention)
    with refuses("LEX-USE-026", "but got 2"):
        net.teach(image, roi, ids[:2], attention[:2])
    with refuses("LEX-USE-027", "(3, 12) and (3, 11)"):
        net.teach(image, roi, ids, attention[:, :11])
    with refuses("LEX-USE-028", "sentences have 24"):
        net.teach(image, roi, ids.repeat(1, 2), attention.repeat(1, 2))


def test_a_sentence_that_ends_before_the_pseudo_word_is_refused(net: CoTexNet, lesson: Lesson) -> None:
    attention = lesson.attention_mask.clone()
    attention[1, 7:] = 0
    net.embed_text(lesson.input_ids, attention)
    attention[1, 6:] = 0
    with refuses("LEX-USE-029", "only 6 tokens"):
        net.embed_text(lesson.input_ids, attention)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extract_layers": [0, 3]}, r"extract_layers .* 0\.\.2, but they are \[0, 3\]"),
        ({"extract_layers": []}, r"extract_layers .* but they are \[\]"),
        ({"conditional_layer": 3}, r"conditional_layer .* 0\.\.2, but it is 3"),
        (
            {"vision_config": {"patch_size": 32, "image_size": 64}},
            "patches of 16 pixels, .* patch_size is 32",
        ),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(
    config: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    for key, value in change.items():
        config[key] = config[key] | value if isinstance(value, dict) else value
    with pytest.raises(UsageError, match=message):
        CoTexNet(CLIPSegConfig.from_dict(config), 2)


def test_fewer_than_two_classes_are_refused(config: dict[str, Any]) -> None:
    with refuses("LEX-USE-031", "least 2 classes"):
        CoTexNet(CLIPSegConfig.from_dict(config), 1)
