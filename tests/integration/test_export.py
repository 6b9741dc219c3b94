"""Exports of runs with random weights: what is written, what it computes, what is refused."""

from __future__ import annotations

import copy
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
import torch
from torch import nn
from transformers import CLIPSegConfig
from typer.testing import CliRunner

from lexiseg.cli.app import app
from lexiseg.data.readers import read_image
from lexiseg.deployment import export as export_module
from lexiseg.deployment.export import export
from lexiseg.deployment.onnx_model import make_onnx_model
from lexiseg.engines.model_file import ModelFile
from lexiseg.engines.openvino_precision import CompiledModel, all_but_last_layers, first_layers
from lexiseg.inference.inputs import temporary_images
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.predictor import Predictor
from lexiseg.runs.run import Run
from lexiseg.systems.cotexnet.paper_network import CoTexNetStudent
from lexiseg.systems.stpnet.paper_network import StpNet
from lexiseg.words.vocabulary import load_vocabulary
from refusals import refuses
from tiny_clipseg import CONFIG as CLIPSEG
from toy_system import ToyNetwork


@pytest.fixture(scope="module", autouse=True)
def models_made_once() -> Iterator[None]:
    """Keep the ONNX model of each run: torch takes seconds to make one."""
    made: dict[Path, onnx.ModelProto] = {}

    def make(run: Run, engine: Any) -> onnx.ModelProto:
        if run.path not in made:
            made[run.path] = make_onnx_model(run, engine)
        return copy.deepcopy(made[run.path])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export_module, "make_onnx_model", make)
        yield


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, make_run: Any) -> Run:
    run = make_run(tmp_path_factory.mktemp("export") / "chest", prompted=True)[0]
    export(run)
    return run


def test_the_engines_agree(exported: Run, random_images: list[Path]) -> None:
    options = {name: PredictionOptions(engine=name, batch_size=2) for name in ("torch", "onnx", "openvino")}
    torch, *others = (
        [prediction for _, prediction in Predictor(exported, option).predict_paths(random_images)]
        for option in options.values()
    )
    for name, predictions in zip(("onnx", "openvino"), others, strict=True):
        for ours, theirs in zip(predictions, torch, strict=True):
            assert str(ours.engine).startswith(name)
            assert np.mean(ours.mask != theirs.mask) < 1e-4
            np.testing.assert_allclose(ours.probability, theirs.probability, atol=1e-4)
            assert [word.index for word in ours.words] == [word.index for word in theirs.words]
            assert (ours.flagged, ours.agreement) == (theirs.flagged, theirs.agreement)
    images = [read_image(path) for path in random_images[:2]]
    features = []
    for option in options.values():
        predictor = Predictor(exported, option)
        features.append(predictor.engine.run(predictor.prepare(images)).features)
    for found in features[1:]:
        np.testing.assert_allclose(found, features[0], rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "encoder"), [("stpnet", "tf_efficientnet_lite1"), ("cotexnet", "tf_efficientnet_lite2")]
)
def test_networks_with_larger_encoders_are_exported(
    tmp_path: Path, make_run: Any, random_images: list[Path], model: str, encoder: str
) -> None:
    run = make_run(tmp_path / "run", model=model, encoder=encoder, prompted=True)[0]
    export(run)
    ours, theirs = (
        [
            prediction
            for _, prediction in Predictor(run, PredictionOptions(engine=name)).predict_paths(random_images)
        ]
        for name in ("onnx", "torch")
    )
    for exported, original in zip(ours, theirs, strict=True):
        assert 0 < original.mask.mean() < 1
        assert np.mean(exported.mask != original.mask) < 1e-3
        np.testing.assert_allclose(exported.probability, original.probability, atol=1e-3)
        assert [word.index for word in exported.words] == [word.index for word in original.words]


def test_the_record_holds_what_prediction_needs(exported: Run) -> None:
    record = ModelFile.open(exported.path / "model.onnx").record
    manifest = exported.manifest
    assert record.run == "chest"
    assert record.weights_sha256 == exported.weights_sha256()
    assert (record.class_names, record.side, record.image_size) == (manifest.class_names, "image", 64)
    assert (record.mean, record.std, record.vocabulary) == (manifest.mean, manifest.std, manifest.vocabulary)
    assert record.calibration is None
    content = (exported.path / "model.onnx").read_bytes()
    assert b"/lexiseg/" not in content  # no path of the machine that wrote it
    assert b"site-packages" not in content


def test_a_format_that_no_engine_has_is_refused(exported: Run) -> None:
    with refuses("LEX-USE-1961", "to: expected one of onnx, openvino; got 'coreml'"):
        export(exported, to="coreml")
    with refuses("LEX-USE-1961", "got 'torch'"):
        export(exported, to="torch")


def test_a_type_of_weights_that_does_not_exist_is_refused(exported: Run) -> None:
    wrong: Any = "int8"
    with refuses("LEX-USE-2055", "weights: expected one of fp32, fp16, shared; got 'int8'"):
        export(exported, weights=wrong)


@pytest.mark.parametrize("fit", ["pad", "tiles"])
def test_other_fits_are_exported(fit: str, tmp_path: Path, make_run: Any, random_images: list[Path]) -> None:
    run = make_run(tmp_path / "run", prompted=True, fit=fit)[0]
    found = export(run)
    assert found.parity.logits < 1e-3
    assert ModelFile.open(run.path / "model.onnx").record.fit == fit
    names = ("torch", "onnx", "openvino")
    predictors = [Predictor(run, PredictionOptions(engine=name, flip_average=True)) for name in names]
    member = predictors[0]._members[0]
    pictures = member.whole_images.pictures([read_image(path) for path in random_images])
    assert pictures.inside is not None
    assert 0 < pictures.inside.mean() < 1
    reference, *others = (p.engine.run(pictures.images, pictures.inside).features for p in predictors)
    assert reference is not None
    for features in others:
        np.testing.assert_allclose(features, reference, rtol=1e-3, atol=1e-4)
    for path in random_images[1:4:2]:  # of 50 x 70 and 130 x 33 pixels
        ours, *theirs = (predictor.predict(path) for predictor in predictors)
        for other in theirs:
            assert np.mean(other.mask != ours.mask) < 1e-4
            np.testing.assert_allclose(other.probability, ours.probability, atol=1e-4)
            assert [word.index for word in other.words] == [word.index for word in ours.words]
    run.updated(fit="stretch")
    with refuses("LEX-WEIGHTS-1331", fit, "stretch", "lexiseg export"):
        Predictor(Run.open(run.path))


def test_averages_and_flips_compute_with_the_engine(exported: Run, random_images: list[Path]) -> None:
    found = [
        Predictor(exported, PredictionOptions(engine=name, flip_average=True)).predict(random_images[1])
        for name in ("torch", "onnx")
    ]
    np.testing.assert_allclose(found[1].probability, found[0].probability, atol=1e-4)
    assert [w.index for w in found[0].words] == [w.index for w in found[1].words]


def test_a_changed_run_needs_a_new_export(
    tmp_path: Path, make_run: Any, exported: Run, random_images: list[Path]
) -> None:
    run = make_run(tmp_path / "run", model="cotexnet")[0]
    (run.path / "model.onnx").write_bytes((exported.path / "model.onnx").read_bytes())
    with refuses("LEX-WEIGHTS-867", "other weights", "lexiseg export"):
        Predictor(run)
    assert Predictor(run, PredictionOptions(engine="torch")).predict(random_images[0]).words


def test_what_differs_is_not_written(tmp_path: Path, exported: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    strict = export_module.EXACT.model_copy(update={"dice": 1.1, "words": 1.1})
    monkeypatch.setattr(export_module, "EXACT", strict)
    out = tmp_path / "model.onnx"
    with refuses("LEX-WEIGHTS-879", "mean Dice of the masks", "equal words", "--allow-difference"):
        export(exported, out=out)
    assert list(tmp_path.iterdir()) == []
    written = export(exported, out=out, allow_difference=True)
    assert len(written.parity.outside) == 2
    assert out.stat().st_size > 0


def test_an_archive_for_openvino(exported: Run, tmp_path: Path, random_images: list[Path]) -> None:
    written = export(exported, to="openvino", check=random_images)
    assert written.file == exported.path / "model.openvino"
    assert (written.parity.images, written.parity.drawn, written.parity.outside) == (5, False, ())
    assert written.parity.dice > 0.9999
    predictor = Predictor(exported, PredictionOptions(engine="openvino"))
    assert predictor.predict(random_images[0]).mask.shape == (64, 64)
    assert predictor.engine.description.file == written.file


def test_images_of_an_archive_are_read_a_few_at_a_time(
    exported: Run, tmp_path: Path, random_images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for number in range(12):
            archive.add(random_images[number % 5], f"{number:02}.png")
    steps: list[str] = []

    def noted(step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            steps.append(step)
            return function(*arguments, **options)

        return call

    read = noted("read", temporary_images.read_image_with_facts)
    monkeypatch.setattr(temporary_images, "read_image_with_facts", read)
    monkeypatch.setattr(Predictor, "predict_arrays", noted("compared", Predictor.predict_arrays))
    parity = export(exported, out=tmp_path / "model.onnx", check=[tmp_path / "x.tar"]).parity
    assert (parity.images, parity.drawn, parity.outside) == (12, False, ())
    assert steps == [*["read"] * 8, *["compared"] * 2, *["read"] * 4, *["compared"] * 2]
    with tarfile.open(tmp_path / "x.tar", "a") as archive:
        archive.add(random_images[0], "03.png")
    files = ["--out", f"{tmp_path / 'm.onnx'}", "--check", f"{tmp_path / 'x.tar'}"]
    done = CliRunner().invoke(app, ["export", str(exported.path), *files])
    assert done.exit_code == 0, done.output
    said = " ".join(done.output.split())
    assert f"1 image is not read because {tmp_path / 'x.tar'} holds a later one" in said
    for name in ("d/images/a.png", "d/masks/a.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        shutil.copy(random_images[0], tmp_path / name)
    (note,) = export(exported, out=tmp_path / "n.onnx", check=[tmp_path / "d"]).notes
    assert f"holds the masks of a data set: {tmp_path / 'd' / 'masks' / 'a.png'}" in note
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        archive.add(__file__, "broken.png")
    with refuses("LEX-DATA-013", f"{tmp_path / 'x.tar'}::broken.png"):
        export(exported, out=tmp_path / "other.onnx", check=[tmp_path / "x.tar"])
    assert not (tmp_path / "other.onnx").exists()


def test_shared_weights_make_a_small_file(exported: Run) -> None:
    """Of a run in 32 bits, the shared file gives the same numbers."""
    alone = (exported.path / "model.onnx").stat().st_size
    try:
        written = export(exported, weights="shared")
        assert written.file.stat().st_size < 0.5 * alone
        assert written.parity.dice > 0.9999
    finally:
        export(exported)
    with refuses("LEX-USE-878", "beside its weights"):
        export(exported, weights="shared", out=exported.path / "a" / "elsewhere.onnx")


def test_several_classes_without_words(tmp_path: Path, make_run: Any, random_images: list[Path]) -> None:
    run = make_run(tmp_path / "run", text="none", classes=4)[0]
    assert export(run, check=random_images).parity.words is None
    ours, theirs = (
        Predictor(run, PredictionOptions(engine=name)).predict(random_images[1]) for name in ("onnx", "torch")
    )
    assert np.mean(ours.mask != theirs.mask) < 1e-4
    np.testing.assert_allclose(ours.probability, theirs.probability, atol=1e-4)


def stpnet_as_published() -> tuple[nn.Module, int]:
    generator = torch.Generator().manual_seed(0)
    banks = {
        factor.name: torch.randn(len(factor.phrases), 1, 4, 384, generator=generator)
        for factor in load_vocabulary("chest").factors
    }
    return StpNet(banks), 224


def cotexnet_as_published() -> tuple[nn.Module, int]:
    return CoTexNetStudent(CLIPSegConfig.from_dict(CLIPSEG), 2), 70


def system_of_another_package() -> tuple[nn.Module, int]:
    phrases = {factor.name: factor.phrases for factor in load_vocabulary("chest").factors}
    return ToyNetwork(4, SimpleNamespace(phrases=phrases)), 16


def count_layers(model: openvino.Model) -> int:
    """Return the number of convolutions and matrix products of a network."""
    products = ("Convolution", "GroupConvolution", "ConvolutionBackpropData", "MatMul")
    return sum(node.get_type_name() in products for node in model.get_ordered_ops())


def constant_nodes(model: onnx.ModelProto) -> list[str]:
    """Return the nodes that depend on weights and text bank alone."""
    known, found = {weights.name for weights in model.graph.initializer}, []
    for node in model.graph.node:
        if known.issuperset(filter(None, node.input)):
            known.update(node.output)
            found.append(f"{node.op_type} {node.name}")
    return found


@pytest.mark.parametrize(
    "make",
    [
        system_of_another_package,
        cotexnet_as_published,
        pytest.param(stpnet_as_published, marks=pytest.mark.slow),
    ],
)
def test_every_system_exports(make: Callable[[], tuple[nn.Module, int]], tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, size = make()
    network.eval()
    image = torch.randn(3, 3, size, size)
    with torch.inference_mode():
        output = network(image)
    vocabulary = load_vocabulary("chest") if output.retrieval else None
    run: Any = SimpleNamespace(
        spoken_vocabulary=vocabulary, manifest=SimpleNamespace(image_size=size, fit="stretch"), shown="run"
    )
    engine: Any = SimpleNamespace(network=network, device="cpu")
    file = tmp_path / "model.onnx"
    model = make_onnx_model(run, engine)
    assert not constant_nodes(model)
    file.write_bytes(model.SerializeToString())
    onnx.checker.check_model(str(file), full_check=True)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    for images in (image, image[:1]):  # of any batch size
        logits, *words = session.run(None, {"image": images.numpy()})
        if hasattr(output, "image_features"):
            features, expected = words.pop(), output.image_features[: len(images)].numpy()
            # With random weights they reach 10^5: float32 rounds small sums of large numbers.
            np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-6 * np.abs(expected).max())
        np.testing.assert_allclose(logits, output.logits[: len(images)].numpy(), rtol=1e-4, atol=1e-4)
        for found, scores in zip(words, output.retrieval.values(), strict=True):
            np.testing.assert_allclose(found, scores[: len(images)].softmax(dim=1).numpy(), atol=1e-4)

    if "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        core = openvino.Core()
        rounded = CompiledModel(core, core.read_model(str(file)), {}, "bf16")
        close = 0.1 * float(output.logits.std())
        np.testing.assert_allclose(rounded({"image": image.numpy()})[0], output.logits.numpy(), atol=close)
        _, rest, between = first_layers(core.read_model(str(file)), 2)
        whole = count_layers(core.read_model(str(file)))
        assert between
        middle, _, between = all_but_last_layers(rest, 1)
        # Nearly all layers of a deep network are computed in bf16; the toy network has three.
        assert whole - (count_layers(middle) if between else 0) <= max(3, 0.1 * whole)


def test_a_constant_batch_size_is_refused() -> None:
    class Fixed(nn.Module):
        def forward(self, image: torch.Tensor) -> Any:
            scores = image.mean(dim=1, keepdim=True).reshape(len(image), 1, 16, 16)
            return SimpleNamespace(logits=scores, retrieval={})

    run: Any = SimpleNamespace(
        spoken_vocabulary=None, manifest=SimpleNamespace(image_size=16, fit="stretch"), shown="my run"
    )
    with refuses("LEX-WEIGHTS-876", "my run takes one batch size only", "tensor.shape[0]"):
        make_onnx_model(run, SimpleNamespace(network=Fixed(), device="cpu"))  # type: ignore[arg-type]


def test_a_shipped_model_stays_as_it_is() -> None:
    with refuses("LEX-RUN-877", "covid-xray comes with Lexiseg", "--out"):
        export("covid-xray")
