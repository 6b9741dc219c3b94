"""The commands of the family: how each is called, and how its result is told from another one."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tests.faults.workshop import Workshop

import lexiseg
from lexiseg.inference.batches.shards import predict_shard
from lexiseg.inference.inputs.target_list import Shard
from lexiseg.inference.inputs.target_search import find_images

#: A result in a form that two runs of a command share: names of parts, and what each holds.
Result = dict[str, object]

_CHANGING = {"created", "date", "minutes", "training_minutes", "machine", "command", "seconds", "imported"}


@dataclass(frozen=True, kw_only=True)
class CommandCase:
    """One command of the family.

    Attributes:
        name: Its name in tables.
        arguments: What stands after `lexiseg`.
        result: What it made, without what changes from one time to the next; of the command's standard output
            where it makes no files.
        prepare: Makes what it needs in `now`.
        finished: The file that it writes last: once it is there, the result is whole.
        again: How a person goes on after a fault; by default the same command.
        kept: Files that a command which was stopped keeps on purpose.
        writes: Whether it writes files.
    """

    name: str
    arguments: Callable[[Workshop], tuple[str, ...]]
    result: Callable[[Workshop, str], Result]
    finished: str | None
    prepare: Callable[[Workshop], object] = lambda shop: None
    again: Callable[[Workshop], tuple[str, ...] | None] | None = None
    kept: tuple[str, ...] = ()
    writes: bool = True

    def is_finished(self, shop: Workshop) -> bool:
        """Return whether the result is said to be whole."""
        return self.finished is not None and (shop.out / self.finished).exists()

    def follow_up(self, shop: Workshop) -> tuple[str, ...] | None:
        """Return the command with which a person goes on; None if there is nothing left to do."""
        if self.again is not None:
            return self.again(shop)
        return self.arguments(shop)


def _plain(value: Any) -> Any:
    """Return JSON without the fields that change from one time to the next."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if key not in _CHANGING}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _json(path: Path) -> Any:
    return _plain(json.loads(path.read_text("utf-8")))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _files(folder: Path) -> Result:
    """Return the digest of every file below a folder; JSON without what changes."""
    return {
        str(path.relative_to(folder)): _json(path) if path.suffix == ".json" else _digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _state(path: Path) -> str:
    """Return the digest of the weights in a checkpoint."""
    tensors = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode() + tensors[name].contiguous().numpy().tobytes())
    return digest.hexdigest()


def _history(path: Path) -> list[str]:
    """Return the rows of a history without their minutes, the second column."""
    return [",".join(line.split(",")[:1] + line.split(",")[2:]) for line in path.read_text().splitlines()]


def _trained(run: Path) -> Result:
    manifest = _json(run / "run.json")
    return {
        "weights": _digest(run / "weights.safetensors"),
        "last state": _state(run / "checkpoint.ckpt"),
        "history": _history(run / "history.csv"),
        "manifest": {"review_below": manifest["review_below"], **manifest["training"]},
    }


def _audited(out: Path) -> Result:
    runs = sorted(path.parent for path in out.glob("arms/*/run.json"))
    audit = _json(out / "audit.json")
    return {
        **{run.name: _trained(run) for run in runs},
        "cases": _digest(out / "cases.csv"),
        **{name: audit[name] for name in ("verdicts", "comparisons", "differences", "cases")},
    }


def _train(shop: Workshop, *more: str) -> tuple[str, ...]:
    options = ("--config", str(shop.config), "--text", "concepts", "--epochs", "3", "--seed", "3")
    return ("train", str(shop.data), "--out", str(shop.out), *options, *more)


def _resume(shop: Workshop) -> tuple[str, ...]:
    """Return how a training goes on: from its run folder, or from the beginning if there is none."""
    if (shop.out / "run.json").is_file():
        return ("train", str(shop.data), "--out", str(shop.out), "--resume")
    return _train(shop)


def _audit(shop: Workshop) -> tuple[str, ...]:
    options = ("--config", str(shop.config), "--image-size", "64", "--epochs", "2")
    arms = ("--models", "stpnet", "--arms", "none,concepts", "--seeds", "1")
    return ("audit", str(shop.data), "--out", str(shop.out), *options, *arms)


def _describe(shop: Workshop) -> tuple[str, ...]:
    model = ("--source", "lmm", "--model", "m", "--base-url", shop.model_url, "--concurrency", "2")
    return ("data", "describe", str(shop.data), "--out", str(shop.out / "words.jsonl"), *model)


def _predict(shop: Workshop) -> tuple[str, ...]:
    options = ("--write", "mask,overlay", "--batch-size", "2")
    return ("predict", str(shop.run), str(shop.images), "--out", str(shop.out), *options)


def _predict_shards(shop: Workshop) -> None:
    """Predict the images in two shards, which are joined then."""
    predictor = lexiseg.load(shop.run)
    for number in (1, 2):
        targets = find_images([shop.images], out=shop.out).targets
        predict_shard(predictor, targets, shop.out, shard=Shard(number=number, count=2))


def _import(shop: Workshop) -> tuple[str, ...]:
    return ("data", "import", "clinicdb", str(shop.download), "--out", str(shop.out))


def _unless_made(
    arguments: Callable[[Workshop], tuple[str, ...]], made: str
) -> Callable[[Workshop], tuple[str, ...] | None]:
    """Return what goes on with a command that refuses to replace what it has made."""
    return lambda shop: None if (shop.out / made).exists() else arguments(shop)


def _words(shop: Workshop) -> Result:
    lines = (shop.out / "words.jsonl").read_text("utf-8").splitlines()
    return {"lines": [_plain(json.loads(line)) for line in lines]}


COMMANDS: tuple[CommandCase, ...] = (
    CommandCase(
        name="train",
        arguments=_train,
        result=lambda shop, said: _trained(shop.out),
        finished=None,
        again=_resume,
    ),
    CommandCase(
        name="train --resume",
        arguments=_resume,
        prepare=lambda shop: shutil.copytree(shop.half_run, shop.out),
        result=lambda shop, said: _trained(shop.out),
        finished=None,
        again=_resume,
    ),
    CommandCase(
        name="predict",
        arguments=_predict,
        result=lambda shop, said: _files(shop.out),
        finished="predictions.jsonl",
        kept=("predictions.jsonl.partial",),
    ),
    CommandCase(
        name="predict volumes",
        arguments=lambda shop: ("predict", str(shop.run), str(shop.volumes), "--out", str(shop.out)),
        result=lambda shop, said: _files(shop.out),
        finished="volumes.jsonl",
        kept=("volumes.jsonl.partial",),
    ),
    CommandCase(
        name="watch --once",
        arguments=lambda shop: (
            *("watch", str(shop.gateway), "--once"),
            *("--in", str(shop.radiographs), "--out", str(shop.out)),
        ),
        result=lambda shop, said: _files(shop.out),
        finished="result.json",
    ),
    CommandCase(
        name="join",
        arguments=lambda shop: ("join", str(shop.out)),
        prepare=_predict_shards,
        result=lambda shop, said: _files(shop.out),
        finished="predictions.jsonl",
    ),
    CommandCase(
        name="evaluate",
        arguments=lambda shop: ("evaluate", str(shop.run), str(shop.data), "--out", str(shop.out)),
        result=lambda shop, said: {
            "metrics": _json(shop.out / "metrics.json"),
            "cases": _digest(shop.out / "cases.csv"),
        },
        finished="metrics.json",
    ),
    CommandCase(
        name="calibrate",
        arguments=lambda shop: ("calibrate", str(shop.out), str(shop.data)),
        prepare=lambda shop: shutil.copytree(shop.run, shop.out),
        result=lambda shop, said: _files(shop.out),
        finished="calibration.json",
    ),
    CommandCase(
        name="compare",
        arguments=lambda shop: (
            "compare",
            *map(str, (shop.run, shop.other_run, shop.data, "--out", shop.out)),
        ),
        result=lambda shop, said: {"comparison": _json(shop.out / "comparison.json")},
        finished="comparison.json",
    ),
    CommandCase(
        name="audit",
        arguments=_audit,
        result=lambda shop, said: _audited(shop.out),
        finished="audit.json",
    ),
    CommandCase(
        name="data describe",
        arguments=_describe,
        result=lambda shop, said: _words(shop),
        finished="words.jsonl",
        again=_unless_made(_describe, "words.jsonl"),
        kept=("words.jsonl.journal",),
    ),
    CommandCase(
        name="data import",
        arguments=_import,
        result=lambda shop, said: _files(shop.out),
        finished="import.json",
        again=_unless_made(_import, "import.json"),
    ),
    CommandCase(
        name="data check",
        arguments=lambda shop: ("data", "check", str(shop.data)),
        # Narrow consoles break the lines of tables; letters and digits stay the same.
        result=lambda shop, said: {"said": "".join(sorted(filter(str.isalnum, said)))},
        finished=None,
        writes=False,
    ),
)

BY_NAME: Mapping[str, CommandCase] = {case.name: case for case in COMMANDS}
