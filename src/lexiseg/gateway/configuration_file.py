"""Reading of the configuration file of a gateway."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ValidationError

from lexiseg.errors import UsageError
from lexiseg.gateway.configuration import GatewayConfiguration
from lexiseg.gateway.folder_overlap import require_apart
from lexiseg.structured_text import UnusableTextError, read_yaml
from lexiseg.validation import content_of, explain


def read_configuration(path: Path) -> GatewayConfiguration:
    """Read the configuration of a gateway; relative paths in it start at its folder.

    Raises:
        UsageError: The file is missing or no YAML, has unknown fields, a field has an impossible value, or
            folders lie in each other that must lie apart.
    """
    try:
        values = read_yaml(path)
    except (OSError, UnusableTextError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise UsageError(
            f"The configuration {path} cannot be read: {said}. Correct it, or give another file.",
            code="LEX-USE-1230",
        ) from error
    if not isinstance(values, dict):
        raise UsageError(
            f"{path} must hold fields such as `state: ...`, not {content_of(values)}.",
            code="LEX-USE-1231",
        )
    try:
        settings = _with_folder(GatewayConfiguration.model_validate(values), path.absolute().parent)
    except ValidationError as error:
        raise UsageError(f"{path}: {explain(GatewayConfiguration, error)}.", code="LEX-USE-1232") from error
    require_apart(settings, path.absolute())
    return settings


def _with_folder(settings: GatewayConfiguration, folder: Path) -> GatewayConfiguration:
    """Return the configuration with absolute paths."""

    def absolute(model: BaseModel) -> BaseModel:
        changes: dict[str, object] = {}
        for name in type(model).model_fields:
            value = getattr(model, name)
            if isinstance(value, Path):
                changes[name] = folder / value
            elif isinstance(value, BaseModel):
                changes[name] = absolute(value)
            elif isinstance(value, dict):
                changes[name] = {key: absolute(entry) for key, entry in value.items()}
            elif name == "rules":
                changes[name] = tuple(absolute(rule) for rule in value)
            elif name == "run" and (folder / value).is_dir():
                changes[name] = str(folder / value)
        return model.model_copy(update=changes)

    made = absolute(settings)
    assert isinstance(made, GatewayConfiguration)
    return made
