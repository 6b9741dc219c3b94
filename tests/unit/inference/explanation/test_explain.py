from __future__ import annotations

import html
import importlib
import re
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from html_page import Page
from lexiseg.data.readers import read_image
from lexiseg.inference.batches.batch import predict_to_files
from lexiseg.inference.explanation.card import (
    LIMIT_OF_HEAT,
    LIMIT_OF_WHAT_IF,
    NOT_FLAGGED,
    build_card,
    card_findings,
)
from lexiseg.inference.explanation.explain import (
    AVERAGED,
    CORRECTED,
    MIRROR,
    NO_HEAT,
    NO_WORDS,
    ONE_EMBEDDING,
    Explanation,
    explain,
)
from lexiseg.inference.explanation.overlay import draw_heat
from lexiseg.inference.inputs.target_search import find_targets
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.volumes.batch import predict_volumes_to_files
from lexiseg.inference.volumes.targets import find_volumes
from lexiseg.inference.writers.tar import into_archives
from lexiseg.systems.cotexnet.compact_prompt_trace import trace_prompts as trace_cotexnet
from lexiseg.systems.registry import get
from refusals import refuses
from threshold_predictor import write_image
from volume_files import ct_series

FACTORS = ("laterality", "count", "left", "right")


@pytest.fixture(scope="module")
def stpnet(tmp_path_factory: Any, make_run: Any) -> Predictor:
    return Predictor(make_run(tmp_path_factory.mktemp("runs") / "stpnet", side="patient", prompted=True)[0])


@pytest.fixture(scope="module")
def cotexnet(tmp_path_factory: Any, make_run: Any) -> Predictor:
    return Predictor(
        make_run(tmp_path_factory.mktemp("runs") / "cotexnet", model="cotexnet", prompted=True)[0]
    )


@pytest.fixture(scope="module")
def explained(stpnet: Predictor, images: list[Path]) -> Explanation:
    return explain(stpnet, images[1])


def test_the_plain_mask_is_the_predicted_one(
    stpnet: Predictor, cotexnet: Predictor, images: list[Path]
) -> None:
    for predictor in (stpnet, cotexnet):
        explanation = explain(predictor, images[1])
        prediction = predictor.predict(images[1])
        assert np.array_equal(explanation.prediction.mask, prediction.mask)
        assert (explanation.plain != prediction.mask).mean() < 1e-3  # another batch size rounds otherwise
        assert tuple(word.factor for word in explanation.words) == FACTORS


def test_stpnet_shows_the_attention_of_the_retrieved_phrase(
    stpnet: Predictor, explained: Explanation, images: list[Path]
) -> None:
    with torch.inference_mode():
        output: Any = stpnet.engine.network(stpnet.engine.tensor(stpnet.prepare([read_image(images[1])])))
    assert explained.heat_kind == "attention"
    sizes = stpnet.run.vocabulary.sizes
    for position, (word, shown) in enumerate(
        zip(explained.prediction.words, explained.words, strict=True)
    ):  # fmt: skip
        attention = output.attention[0, sum(sizes[:position]) + word.index]
        np.testing.assert_allclose(shown.heat, attention / attention.max(), atol=1e-4)
        assert shown.heat.shape == (4, 4)


def test_coarse_words_of_stpnet_prompt_all_scales(explained: Explanation) -> None:
    strides, heard = zip(*explained.scales, strict=True)
    assert strides == tuple(sorted(strides, reverse=True))
    assert heard[0] == FACTORS[: len(heard[0])]
    assert [len(factors) for factors in heard] == sorted(len(factors) for factors in heard)
    assert heard[-1] == FACTORS


def test_stpnet_under_a_forced_phrase(stpnet: Predictor, explained: Explanation, images: list[Path]) -> None:
    """What is decoded under a forced phrase is what a network that is sure of it decodes."""
    x = stpnet.engine.tensor(stpnet.prepare([read_image(images[1])]))
    network: Any = stpnet.engine.network
    phrase = explained.words[2].what_if[0].phrase
    index = stpnet.run.vocabulary.factors[2].phrases.index(phrase)
    bias = network.retrieval.bias.detach().clone()
    sizes = stpnet.run.vocabulary.sizes
    try:
        network.retrieval.bias.data[sum(sizes[:2]) + index] += 1000
        with torch.inference_mode():
            sure = network(x).logits
    finally:
        network.retrieval.bias.data.copy_(bias)
    mask = stpnet.on_grid(sure.numpy(), explained.plain.shape)[0]
    forced = explained.words[2].what_if[0]
    assert (forced.mask != mask).mean() < 1e-3
    assert (mask != explained.plain).any()  # else the phrase would do nothing here
    same = ((forced.mask == explained.plain) & (forced.mask > 0)).sum()
    total = (forced.mask > 0).sum() + (explained.plain > 0).sum()
    assert forced.overlap == pytest.approx(2 * same / total)
    assert forced.area_change == int(forced.mask.sum()) - int(explained.plain.sum())


def test_the_card_of_a_network_without_heat(
    stpnet: Predictor, explained: Explanation, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the published STPNet is: phrases prompt its encoder, and where they act is not shown."""
    system = get("stpnet", "compact")
    trace_prompts: Any = system.builders.trace_prompts

    def without_heat(*given: Any, **named: Any) -> Any:
        return replace(trace_prompts(*given, **named), heat={}, heat_kind=None, prompted_part="encoder")

    builders = replace(system.builders, trace_prompts=without_heat)
    changed = replace(system, load_builders=lambda: builders)
    monkeypatch.setattr(
        importlib.import_module("lexiseg.inference.explanation.explain"), "system_of", lambda named: changed
    )
    found = explain(stpnet, images[1])
    assert NO_HEAT in found.notes
    assert all(word.heat is None for word in found.words)
    assert [word.what_if[0].overlap for word in found.words] == [
        word.what_if[0].overlap for word in explained.words
    ]
    card = build_card(read_image(images[1]), found, name="a", run="b")
    assert "Coarse words prompt all scales of the encoder; coarser scales get more words." in card
    assert "Where this phrase acts" not in card
    assert len(Page(card).all("img")) == 1 + 4


def test_every_runner_up_is_asked_about(explained: Explanation) -> None:
    for word, shown in zip(explained.prediction.words, explained.words, strict=True):
        assert [(w.phrase, w.confidence) for w in shown.what_if] == list(word.runners_up)


def test_cotexnet_moves_its_embedding(cotexnet: Predictor, images: list[Path]) -> None:
    explanation = explain(cotexnet, images[0])
    assert explanation.heat_kind == "gradient"
    assert explanation.scales == ()
    assert ONE_EMBEDDING in explanation.notes
    for shown in explanation.words:
        assert shown.heat.shape == (4, 4)
        assert shown.heat.min() >= 0
        assert shown.heat.max() in (pytest.approx(1.0), 0.0)
    asked = [what_if for shown in explanation.words for what_if in shown.what_if]
    moved = [what_if for what_if in asked if what_if.mask is not None]
    assert moved  # of a network with random weights, some phrases at least can be forced
    assert any(what_if.overlap < 1 for what_if in moved)
    assert all((what_if.mask is None) == (what_if.overlap is None) for what_if in asked)


def test_cotexnets_gradient_is_that_of_its_score(cotexnet: Predictor, images: list[Path]) -> None:
    """A small step along the gradient changes the log probability as the heat's sum says."""
    network: Any = cotexnet.engine.network
    x = cotexnet.engine.tensor(cotexnet.prepare([read_image(images[0])]))
    retrieved = {word.factor: word.index for word in cotexnet.predict(images[0]).words}
    trace = trace_cotexnet(network, x, retrieved=retrieved, forced=[])
    with torch.no_grad():
        pyramid = network.levels.choose(network.encoder(x))
        tokens = network.embedding.read(pyramid[-2], pyramid[-1])

        def score(factor: str, cell: int, scale: float) -> float:
            changed = tokens.clone()
            changed[0, cell] *= scale
            log = network.phrases(network.embedding(changed))[factor].log_softmax(dim=-1)
            return float(log[0, retrieved[factor]])

        for factor, heat in trace.heat.items():
            cell = int(heat.argmax())
            slope = (score(factor, cell, 1.01) - score(factor, cell, 0.99)) / 0.02
            assert float(heat.max()) == pytest.approx(max(slope, 0.0), rel=0.1, abs=1e-3)


def test_explaining_changes_nothing(cotexnet: Predictor, images: list[Path]) -> None:
    before = {name: value.clone() for name, value in cotexnet.engine.network.state_dict().items()}
    first = cotexnet.predict(images[0])
    explain(cotexnet, images[0], prediction=first)
    assert all(torch.equal(v, before[name]) for name, v in cotexnet.engine.network.state_dict().items())
    assert all(parameter.grad is None for parameter in cotexnet.engine.network.parameters())
    assert np.array_equal(first.probability, cotexnet.predict(images[0]).probability)


def test_without_words_there_is_the_mask_alone(tmp_path: Path, make_run: Any, images: list[Path]) -> None:
    for model in ("stpnet", "cotexnet"):
        predictor = Predictor(make_run(tmp_path / model, text="none", model=model)[0])
        explanation = explain(predictor, images[0])
        assert (explanation.words, explanation.heat_kind) == ((), None)
        assert explanation.notes == (NO_WORDS,)
        assert NO_WORDS in build_card(read_image(images[0]), explanation, name="a", run="b")


def test_flip_averaging_is_said(stpnet: Predictor, images: list[Path]) -> None:
    assert MIRROR in explain(Predictor(stpnet.run, PredictionOptions(flip_average=True)), images[0]).notes


def test_several_classes(tmp_path: Path, make_run: Any, images: list[Path]) -> None:
    explanation = explain(Predictor(make_run(tmp_path / "run", classes=3)[0]), images[0])
    masks = [what_if.mask for word in explanation.words for what_if in word.what_if]
    assert all(mask is not None and mask.max() <= 2 for mask in masks)
    card = build_card(read_image(images[0]), explanation, name="a", run="b")
    assert "Lesion" in card
    assert "Nodule" in card


def test_a_prediction_of_another_image_is_refused(stpnet: Predictor, images: list[Path]) -> None:
    with refuses("LEX-USE-039", "image of (64,"):
        explain(stpnet, images[1], prediction=stpnet.predict(images[0]))


def test_the_card_is_one_file_with_everything_said(explained: Explanation, images: list[Path]) -> None:
    card = build_card(read_image(images[1]), explained, name="exam/<7>", run="stpnet")
    page = Page(card)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.elements}
    assert not re.search(r"https?://|url\(|@import|src=\"(?!data:)", card)
    pictures = [attributes for tag, attributes in page.elements if tag == "img"]
    assert len(pictures) == 1 + 4 + 4
    assert all(len(picture["alt"] or "") > 20 for picture in pictures)
    assert "exam/&lt;7&gt;" in card
    assert "<7>" not in card
    note = "Sides: left means the patient&#39;s left"
    # Beside the mask, and at the factors that speak of left and right; not at laterality and count.
    sections = re.findall(r"<section.*?</section>", card, re.DOTALL)
    assert [note in section for section in sections] == [False, False, True, True]
    assert card.count(note) == 1 + 2
    for word in explained.prediction.words:
        assert card.count(word.phrase) >= 3  # heading, table, scales
        for phrase, _ in word.runners_up:
            assert phrase in card
    table = card[card.index("Words by scale") : card.index("Word by word")]
    words = {word.factor: word for word in explained.prediction.words}
    for (_, heard), row in zip(explained.scales, table.split("<tr>")[2:], strict=True):
        text = html.unescape(re.sub("<[^>]*>", "", row))
        for word in (words[factor] for factor in heard):
            shares = [(word.phrase, word.confidence), *word.runners_up]
            first, *others = [(phrase, f"{100 * share:.0f}\N{NO-BREAK SPACE}%") for phrase, share in shares]
            told = "".join(f"; {phrase}: {share}" for phrase, share in others)
            assert f"{word.title}: {first[0]} ({first[1]}{told})" in text
    assert "not for clinical use" in card


def with_effects(explained: Explanation, *overlaps: float | None) -> Explanation:
    """Return the explanation with these overlaps of the last word's three forced phrases."""
    plain, last = explained.plain, explained.words[-1]
    forced = [
        replace(other, overlap=overlap, area_change=0, mask=None if overlap is None else plain)
        for other, overlap in zip(last.what_if, overlaps, strict=True)
    ]
    return replace(explained, words=(*explained.words[:-1], replace(last, what_if=tuple(forced))))


@pytest.mark.parametrize(
    ("overlaps", "said", "pictured"),
    [
        ((1.0, 1.0, 1.0), "No other phrase changes the mask.", None),
        ((1.0, None, 1.0), "No other phrase that could be forced changes the mask.", None),
        ((None, None, None), None, None),
        ((1.0, 0.981, 0.99), "The mask hardly changes under any other phrase: the Dice stays above 0.98.", 1),
        ((1.0, 0.98, 0.5), None, 2),
        ((0.0, 0.98, 0.5), None, 0),
    ],
)
def test_the_card_says_how_much_other_phrases_change(
    explained: Explanation,
    images: list[Path],
    overlaps: tuple[float | None, ...],
    said: str | None,
    pictured: int | None,
) -> None:
    found = with_effects(explained, *overlaps)
    card = build_card(read_image(images[1]), found, name="a", run="b")
    section = card[card.rindex("<section") : card.rindex("</main>")]
    text = Page(section).text
    if said is None:
        assert "No other phrase" not in text
        assert "hardly changes" not in text
        assert "<details>" not in section
    else:
        assert said in text
        # One line, which a reader can open.
        assert section.index("<details>") < section.index("<table")
        assert said in html.unescape(section[: section.index("</summary>")])
    assert section.count("<img") == 1 + (pictured is not None)
    if pictured is not None:
        assert f"What if \N{LEFT DOUBLE QUOTATION MARK}{found.words[-1].what_if[pictured].phrase}" in text
    assert re.findall(r'<th class="n">([^<]*)</th>', section) == [
        "Confidence", "Dice with the predicted mask", "Change of area, pixels",
    ]  # fmt: skip


def test_the_card_of_an_empty_mask(explained: Explanation, images: list[Path]) -> None:
    nothing = np.zeros_like(explained.plain)
    reason = "low confidence: expected Dice 0.31 (no lesion found)"
    empty = replace(
        with_effects(explained, 1.0, 1.0, 1.0),
        plain=nothing,
        prediction=replace(explained.prediction, mask=nothing, flagged=True, reasons=(reason,)),
    )
    page = Page(build_card(read_image(images[1]), empty, name="a", run="b"))
    assert "No lesion found: the predicted mask is empty." in page.text
    assert reason in page.text
    assert "outlined in orange" not in page.text
    assert "Outline: the mask." not in page.text
    assert page.all("img")[0]["alt"] == "a without an outline: no lesion was found."


def test_what_is_not_enough_for_the_flag_has_a_heading(explained: Explanation, images: list[Path]) -> None:
    heading = "Signals below the limit of the flag"
    for flagged, reasons, headed in ((False, ("odd",), True), (True, ("odd",), False), (False, (), False)):
        prediction = replace(explained.prediction, flagged=flagged, reasons=reasons)
        card = build_card(read_image(images[1]), replace(explained, prediction=prediction), name="a", run="b")
        assert (heading in card) == headed
        assert ("A person should check this" in card) == flagged


def test_the_card_does_not_say_that_no_review_is_needed(explained: Explanation, images: list[Path]) -> None:
    """What the page of `lexiseg serve` says of an image without a flag."""
    texts = resources.files("lexiseg.serving") / "page" / "texts" / "en.js"
    assert f'"{NOT_FLAGGED}"' in texts.read_text(encoding="utf-8")
    for flagged, said in ((False, NOT_FLAGGED), (True, "a person should check this image")):
        prediction = replace(explained.prediction, flagged=flagged, expected_dice=0.67)
        card = build_card(read_image(images[1]), replace(explained, prediction=prediction), name="a", run="b")
        assert said in card
        assert "not needed" not in card


def test_the_card_says_what_it_does_not_show(explained: Explanation, images: list[Path]) -> None:
    text = Page(build_card(read_image(images[1]), explained, name="a", run="b")).text
    assert f"What this card does not show. {LIMIT_OF_HEAT} {LIMIT_OF_WHAT_IF}" in text
    dark = replace(explained, heat_kind=None, words=tuple(replace(w, heat=None) for w in explained.words))
    text = Page(build_card(read_image(images[1]), dark, name="a", run="b")).text
    assert f"What this card does not show. {LIMIT_OF_WHAT_IF}" in text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"flagged": True, "expected_dice": 0.312}, "A person should check this; the expected Dice of the "
         "mask is 0.31."),
        ({"flagged": False, "expected_dice": 0.9}, "Not flagged; the expected Dice of the mask is 0.90. "
         "This does not mean that the mask is right."),
        ({"flagged": True, "unlike_training_images": ("colour",)}, "A person should check "
         "this: the image is unlike the training images, so the expected Dice is unknown."),
        ({"flagged": False, "agreement": 0.75}, "Not flagged; 75\N{NO-BREAK SPACE}% of "
         "the words agree"),
        ({"agreement": None, "flagged": False}, "This run cannot tell how good the mask is"),
        ({"words": ()}, "This run names no words."),
        ({"area_px": {"lesion": 0}}, "The mask is empty: no lesion was found."),
        ({"area_px": {"lesion": 64, "nodule": 0}}, "The mask marks lesion in 64 pixels ("),
    ],
)  # fmt: skip
def test_the_finding_of_a_card_is_true_of_its_prediction(
    explained: Explanation, changes: dict[str, Any], said: str
) -> None:
    plain = replace(explained.prediction, expected_dice=None, unlike_training_images=None)
    sentences = card_findings(replace(plain, **changes))
    assert len(sentences) == 3
    assert any(sentence.startswith(said) for sentence in sentences)


def test_a_drawn_phrase_is_compared_with_what_could_be_forced(
    explained: Explanation, images: list[Path]
) -> None:
    for overlaps, said in (
        ((1.0, 0.5, 1.0), "No phrase but this one changes the mask."),
        ((0.9, 0.5, 1.0), "This phrase changes the mask the most."),
        ((None, 0.5, 1.0), "Of the phrases that could be forced, this one changes the mask the most."),
    ):
        card = build_card(read_image(images[1]), with_effects(explained, *overlaps), name="a", run="b")
        assert said in Page(card[card.rindex("<section") : card.rindex("</main>")]).text


def test_notes_have_no_marks_of_another_format() -> None:
    # The card is HTML, which shows a backtick as it is.
    for note in (
        CORRECTED,
        NO_WORDS,
        NO_HEAT,
        ONE_EMBEDDING,
        MIRROR,
        AVERAGED,
        LIMIT_OF_HEAT,
        LIMIT_OF_WHAT_IF,
    ):
        assert "`" not in note


def test_the_card_on_a_phone_and_on_paper(explained: Explanation, images: list[Path]) -> None:
    card = build_card(read_image(images[1]), explained, name="a", run="b")
    # Without `screen` a sheet of paper, which is narrower, would get the layout of a phone.
    kinds = ["screen and (max-width: 900px)", "screen and (max-width: 720px)", "print"]
    assert re.findall(r"@media ([^{]+) \{", card) == [*kinds, *kinds[1:]]
    assert "@page { margin:" in card
    assert re.search(r"[, ]tr, [^{]*\{ break-inside: avoid; \}", card)
    tables = re.findall(r"<table class=\"stack\">.*?</table>", card, re.DOTALL)
    assert len(tables) == 1 + len(FACTORS)
    cells = [cell for table in tables[1:] for cell in re.findall(r"<td([^>]*)>([^<]+)</td>", table)]
    assert len(cells) > 8
    assert all("data-label=" in attributes for attributes, _ in cells)


def test_cards_on_request_and_a_bad_file_stops_nothing(
    stpnet: Predictor, images: list[Path], tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for path in images[:2]:
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "image0a.png").write_bytes(b"no image")
    summary = predict_to_files(stpnet, find_targets([folder]), tmp_path / "out", formats=("mask", "card"))
    assert (summary.done, len(summary.failed)) == (2, 1)
    cards = sorted(path.name for path in (tmp_path / "out" / "cards").iterdir())
    assert cards == ["image0.html", "image1.html"]
    predict_to_files(stpnet, find_targets([folder]), tmp_path / "plain")
    assert not (tmp_path / "plain" / "cards").exists()


def test_heat_is_light_where_it_acts() -> None:
    image = np.full((40, 60, 3), 100, np.uint8)
    heat = np.zeros((4, 6), np.float32)
    heat[:, :2] = 1.0
    picture = np.asarray(draw_heat(image, heat, np.zeros((40, 60), np.uint8))).astype(int)
    assert picture.shape == (40, 60, 3)
    assert (picture[20, 4] > picture[20, 55] + 20).any()
    assert picture[20, 4].sum() > picture[20, 55].sum() + 100
    assert len(set(picture[20, 55].tolist())) == 1  # grey and dimmed where nothing acts
    assert picture[20, 55, 0] < 100


class TestAnotherEngine:
    """What cannot be explained is refused before a file of an earlier prediction is touched."""

    @pytest.mark.parametrize("tar", [None, 5])
    def test_earlier_results_of_images_stay(self, tmp_path: Path, tar: int | None) -> None:
        write_image(tmp_path / "a.png")
        out, targets = tmp_path / "out", find_targets([tmp_path / "a.png"])
        predictor = Predictor("covid-xray", PredictionOptions(engine="onnx"))
        predict_to_files(predictor, targets, out)
        before = files(out)
        writers = ("card",) if tar is None else into_archives(("card",), tar)
        with refuses("LEX-USE-870", "onnx"):
            predict_to_files(predictor, targets, out, formats=writers)
        assert files(out) == before

    def test_earlier_results_of_volumes_stay(self, tmp_path: Path) -> None:
        ct_series(tmp_path / "ct")
        out, targets = tmp_path / "out", find_volumes([tmp_path / "ct"]).targets
        predictor = Predictor("covid-xray", PredictionOptions(engine="onnx"))
        predict_volumes_to_files(predictor, targets, out)
        before = files(out)
        with refuses("LEX-USE-870", "onnx"):
            predict_volumes_to_files(predictor, targets, out, formats=("nifti", "card"))
        assert files(out) == before


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
