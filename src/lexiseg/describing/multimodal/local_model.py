"""A local multimodal model: a `transformers` image-text-to-text model, by hub name or folder."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from lexiseg.describing.multimodal.model import Answer, LmmOptions
from lexiseg.describing.multimodal.prompt import Question, complaint
from lexiseg.describing.multimodal.server_model import MAX_TOKENS
from lexiseg.errors import WeightsError
from lexiseg.hub import hub_is_reachable, is_cached, why_offline
from lexiseg.open_files import open_errors, too_many_open

#: Files of a model; one file of each row is enough.
_FILES = (
    ("config.json",),
    ("model.safetensors", "model.safetensors.index.json with its parts"),
    ("processor_config.json", "preprocessor_config.json"),
    ("tokenizer.json", "tokenizer_config.json"),
)


class LocalModel:
    """Answers with a local model; code of a model is never executed.

    Args:
        options: Name or folder of the model. The device is a GPU if there is one, else the CPU.

    Raises:
        WeightsError: The model cannot be found or loaded, has another task, or has no chat template.
        DiskError: Too many files are open.
    """

    def __init__(self, options: LmmOptions) -> None:
        folder = Path(options.model).expanduser()
        source = str(folder) if folder.is_dir() else options.model
        is_offline = not folder.is_dir() and not hub_is_reachable()
        local = folder.is_dir() or is_offline
        with open_errors(source):
            # Imported here because it takes seconds.
            from transformers import AutoModelForImageTextToText, AutoProcessor

        try:
            self._processor: Any = AutoProcessor.from_pretrained(  # type: ignore[no-untyped-call]
                source, local_files_only=local, trust_remote_code=False
            )
            model: Any = AutoModelForImageTextToText.from_pretrained(
                source, local_files_only=local, trust_remote_code=False
            )
        except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
            raise too_many_open(source, error) or WeightsError(
                _why_not_loaded(options.model, error, is_offline=is_offline), code="LEX-WEIGHTS-050"
            ) from error
        if getattr(self._processor, "chat_template", None) is None:
            raise WeightsError(
                f"The multimodal model '{options.model}' has no chat template, so it cannot answer "
                f"questions. Use a version tuned for conversation, or a server with --base-url.",
                code="LEX-WEIGHTS-051",
            )
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model = model.to(self._device).eval()
        self._one_at_a_time = asyncio.Lock()

    async def close(self) -> None:
        """Do nothing: there are no connections."""

    async def answer(self, question: Question, picture: bytes, refused: tuple[str, str] | None) -> Answer:
        """Generate the most likely answer; see `VisionModel.answer`."""
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._generate, question, picture, refused)

    @torch.no_grad()
    def _generate(self, question: Question, picture: bytes, refused: tuple[str, str] | None) -> Answer:
        image = Image.open(io.BytesIO(picture)).convert("RGB")
        turns = [("user", [{"type": "image", "image": image}, {"type": "text", "text": question.text}])]
        if refused is not None:
            turns.append(("assistant", [{"type": "text", "text": refused[0]}]))
            turns.append(("user", [{"type": "text", "text": complaint(refused[1])}]))
        inputs = self._processor.apply_chat_template(
            [{"role": role, "content": content} for role, content in turns],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        ).to(self._device)
        read = inputs["input_ids"].shape[1]
        written = self._model.generate(**inputs, max_new_tokens=MAX_TOKENS, do_sample=False)[0, read:]
        text: str = self._processor.decode(written, skip_special_tokens=True)
        return Answer(text=text, tokens=(int(read), len(written)))


def _why_not_loaded(name: str, error: Exception, *, is_offline: bool) -> str:
    """Return the message for a model that cannot be loaded; without the hub, the missing files."""
    missing = [
        " or ".join(names)
        for names in _FILES
        if is_offline and not any(is_cached(name, file.partition(" ")[0]) for file in names)
    ]
    if missing:
        return (
            f"The multimodal model '{name}' is no folder, is not whole in the Hugging Face cache and cannot "
            f"be downloaded: {why_offline()}. Missing: {'; '.join(missing)}. Copy all files of the model's "
            f"page on the hub into a folder and give its path (--model FOLDER), or ask a server with "
            f"--base-url."
        )
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return (
        f"The multimodal model '{name}' cannot be loaded: {reason} Expected an image-text-to-text model of "
        f"`transformers` that needs no code of its own, in a local folder, in the Hugging Face cache or on "
        f"the hub. --base-url asks a server instead."
    )
