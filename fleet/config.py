"""Strict reading of YAML into frozen typed records, with errors that name file, line, key, value and limit."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from fleet.errors import ConfigError

T = TypeVar("T")


def load_yaml(path: Path, kind: type[T]) -> T:
    """Read ``path`` as one YAML document of type ``kind``.

    Raises
    ------
    ConfigError
        Missing or unreadable file, YAML syntax, unknown or missing key, wrong type, value out of
        range, NaN or infinity. The text is one line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ConfigError(f"{path}: {reason}") from error
    return parse_yaml(text, kind, source=str(path))


def parse_yaml(text: str, kind: type[T], *, source: str) -> T:
    """As :func:`load_yaml`, from text; ``source`` is what errors name."""
    loader = yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader
    try:
        node = yaml.compose(text, Loader=loader)
        data = yaml.load(text, Loader=loader)  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{source}:{mark.line + 1}" if mark else source
        raise ConfigError(f"{where}: not valid YAML: {getattr(error, 'problem', None) or error}") from error
    _refuse_non_finite(data, node, source, ())
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(_explain(str(error), data, node, source)) from error


def _refuse_non_finite(data: Any, node: Any, source: str, keys: tuple[str | int, ...]) -> None:
    if isinstance(data, float) and not math.isfinite(data):
        line = _line(node, keys)
        raise ConfigError(f"{source}:{line}: {_dotted(keys)}: {data} is not a finite number")
    if isinstance(data, dict):
        for key, value in data.items():
            _refuse_non_finite(value, node, source, (*keys, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            _refuse_non_finite(value, node, source, (*keys, index))


def _explain(message: str, data: Any, node: Any, source: str) -> str:
    """msgspec's message, with the line, the key and the offending value put in front."""
    match = re.match(r"(.*?)(?: - at `(\$.*)`)?$", message, re.DOTALL)
    text, at = (match.group(1), match.group(2)) if match else (message, None)
    keys = _keys(at or "$")
    unknown = re.search(r"unknown field `(.*?)`", text)
    if unknown:
        keys = (*keys, unknown.group(1))
        return f"{source}:{_line(node, keys)}: {_dotted(keys)}: unknown key"
    value = _value(data, keys)
    shown = "" if isinstance(value, (dict, list)) or value is None else f" (it is {value!r})"
    return f"{source}:{_line(node, keys)}: {_dotted(keys)}: {text}{shown}"


def _keys(at: str) -> tuple[str | int, ...]:
    found = re.findall(r"\.([^.\[\]]+)|\[(\d+)\]", at)
    return tuple(name or int(index) for name, index in found if name or index)


def _value(data: Any, keys: tuple[str | int, ...]) -> Any:
    for key in keys:
        try:
            data = data[key]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _line(node: Any, keys: tuple[str | int, ...]) -> int:
    """The 1-based line of the deepest part of ``keys`` that the document has."""
    line = 1
    for key in keys:
        if isinstance(node, yaml.MappingNode):
            pairs = [(k, v) for k, v in node.value if k.value == str(key)]
            if not pairs:
                break
            line, node = pairs[0][0].start_mark.line + 1, pairs[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            node = node.value[key]
            line = node.start_mark.line + 1
        else:
            break
    return line


def _dotted(keys: tuple[str | int, ...]) -> str:
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    return text.lstrip(".") or "document"
