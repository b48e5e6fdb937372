"""From a YAML file to a config, and what is said where that fails."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from capacity import strict_yaml
from capacity.config._base import did_you_mean
from capacity.config._config import Config
from capacity.config._mapping import read_mappings
from capacity.errors import ConfigError

M = TypeVar("M", bound=BaseModel)


def load(path: Path | str) -> Config:
    """Read and validate a config file.

    Raises
    ------
    ConfigError
        One line a fault: file, line, key, what was found, what is allowed.
    """
    document = strict_yaml.load(Path(path))
    config = validate(Config, document)
    config._path = Path(path).absolute()
    read_mappings(config.costs.mappings, config.resolve, config)
    return config


def dump(config: Config) -> str:
    """``config`` as YAML that :func:`load` reads back; what is left at its default is left out."""
    import yaml

    plain = config.model_dump(mode="json", exclude_defaults=True, by_alias=True)
    plain["version"] = config.version
    for source, known in zip(plain.get("sources", []), config.sources, strict=True):
        source["kind"] = known.kind
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=110)


def validate(model: type[M], document: strict_yaml.Document) -> M:
    """``document`` as a ``model``, or a :class:`ConfigError` that names every fault with its line."""
    if not isinstance(document.data, dict):
        raise ConfigError([f"{document.path}:1: found a {type(document.data).__name__}; a mapping of keys is allowed"])
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        raise ConfigError([describe(e, model, document) for e in error.errors()]) from None


def describe(error: Mapping[str, Any], model: type[BaseModel], document: strict_yaml.Document) -> str:
    """One pydantic error as 'file:line: key: what was found; what is allowed'."""
    loc = _plain_loc(error["loc"], document.data)
    where = f"{document.path}:{document.line(loc)}"
    key = ".".join(str(p) for p in loc) or "(the whole file)"
    found = f"found {_short(error.get('input'))}"
    if error["type"] == "extra_forbidden":
        known = _keys_at(model, error["loc"][:-1])
        return f"{where}: {key}: unknown key{did_you_mean(str(loc[-1]), known)}"
    if error["type"] == "missing":
        return f"{where}: {key}: missing; this key is required"
    if error["type"] == "value_error":
        return f"{where}: {key}: {error['ctx']['error']}"
    if error["type"] in ("union_tag_invalid", "union_tag_not_found"):
        return f"{where}: {key}.kind: {_kind_problem(error)}"
    return f"{where}: {key}: {found}; allowed: {error['msg'][0].lower()}{error['msg'][1:]}"


def _kind_problem(error: Mapping[str, Any]) -> str:
    if error["type"] == "union_tag_not_found":
        return "missing; this key is required"
    return f"found '{error['ctx']['tag']}'; allowed: {error['ctx']['expected_tags']}"


def _plain_loc(loc: tuple[str | int, ...], data: Any) -> tuple[str | int, ...]:
    """Pydantic's location without the union tags, which are no keys of the file."""
    out: list[str | int] = []
    for i, part in enumerate(loc):
        is_key = isinstance(data, dict) and part in data
        is_item = isinstance(data, list) and isinstance(part, int) and part < len(data)
        if is_key or is_item:
            data = data[part]
        elif i < len(loc) - 1:
            continue
        out.append(part)
    return tuple(out)


def _keys_at(model: type[BaseModel], loc: tuple[str | int, ...]) -> list[str]:
    """Known keys of the model at ``loc``."""
    current: Any = model
    for part in loc:
        if isinstance(part, int):
            continue
        tagged = [m for m in _models_in(current) if _tag(m) == part]
        if tagged:
            current = tagged[0]
            continue
        fields = [m.model_fields[part].annotation for m in _models_in(current) if part in m.model_fields]
        current = fields[0] if fields else None
    return sorted({k for m in _models_in(current) for k in m.model_fields})


def _tag(model: type[BaseModel]) -> str | None:
    kind = model.model_fields.get("kind")
    args = getattr(kind.annotation, "__args__", ()) if kind else ()
    return args[0] if args else None


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for arg in getattr(annotation, "__args__", ()) for m in _models_in(arg)]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
