"""What is loaded when: a user who predicts does not wait for what only training needs."""

from __future__ import annotations

import ast
import json
import resource
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from statistics import median

import pytest

import lexiseg

#: Packages that only training, evaluation, data sets or pages need.
HEAVY = (
    "pandas", "openpyxl", "lightning", "transformers", "matplotlib", "tensorboard", "jinja2", "monai",
)  # fmt: skip
#: Our own code that prediction does not need.
OURS = (
    "lexiseg.cli", "lexiseg.data.check", "lexiseg.data.layouts", "lexiseg.data.public", "lexiseg.describing",
    "lexiseg.embeddings", "lexiseg.evaluation", "lexiseg.inference.explanation", "lexiseg.inference.writers",
    "lexiseg.runs.conversion", "lexiseg.studies", "lexiseg.training", "lexiseg.words.reading",
)  # fmt: skip
#: timm, which builds the encoder, imports torchvision and the client of the Hugging Face hub by itself
#: (timm.layers, timm.models), whether or not they are used.
TIMM = ("torchvision", "huggingface_hub")


def loaded(code: str) -> set[str]:
    """Run code in a new interpreter and return the modules it has loaded."""
    shown = f"{code}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def among(names: tuple[str, ...], modules: set[str]) -> list[str]:
    """Return the names that are loaded, or hold a module that is."""
    return [name for name in names if any(m == name or m.startswith(f"{name}.") for m in modules)]


def test_importing_the_package_loads_nothing_else() -> None:
    modules = loaded("import lexiseg")
    assert {name for name in modules if name.startswith("lexiseg")} == {
        "lexiseg", "lexiseg._version", "lexiseg.errors",
    }  # fmt: skip
    assert among(("numpy", "torch", "pydantic", "PIL", *HEAVY), modules) == []


def test_importing_the_package_is_quick() -> None:
    def cpu_seconds(code: str) -> float:
        def used() -> float:
            usage = resource.getrusage(resource.RUSAGE_CHILDREN)
            return usage.ru_utime + usage.ru_stime

        before = used()
        subprocess.run([sys.executable, "-c", code], check=True)
        return used() - before

    # Time of the processor, and interleaved: other work on the machine must not fail this.
    pairs = [(cpu_seconds("import lexiseg"), cpu_seconds("pass")) for _ in range(5)]
    assert median(with_import - without for with_import, without in pairs) < 0.1


def test_prediction_loads_what_it_needs(tmp_path: Path) -> None:
    modules = loaded(
        f"import lexiseg, numpy, PIL.Image\n"
        f"file = {str(tmp_path / 'image.png')!r}\n"
        f"PIL.Image.fromarray(numpy.zeros((50, 40, 3), 'uint8')).save(file)\n"
        f"lexiseg.load('covid-xray').predict(file)"
    )
    assert "onnxruntime" in modules
    assert among(("torch", *TIMM, *HEAVY, *OURS), modules) == []


def test_a_command_that_predicts_pictures_loads_what_it_needs(tmp_path: Path) -> None:
    out = tmp_path / "out"
    modules = loaded(
        f"import numpy, PIL.Image\n"
        f"from lexiseg.cli.app import app\n"
        f"file = {str(tmp_path / 'image.png')!r}\n"
        f"PIL.Image.fromarray(numpy.zeros((50, 40, 3), 'uint8')).save(file)\n"
        f"arguments = ['predict', 'covid-xray', file, '--engine', 'onnx', '--out', {str(out)!r}, '--quiet']\n"
        f"app(arguments, standalone_mode=False)"
    )
    assert len(list((out / "masks").iterdir())) == 1
    # Each takes longer to load than the prediction of an image.
    assert among(("torch", "pydicom", "nibabel", "skimage.color", "scipy.linalg", *HEAVY), modules) == []


def test_the_engine_torch_loads_what_it_needs() -> None:
    modules = loaded("import lexiseg\nlexiseg.load('covid-xray', engine='torch')")
    assert "torch" in modules
    assert among(("onnx", "onnxruntime", *HEAVY, *OURS), modules) == []


@pytest.mark.parametrize("arguments", [["--help"], ["predict", "--help"], ["train", "--help"], ["--version"]])
def test_help_loads_no_torch(arguments: list[str]) -> None:
    modules = loaded(
        f"from lexiseg.cli.app import app\n"
        f"try:\n    app({arguments!r}, standalone_mode=False)\n"
        f"except SystemExit:\n    pass"
    )
    assert among(("torch", "numpy", "PIL", "scipy", "skimage", *TIMM, *HEAVY), modules) == []


def test_an_unknown_output_format_is_refused_without_torch() -> None:
    modules = loaded(
        "from lexiseg.cli.app import app\n"
        "try:\n    app(['predict', 'run', 'image', '--write', 'dicom'], standalone_mode=False)\n"
        "except Exception as error:\n    assert error.code == 'LEX-USE-571', error"
    )
    assert among(("torch", "numpy"), modules) == []


def test_only_the_published_stpnet_is_built_on_torchvision() -> None:
    root = Path(lexiseg.__file__).parent
    importing = []
    for file in sorted(root.rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)) if "torchvision" in text else ():
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            uses = any(name.split(".")[0] == "torchvision" for name in names)
            importing += [file.parent.relative_to(root).as_posix()] * uses
    assert set(importing) == {"systems/stpnet"}


def test_the_two_lists_of_the_public_interface_agree() -> None:
    tree = ast.parse(Path(lexiseg.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    for_type_checkers = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("lexiseg")
        for alias in node.names
    }
    assert for_type_checkers == lexiseg._HOMES
    assert set(lexiseg.__all__) == {*for_type_checkers, "LexisegError", "__version__", "load"}
    for name, home in for_type_checkers.items():
        assert getattr(lexiseg, name) is getattr(import_module(home), name)


def test_volume_files_need_no_package_for_dicom() -> None:
    absent = ("torch", "pydicom", "highdicom", "SimpleITK")
    loaded(
        f"import sys\nsys.modules.update(dict.fromkeys({absent}))\n"
        "import lexiseg.inference.volumes.batch, lexiseg.serving.volumes.reading_process"
    )


@pytest.mark.parametrize("module", ["lexiseg.serving.server", "lexiseg.cli.commands.serve.command"])
def test_a_server_for_images_needs_no_other_extra(module: str) -> None:
    """The extra `serve` holds no packages for DICOM files and volumes, and neither torch nor pandas."""
    absent = ("torch", "pandas", "pydicom", "highdicom", "pynetdicom", "nibabel", "SimpleITK")
    loaded(f"import sys\nsys.modules.update(dict.fromkeys({absent}))\nimport {module}")
