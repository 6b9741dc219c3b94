"""JSON schemas of the files that Lexiseg writes, and of the result of `lexiseg serve --json`.

`SCHEMAS` is the registry: name of the schema to the model that the file is read and written with, as
"module:class". A model is imported when its schema is asked for, so this module imports nothing else.
`docs/make_schemas.py` writes all schemas to `docs/reference/schemas/`.

Examples:
    >>> sorted(schema("metrics")["properties"])[:3]  # doctest: +SKIP
    ['agreement', 'by_class', 'by_count']
"""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

from lexiseg.errors import UsageError

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.json_schema import GenerateJsonSchema

#: The model of each kind of file or result, as "module:class".
SCHEMAS = {
    "metrics": "lexiseg.evaluation.scores.metrics_file:Metrics",
    "comparison": "lexiseg.evaluation.comparison.comparison_file:Comparison",
    "run-table": "lexiseg.evaluation.comparison.comparison_file:RunTable",
    "suspicions": "lexiseg.evaluation.suspicions.suspicion_file:Suspicions",
    "audit": "lexiseg.studies.audit_file:AuditResult",
    "manifest": "lexiseg.runs.manifest:Manifest",
    "run-splits": "lexiseg.runs.splits:SplitsRecord",
    "run-masks": "lexiseg.runs.splits:WithMaskRecord",
    "run-image-hashes": "lexiseg.runs.image_hashes:ImageHashesRecord",
    "calibration": "lexiseg.inference.reliability.calibration:CalibrationFile",
    "prediction": "lexiseg.inference.records.predictions_file:PredictionRecord",
    "prediction-failure": "lexiseg.inference.records.predictions_file:FailureRecord",
    "prediction-job": "lexiseg.inference.batches.batch_job:BatchJob",
    "shard": "lexiseg.inference.batches.shards:ShardRecord",
    "bundle": "lexiseg.sharing.contents:BundleRecord",
    "volume": "lexiseg.inference.volumes.volumes_file:VolumeRecord",
    "volume-job": "lexiseg.inference.volumes.volume_job:VolumeJob",
    "refinement": "lexiseg.refinement.refinement_file:RefinementRecord",
    "output": "lexiseg.outputs.manifest:OutputRecord",
    "queue-age": "lexiseg.gateway.queue.age:QueueAge",
    "quarantine": "lexiseg.gateway.queue.quarantine_record:QuarantineRecord",
    "serve": "lexiseg.cli.commands.serve.result:ServeResult",
}

_ATTRIBUTE = re.compile(r"^    (\w+): (.+)$")


def schema_model(name: str) -> type[BaseModel]:
    """Return the model of a kind of file.

    Args:
        name: A key of `SCHEMAS`.

    Raises:
        UsageError: There is no such schema.
    """
    if name not in SCHEMAS:
        raise UsageError(
            f"Unknown schema '{name}': expected one of {', '.join(SCHEMAS)}.", code="LEX-USE-557"
        )
    module, _, kind = SCHEMAS[name].partition(":")
    model: type[BaseModel] = getattr(import_module(module), kind)
    return model


def schema(name: str) -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of a kind of file, with a description of every field.

    Args:
        name: A key of `SCHEMAS`.

    Raises:
        UsageError: There is no such schema.
    """
    value = schema_model(name).model_json_schema(schema_generator=_described(), mode="serialization")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"lexiseg {name}",
        **{key: part for key, part in value.items() if key != "title"},
    }


def _described() -> type[GenerateJsonSchema]:
    """Return a generator that describes every field as the docstring of its class does."""
    from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
    from pydantic_core import core_schema

    class Described(GenerateJsonSchema):
        def field_title_should_be_set(self, schema: Any) -> bool:
            return False

        def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
            value = super().model_schema(schema)
            texts: dict[str, str] = {}
            for kind in reversed(schema["cls"].__mro__):
                texts |= attribute_texts(kind.__doc__ or "")
            for name, field in value.get("properties", {}).items():
                if name in texts:
                    field["description"] = texts[name]
            summary = inspect.getdoc(schema["cls"]) or ""
            value["description"] = " ".join(summary.partition("\n\n")[0].split())
            return value

    return Described


def attribute_texts(docstring: str) -> dict[str, str]:
    """Return the description of each attribute that a Google-style docstring has in its `Attributes:`."""
    found: dict[str, str] = {}
    name = ""
    _, _, section = inspect.cleandoc(docstring).partition("Attributes:\n")
    for line in section.splitlines():
        if match := _ATTRIBUTE.match(line):
            name = match[1]
            found[name] = match[2]
        elif name and line.startswith("     "):
            found[name] += " " + line.strip()
        elif line:  # the next section
            break
    return found
