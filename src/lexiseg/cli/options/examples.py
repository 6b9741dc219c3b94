"""Examples of the commands, as their help and the documentation show them.

A test parses each line, so that none names an option that does not exist.
"""

from __future__ import annotations

from rich.markup import escape

#: Command lines by the words of the command; "" is the whole command line.
EXAMPLES: dict[str, tuple[str, ...]] = {
    "": (
        "lexiseg predict covid-xray image.png --overlays",
        "lexiseg demo --minutes 3",
        "lexiseg doctor",
    ),
    "train": (
        "lexiseg train my-data -o runs/first",
        "lexiseg train my-data -o runs/first --text none --max-minutes 30",
        "lexiseg train my-data -o runs/first --device cuda --precision bf16",
        "lexiseg train my-data -o runs/first --dry-run",
        "lexiseg train my-data -o runs/first --resume",
    ),
    "evaluate": (
        "lexiseg evaluate runs/first my-data -o results",
        "lexiseg evaluate runs/first runs/second my-data -o results --split val",
        "lexiseg evaluate runs/first my-data -o results --json",
    ),
    "compare": (
        "lexiseg compare runs/first runs/second my-data",
        "lexiseg compare runs/first runs/second my-data -o comparison --json",
    ),
    "audit": ("lexiseg audit my-data -o audit", "lexiseg audit my-data -o audit --seeds 2 --epochs 10"),
    "calibrate": ("lexiseg calibrate runs/first my-data",),
    "predict": (
        "lexiseg predict covid-xray images -o predictions",
        "lexiseg predict runs/first 'images/*.png' --write mask,overlay,card",
        "lexiseg predict runs/first image.dcm --write seg,sr --json",
        "lexiseg predict runs/first ct-folder --write nifti,seg --window 40,400 --axis axial",
        "lexiseg predict runs/first images --dry-run",
    ),
    "join": ("lexiseg join predictions",),
    "refine": ("lexiseg refine covid-xray image.png --say 'no lesion on the right; lower left only'",),
    "export": (
        "lexiseg export runs/first",
        "lexiseg export runs/first --to openvino -o model.openvino --check images",
    ),
    "watch": (
        "lexiseg watch gateway.yaml",
        "lexiseg watch gateway.yaml --quarantine list",
        "lexiseg watch module.yaml --once --in images --out results",
    ),
    "pack": (
        "lexiseg pack runs/first -o first.lexiseg.zip --license CC-BY-4.0",
        "lexiseg pack runs/first --format monai -o bundle",
        "lexiseg pack runs/first --without-image-names --strict",
    ),
    "unpack": ("lexiseg unpack first.lexiseg.zip -o runs/first",),
    "push": ("lexiseg push runs/first hf://jane/first --license CC-BY-4.0",),
    "pull": ("lexiseg pull hf://jane/first -o runs/first",),
    "serve": (
        "lexiseg serve covid-xray",
        "lexiseg serve runs/first covid-xray --port 8080",
    ),
    "token": ("lexiseg token new jane --scope predict",),
    "token new": ("lexiseg token new jane --scope predict --days 90",),
    "token list": ("lexiseg token list",),
    "token revoke": ("lexiseg token revoke jane",),
    "demo": ("lexiseg demo", "lexiseg demo my-data -o demo --minutes 10"),
    "doctor": ("lexiseg doctor", "lexiseg doctor --json"),
    "data": ("lexiseg data list", "lexiseg data check my-data"),
    "data describe": (
        "lexiseg data describe my-data -o words.jsonl",
        "lexiseg data describe my-data -o words.jsonl --source lmm --model NAME "
        "--base-url http://localhost:8000/v1",
    ),
    "data list": ("lexiseg data list", "lexiseg data list kvasir-seg"),
    "data get": ("lexiseg data get kvasir-seg -o kvasir",),
    "data import": ("lexiseg data import kvasir-seg download.zip -o kvasir",),
    "data check": (
        "lexiseg data check my-data",
        "lexiseg data check my-data --with runs/first -o suspicions",
        "lexiseg data check my-data --identifying --strict",
    ),
    "data phantom": ("lexiseg data phantom phantom --train 100 --val 20 --test 20",),
    "data croissant": ("lexiseg data croissant my-data",),
    "convert": ("lexiseg convert stpnet checkpoint.pth runs/published --text-encoder minilm",),
    "convert stpnet": (
        "lexiseg convert stpnet checkpoint.pth runs/published --banks banks.safetensors",
        "lexiseg convert stpnet checkpoint.pth runs/published --text-encoder minilm",
    ),
    "convert cotexnet": ("lexiseg convert cotexnet checkpoint.pth runs/published --class-name lesion",),
}


def examples_text(words: str) -> str:
    """Return the examples of a command for its help.

    Args:
        words: The words that call it, such as "data check".
    """
    # The help joins the lines of a paragraph, so each example is a paragraph.
    return "\n\n".join(["Examples:", *map(escape, EXAMPLES[words])])
