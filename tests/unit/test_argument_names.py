"""Arguments of the public interface: one name for each content, and earlier names that still work."""

from __future__ import annotations

import inspect
import typing
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import lexiseg
from lexiseg.renamed_arguments import renamed
from lexiseg.serving.client_jobs import ServerJob
from refusals import refuses
from threshold_predictor import write_image

#: Classes of `lexiseg.__all__` that hold results: Lexiseg makes them, so nobody writes their arguments.
RESULTS = {"LexisegError", "Prediction", "Refinement", "VolumePrediction", "VolumeSummary"}

#: What each argument of the public interface holds. Two names of one content are a fault: choose the name
#: that is here. Names that only one function has, for something that only it does, belong here too.
CONTENTS = {
    # What is read.
    "data": "folder of a data set",
    "folder": "data of others, as they were downloaded",
    "run": "run, or its folder or name",
    "runs": "several runs",
    "run_a": "first of two runs",
    "run_b": "second of two runs",
    "average_with": "run to average with",
    "path": "folder of a run that is opened or made by its class",
    "predictor": "loaded run",
    "image": "one image",
    "images": "several images in memory or by path",
    "paths": "image files, without folders and patterns",
    "inputs": "files, folders and patterns to predict",
    "volume": "one volume",
    "check": "images that a model file is compared on",
    "checkpoint": "published weights",
    "bundle": "packed run",
    "repository": "repository on the hub",
    "name": "name of a public data set",
    "config_file": "file with a configuration of trainings",
    "arms_file": "file with arms of an audit",
    "banks": "file with text banks",
    "clipseg": "CLIPSeg that a checkpoint was built on",
    # What is written, and how it is reported.
    "out": "file or folder that is written",
    "to": "format of a model file",
    "formats": "output formats",
    "rois": "folder for regions of interest",
    "progress": "callback with how much is done",
    "on_bytes": "callback of bytes that arrive",
    "on_result": "callback of a finished image or volume",
    "on_resumed": "callback of what an interrupted batch had finished",
    "on_slice": "callback of a finished slice",
    "console": "console for messages",
    # How networks compute.
    "device": "device",
    "engine": "engine: its name, or a loaded one",
    "precision": "type of numbers",
    "flip_average": "whether mirror images are averaged",
    "batch_size": "images per pass, or per training step",
    "calibrated": "whether the calibration is used",
    "options": "options of prediction",
    "prediction": "earlier prediction of an image",
    # How images are seen.
    "spacing_mm": "size of a pixel",
    "view": "window and frame of DICOM files",
    "window": "window of grey values",
    "by_body_part": "whether the window is that of the body part",
    "frame": "number of a frame",
    "axis": "slices of volumes",
    "slice_number": "number of a slice",
    "smooth_slices": "whether slices are smoothed",
    "single_slices": "whether slices of series are images",
    "say": "what a person says",
    # Data sets, trainings and studies.
    "seed": "seed of random choices",
    "seeds": "number of seeds",
    "split": "one split",
    "splits": "several splits",
    "published_split": "whether the published split is kept",
    "allow_leak": "whether splits may share images or patients",
    "allow_missing_masks": "whether images may lack a mask",
    "allow_difference": "whether a model file may differ from torch",
    "masks": "share of the masks that are used",
    "coded_by": "callback that chooses masks to find their coding",
    "keep_archives": "whether downloaded archives are kept",
    "num_train": "number of training images",
    "num_val": "number of validation images",
    "num_test": "number of test images",
    "size": "rows and columns of images or arrays",
    "classes": "number of classes",
    "class_names": "names of classes",
    "image_size": "size of the picture that a network sees",
    "text_encoder": "text encoder",
    "source": "who describes images",
    "vocabulary": "vocabulary",
    "lmm": "options of a multimodal model",
    "resume": "whether a training goes on",
    "training": "fields of the configuration of trainings",
    "folds": "number of folds",
    "tolerance": "boundary error that is forgiven",
    "models": "systems of an audit",
    "arms": "arms of an audit",
    "limit": "number of training images that are used",
    "epochs": "passes over the training images",
    "steps": "training steps",
    "max_minutes": "minutes of a training",
    "stale_minutes": "minutes without a signal of another process",
    # Batches and sharing.
    "volumes": "number of volumes",
    "shard": "part of many images",
    "tar": "images per archive",
    "keep_job": "whether a finished batch goes on",
    "weights": "type of numbers that hold weights",
    "license": "licence of weights",
    "image_names": "whether names of images are included",
    "public": "whether a repository is public",
    # Servers and models on servers.
    "url": "address of a server of Lexiseg",
    "base_url": "address of an OpenAI-compatible server, by its usual name",
    "token": "token of a server",
    "model": "model on a server, or system of a training",
    "timeout_s": "seconds to wait",
    "unencrypted": "whether secrets may be sent without encryption",
    "certificate_authority": "certificates of authorities",
    "tries": "tries per question",
    "concurrency": "questions at a time",
    "price": "price of tokens",
    # Parts of predictors and runs.
    "manifest": "manifest of a run",
    "version_name": "name of a version of a shipped model",
    "resumable": "whether an interrupted run is no obstacle",
    "logits": "scores of a network",
    "signals": "signals of a prediction",
    "share": "share of the image that is lesion",
    "lesion": "whether there is a lesion",
}

#: Functions whose further keywords are fields of the configuration of a training, with the names that
#: config.yaml has.
TRAININGS = {"train", "forecast_training"}


def public_callables() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the functions, constructors and methods of the public interface, with their names."""
    named: list[tuple[str, Any]] = [(name, getattr(lexiseg, name)) for name in lexiseg.__all__]
    for name, thing in [*named, ("ServerJob", ServerJob)]:
        if inspect.isfunction(thing):
            yield name, thing
        elif inspect.isclass(thing) and name not in RESULTS:
            yield from methods(name, thing)


def methods(name: str, kind: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    if kind is not ServerJob:  # which `Client.submit` makes
        yield name, kind
    for own, member in vars(kind).items():
        function = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        if not own.startswith("_") and inspect.isfunction(function):
            yield f"{name}.{own}", getattr(kind, own)


def argument_names(name: str, function: Callable[..., Any]) -> Iterator[str]:
    """Yield the names of the arguments; keywords that a `TypedDict` describes by their own names."""
    for argument in inspect.signature(function).parameters.values():
        if argument.kind is not inspect.Parameter.VAR_KEYWORD:
            yield from [] if argument.name == "self" else [argument.name]
        elif name not in TRAININGS and "Unpack" in str(argument.annotation):
            module = vars(inspect.getmodule(inspect.unwrap(function)))
            (keywords,) = typing.get_args(eval(argument.annotation, module))
            yield from typing.get_type_hints(keywords)


ARGUMENTS = {
    name: tuple(argument_names(name, function)) for name, function in public_callables() if callable(function)
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_an_argument_has_the_name_of_its_content(name: str) -> None:
    unknown = [argument for argument in ARGUMENTS[name] if argument not in CONTENTS]
    assert not unknown, f"say in CONTENTS what {unknown} hold, or use the name of an argument that holds it"


def test_no_content_has_two_names() -> None:
    repeated = [content for content, count in Counter(CONTENTS.values()).items() if count > 1]
    assert not repeated, "the arguments that hold these have two names"


def test_all_contents_are_of_arguments() -> None:
    used = {argument for arguments in ARGUMENTS.values() for argument in arguments}
    assert set(CONTENTS) == used


@pytest.mark.parametrize(
    ("name", "earlier", "now"),
    [
        ("check_dataset", "folder", "data"),
        ("open_dataset", "folder", "data"),
        ("write_phantom", "folder", "out"),
        ("find_targets", "patterns", "inputs"),
    ],
)
def test_names_of_version_0_1_0_work_and_are_warned_of(
    name: str, earlier: str, now: str, tmp_path: Path
) -> None:
    function = getattr(lexiseg, name)
    more = dict.fromkeys(("num_train", "num_val", "num_test"), 0) if name == "write_phantom" else {}
    # Each refuses what it is given, so the argument arrived.
    wrong: Any = [tmp_path / "none"] if now == "inputs" else tmp_path / "none"
    with (
        pytest.warns(DeprecationWarning, match=f"'{earlier}' is now called '{now}'"),
        pytest.raises(lexiseg.LexisegError),
    ):
        function(**{earlier: wrong}, **more)
    with pytest.raises(TypeError, match=f"'{now}' and its earlier name '{earlier}'"):
        function(**{earlier: wrong, now: wrong}, **more)


def test_earlier_names_of_other_functions_are_known() -> None:
    for name, earlier in (
        ("predict_to_files", "writers"),
        ("predict_to_files", "targets"),
        ("forecast_prediction", "targets"),
        ("describe", "on_progress"),
    ):
        function: Any = getattr(lexiseg, name)
        with pytest.warns(DeprecationWarning, match=earlier), pytest.raises(TypeError, match="missing"):
            function(**{earlier: None})


def test_a_renamed_argument_arrives() -> None:
    @renamed(old="new")
    def function(new: int, more: int = 1) -> int:
        return new + more

    assert function(1, 2) == function(new=1, more=2) == 3
    with pytest.warns(DeprecationWarning, match=r"function\(\): the argument 'old' is now called 'new'"):
        assert function(old=1, more=2) == 3  # type: ignore[call-arg]


def test_each_function_that_takes_a_predictor_takes_a_run() -> None:
    found = [name for name, arguments in ARGUMENTS.items() if arguments[:1] == ("predictor",)]
    assert len(found) >= 7
    for name in found:
        annotation = inspect.signature(getattr(lexiseg, name)).parameters["predictor"].annotation
        assert annotation == "Predictor | Run | str | Path", name


def test_images_are_predicted_by_the_name_of_a_run_and_paths(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_image(tmp_path / "in" / "a.png")
    write_image(tmp_path / "b.png")
    (tmp_path / "in" / "c.heic").write_bytes(b"?")
    target = lexiseg.find_targets([tmp_path / "b.png"])[0]
    done = lexiseg.predict_to_files("covid-xray", [tmp_path / "in", target], tmp_path / "out")
    assert (done.done, sorted(file.name for file in (tmp_path / "out" / "masks").iterdir())) == (
        2,
        ["a.png", "b.png"],
    )
    assert "1 file is not read because of the ending: 1 .heic (c.heic)" in caplog.text
    # A format that looks into the network gets the engine that can.
    explained = lexiseg.predict_to_files("covid-xray", [target], tmp_path / "cards", formats=("card",))
    assert (explained.done, len(explained.refused)) == (1, 0)
    assert lexiseg.explain("covid-xray", tmp_path / "b.png").words
    for function in (lexiseg.find_targets, partial(lexiseg.predict_to_files, "covid-xray")):
        with refuses("LEX-USE-1908", "a list of paths", str(tmp_path / "in")):
            function(str(tmp_path / "in"), out=tmp_path / "no")  # type: ignore[operator]
    assert not (tmp_path / "no").exists()
