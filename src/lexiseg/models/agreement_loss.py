"""Agreement of a predicted mask with words, differentiably: what images with words but no mask can teach.

The predicted probabilities are measured as `lexiseg.words.measure` measures a mask, by the rules of the
vocabulary alone, but with smooth quantities in the place of counts; what the words say then becomes a loss.
Loss terms, one per factor and image:

- **zones** ("upper left lung"): lesion is asserted in the half, and the half's smooth profile (where it
  begins, how its mass spreads over rows, ...) goes through the rule's own linear scores; the term is
  log(1 + gap), gap the score that the said phrase lacks to be the measured one. The phrase for "none" denies
  lesion in the half instead.
- **laterality**: lesion is asserted in both halves; or asserted in one and denied in the other, whichever
  way costs less.
- **grid** and **size**: how far the smooth centroid or area is outside the said cell or range.
- **presence**: words that speak of a lesion, but of no half, assert one anywhere.

Assertion: mean softplus(-z) over the k largest logits z of a region, k pixels being what the rule calls more
than a speck. Denial: mean softplus(z) over them, and -log(1 - share of the lesion's mass in the half). Both
grow linearly in z, so their gradient never vanishes where they are wrong, and need no clipping.

Of a hard mask whose measured words are the said ones, all terms are near 0. As in measuring, a region whose
smaller part reaches into a half does not belong to that half; such pixels are left out of it.

Shape legend: B batch, H, W image size, C = ceil(W / 2) columns of a half, F factors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lexiseg.words.description import UNKNOWN, Side
from lexiseg.words.factor import Factor
from lexiseg.words.flips import to_side
from lexiseg.words.half_features import Half
from lexiseg.words.lesion_regions import LesionRegions
from lexiseg.words.measure_rules import (
    GridMeasure,
    LateralityMeasure,
    SizeMeasure,
    ZonesMeasure,
)
from lexiseg.words.vocabulary import Vocabulary

_HALVES: tuple[Half, Half] = ("left", "right")

#: The rules that are measured differentiably.
_MEASURED = (ZonesMeasure, LateralityMeasure, GridMeasure, SizeMeasure)

#: Share of the image that makes a lesion where no rule of the vocabulary says so.
_SPECK = 0.0005

#: Mass, as a share of the image, that counts as nothing beside the lesion's in the share of a half.
_NO_MASS = 0.005

#: Shares of the mass between which a smooth lesion begins and ends.
_EDGES = (0.005, 0.995)


def foreground_logits(logits: Tensor) -> Tensor:
    """Return scores z `(B, H, W)` float32 whose sigmoid is the probability of not being background.

    Args:
        logits: `(B, 1, H, W)` (binary) or `(B, classes, H, W)` with the background first.
    """
    if logits.shape[1] == 1:
        return logits[:, 0].float()
    return torch.logsumexp(logits[:, 1:].float(), dim=1) - logits[:, 0].float()


@dataclass(frozen=True, kw_only=True)
class _Part:
    """What lies in one half, seen from the image's edge, or in the whole image.

    Attributes:
        z: Scores `(B, H, C)`; very low where a region does not belong to the half.
        probability: Their sigmoid.
        hard: Pixels that are lesion, `(B, H, C)` bool.
    """

    z: Tensor
    probability: Tensor
    hard: Tensor


class AgreementLoss(nn.Module):
    """How badly predicted masks fit what is said of their images.

    Args:
        vocabulary: The vocabulary; its `measure:` blocks say what each phrase means.
        side: Side convention of the words.

    Attributes:
        skipped: Titles of the factors that cannot be measured differentiably: count, shape, colour, ...
    """

    def __init__(self, vocabulary: Vocabulary, *, side: Side) -> None:
        super().__init__()
        self._vocabulary = vocabulary
        self._side = side
        self.skipped = tuple(f.title for f in vocabulary.factors if not isinstance(f.measure, _MEASURED))
        regions = [getattr(f.measure, "min_region", 0.0) for f in vocabulary.factors]
        self._speck = min([region for region in regions if region > 0], default=_SPECK)

    def forward(self, logits: Tensor, indices: Tensor) -> Tensor:
        """Return the mean over images of the mean over their terms; 0 if nothing is known of any image.

        Args:
            logits: Mask scores `(B, 1 or classes, H, W)`; the words are about all classes together.
            indices: Phrases `(B, F)` int64, `UNKNOWN` where nothing is known.
        """
        with torch.autocast(logits.device.type, enabled=False):
            z = foreground_logits(logits)
            said = torch.tensor(
                [
                    to_side(self._vocabulary, row, given=self._side, wanted="image")
                    for row in indices.tolist()
                ],
                device=z.device,
            ).reshape(indices.shape)
            scene = _Scene(z)
            terms = [self._presence(scene, said)]
            for position, factor in enumerate(self._vocabulary.factors):
                terms.append(self._factor(factor, scene, said[:, position]))
            losses = torch.stack([loss for loss, _ in terms])  # (terms, B)
            known = torch.stack([is_known for _, is_known in terms])
            number = known.sum(dim=0)
            per_image = torch.where(known, losses, torch.zeros(())).sum(dim=0) / number.clamp(min=1)
            return per_image.sum() / (number > 0).sum().clamp(min=1)

    def _presence(self, scene: _Scene, said: Tensor) -> tuple[Tensor, Tensor]:
        """Return the term of a lesion anywhere, and where it holds, `(B,)` each."""
        speaks = torch.zeros(len(said), dtype=torch.bool, device=said.device)
        placed = torch.zeros_like(speaks)
        for position, factor in enumerate(self._vocabulary.factors):
            if factor.measure is None:  # it may say that there is no lesion: nothing tells what it means
                continue
            known = said[:, position] != UNKNOWN
            speaks |= known
            if factor.measure.places_in_halves:
                placed |= known
        return _assert(scene.z.flatten(1), scene.pixels(self._speck)), speaks & ~placed

    def _factor(self, factor: Factor, scene: _Scene, said: Tensor) -> tuple[Tensor, Tensor]:
        known = said != UNKNOWN
        rule = factor.measure
        chosen = said.clamp(min=0)
        match rule:
            case ZonesMeasure():
                return _zones(rule, scene, chosen, absent=_absent(factor)), known
            case LateralityMeasure():
                return _laterality(rule, scene, chosen), known
            case GridMeasure():
                return _grid(rule, scene, chosen), known
            case SizeMeasure():
                return _size(rule, scene, chosen), known
            case _:
                return scene.z.new_zeros(len(said)), torch.zeros_like(known)


class _Scene:
    """Predictions of a batch, with what several factors ask for computed once."""

    def __init__(self, z: Tensor) -> None:
        self.z = z  # (B, H, W)
        self.probability = z.sigmoid()
        #: Weight of a pixel in masses: squared, so that a faint haze over the whole image weighs nothing.
        self.mass = self.probability**2
        self._halves: dict[tuple[float, float], tuple[_Part, _Part]] = {}

    def pixels(self, share: float) -> int:
        """Return how many pixels are a share of the image, at least one."""
        return max(1, round(share * self.z.shape[1] * self.z.shape[2]))

    def halves(self, rule: LateralityMeasure | ZonesMeasure) -> tuple[_Part, _Part]:
        """Return left and right half as the rule sees them."""
        key = (rule.min_region, rule.min_part)
        if key not in self._halves:
            left, right = (self._half(half, rule) for half in _HALVES)
            self._halves[key] = (left, right)
        return self._halves[key]

    def _half(self, half: Half, rule: LateralityMeasure | ZonesMeasure) -> _Part:
        columns = (self.z.shape[2] + 1) // 2
        z = (self.z if half == "left" else self.z.flip(2))[:, :, :columns]
        lesion = z > 0
        belongs = torch.zeros_like(lesion)
        for row, hard in enumerate((self.z > 0).detach().cpu().numpy()):
            if hard.any():
                chosen = LesionRegions(hard).half(half, min_region=rule.min_region, min_part=rule.min_part)
                belongs[row] = torch.from_numpy(np.ascontiguousarray(chosen)).to(z.device)
        seen = torch.where(lesion & ~belongs, torch.full((), -20.0, device=z.device), z)
        return _Part(z=seen, probability=seen.sigmoid(), hard=belongs)


def _absent(factor: Factor) -> int:
    """Return the index of the phrase that says "no lesion"; -2, which is no index, if there is none."""
    rule = factor.measure
    return factor.phrases.index(rule.absent) if isinstance(rule, ZonesMeasure) else -2


def _assert(z: Tensor, k: int) -> Tensor:
    """Return the loss `(B,)` of "there is a lesion" for scores `(B, pixels)`."""
    return F.softplus(-z.topk(min(k, z.shape[1]), dim=1).values).mean(dim=1)


def _deny(part: _Part, scene: _Scene, k: int) -> Tensor:
    """Return the loss `(B,)` of "there is no lesion in this half"."""
    most = F.softplus(part.z.flatten(1).topk(min(k, part.z[0].numel()), dim=1).values).mean(dim=1)
    pixels = scene.mass[0].numel()
    here = (part.probability**2).sum(dim=(1, 2)) / pixels
    share = here / (scene.mass.sum(dim=(1, 2)) / pixels + _NO_MASS)
    # A middle column belongs to both halves, so a share may reach 1 by rounding.
    return most - torch.log1p(-share.clamp(max=0.999))


def _laterality(rule: LateralityMeasure, scene: _Scene, said: Tensor) -> Tensor:
    left, right = scene.halves(rule)
    k = scene.pixels(rule.min_region)
    in_left, in_right = _assert(left.z.flatten(1), k), _assert(right.z.flatten(1), k)
    one = torch.minimum(in_left + _deny(right, scene, k), in_right + _deny(left, scene, k))
    halves = torch.tensor(rule.halves, device=said.device)[said]
    return torch.where(halves == 2, in_left + in_right, one) / 2


def _zones(rule: ZonesMeasure, scene: _Scene, said: Tensor, *, absent: int) -> Tensor:
    left, right = scene.halves(rule)
    own, other = (left, right) if rule.half == "left" else (right, left)
    k = scene.pixels(rule.min_region)
    values = {"bias": torch.ones_like(own.z[:, 0, 0]), **_profile(own, scene)}
    # Of an empty other half every feature is 0, as `half_profile` has it. What is said of one half must not
    # move lesions in the other one, so no gradient goes there.
    there = other.hard.any(dim=2).any(dim=1).float()
    values |= {f"other_{name}": value.detach() * there for name, value in _profile(other, scene).items()}
    values["other_present"] = there
    features = torch.stack([values[name] for name in rule.scores], dim=1)  # (B, features)
    weights = torch.tensor(list(rule.scores.values()), device=features.device)  # (features, zones)
    scores = features @ weights
    zone = (said - (said > absent).long()).clamp(max=scores.shape[1] - 1)
    gap = scores.max(dim=1).values - scores.gather(1, zone[:, None])[:, 0]
    present = _assert(own.z.flatten(1), k) + torch.log1p(gap)
    return torch.where(said == absent, _deny(own, scene, k), present)


def _profile(part: _Part, scene: _Scene) -> dict[str, Tensor]:
    """Return the smooth features of `lexiseg.words.lesion_regions.half_profile`, `(B,)` each."""
    mass = part.probability**2  # (B, H, C)
    rows, columns = mass.sum(dim=2), mass.sum(dim=1)
    shares = {f"row_{percent}": percent / 100 for percent in (5, 25, 50, 75, 95)}
    first, last = _EDGES
    return {
        "top": _quantile(rows, first),
        "bottom": _quantile(rows, last),
        **{name: _quantile(rows, share) for name, share in shares.items()},
        "outer": _quantile(columns, first),
        "inner": 1 - _quantile(columns, last),
        "area": rows.sum(dim=1) / scene.mass[0].numel(),
        "split": _split(part.hard.any(dim=2)),
    }


def _quantile(mass: Tensor, share: float) -> Tensor:
    """Return the place below which a share of the mass lies, `(B,)` in 0..1, smoothly.

    Args:
        mass: `(B, n)` along an axis.
        share: 0..1.
    """
    total = mass.sum(dim=1, keepdim=True) + 1e-6
    reached = (mass.cumsum(dim=1) - mass / 2) / total  # at the middle of each row
    softness = min(0.02, share / 5, (1 - share) / 5)
    return ((share - reached) / softness).sigmoid().mean(dim=1)


def _split(filled: Tensor) -> Tensor:
    """Return 1 where lesion-free rows part the lesion, else 0, `(B,)`; it has no gradient.

    Args:
        filled: Rows with lesion, `(B, H)` bool.
    """
    number = torch.arange(filled.shape[1], device=filled.device)
    last = torch.where(filled, number, -1).max(dim=1).values
    first = torch.where(filled, number, filled.shape[1]).min(dim=1).values
    return (last - first >= filled.sum(dim=1)).float() * filled.any(dim=1)


def _grid(rule: GridMeasure, scene: _Scene, said: Tensor) -> Tensor:
    height, width = scene.mass.shape[1:]
    total = scene.mass.sum(dim=(1, 2)) + 1e-6
    down = (torch.arange(height, device=said.device) + 0.5) / height - 0.5
    right = (torch.arange(width, device=said.device) + 0.5) / width - 0.5
    offsets = (
        (scene.mass.sum(dim=2) * down).sum(dim=1) / total,
        (scene.mass.sum(dim=1) * right).sum(dim=1) / total,
    )
    thirds = (said // 3, said % 3)
    outside = [_outside(o, t, rule.middle / 2) for o, t in zip(offsets, thirds, strict=True)]
    return 4 * (outside[0] + outside[1])  # a quarter of the image away is a loss of 1


def _outside(offset: Tensor, third: Tensor, edge: float) -> Tensor:
    """Return how far an offset from the middle is outside a third: 0 before, 1 in, 2 after the cell."""
    violations = torch.stack([offset + edge, offset.abs() - edge, edge - offset], dim=1).clamp(min=0)
    return violations.gather(1, third[:, None])[:, 0]


def _size(rule: SizeMeasure, scene: _Scene, said: Tensor) -> Tensor:
    area = scene.mass.mean(dim=(1, 2)) + 1e-4
    low = torch.tensor(rule.at_least, device=said.device)[said]
    high = torch.tensor([*rule.at_least[1:], 1.0], device=said.device)[said]
    return (torch.log(low + 1e-4) - torch.log(area)).clamp(min=0) + (
        torch.log(area) - torch.log(high + 1e-4)
    ).clamp(min=0)
