"""Compare the engines on the published networks, with the table of benchmarks/engines.py.

    python benchmarks/published_networks.py [--networks stpnet cotexnet] [--count 4] [--batch-size 2]

The networks have the published sizes. All weights are random but those of the last layer, which are fitted to
a few drawn images: so masks show lesions, and the Dice of two engines says something. A trained network has
steeper borders. To measure one, convert its checkpoint (`lexiseg convert`), export the run (`lexiseg
export`), and give it to benchmarks/engines.py.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from engines import measure, print_table
from machine import describe_machine
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

import lexiseg
from lexiseg.data.phantom import make_phantom
from lexiseg.inference.preprocess import normalise
from lexiseg.models.network_weights import count_parameters, save_weights
from lexiseg.models.normalisation import Normalisation
from lexiseg.models.spec import NetworkSpec
from lexiseg.models.text_bank import TextBank
from lexiseg.runs.manifest import Manifest
from lexiseg.runs.run import Run
from lexiseg.systems.registry import get
from lexiseg.words.vocabulary import load_vocabulary

_SIZE = 224
#: Layers, tokens and width of the published text bank of STPNet.
_EMBEDDING = (1, 30, 768)
#: What the CLIPSeg of the published CoTexNet has otherwise than CLIPSeg by default.
_CLIPSEG = {
    "text_config": {},
    "vision_config": {"patch_size": 16},
    "use_complex_transposed_convolution": True,
}
#: Name of the last layer of each network.
_LAST_LAYER = {"stpnet": "head", "cotexnet": "decoder.output"}
#: Images to which the last layer is fitted, and steps of the fit.
_FITTED_TO, _FIT_STEPS = 4, 40


def published_run(name: str, folder: Path) -> Run:
    """Write a run of a published network, only its last layer fitted.

    Args:
        name: Name of the system.
        folder: The run folder to write.
    """
    torch.manual_seed(0)
    system = get(name, "paper")
    spec = NetworkSpec(model=name, preset="paper", clipseg=_CLIPSEG if name == "cotexnet" else None)
    vocabulary = load_vocabulary("chest") if system.names_words else None
    bank = None
    if vocabulary is not None:
        phrases = {factor.name: factor.phrases for factor in vocabulary.factors}
        embeddings = {factor: torch.randn(len(listed), *_EMBEDDING) for factor, listed in phrases.items()}
        bank = TextBank(encoder="noise", phrases=phrases, embeddings=embeddings)
    network = system.builders.network(spec, bank).eval()
    normalisation = system.builders.normalisation(spec)
    _fit(network, network.get_submodule(_LAST_LAYER[name]), normalisation)
    folder.mkdir(parents=True)
    manifest = Manifest(
        lexiseg_version=lexiseg.__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        network=spec.model_copy(update={"num_parameters": count_parameters(network)}),
        image_size=_SIZE,
        mean=normalisation.mean,
        std=normalisation.std,
        class_names=("background", "lesion"),
        text="none" if vocabulary is None else "reports",
        side="image",
        vocabulary=vocabulary,
    )
    run = Run.create(folder, manifest)
    if bank is not None:
        bank.save(run.bank_file)
    save_weights(network, run.weights_file)
    return run


def _fit(network: nn.Module, last: nn.Module, normalisation: Normalisation) -> None:
    """Fit the last layer of a network to drawn lesions, by a cross-entropy.

    All pixels of lesions weigh as much as all others, so that no mask is empty.
    """
    images, labels = _drawn(_FITTED_TO, seed=1)
    truth = torch.from_numpy(labels).float()[:, None]
    pictures = torch.from_numpy(normalise(images, normalisation.mean, normalisation.std))
    seen: list[Tensor] = []
    hook = last.register_forward_hook(lambda layer, inputs, output: seen.append(inputs[0]))
    with torch.no_grad():
        for picture in pictures:
            network(picture[None])
    hook.remove()
    features, lesion_weight = torch.cat(seen), (1 - truth).sum() / truth.sum()
    # Features of random weights have any size; the fit is quick where they are about 1.
    scale = features.std(dim=(0, 2, 3), keepdim=True).clamp(min=1e-6)
    optimizer = torch.optim.LBFGS(last.parameters(), max_iter=_FIT_STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(last(features / scale), truth, pos_weight=lesion_weight)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        weight = last.get_parameter("weight")
        # Of a convolution the second, of a transposed one the first axis are the features.
        weight /= scale if isinstance(last, nn.Conv2d) else scale.transpose(0, 1)


def _drawn(count: int, *, seed: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return drawn images `(N, S, S, 3)` and their labels `(N, S, S)`."""
    cases = list(make_phantom({"train": count}, size=_SIZE, seed=seed))
    coloured = [np.repeat(case.image[..., None], 3, axis=2) for case in cases]
    return np.stack(coloured), np.stack([case.labels for case in cases])


def _saved(images: Sequence[npt.NDArray[np.uint8]], folder: Path) -> list[Path]:
    """Write images as files; a few are enough to check an export."""
    files = [folder / f"{number}.png" for number in range(len(images))]
    for image, file in zip(images, files, strict=True):
        Image.fromarray(image).save(file)
    return files


def main() -> None:
    """Parse the arguments; make, export and measure each network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", choices=list(_LAST_LAYER), default=list(_LAST_LAYER))
    parser.add_argument("--count", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the runs stay; without it, they are removed")
    options = parser.parse_args()
    images = list(_drawn(options.count, seed=2)[0])
    print(describe_machine(), flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        for name in options.networks:
            folder = (options.folder or Path(temporary)) / name
            run = Run.open(folder) if folder.is_dir() else published_run(name, folder)
            if not (folder / "model.onnx").is_file():
                lexiseg.export(run, check=_saved(images[:1], Path(temporary)))
            print(f"\n{get(name, 'paper').title} as published, {len(images)} images\n", flush=True)
            batch_size = min(options.batch_size, len(images))
            print_table(measure(run, images, batch_size), batch_size)


if __name__ == "__main__":
    main()
