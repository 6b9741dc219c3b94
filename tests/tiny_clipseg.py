"""A CLIPSeg small enough for tests, with a tokenizer, as a folder: no file of it is downloaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace, WhitespaceSplit
from tokenizers.processors import TemplateProcessing
from transformers import CLIPSegConfig, CLIPSegForImageSegmentation, PreTrainedTokenizerFast

_SENTENCE = "segmentation area of [ temp ] . , and in the"
_CHEST = (
    "bilateral unilateral pulmonary infection one multiple infected areas upper middle lower left right lung "
    "no lesion"
)
_WORDS = f"{_SENTENCE} {_CHEST}".split(" ")
_UNKNOWN, _START, _END = "<unknown>", "<start>", "<end>"

CONFIG: dict[str, Any] = {
    "text_config": {
        "hidden_size": 16,
        "intermediate_size": 20,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "vocab_size": len(_WORDS) + 3,
        "max_position_embeddings": 40,
        "bos_token_id": len(_WORDS) + 1,
        "eos_token_id": len(_WORDS) + 2,
        "pad_token_id": len(_WORDS) + 2,
    },
    "vision_config": {
        "hidden_size": 24,
        "intermediate_size": 20,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 16,
    },
    "projection_dim": 12,
    "extract_layers": [0, 1, 2],
    "reduce_dim": 8,
    "decoder_num_attention_heads": 2,
    "decoder_intermediate_size": 10,
    "conditional_layer": 0,
    "use_complex_transposed_convolution": True,
}


def tiny_tokenizer(*, whole: bool = False) -> PreTrainedTokenizerFast:
    """Return a tokenizer of whole words, which cuts the mark "[temp]." into parts, as CLIP's does."""
    tokens = [*_WORDS, _UNKNOWN, _START, _END]
    body = Tokenizer(WordLevel({word: i for i, word in enumerate(tokens)}, unk_token=_UNKNOWN))
    body.normalizer = Lowercase()
    body.pre_tokenizer = WhitespaceSplit() if whole else Whitespace()
    body.post_processor = TemplateProcessing(
        single=f"{_START} $A {_END}",
        special_tokens=[(name, tokens.index(name)) for name in (_START, _END)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=body, unk_token=_UNKNOWN, bos_token=_START, eos_token=_END, pad_token=_END
    )


def write_clipseg(folder: Path, *, seed: int = 0) -> Path:
    """Write config.json, model.safetensors and the tokenizer's files; return the folder."""
    torch.manual_seed(seed)
    net = CLIPSegForImageSegmentation(CLIPSegConfig.from_dict(CONFIG))
    folder.mkdir(parents=True, exist_ok=True)
    tiny_tokenizer().save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    save_file({k: v.contiguous() for k, v in net.state_dict().items()}, folder / "model.safetensors")
    return folder
