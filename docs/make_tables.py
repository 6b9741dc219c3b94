"""Write the tables of the documentation that are made from code: `python docs/make_tables.py`.

A table is written between `<!-- table: NAME -->` and `<!-- end of table -->`. A test compares all tables with
the code.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import tomllib
from collections.abc import Callable
from functools import partial
from importlib.resources import files
from pathlib import Path

import yaml
from pydantic import BaseModel
from pydicom import uid

# The tests load this file by its path, so its folder is not on the path for imports.
sys.path.insert(0, str(Path(__file__).parent))
from command_reference import command_line

import lexiseg
from lexiseg import errors
from lexiseg.clinic.frame_pixels import decoder_names
from lexiseg.data.dataset_yaml import DatasetYaml
from lexiseg.data.public.registry import load_registry
from lexiseg.errors import LexisegError
from lexiseg.gateway import configuration as gateway
from lexiseg.studies.arms import ArmSpec
from lexiseg.systems.configuration import AugmentConfig, TrainConfig
from lexiseg.systems.registry import systems
from lexiseg.systems.system import System
from lexiseg.words import grammar, measure_rules
from lexiseg.words.vocabulary import load_vocabulary, shipped_vocabularies

DOCS = Path(__file__).parent
_TABLE = re.compile(r"(<!-- table: ([\w.]+) -->\n).*?(<!-- end of table -->)", re.DOTALL)
_ATTRIBUTE = re.compile(r"^    (\w+): (.+)$")


def described(model: type[BaseModel]) -> dict[str, str]:
    """Return the description of each field, from the `Attributes:` section of the docstring."""
    found: dict[str, str] = {}
    name = ""
    _, _, section = (inspect.getdoc(model) or "").partition("Attributes:\n")
    for line in section.splitlines():
        if match := _ATTRIBUTE.match(line):
            name = match[1]
            found[name] = match[2]
        elif name and line.startswith("     "):
            found[name] += " " + line.strip()
        else:
            name = ""
    return found


def fields(model: type[BaseModel]) -> str:
    """Return a table of a model's fields: name, default, meaning."""
    text = described(model)
    rows = ["| field | default | meaning |", "| --- | --- | --- |"]
    for name, field in model.model_fields.items():
        default = "required" if field.is_required() else shown(field.get_default(call_default_factory=True))
        rows.append(f"| `{name}` | {default} | {text[name]} |")
    return "\n".join(rows) + "\n"


def common_fields() -> str:
    """Return a table of the fields that every system has; `model` and `preset` name the system."""
    return fields(TrainConfig).replace("| required |", "| by system |")


def own_rows(system: System) -> list[str]:
    """Return a row for each field that a system adds, or whose default differs."""
    text: dict[str, str] = {}
    for model in reversed(system.configuration.__mro__):
        if issubclass(model, BaseModel):
            text |= described(model)
    rows = []
    for name, field in system.configuration.model_fields.items():
        common = TrainConfig.model_fields.get(name)
        if name in ("model", "preset") or (common is not None and common.default == field.default):
            continue
        rows.append(f"| `{name}` | {shown(field.default)} | {text[name]} |")
    return rows


def own_fields(system: System) -> str:
    """Return a table of the fields that a system adds, and of those whose default differs.

    Where a system before it has a part of them, all with the same meaning, only the others are listed.
    """
    rows = own_rows(system)
    for earlier in systems()[: systems().index(system)]:
        if set(own_rows(earlier)) < set(rows):
            rows = [row for row in rows if row not in own_rows(earlier)]
    return "\n".join(["| field | default | meaning |", "| --- | --- | --- |", *rows]) + "\n"


def shown(default: object) -> str:
    """Return a default value for a table."""
    match default:
        case BaseModel():
            return "see its own table"
        case None:
            return "none"
        case bool():
            return f"`{str(default).lower()}`"
        case tuple():
            return ", ".join(f"`{entry}`" for entry in default) or "empty"
        case dict():
            return f"{len(default)} entries" if default else "empty"
        case _:
            return f"`{default}`"


def error_classes() -> list[type[LexisegError]]:
    """Return the classes of errors, by exit code."""
    classes = [
        found
        for found in vars(errors).values()
        if isinstance(found, type) and issubclass(found, LexisegError) and found is not LexisegError
    ]
    return sorted(classes, key=lambda found: (found.exit_code, found.__name__))


def exit_codes() -> str:
    """Return a table of the classes of errors with the exit codes of the command line."""
    rows = ["| code | error | when |", "| --- | --- | --- |"]
    rows += [
        f"| {found.exit_code} | `{found.__name__}` | {inspect.getdoc(found)} |" for found in error_classes()
    ]
    return "\n".join(rows) + "\n"


def error_codes() -> str:
    """Return a section per class of errors, with one row per code: its cause and its remedy."""
    text = files("lexiseg").joinpath("error_codes.yaml").read_text(encoding="utf-8")
    catalogue: dict[str, dict[str, dict[str, str]]] = yaml.safe_load(text)
    parts = []
    for found in error_classes():
        rows = [
            f"## {found.__name__}",
            "",
            f"{inspect.getdoc(found)} Exit code {found.exit_code}.",
            "",
            "| code | cause | remedy |",
            "| --- | --- | --- |",
        ]
        for code, entry in catalogue[found.__name__].items():
            cells = (entry[column].replace("|", r"\|") for column in ("cause", "remedy"))
            rows.append(f"| {code} | {' | '.join(cells)} |")
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


MODELS: dict[str, type[BaseModel]] = {
    "arm": ArmSpec,
    "augment": AugmentConfig,
    "dataset_yaml": DatasetYaml,
    "grammar": grammar.Grammar,
}
MODELS |= {f"read.{name}": getattr(grammar, f"{name.title()}Rule") for name in ("choice", "count", "subset")}
MODELS |= {
    f"measure.{name}": getattr(measure_rules, f"{name.title()}Measure")
    for name in ("count", "laterality", "zones", "grid", "shape", "size", "intensity", "color")
}


MODELS |= {
    "gateway": gateway.GatewayConfiguration,
    "gateway.dicom_source": gateway.DicomSource,
    "gateway.folder_source": gateway.FolderSource,
    "gateway.dicomweb_source": gateway.DicomwebSource,
    "gateway.rule": gateway.Rule,
    "gateway.dicom_destination": gateway.DicomDestination,
    "gateway.dicomweb_destination": gateway.DicomwebDestination,
    "gateway.folder_destination": gateway.FolderDestination,
    "gateway.tls": gateway.Tls,
    "gateway.limits": gateway.Limits,
    "gateway.retries": gateway.Retries,
    "gateway.monitoring": gateway.Monitoring,
}


def data_sets() -> str:
    """Return a table of the public data sets and of the ways to get them."""
    rows = [
        "| name | data set | images | classes (keyword) | licence | how |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for entry in load_registry().values():
        names = "<br>".join([f"`{entry.name}`", *(f"`{alias}`" for alias in entry.aliases)])
        classes = "<br>".join(f"{named.name} ({named.keyword})" for named in entry.classes)
        how = "`data get`" if entry.downloads else "by hand, `data import`"
        images = f"{entry.modality}, {entry.colour}"
        rows.append(
            f"| {names} | [{entry.title}]({entry.home}) | {images} | {classes} | {entry.licence} | {how} |"
        )
    return "\n".join(rows) + "\n"


def data_set_facts() -> str:
    """Return the layout, downloads, manual steps and confirmed facts of each public data set."""
    parts = []
    for entry in load_registry().values():
        side = "not known" if entry.side is None else f"the {entry.side}'s"
        lines = [f"### {entry.title}", "", f"- Layout: `{entry.layout}`.", f"- Left and right: {side}."]
        if entry.spacing_mm is not None:
            lines.append(f"- Spacing: {entry.spacing_mm:g} mm.")
        if entry.window_hu is not None:
            lines.append(f"- CT window: {entry.window_hu[0]} to {entry.window_hu[1]} HU.")
        for file in entry.downloads:
            size = "size not known" if file.size is None else f"{file.size} bytes"
            checksum = "SHA-256 not known" if file.sha256 is None else f"SHA-256 `{file.sha256}`"
            lines.append(f"- Download: <{file.url}>, {size}, {checksum}.")
        for title, sentences in {
            "By hand": entry.steps,
            "Confirmed": entry.confirmed,
            "Not confirmed": entry.unconfirmed,
        }.items():
            lines += [f"- {title}: {sentence.rstrip('.')}." for sentence in sentences]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def layers() -> str:
    """Return the layers of the package, the lowest first, from the contract that `make check` enforces."""
    settings = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    rows = ["| layer | contents |", "| --- | --- |"]
    for layer in reversed(contracts[0]["layers"]):
        for name in layer.split(" | "):
            folder = Path(lexiseg.__file__).parent / name
            file = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
            module = ast.parse(file.read_text(encoding="utf-8"))
            contents = (ast.get_docstring(module) or "").splitlines()[0]
            rows.append(f"| `{name}{'/' if folder.is_dir() else '.py'}` | {contents} |")
    rules = [f"- {contract['name']}." for contract in contracts[1:]]
    return "\n".join([*rows, "", "Other rules that `make check` enforces:", "", *rules]) + "\n"


def vocabularies() -> str:
    """Return the shipped vocabularies: their factors, coarse to fine, with all phrases."""
    parts = []
    for name in shipped_vocabularies():
        vocabulary = load_vocabulary(name)
        lines = [
            f"## {name}: {vocabulary.title}",
            "",
            f"Left and right are those of the {vocabulary.side}, unless a data set states otherwise.",
            "",
            "| factor | title | phrases | read from reports | measured |",
            "| --- | --- | --- | --- | --- |",
        ]
        for factor in vocabulary.factors:
            kinds = ["no" if rule is None else f"`{rule.kind}`" for rule in (factor.read, factor.measure)]
            phrases = "<br>".join(factor.phrases)
            lines.append(f"| `{factor.name}` | {factor.title} | {phrases} | {kinds[0]} | {kinds[1]} |")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def dicom_syntaxes() -> str:
    """Return a table of transfer syntaxes: name, UID, decoder."""
    found = [(syntax, decoder_names(syntax)) for syntax in uid.AllTransferSyntaxes]
    rows = [
        "| transfer syntax | UID | decoders; the first one that is installed is used |",
        "| --- | --- | --- |",
    ]
    for syntax, names in sorted(found, key=lambda pair: [int(part) for part in pair[0].split(".")]):
        if names is not None:
            rows.append(f"| {syntax.name} | {syntax} | {', '.join(names) or 'none needed'} |")
    return "\n".join(rows) + "\n"


def dicom_codes() -> str:
    """Return a table of the codes of the shipped vocabularies."""
    rows = ["| vocabulary | finding, factor or phrase | code |", "| --- | --- | --- |"]
    for name in shipped_vocabularies():
        codes = load_vocabulary(name).codes
        finding = {"finding": codes.finding} if codes.finding is not None else {}
        for text, code in {**finding, **codes.factors, **codes.phrases}.items():
            rows.append(f"| `{name}` | {text} | {code.scheme} {code.value}, {code.meaning} |")
    return "\n".join(rows) + "\n"


#: Tables that do not list the fields of a model.
OTHERS: dict[str, Callable[[], str]] = {
    "layers": layers,
    "dicom_syntaxes": dicom_syntaxes,
    "dicom_codes": dicom_codes,
    "exit_codes": exit_codes,
    "error_codes": error_codes,
    "data_sets": data_sets,
    "data_set_facts": data_set_facts,
    "vocabularies": vocabularies,
    "cli": command_line,
    "config": common_fields,
}
OTHERS |= {f"config.{s.name}.{s.preset}": partial(own_fields, s) for s in systems()}


def table(name: str) -> str:
    """Return the table called `name`."""
    return OTHERS[name]() if name in OTHERS else fields(MODELS[name])


def with_tables(page: str) -> str:
    """Return a page with all its tables up to date."""
    return _TABLE.sub(lambda match: match[1] + table(match[2]) + match[3], page)


def main() -> None:
    """Rewrite the tables of all pages."""
    for path in sorted([*DOCS.rglob("*.md"), DOCS.parent / "CONTRIBUTING.md"]):
        page = path.read_text(encoding="utf-8")
        made = with_tables(page)
        if made != page:
            path.write_text(made, encoding="utf-8")
            print(f"{path} updated")


if __name__ == "__main__":
    main()
