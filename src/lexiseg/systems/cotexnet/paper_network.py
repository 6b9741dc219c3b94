"""CoTexNet as published.

Learning Conceptual Text Prompts from Visual Regions of Interest for Medical Image Segmentation, Engineering
2026, doi 10.1016/j.eng.2026.04.006. Built on CLIPSeg (Lueddecke and Ecker, CVPR 2022). In training the region
of interest (ROI) becomes text, and the text's embedding is distilled into the image's. In prediction the
image's embedding takes its place, so an image is enough. Shape legend: B images of H x W pixels, N = h * w
patches, T text tokens; widths V of the vision tower, L of the text tower, D of the embeddings, R of the
decoder; C = 1 mask channel for two classes, else one per class, the background first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPSegConfig, CLIPSegModel

from lexiseg.errors import UsageError
from lexiseg.systems.cotexnet.film_decoder import FilmDecoder

#: Token that the pseudo-word replaces, counted from the start token, as published. CLIP's tokenizer cuts the
#: sentences' frame "Segmentation area of [temp]. " into seg, mentation, area, of, [, temp, ].: so it is the
#: opening bracket of the mark, and `temp` itself stays.
PSEUDO_WORD_POSITION = 5

# Where the learned scalars start, as published: a, and scale and shift of the condition.
_NOISE_SHARE = 0.2
_CONDITION_SCALE = 1.0
_CONDITION_SHIFT = -0.002

# The two transposed convolutions of CLIPSeg's finer decoder head enlarge by patch_size // 4 each, which gives
# the image's size back for this patch size only.
_FINE_HEAD_PATCH = 16


@dataclass(frozen=True, kw_only=True)
class CoTexNetOutput:
    """What the network returns for images.

    Attributes:
        logits: Raw scores, (B, C, H, W).
        image_embedding: e_img, which takes the place of the text's, (B, D) float32, 0.5..0.73.
        image_features: Means over the image of the shallowest and the deepest features of the vision tower
            that the decoder reads, (B, 2 V); None in training passes.
    """

    logits: Tensor
    image_embedding: Tensor
    image_features: Tensor | None = None

    @property
    def probability(self) -> Tensor:
        """Probability per channel, (B, C, H, W), 0..1; as published a sigmoid also for several classes."""
        return torch.sigmoid(self.logits)

    @property
    def retrieval(self) -> dict[str, Tensor]:
        """Empty: the published network names no words."""
        return {}


@dataclass(frozen=True, kw_only=True)
class CoTexNetTrainingOutput(CoTexNetOutput):
    """What the network returns in training, with the region of interest and the text.

    Attributes:
        text_embedding: e_text of sentence and pseudo-word, detached, (B, D) float32, 0..1.
        distillation: Distance of the image embeddings from the text embeddings, a mean over the batch, see
            `distillation_loss`.
    """

    text_embedding: Tensor
    distillation: Tensor


class CoTexNetStudent(nn.Module):
    """The image side of the published network, which is all that prediction needs.

    Args:
        config: Configuration of CLIPSeg, published: that of "CIDAS/clipseg-rd64-refined".
        num_classes: Number of classes with the background, at least 2.
        clip: The CLIP to take the vision tower of; None builds one.

    Raises:
        UsageError: There are fewer than two classes, or the configuration's parts do not fit together.
    """

    def __init__(self, config: CLIPSegConfig, num_classes: int, *, clip: Any = None) -> None:
        super().__init__()
        _check_config(config, num_classes)
        clip = CLIPSegModel(config) if clip is None else clip
        clip.float()  # a configuration may name half precision for its towers
        vision: Any = clip.vision_model.config
        width = int(vision.hidden_size)
        self.patch_size = int(vision.patch_size)
        self.extract_layers = tuple(config.extract_layers)

        self.vision_model = clip.vision_model
        # The published dropout between linear layer and ReLU has rate 0.
        self.image_projection = nn.Sequential(
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, int(clip.text_projection.out_features)),
        )
        self.condition_scale = nn.Parameter(torch.tensor([_CONDITION_SCALE]))
        self.condition_shift = nn.Parameter(torch.tensor([_CONDITION_SHIFT]))
        self.decoder = FilmDecoder(config, num_classes)
        _freeze(self.vision_model)

    def forward(self, image: Tensor) -> CoTexNetOutput:
        """Segment images.

        Args:
            image: (B, 3, H, W) floating point, normalised as in training, of any size.

        Returns:
            Scores and image embedding.

        Raises:
            UsageError: The images have another shape.
        """
        _check_image(image)
        class_token, features = self._see(image)
        embedding = self._embed_image(class_token)  # (B, D)
        ends = torch.cat([features[0], features[-1]], dim=2)[:, 1:]  # (B, N, 2 V), without the class token
        return CoTexNetOutput(
            logits=self._segment(image, features, embedding),
            image_embedding=embedding,
            image_features=ends.float().mean(dim=1),
        )

    def train(self, mode: bool = True) -> Self:
        """Set the training mode of all but the frozen parts, which stay in eval mode."""
        super().train(mode)
        for frozen in self._frozen():
            frozen.eval()
        return self

    def _frozen(self) -> tuple[nn.Module, ...]:
        return (self.vision_model,)

    @torch.no_grad()
    def _see(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the vision tower's class token (B, V) and features, (B, 1 + N, V) each.

        The class token is that of the last layer, before the tower's last normalisation, as published.
        """
        height, width = self._grid(image)
        # Zero is the mean colour of a normalised image, and "outside" in a region of interest.
        margin = (0, width * self.patch_size - image.shape[3], 0, height * self.patch_size - image.shape[2])
        # Position embeddings are interpolated to the size.
        seen = self.vision_model(pixel_values=F.pad(image, margin), output_hidden_states=True)
        # The first hidden state is the embedding, before layer 0.
        features = [seen.hidden_states[layer + 1] for layer in self.extract_layers]
        return seen.last_hidden_state[:, 0], features

    def _embed_image(self, class_token: Tensor) -> Tensor:
        """Return e_img, (B, D) float32: the published code applies the sigmoid twice."""
        return torch.sigmoid(torch.sigmoid(self.image_projection(class_token).float()))

    def _segment(self, image: Tensor, features: list[Tensor], embedding: Tensor) -> Tensor:
        """Return logits (B, C, H, W) of images, given their features and the embedding to condition on."""
        condition = embedding * self.condition_scale + self.condition_shift  # (B, D)
        logits: Tensor = self.decoder(features, condition, self._grid(image))
        return logits[..., : image.shape[2], : image.shape[3]]

    def _grid(self, image: Tensor) -> tuple[int, int]:
        """Return the number of patches (h, w) that cover the images."""
        return -(-image.shape[2] // self.patch_size), -(-image.shape[3] // self.patch_size)


class CoTexNet(CoTexNetStudent):
    """The published network; module names are ours, `published_keys.py` maps them to the published ones.

    CLIPSeg's vision and text tower and the text projection are frozen. The published code reads the region of
    interest with a second copy of the frozen vision tower; here both are one.

    Args:
        config: Configuration of CLIPSeg, published: that of "CIDAS/clipseg-rd64-refined".
        num_classes: Number of classes with the background, at least 2.

    Raises:
        UsageError: There are fewer than two classes, or the configuration's parts do not fit together.
    """

    #: What prediction does not need: `CoTexNetStudent` has none of it.
    training_only_prefixes = ("text_model.", "text_projection.", "pseudo_word.", "noise_share")

    def __init__(self, config: CLIPSegConfig, num_classes: int) -> None:
        _check_config(config, num_classes)
        clip: Any = CLIPSegModel(config)
        super().__init__(config, num_classes, clip=clip)
        vision: Any = clip.vision_model.config
        text: Any = clip.text_model.config
        self.text_tokens = int(text.max_position_embeddings)
        self.text_vocabulary_size = int(text.vocab_size)
        self.text_model = clip.text_model
        self.text_projection = clip.text_projection
        self.pseudo_word = nn.Sequential(
            nn.Linear(vision.hidden_size, text.hidden_size),
            nn.GELU(),
            nn.Linear(text.hidden_size, text.hidden_size),
            nn.LayerNorm(text.hidden_size),
        )
        self.noise_share = nn.Parameter(torch.tensor([_NOISE_SHARE]))
        _freeze(self.text_model, self.text_projection)

    def teach(
        self, image: Tensor, roi: Tensor, input_ids: Tensor, attention_mask: Tensor
    ) -> CoTexNetTrainingOutput:
        """Segment images with the help of their region of interest and its sentence, as in training.

        Args:
            image: (B, 3, H, W) floating point, normalised.
            roi: The same normalised images, zero outside the lesion, (B, 3, H, W).
            input_ids: Tokens of the sentences, (B, T) int64; T is at most what the text tower was built for.
            attention_mask: 1 for tokens, 0 for the padding behind them, (B, T) int64.

        Returns:
            Scores, both embeddings and their distance.

        Raises:
            UsageError: The arguments' shapes do not fit together, or a sentence ends before the pseudo-word.
        """
        _check_image(image)
        if roi.shape != image.shape:
            raise UsageError(
                f"Expected one region of interest per image, of the images' shape {tuple(image.shape)}, but "
                f"the shape is {tuple(roi.shape)}.",
                code="LEX-USE-025",
            )
        if len(input_ids) != len(image):
            raise UsageError(
                f"Expected one sentence per image, but got {len(input_ids)} for {len(image)}.",
                code="LEX-USE-026",
            )
        class_token, features = self._see(image)
        image_embedding = self._embed_image(class_token)  # (B, D)
        text_embedding = self.embed_text(input_ids, attention_mask, roi)  # (B, D)
        # Self-adding noise: the decoder learns to use the embedding that it gets in prediction.
        condition = (1 - self.noise_share) * text_embedding + self.noise_share * image_embedding
        return CoTexNetTrainingOutput(
            logits=self._segment(image, features, condition),
            image_embedding=image_embedding,
            text_embedding=text_embedding.detach(),
            distillation=distillation_loss(image_embedding, text_embedding),
        )

    def training_pass(self, image: Tensor) -> CoTexNetTrainingOutput:
        """Run the training pass with placeholder sentences of full length; see `HasTrainingPass`."""
        ids = torch.zeros(len(image), self.text_tokens, dtype=torch.int64, device=image.device)
        return self.teach(image, image, ids, torch.ones_like(ids))

    def embed_text(self, input_ids: Tensor, attention_mask: Tensor, roi: Tensor | None = None) -> Tensor:
        """Return the text embeddings e_text, (B, D) float32, 0..1.

        Args:
            input_ids: Tokens of the sentences, (B, T) int64.
            attention_mask: 1 for tokens, 0 for the padding behind them, (B, T) int64.
            roi: Normalised images, zero outside the lesion, (B, 3, H, W), which become the pseudo-word; None
                reads the sentences alone.

        Raises:
            UsageError: The shapes do not fit together, or a sentence ends before the pseudo-word.
        """
        self._check_text(input_ids, attention_mask)
        if roi is None:
            pooled = self.text_model(input_ids=input_ids, attention_mask=attention_mask).pooler_output
        else:
            word = self.pseudo_word(self._see(roi)[0])  # (B, V) -> (B, L)
            # The text tower takes no embeddings as input, so a hook replaces one of its own.
            with self.text_model.embeddings.register_forward_hook(partial(_insert_word, word)):
                pooled = self.text_model(input_ids=input_ids, attention_mask=attention_mask).pooler_output
        return torch.sigmoid(self.text_projection(pooled).float())  # (B, L) -> (B, D)

    def _frozen(self) -> tuple[nn.Module, ...]:
        return self.vision_model, self.text_model, self.text_projection

    def _check_text(self, input_ids: Tensor, attention_mask: Tensor) -> None:
        if input_ids.ndim != 2 or input_ids.shape != attention_mask.shape:
            raise UsageError(
                "Expected input_ids and attention_mask of one shape (B, tokens), but the shapes are "
                f"{tuple(input_ids.shape)} and {tuple(attention_mask.shape)}.",
                code="LEX-USE-027",
            )
        if input_ids.shape[1] > self.text_tokens:
            raise UsageError(
                f"The text tower reads at most {self.text_tokens} tokens, but the sentences have "
                f"{input_ids.shape[1]}. Let the tokenizer truncate them.",
                code="LEX-USE-028",
            )
        # The end token, whose embedding is the sentence's, comes last and sees what comes before it only.
        shortest = int(attention_mask.sum(dim=1).min())
        if shortest < PSEUDO_WORD_POSITION + 2:
            raise UsageError(
                f"The pseudo-word replaces token {PSEUDO_WORD_POSITION}, so the end must come later, "
                f"but a sentence has only {shortest} tokens with start and end. Frame the sentences as "
                "'Segmentation area of [temp]. ...'.",
                code="LEX-USE-029",
            )


def distillation_loss(image_embedding: Tensor, text_embedding: Tensor) -> Tensor:
    """Return `KL(softmax(e_text) || softmax(e_img))`, the mean over the batch, a scalar.

    Args:
        image_embedding: e_img, (B, D).
        text_embedding: e_text, (B, D); no gradient flows back to it.
    """
    image = F.log_softmax(image_embedding.float(), dim=1)
    text = F.log_softmax(text_embedding.detach().float(), dim=1)
    return F.kl_div(image, text, reduction="batchmean", log_target=True)


def _freeze(*modules: nn.Module) -> None:
    for module in modules:
        module.requires_grad_(False).eval()


def _insert_word(word: Tensor, module: nn.Module, inputs: tuple[Any, ...], embedded: Tensor) -> Tensor:
    """Replace word and position embedding (B, T, L) of one token by `word` (B, L); a forward hook."""
    before, behind = embedded[:, :PSEUDO_WORD_POSITION], embedded[:, PSEUDO_WORD_POSITION + 1 :]
    return torch.cat([before, word[:, None].to(embedded.dtype), behind], dim=1)


def _check_image(image: Tensor) -> None:
    if image.ndim != 4 or image.shape[1] != 3 or 0 in image.shape:
        raise UsageError(
            f"CoTexNet takes images of shape (B, 3, height, width), but the shape is {tuple(image.shape)}.",
            code="LEX-USE-030",
        )


def _check_config(config: CLIPSegConfig, num_classes: int) -> None:
    vision: Any = config.vision_config
    layers = list(config.extract_layers)
    if num_classes < 2:
        raise UsageError(
            f"CoTexNet needs at least 2 classes with the background, but got {num_classes}.",
            code="LEX-USE-031",
        )
    if not layers or not all(0 <= layer < vision.num_hidden_layers for layer in layers):
        raise UsageError(
            "The CLIPSeg configuration's extract_layers must be layers of its vision tower, "
            f"0..{vision.num_hidden_layers - 1}, but they are {layers}.",
            code="LEX-USE-032",
        )
    if not 0 <= config.conditional_layer < len(layers):
        raise UsageError(
            "The CLIPSeg configuration's conditional_layer must be one of the decoder's layers, "
            f"0..{len(layers) - 1}, but it is {config.conditional_layer}.",
            code="LEX-USE-033",
        )
    if config.use_complex_transposed_convolution and vision.patch_size != _FINE_HEAD_PATCH:
        raise UsageError(
            f"CLIPSeg's complex transposed convolution fits patches of {_FINE_HEAD_PATCH} pixels, but the "
            f"configuration's patch_size is {vision.patch_size}.",
            code="LEX-USE-034",
        )
