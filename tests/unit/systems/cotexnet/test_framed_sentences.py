from __future__ import annotations

import json
from pathlib import Path

import pytest

from lexiseg.errors import WeightsError
from lexiseg.systems.cotexnet import framed_sentences
from lexiseg.systems.cotexnet.framed_sentences import FRAME, FramedTokenizer, load_framed_tokenizer
from refusals import refuses
from tiny_clipseg import CONFIG, tiny_tokenizer, write_clipseg

SENTENCE = "Unilateral pulmonary infection, one infected area, upper left lung."

KNOWN = CONFIG["text_config"]["vocab_size"]


def tokens_of(tokenizer: FramedTokenizer, sentences: list[str]) -> list[list[str]]:
    ids, mask = tokenizer(sentences)
    plain = tiny_tokenizer()
    return [plain.convert_ids_to_tokens(row[kept.bool()]) for row, kept in zip(ids, mask, strict=True)]


def test_the_frame_comes_first() -> None:
    assert FRAME == "Segmentation area of [temp]. "
    tokenizer = FramedTokenizer(
        tiny_tokenizer(), position=5, max_tokens=40, vocabulary_size=KNOWN, name="tiny"
    )
    (tokens,) = tokens_of(tokenizer, [SENTENCE])
    assert tokens[:6] == ["<start>", "segmentation", "area", "of", "[", "temp"]
    assert tokens[7:10] == ["unilateral", "pulmonary", "infection"]
    assert tokens[-1] == "<end>"


def test_long_sentences_are_cut_and_keep_their_end() -> None:
    tokenizer = FramedTokenizer(
        tiny_tokenizer(), position=5, max_tokens=12, vocabulary_size=KNOWN, name="tiny"
    )
    ids, mask = tokenizer([SENTENCE, "One."])
    assert ids.shape == mask.shape == (2, 12)
    assert [row[-1] for row in tokens_of(tokenizer, [SENTENCE, "One."])] == ["<end>", "<end>"]


@pytest.mark.parametrize("position", [4, 5])
def test_every_part_of_the_mark_may_be_replaced(position: int) -> None:
    FramedTokenizer(tiny_tokenizer(), position=position, max_tokens=40, vocabulary_size=KNOWN, name="tiny")


@pytest.mark.parametrize(
    ("position", "found"), [(3, "'of', no part"), (7, "'', no part"), (50, "'', no part")]
)
def test_a_tokenizer_that_cuts_the_frame_otherwise_is_refused(position: int, found: str) -> None:
    with pytest.raises(WeightsError, match=rf"'tiny' cuts 'Segmentation area of .* is {found} of '\[temp\]'"):
        FramedTokenizer(
            tiny_tokenizer(), position=position, max_tokens=40, vocabulary_size=KNOWN, name="tiny"
        )


def test_it_loads_from_the_folder_of_a_clipseg(tmp_path: Path) -> None:
    tokenizer = load_framed_tokenizer(
        write_clipseg(tmp_path), position=5, max_tokens=40, vocabulary_size=KNOWN
    )
    assert tokens_of(tokenizer, ["One."])[0][5] == "temp"


def test_a_tokenizer_that_is_not_there_says_what_to_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with refuses("LEX-WEIGHTS-023", "tokenizer.json"):
        load_framed_tokenizer(tmp_path, position=5, max_tokens=40, vocabulary_size=KNOWN)
    monkeypatch.setattr(framed_sentences, "hub_is_reachable", lambda: False)
    with refuses("LEX-WEIGHTS-023", "'nobody/nothing' cannot be"):
        load_framed_tokenizer("nobody/nothing", position=5, max_tokens=40, vocabulary_size=KNOWN)


@pytest.mark.parametrize("content", [{"model": {"type": "WordLevel"}}, []])
def test_a_tokenizer_whose_file_is_damaged_is_refused(tmp_path: Path, content: object) -> None:
    file = write_clipseg(tmp_path) / "tokenizer.json"
    whole = json.loads(file.read_text())
    file.write_text(json.dumps({**whole, **content} if isinstance(content, dict) else content))
    with refuses("LEX-WEIGHTS-023", "tokenizer.json"):
        load_framed_tokenizer(tmp_path, position=5, max_tokens=40, vocabulary_size=KNOWN)


def test_a_tokenizer_without_a_padding_token_is_refused() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.pad_token = None
    with refuses("LEX-WEIGHTS-020", "tokenizer of 'tiny'"):
        FramedTokenizer(tokenizer, position=5, max_tokens=40, vocabulary_size=KNOWN, name="tiny")


def test_a_tokenizer_with_more_tokens_than_the_text_tower_knows_is_refused(tmp_path: Path) -> None:
    source = write_clipseg(tmp_path)
    message = rf"up to number {KNOWN - 1}, but the text tower beside it knows {KNOWN - 1}, numbers 0 to"
    with pytest.raises(WeightsError, match=f"tokenizer of '{source}' has tokens {message}"):
        load_framed_tokenizer(source, position=5, max_tokens=40, vocabulary_size=KNOWN - 1)
