"""A model on this machine: a LLaVA of random weights and one word per character, made on the spot."""

from __future__ import annotations

import asyncio
import io
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from PIL import Image

from lexiseg.describing.describe import describe
from lexiseg.describing.multimodal import local_model as local_module
from lexiseg.describing.multimodal.local_model import LocalModel
from lexiseg.describing.multimodal.model import LmmOptions
from lexiseg.describing.multimodal.prompt import make_question
from lexiseg.errors import WeightsError
from lexiseg.words.vocabulary import load_vocabulary
from refusals import refuses

TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }}: {% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<image>{% else %}{{ c['text'] }}{% endif %}{% endfor %}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


@pytest.fixture(scope="module")
def tiny_llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a LLaVA that fits into a megabyte."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        PreTrainedTokenizerFast,
    )

    characters = ["<unk>", "<pad>", "</s>", "<image>", *map(chr, range(32, 127)), "\n"]
    words = {character: index for index, character in enumerate(characters)}
    inner = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    inner.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        unk_token="<unk>",
        pad_token="<pad>",
        eos_token="</s>",
        additional_special_tokens=["<image>"],
    )
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    torch.manual_seed(0)
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(image_size=8, patch_size=4, projection_dim=16, **sizes),
        text_config=LlamaConfig(vocab_size=len(words), max_position_embeddings=4096, **sizes),
        image_token_index=words["<image>"],
        vision_feature_layer=-1,
    )
    model = LlavaForConditionalGeneration(config)
    model.generation_config.eos_token_id = words["</s>"]
    model.generation_config.pad_token_id = words["<pad>"]
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessor(size={"shortest_edge": 8}, crop_size={"height": 8, "width": 8}),
        tokenizer=tokenizer,
        patch_size=4,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    )
    folder = tmp_path_factory.mktemp("models") / "tiny-llava"
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def short_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_module, "MAX_TOKENS", 6)


def picture(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((20, 30, 3), value, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def test_it_reads_picture_and_question_and_writes(tiny_llava: Path) -> None:
    model = LocalModel(LmmOptions(model=str(tiny_llava)))
    question = make_question(load_vocabulary("polyp"), "polyp")
    first = asyncio.run(model.answer(question, picture(0), None))
    again = asyncio.run(model.answer(question, picture(0), None))
    assert first == again  # the most likely answer, without chance
    assert len(first.text) <= 6
    assert first.tokens[0] > len(question.text)
    assert first.tokens[1] <= 6
    told = asyncio.run(model.answer(question, picture(0), ("nonsense", "it is no JSON")))
    assert told.tokens[0] > first.tokens[0] + len("nonsense") + len("it is no JSON")


def test_what_it_cannot_say_is_measured(
    tiny_llava: Path, discs: Callable[[int], Path], tmp_path: Path
) -> None:
    lmm = LmmOptions(model=str(tiny_llava), tries=2)
    described = describe(discs(3), tmp_path / "d.jsonl", source="lmm", vocabulary="polyp", lmm=lmm)
    assert len(described.fell_back) == 3
    for line in described.lines:
        assert line.factors["shape"] == "round"
        assert line.provenance.model_dump()["server"] is None
        assert "no valid reply in 2" in str(line.provenance)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with refuses("LEX-WEIGHTS-050", "--base-url"):
        LocalModel(LmmOptions(model=str(tmp_path / "empty")))


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the hub's host refuse, and return the folder of a cache that is empty."""

    def refuse(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("urllib.request.getproxies", dict)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("name", ["owner/no-such-model", "models/no/such-folder"])
def test_without_the_hub_it_says_what_is_missing_and_what_to_do(name: str) -> None:
    with pytest.raises(WeightsError) as caught:
        LocalModel(LmmOptions(model=name))
    assert str(caught.value) == (
        f"The multimodal model '{name}' is no folder, is not whole in the Hugging Face cache and cannot be "
        "downloaded: https://huggingface.co does not answer. Missing: config.json; model.safetensors or "
        "model.safetensors.index.json with its parts; processor_config.json or preprocessor_config.json; "
        "tokenizer.json or tokenizer_config.json. Copy all files of the model's page on the hub into a "
        "folder and give its path (--model FOLDER), or ask a server with --base-url."
    )


def test_what_the_cache_has_is_not_missing(offline: Path) -> None:
    repository = offline / "models--owner--half"
    for name, text in {
        "refs/main": "abc",
        "snapshots/abc/config.json": "{}",
        "snapshots/abc/tokenizer.json": "{}",
        "snapshots/abc/model.safetensors.index.json": "{}",
    }.items():
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text(text)
    with refuses("LEX-WEIGHTS-050", "Missing: processor_config.json"):
        LocalModel(LmmOptions(model="owner/half"))


def test_a_model_without_chat_template_is_refused(tiny_llava: Path, tmp_path: Path) -> None:
    folder = tmp_path / "untuned"
    shutil.copytree(tiny_llava, folder, ignore=shutil.ignore_patterns("chat_template*"))
    with refuses("LEX-WEIGHTS-051", "--base-url"):
        LocalModel(LmmOptions(model=str(folder)))
